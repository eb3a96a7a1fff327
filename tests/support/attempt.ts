/** A restore that is tried, and what every failure owes to whoever meets it. @module */

import { expect } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, type Lab, type Ran, run, THAW } from "./lab.ts";

/** A record of `--log-format json`. */
export interface LogRecord {
  readonly level: string;
  readonly msg: string;
  readonly time: string;
}

/** Reads a JSON log; throws unless each line is a record as logrus writes it. */
export function readJsonLog(path: string): LogRecord[] {
  const lines = readFileSync(path, "utf8").split("\n");
  if (lines.pop() !== "") throw new Error(`${path} does not end with a newline`);
  return lines.map((line) => {
    const record = JSON.parse(line);
    expect(Object.keys(record)).toEqual(["level", "msg", "time"]);
    expect(record.level).toBeOneOf(["debug", "info", "warning", "error"]);
    expect(record.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$/);
    return record;
  });
}

/** What to restore, and how. */
export interface Attempt {
  readonly bundle: Bundle;
  readonly image: string;
  readonly id: string;
  /** Flags of restore, before the id. */
  readonly flags?: readonly string[];
  readonly env?: Record<string, string>;
  /** Options before the command. */
  readonly globals?: readonly string[];
  /** A program that runs thaw, such as `["unshare", "-n"]`. */
  readonly through?: readonly string[];
}

/** A restore that was tried. */
export interface Tried extends Ran {
  /** thaw's log, a file per attempt. */
  readonly log: string;
  /** `--work-path`; it did not exist before. */
  readonly work: string;
  /** How long it took. */
  readonly milliseconds: number;
}

/** Milliseconds a restore may take before it counts as hanging. */
const LIMIT = 20_000;

let attempts = 0;

/** `thaw --log F --log-format json restore -d --work-path W …`, with F and W of its own. */
export function attempt(lab: Lab, { bundle, image, id, ...more }: Attempt): Tried {
  const n = attempts++;
  const log = join(lab.path, `log${n}.json`);
  const work = join(lab.path, `work${n}`);
  const globals = ["--log", log, "--log-format", "json", ...(more.globals ?? [])];
  const paths = ["--bundle", bundle.path, "--image-path", image, "--work-path", work];
  const args = [...globals, "restore", "-d", ...paths, ...(more.flags ?? []), id];
  const options = { timeout: LIMIT, ...(more.env === undefined ? {} : { env: more.env }) };
  const start = performance.now();
  const ran =
    more.through === undefined
      ? lab.thaw(args, options)
      : run([...more.through, THAW, "--root", lab.root, ...args], options);
  const milliseconds = performance.now() - start;
  return { ...ran, log, work, milliseconds };
}

/**
 * Expects what every failure owes: status 1, one line on standard error, and the same line as the
 * last error of the log, which is where containerd looks.
 *
 * @returns the line
 */
export function expectOneLine(ran: Ran, log: string): string {
  const lines = ran.stderr.split("\n");
  expect(lines).toEqual([expect.any(String), ""]);
  const message = lines[0] ?? "";
  expect(message).not.toBe("");
  const records = readJsonLog(log);
  expect(records.filter(({ level }) => level === "error").map(({ msg }) => msg)).toEqual([message]);
  expect(records.at(-1)?.msg).toBe(message);
  expect(ran.status).toBe(1);
  return message;
}
