/** Reading files of others: whatever lies there, reading ends. @module */

import { fstatSync, readSync } from "node:fs";
import { ThawError } from "../errors/errors.ts";
import { AT_FDCWD, O_NONBLOCK, O_RDONLY, openAt } from "./fd.ts";
import { wrapFs } from "./libc.ts";

/**
 * Reads a regular file. A FIFO nobody writes to, a device without end or a file too large for
 * memory is refused, not read.
 *
 * @param limit bytes
 * @throws SyscallError `open PATH: no such file or directory`; ThawError for anything else than a
 *   regular file of at most `limit` bytes
 */
export function readRegularFile(path: string, limit: number): Buffer {
  // O_NONBLOCK: opening a FIFO would wait for a writer.
  using file = openAt(AT_FDCWD, path, O_RDONLY | O_NONBLOCK);
  const stat = fstatSync(file.fd);
  if (!stat.isFile()) throw new ThawError(`${path} is not a regular file`);
  if (stat.size > limit)
    throw new ThawError(`${path} has ${stat.size} bytes, more than the ${limit} thaw reads`);
  const bytes = Buffer.from(new ArrayBuffer(stat.size));
  let length = 0;
  while (length < bytes.length) {
    const n = wrapFs(`read ${path}`, () =>
      readSync(file.fd, bytes, length, bytes.length - length, null),
    );
    if (n === 0) break; // it was cut short meanwhile
    length += n;
  }
  return bytes.subarray(0, length);
}
