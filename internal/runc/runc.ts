/** What thaw does not do, runc does: executes runc in thaw's place. @module */

import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { ThawError } from "../errors/errors.ts";
import { executeInstead } from "../linux/exec.ts";
import { findOnPath } from "../linux/process.ts";

/**
 * Executes runc with the command line, environment, descriptors, limits and signals that thaw got.
 *
 * @param word the command, for the error
 * @throws ThawError when there is no runc, or none but thaw under that name
 */
export function handToRunc(word: string): never {
  return executeInstead(findRunc(word));
}

/** What every executable that Bun has made holds. */
const BUNS_MARK = "---- Bun! ----";

/**
 * Whether a file is thaw, or another copy or version of it: two of them, both called runc, would
 * execute each other for ever. Only what is about as large is read.
 */
function isThaw(file: string): boolean {
  const self = statSync("/proc/self/exe");
  const { dev, ino, size } = statSync(file);
  if (dev === self.dev && ino === self.ino) return true;
  return size > self.size / 2 && readFileSync(file).includes(BUNS_MARK);
}

/** `THAW_RUNC`, else the first runc on PATH that is not thaw itself under that name. */
function findRunc(word: string): string {
  const named = process.env["THAW_RUNC"] ?? "";
  if (named !== "") {
    const file = resolve(named);
    if (statSync(file, { throwIfNoEntry: false }) === undefined)
      throw new ThawError(`THAW_RUNC=${named}: no such file`, { hint: "set it to runc's path" });
    if (isThaw(file))
      throw new ThawError(`THAW_RUNC=${named} is thaw itself`, { hint: "set it to runc's path" });
    return file;
  }
  const file = findOnPath("runc", (candidate) => !isThaw(candidate));
  if (file !== undefined) return file;
  throw new ThawError(`${word}: thaw leaves this command to runc, and there is none on PATH`, {
    hint: "install runc, or set THAW_RUNC to its path",
  });
}
