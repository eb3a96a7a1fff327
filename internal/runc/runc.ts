/** What thaw does not do, runc does: executes runc in thaw's place. @module */

import { statSync } from "node:fs";
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

/** `THAW_RUNC`, else the first runc on PATH that is not thaw itself under that name. */
function findRunc(word: string): string {
  const self = statSync("/proc/self/exe");
  const isThaw = (file: string) => {
    const { dev, ino } = statSync(file);
    return dev === self.dev && ino === self.ino;
  };
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
