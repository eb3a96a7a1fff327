/** Which criu is used. @module */

import { accessSync, constants, statSync } from "node:fs";
import { resolve } from "node:path";
import { ThawError } from "../errors/errors.ts";
import { wrapFs } from "../linux/libc.ts";
import { lookPath } from "../linux/process.ts";

/**
 * Finds the criu to run. runc ignores `--criu` since 1.2; thaw obeys it.
 *
 * @param given what `--criu` says: a path with a slash (relative: to the working directory), or a
 *   name to be looked up on PATH; undefined means `criu` on PATH
 * @returns an absolute path
 * @throws ThawError naming what is not there or cannot be executed
 */
export function findCriu(given: string | undefined): string {
  if (given === undefined)
    return onPath(
      "criu",
      "CRIU version check failed",
      "install criu, or put its directory on PATH",
    );
  const remedy = "give --criu the path of a criu, or leave it out to use the one on PATH";
  if (!given.includes("/")) return onPath(given, `--criu ${given}`, remedy);
  const file = resolve(given);
  try {
    wrapFs("", () => accessSync(file, constants.X_OK));
    if (statSync(file).isFile()) return file;
  } catch (cause) {
    throw new ThawError(`--criu ${file}`, { cause, hint: remedy });
  }
  throw new ThawError(`--criu ${file}: not a file`, { hint: remedy });
}

function onPath(name: string, doing: string, hint: string): string {
  try {
    return lookPath(name);
  } catch (cause) {
    throw new ThawError(doing, { cause, hint });
  }
}
