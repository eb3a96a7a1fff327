/** CRIU's log: what it says itself, and which line of it is the reason. @module */

import { readFileSync, statSync } from "node:fs";
import { ThawError } from "../errors/errors.ts";
import { wrapFs } from "../linux/libc.ts";

// Logged when all is well too: raising limits without CAP_SYS_RESOURCE, and cgroupd when its
// peer goes; the last two only say that there was an error.
const HARMLESS = [
  /rlimit: Can't setup RLIMIT_NOFILE/,
  /cgroupd: recv req error/,
  /Restoring FAILED/,
  /Dumping FAILED/,
];

const IS_ERROR = /Error \(|: Error /;

/**
 * CRIU's log as text.
 *
 * @param since milliseconds since the epoch: a file not written after that is an earlier run's
 * @throws SyscallError when it cannot be read; ThawError when it is an earlier run's
 */
export function readLog(path: string, since: number): string {
  return wrapFs(`open ${path}`, () => {
    if (statSync(path).mtimeMs < since) throw new ThawError(`criu wrote nothing to ${path}`);
    return readFileSync(path, "utf8");
  });
}

/** The error lines that mean something, in order, without CRIU's time stamps and pids. */
export function realErrors(log: string): string[] {
  return log
    .split("\n")
    .filter((line) => IS_ERROR.test(line) && !HARMLESS.some((harmless) => harmless.test(line)))
    .map(bare);
}

// The contents of a tmpfs are missing; no page server answers.
const SILENT = /No tmpfs-|Can't connect to server/;

/** Reasons that CRIU does not call an error, as bare lines. */
export function silentReasons(log: string): string[] {
  return log
    .split("\n")
    .filter((line) => SILENT.test(line))
    .map(bare);
}

function bare(line: string): string {
  return line.replace(/^\(\d+\.\d+\)\s*/, "").replace(/^(pie: )?\d+: /, "$1");
}

const CONTEXT = 5;

/**
 * The lines runc copies into its log after a failure (logCriuErrors): each one with "Error" and the five
 * before it, numbered, with `...` between groups and without empty ones; none where there is no "Error".
 */
export function quoteLog(path: string, log: string): string[] {
  const lines = log.split("\n");
  const quoted: string[] = [];
  let last = 0; // the number of the last line that is quoted
  lines.forEach((line, i) => {
    if (!line.includes("Error")) return;
    const first = i + 1 - CONTEXT;
    if (last === 0) quoted.push(`--- Quoting ${JSON.stringify(path)}`);
    else if (first > last + 1) quoted.push("...");
    for (let n = Math.max(first, last + 1); n <= i + 1; n++) {
      if (lines[n - 1]) quoted.push(`${n}:${lines[n - 1]}`);
    }
    last = i + 1;
  });
  return last === 0 ? [] : [...quoted, "---"];
}
