/** The file that tells a caller a pid. @module */

import {
  accessSync,
  closeSync,
  constants,
  openSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { ThawError } from "../errors/errors.ts";
import { wrapFs } from "../linux/libc.ts";

/**
 * Refuses a path where no file can be written, before anything runs.
 *
 * @param pidFile absolute
 * @throws SyscallError `open DIRECTORY/.NAME: …`, which is what runc opens
 */
export function refusePidFile(pidFile: string): void {
  const directory = dirname(pidFile);
  wrapFs(`open ${join(directory, `.${basename(pidFile)}`)}`, () =>
    accessSync(directory, constants.W_OK | constants.X_OK),
  );
  if (statSync(pidFile, { throwIfNoEntry: false })?.isDirectory())
    throw new ThawError(`open ${pidFile}: is a directory`, { hint: "give a file with --pid-file" });
}

/**
 * Writes the pid, decimal without a newline (go-runc parses the whole file), beside and renames.
 *
 * @param path absolute
 * @throws SyscallError; nothing half-written is left
 */
export function writePidFile(path: string, pid: number): void {
  // The pid in the name keeps a file that a killed restore left from failing this one.
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}`);
  wrapFs(`open ${temporary}`, () => {
    const fd = openSync(temporary, "wx", 0o666);
    try {
      writeSync(fd, String(pid));
      closeSync(fd);
      renameSync(temporary, path);
    } catch (error) {
      unlinkSync(temporary);
      throw error;
    }
  });
}
