/** A bundle: reading config.json. @module */

import { readFileSync, statSync } from "node:fs";
import { ThawError } from "../errors/errors.ts";
import { ENOENT, hasErrno, wrapFs } from "../linux/libc.ts";
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
  checkSpecShape(value);
  const spec = value as Spec;
  validateProcess(spec.process);
  return spec;
}

function readConfig(): string {
  try {
    const size = wrapFs(`read ${CONFIG}`, () => statSync(CONFIG)).size;
    if (size > MAX_BYTES)
      throw new ThawError(`${CONFIG} has ${size} bytes, more than the ${MAX_BYTES} thaw reads`);
    return wrapFs(`read ${CONFIG}`, () => readFileSync(CONFIG, "utf8"));
  } catch (error) {
    if (!hasErrno(error, ENOENT)) throw error;
    throw new ThawError(`JSON specification file ${CONFIG} not found`, {
      hint: "give the bundle with --bundle, or start thaw in it",
    });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    if (text.trim() === "") throw new ThawError("EOF", { hint: `${CONFIG} is empty` });
    const reason = cause instanceof Error ? cause.message : String(cause);
    const short = /unexpected eof|unterminated|expected .*end|unable to parse/i.test(reason);
    throw new ThawError(short ? `unexpected EOF` : `invalid JSON: ${reason}`, {
      hint: `correct ${CONFIG} in the bundle`,
    });
  }
}

// runc: validateProcessSpec (utils_linux.go)
function validateProcess(process: SpecProcess | null | undefined): void {
  if (process === null || process === undefined)
    throw new ThawError("process property must not be empty");
  if ((process.cwd ?? "") === "") throw new ThawError("Cwd property must not be empty");
  if (!process.cwd?.startsWith("/")) throw new ThawError("Cwd must be an absolute path");
  if ((process.args ?? []).length === 0) throw new ThawError("args must not be empty");
}
