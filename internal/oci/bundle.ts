/** A bundle: reading config.json. @module */

import { statSync } from "node:fs";
import { ThawError } from "../errors/errors.ts";
import { readRegularFile } from "../linux/file.ts";
import { ENOENT, hasErrno } from "../linux/libc.ts";
import { isCutShort, parseExact } from "./exact-json.ts";
import { checkSpecShape } from "./schema.ts";
import type { Spec, SpecProcess } from "./spec.ts";

const CONFIG = "config.json";
// Larger than any real config.json by two orders; parsing takes about 20 times the memory.
const MAX_BYTES = 64 * 1024 * 1024;

/**
 * Reads and checks config.json in the working directory, which is the bundle.
 *
 * @throws ThawError in runc's words: the file is missing, is not JSON, or has wrong types
 */
export function loadSpec(): Spec {
  const value = parse(readConfig());
  if (value === null) throw new ThawError("config cannot be null");
  const spec = checkSpecShape(value) as Spec;
  validateProcess(spec.process);
  return spec;
}

function readConfig(): string {
  try {
    return readRegularFile(CONFIG, MAX_BYTES).toString();
  } catch (error) {
    if (isDirectory(CONFIG)) throw new ThawError(`read ${CONFIG}: is a directory`, NOT_A_FILE);
    if (!hasErrno(error, ENOENT)) throw error;
    throw new ThawError(`JSON specification file ${CONFIG} not found`, {
      hint: "give the bundle with --bundle, or start thaw in it",
    });
  }
}

const NOT_A_FILE = { hint: `put a regular file ${CONFIG} into the bundle` };

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function parse(text: string): unknown {
  try {
    return parseExact(text);
  } catch (cause) {
    if (text.trim() === "") throw new ThawError("EOF", { hint: `${CONFIG} is empty` });
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ThawError(isCutShort(text) ? "unexpected EOF" : `invalid JSON: ${reason}`, {
      hint: `correct ${CONFIG} in the bundle`,
    });
  }
}

/**
 * Checks what to run (runc: validateProcessSpec).
 *
 * @throws ThawError in runc's words
 */
export function validateProcess(
  process: SpecProcess | null | undefined,
  hint = `correct process in ${CONFIG}`,
): void {
  const refuse = (message: string) => new ThawError(message, { hint });
  if (process === null || process === undefined) throw refuse("process property must not be empty");
  if ((process.cwd ?? "") === "") throw refuse("Cwd property must not be empty");
  if (!process.cwd?.startsWith("/")) throw refuse("Cwd must be an absolute path");
  if ((process.args ?? []).length === 0) throw refuse("args must not be empty");
}
