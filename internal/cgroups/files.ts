/** Files of cgroupfs: written whole, read whole, and the numbers in them. @module */

import { closeSync, constants as O, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { ThawError } from "../errors/errors.ts";
import { hasErrno, wrapFs } from "../linux/libc.ts";
import { goQuote } from "../log/log.ts";

/** A uint64 that means "no limit" in Go, for `max`. */
export const MAX_UINT64 = (1n << 64n) - 1n;

/**
 * Writes a value to a file that is there.
 *
 * @throws SyscallError `openat2 PATH: …`, `failed to write "5": write PATH: invalid argument` (runc)
 */
export function write(directory: string, file: string, value: string): void {
  const path = join(directory, file);
  const fd = wrapFs(`openat2 ${path}`, () => openSync(path, O.O_WRONLY | O.O_TRUNC));
  try {
    wrapFs(`failed to write ${goQuote(value)}: write ${path}`, () => writeSync(fd, value));
  } finally {
    closeSync(fd);
  }
}

/** A file as text; `otherwise` when it cannot be read. */
export function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return otherwise;
  }
}

/** A file as text. @throws SyscallError `open PATH: no such file or directory` */
export function readText(directory: string, file: string): string {
  const path = join(directory, file);
  return wrapFs(`open ${path}`, () => readFileSync(path, "utf8"));
}

/** What `read` gives; undefined when it fails with one of these errno(3). */
export function unless<T>(errnos: readonly number[], read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (errnos.some((errno) => hasErrno(error, errno))) return undefined;
    throw error;
  }
}

/**
 * The number in a file; `max` is 2^64-1, and a negative one is 0 (opencontainers/cgroups fscommon).
 *
 * @throws SyscallError `open PATH: …`; ThawError when it is no number
 */
export function readUint(directory: string, file: string): bigint {
  const text = readText(directory, file).trim();
  if (text === "max") return MAX_UINT64;
  const value = uintOf(text);
  if (value !== undefined) return value;
  throw new ThawError(`unable to parse ${goQuote(text)} as a uint from ${join(directory, file)}`);
}

/** A decimal number as uint64; undefined for anything else. */
export function uintOf(text: string): bigint | undefined {
  if (!/^-?\d+$/.test(text)) return undefined;
  const value = BigInt(text);
  if (value < 0n) return 0n;
  return value > MAX_UINT64 ? MAX_UINT64 : value;
}

/**
 * Lines of `key number`, in the file's order.
 *
 * @throws SyscallError `open PATH: …`; ThawError for a line of another form
 */
export function readKeyed(directory: string, file: string): Map<string, bigint> {
  const found = new Map<string, bigint>();
  for (const line of readText(directory, file).split("\n").filter(Boolean)) {
    const [key = "", text = "", ...more] = line.split(" ");
    const value = uintOf(text);
    if (value === undefined || more.length > 0)
      throw new ThawError(`unable to parse ${goQuote(line)} in ${join(directory, file)}`);
    found.set(key, value);
  }
  return found;
}
