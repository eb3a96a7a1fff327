/**
 * The `--log` file: lines as logrus writes them, in text or JSON.
 *
 * containerd shows the last JSON record of level "error" to its user, Podman parses the whole
 * file, so the form is an interface (logrus v1.9 TextFormatter and JSONFormatter).
 *
 * @module
 */

import { closeSync, constants as O, openSync, writeSync } from "node:fs";
import { isatty } from "node:tty";
import { ThawError } from "../errors/errors.ts";

/** Levels thaw writes, in logrus' words. */
export type Level = "debug" | "info" | "warning" | "error";

/** Where lines go and how they look. */
export interface LogOptions {
  /** File to append to; undefined is standard error. */
  readonly path: string | undefined;
  /** `text` or `json`, as `--log-format` takes them. */
  readonly format: "text" | "json";
  /** Whether debug lines are written (`--debug`). */
  readonly debug: boolean;
}

/** A log; every method writes one line at once and never throws. */
export interface Log extends Disposable {
  /** True when lines go to standard error itself, so that an error need not be repeated there. */
  readonly isStderr: boolean;
  /** Where lines go; it stays the log's. */
  readonly fd: number;
  /** How they look. */
  readonly format: "text" | "json";
  /** Whether debug lines are written. */
  readonly debugging: boolean;
  /** Only with `--debug`. */
  debug(message: string): void;
  /** For whoever reads along. */
  info(message: string): void;
  /** Something is odd, and thaw goes on. */
  warn(message: string): void;
  /** The command failed; the last one is the reason callers show. */
  error(message: string): void;
}

/**
 * Opens the log.
 *
 * @throws ThawError `open P: no such file or directory`, in the words of runc
 */
export function openLog(options: LogOptions): Log {
  let fd = 2;
  if (options.path !== undefined) {
    const flags = O.O_CREAT | O.O_WRONLY | O.O_APPEND | O.O_SYNC;
    try {
      fd = openSync(options.path, flags, 0o644);
    } catch (cause) {
      throw new ThawError(`open ${options.path}: ${reason(cause)}`);
    }
  }
  const write = (level: Level, message: string) => {
    if (level === "debug" && !options.debug) return;
    const look = fd !== 2 || !isatty(2) ? "line" : isColourful(2) ? "colour" : "short";
    writeAll(fd, format(options.format, level, message, new Date(), look));
  };
  return {
    isStderr: fd === 2,
    fd,
    format: options.format,
    debugging: options.debug,
    debug: (message) => write("debug", message),
    info: (message) => write("info", message),
    warn: (message) => write("warning", message),
    error: (message) => write("error", message),
    [Symbol.dispose]: () => {
      if (fd !== 2) closeSync(fd);
    },
  };
}

// Only the reasons that differ in libuv's words matter before libc is loaded.
function reason(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  return (
    /^[A-Z0-9]+: (.*?)(, (open|write)\b.*)?$/s
      .exec(text)?.[1]
      ?.replace(/^illegal operation on a directory/, "is a directory") ?? text
  );
}

/**
 * Writes all of `text`, also to a descriptor somebody else made non-blocking.
 *
 * @returns the error of node:fs that ended it, for whom it matters; undefined when all is written
 */
export function writeAll(fd: number, text: string): unknown {
  const bytes = Buffer.from(text);
  let patience = 1000;
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(fd, bytes, done);
    } catch (error) {
      const busy = (error as NodeJS.ErrnoException).code === "EAGAIN";
      if (!busy || patience-- === 0) return error;
      Bun.sleepSync(5);
    }
  }
  return undefined;
}

/**
 * Writes to standard output: what a command prints is all there, or the command has failed.
 *
 * @throws ThawError `write /dev/stdout: no space left on device`, in the words of runc
 */
export function print(text: string): void {
  const failed = writeAll(1, text);
  if (failed !== undefined) throw new ThawError(`write /dev/stdout: ${reason(failed)}`);
}

const SHORT = { debug: "DEBU", info: "INFO", warning: "WARN", error: "ERRO" } as const;
const COLOUR = { debug: 37, info: 36, warning: 33, error: 31 } as const;

/** Whether a descriptor is of a person's terminal who wants colours (no-color.org). */
export function isColourful(fd: number): boolean {
  return isatty(fd) && (process.env["NO_COLOR"] ?? "") === "";
}

/**
 * One line, with its newline, as logrus would write it.
 *
 * @param look of a text: a line for a file, or short for a terminal, with colours or without
 */
export function format(
  form: "text" | "json",
  level: Level,
  message: string,
  now: Date,
  look: "line" | "short" | "colour",
): string {
  const time = rfc3339(now);
  if (form === "json") return `${goJson({ level, msg: message, time })}\n`;
  if (look === "short") return `${SHORT[level]}[0000] ${message}\n`;
  if (look === "colour")
    return `\x1b[${COLOUR[level]}m${SHORT[level]}\x1b[0m[0000] ${message.padEnd(44)} \n`;
  return `time=${quote(time)} level=${level} msg=${quote(message)}\n`;
}

/** RFC 3339 with seconds, in the local zone, as Go's time.RFC3339. */
export function rfc3339(date: Date): string {
  const offset = -date.getTimezoneOffset();
  const local = new Date(date.getTime() + offset * 60_000).toISOString().slice(0, 19);
  if (offset === 0) return `${local}Z`;
  const two = (n: number) => String(Math.trunc(n)).padStart(2, "0");
  const size = Math.abs(offset);
  return `${local}${offset < 0 ? "-" : "+"}${two(size / 60)}:${two(size % 60)}`;
}

// TypeScript does not know JSON.rawJSON yet (ECMAScript, JSON.parse source text access).
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

/**
 * JSON as Go's encoding/json writes it: `<`, `>` and `&` are escaped too; a bigint is an integer in
 * full, as runc cannot read a rounded one.
 *
 * @param indent spaces a level; 0 is one line
 */
export function goJson(value: unknown, indent = 0): string {
  const exact = (_: string, one: unknown) => (typeof one === "bigint" ? rawJSON(String(one)) : one);
  return JSON.stringify(value, exact, indent).replaceAll(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

// logrus leaves a value bare when it holds only these characters.
function quote(text: string): string {
  return /^[A-Za-z0-9\-._/@^+]+$/.test(text) ? text : goQuote(text);
}

const ESCAPES: Record<string, string> = {
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  "\\": "\\\\",
  '"': '\\"',
};

/** Go's `%q`: a double-quoted string with escapes. */
export function goQuote(text: string): string {
  const escaped = text.replaceAll(/[\\"]|\p{C}|(?! )\p{Z}/gu, (c) => {
    const known = ESCAPES[c];
    if (known !== undefined) return known;
    const code = c.codePointAt(0) ?? 0;
    const hex = (digits: number) => code.toString(16).padStart(digits, "0");
    if (code < 0x80) return `\\x${hex(2)}`;
    return code > 0xffff ? `\\U${hex(8)}` : `\\u${hex(4)}`;
  });
  return `"${escaped}"`;
}
