/**
 * Ways to break a checkpoint, and what thaw owes to whoever meets the failure.
 *
 * @module
 */

import { expect } from "bun:test";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type Bundle, type Lab, type Ran, run, THAW, waitFor } from "./lab.ts";

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
  const globals = ["--log", log, "--log-format", "json"];
  const paths = ["--bundle", bundle.path, "--image-path", image, "--work-path", work];
  const args = [...globals, "restore", "-d", ...paths, ...(more.flags ?? []), id];
  const options = { timeout: LIMIT, ...(more.env === undefined ? {} : { env: more.env }) };
  const start = performance.now();
  const ran =
    more.through === undefined
      ? lab.thaw(args, options)
      : run([...more.through, THAW, "--root", lab.root, ...args], options);
  const milliseconds = performance.now() - start;
  if (milliseconds >= LIMIT) endCgroup(id);
  return { ...ran, log, work, milliseconds };
}

// A thaw that was killed cannot end the CRIU it started, which may spin for ever.
function endCgroup(id: string): void {
  const directories = run(["find", "/sys/fs/cgroup", "-type", "d", "-name", id]).stdout;
  const kill = join("/sys/fs/cgroup/unified", id, "cgroup.kill");
  if (existsSync(kill)) writeFileSync(kill, "1");
  const left = () => directories.split("\n").filter((path) => path !== "" && existsSync(path));
  waitFor(() => {
    run(["rmdir", ...left()]);
    return left().length === 0;
  }, `the cgroup ${id} to end`);
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

/** restore.log of an attempt, or undefined when CRIU was not asked to restore. */
export function criuLog({ work }: Tried): string | undefined {
  const path = join(work, "restore.log");
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}

/** Copies an image directory, which holds files only. */
export function copyImage(from: string, to: string): string {
  mkdirSync(to);
  for (const name of readdirSync(from)) copyFileSync(join(from, name), join(to, name));
  return to;
}

/** The one file of a directory whose name matches a glob pattern. */
export function fileNamed(directory: string, pattern: string): string {
  const glob = new Bun.Glob(pattern);
  const found = readdirSync(directory).filter((name) => glob.match(name));
  expect(found).toHaveLength(1);
  return join(directory, found[0] as string);
}

/** Takes bytes off the end. */
export function cutShort(path: string, bytes = 1): void {
  truncateSync(path, statSync(path).size - bytes);
}

/** Turns over every bit of the bytes at an offset. */
export function flip(path: string, at: number, length: number): void {
  const bytes = readFileSync(path);
  for (let i = at; i < at + length; i++) bytes[i] = (bytes[i] as number) ^ 0xff;
  writeFileSync(path, bytes);
}

/** Rewrites the message of inventory.img: 4 bytes of magic, 4 of length, protobuf. */
export function editInventory(image: string, edit: (message: Buffer) => Buffer): void {
  const path = join(image, "inventory.img");
  const bytes = readFileSync(path);
  const message = edit(bytes.subarray(8));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(message.length);
  writeFileSync(path, Buffer.concat([bytes.subarray(0, 4), length, message]));
}

/** A protobuf field with a length, for numbers and lengths below 128 and 16. */
export function lengthField(number: number, value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  const tag = number * 8 + 2;
  return Buffer.concat([
    Buffer.from(tag < 128 ? [tag] : [(tag & 0x7f) | 0x80, tag >> 7]),
    Buffer.from([bytes.length]),
    bytes,
  ]);
}
