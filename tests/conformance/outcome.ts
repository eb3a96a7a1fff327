/** How a run ended, without what differs from one run to the next, and how two outcomes differ. @module */

import type { Json } from "../support/lab.ts";

/** An outcome that can be compared. */
export interface Outcome {
  /** undefined: it did not end by itself. */
  readonly status: number | undefined;
  readonly stdout: string;
  /** Lines of standard error that are no log records. */
  readonly stderr: readonly string[];
  readonly log: readonly LogLine[];
  /** The restored container: state.json and what the row looked at. */
  readonly container?: Json;
}

/** A record of logrus'. */
export interface LogLine {
  readonly level: string;
  readonly message: string;
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$/;
const TEXT_LINE = /^time="([^"]+)" level=(\w+) msg=("(?:[^"\\]|\\.)*"|[A-Za-z0-9\-._/@^+]+)(.*)$/;

/**
 * Reads a log in logrus' text form.
 *
 * @returns the records, and the lines that are none
 */
export function readText(text: string): { records: LogLine[]; rest: string[] } {
  const records: LogLine[] = [];
  const rest: string[] = [];
  for (const line of text.split("\n").slice(0, text.endsWith("\n") ? -1 : undefined)) {
    const [, time, level, message, more] = TEXT_LINE.exec(line) ?? [];
    if (time === undefined || !TIME.test(time) || level === undefined || message === undefined)
      rest.push(line);
    else records.push({ level, message: `${unquote(message)}${more}` });
  }
  return { records, rest: rest.filter((line) => line !== "") };
}

/** Reads a log in JSON; throws unless each line is a record as logrus writes it. */
export function readJson(text: string): LogLine[] {
  const lines = text.split("\n");
  if (lines.pop() !== "") throw new Error(`the log does not end with a newline: ${text}`);
  return lines.map((line) => {
    const record = JSON.parse(line);
    const keys = Object.keys(record).filter((key) => !["error", "file", "func"].includes(key));
    if (keys.join() !== "level,msg,time" || !TIME.test(record.time))
      throw new Error(`not a record of logrus': ${line}`);
    const more = ["error", "func", "file"].flatMap((key) =>
      record[key] === undefined ? [] : [` ${key}=${record[key]}`],
    );
    return { level: record.level, message: `${record.msg}${more.join("")}` };
  });
}

const ESCAPES: Record<string, string> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

/** Reads Go's `%q`. */
export function unquote(text: string): string {
  if (!text.startsWith('"')) return text;
  const sequence = /\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|(.))/g;
  return text.slice(1, -1).replaceAll(sequence, (_, x, u, long, letter) => {
    const code = x ?? u ?? long;
    if (code !== undefined) return String.fromCodePoint(Number.parseInt(code, 16));
    return ESCAPES[letter] ?? letter;
  });
}

/**
 * Keeps of CRIU's log, which both runtimes quote in warnings, the first real error: what stands
 * around it differs from one run to the next.
 */
export function withoutContext(log: readonly LogLine[]): LogLine[] {
  const kept: LogLine[] = [];
  let quoting = false;
  let found = false;
  for (const { level, message } of log) {
    if (message.startsWith("--- Quoting ")) {
      quoting = true;
      found = false;
      kept.push({ level, message });
    } else if (!quoting) kept.push({ level, message });
    else if (message === "---") quoting = false;
    else if (message.includes("Error") && !message.includes("RLIMIT_NOFILE") && !found) {
      found = true;
      // CRIU reports a signal as one or the other by whether it still traced the process.
      const error = message
        .slice(message.indexOf("Error"))
        .replace("stopped by signal", "killed by signal")
        .replaceAll(/\d+/g, "N");
      kept.push({ level, message: error });
    }
  }
  return kept;
}

/**
 * How thaw's outcome differs from runc's, in words; nothing when they are equal.
 *
 * Equal is: the same exit status, the same records and lines in the same order, the same
 * container. To a message thaw may add a remedy after "; ", and to runc's `criu failed: …` CRIU's own
 * line after ": ". The text of help is each program's own.
 */
export function differences(runc: Outcome, thaw: Outcome): string[] {
  const found: string[] = [];
  const compare = (what: string, theirs: unknown, own: unknown) => {
    if (!Bun.deepEquals(theirs, own, true))
      found.push(`${what}: runc ${JSON.stringify(theirs)}, thaw ${JSON.stringify(own)}`);
  };
  compare("exit status", runc.status, thaw.status);
  compare("standard output", kindOf(runc.stdout), kindOf(thaw.stdout));
  const lines = (list: readonly string[]) => list.map((line) => ({ level: "", message: line }));
  compareLines("standard error", lines(runc.stderr), lines(thaw.stderr), found);
  compareLines("log", runc.log, thaw.log, found);
  compareJson("container", runc.container, thaw.container, found);
  return found;
}

function compareJson(where: string, runc: Json, thaw: Json, found: string[]): void {
  if (Bun.deepEquals(runc, thaw, true)) return;
  const inside = (value: Json) => typeof value === "object" && value !== null;
  if (!inside(runc) || !inside(thaw)) {
    found.push(`${where}: runc ${JSON.stringify(runc)}, thaw ${JSON.stringify(thaw)}`);
    return;
  }
  for (const key of new Set([...Object.keys(runc), ...Object.keys(thaw)]))
    compareJson(`${where}.${key}`, runc[key], thaw[key], found);
}

function compareLines(
  what: string,
  runc: readonly LogLine[],
  thaw: readonly LogLine[],
  found: string[],
): void {
  const same = (theirs: LogLine, own: LogLine | undefined) =>
    own !== undefined && theirs.level === own.level && sameMessage(theirs.message, own.message);
  if (runc.length !== thaw.length || !runc.every((line, i) => same(line, thaw[i]))) {
    const shown = (list: readonly LogLine[]) =>
      list.map(({ level, message }) => `\n    ${level} ${JSON.stringify(message)}`).join("");
    found.push(`${what}:\n  runc${shown(runc)}\n  thaw${shown(thaw)}`);
  }
}

function sameMessage(runc: string, thaw: string): boolean {
  if (thaw === runc || thaw.startsWith(`${runc}; `)) return true;
  return /^criu failed: type \w+ errno \d+$/.test(runc) && thaw.startsWith(`${runc}: `);
}

/** Of help only that it is there counts, and the sentence before it. */
function kindOf(stdout: string): string {
  if (/^(NAME:|thaw( \w+)?( - |\n))/.test(stdout)) return "help";
  return stdout.startsWith("Incorrect Usage") ? (stdout.split("\n")[0] ?? "") : stdout;
}
