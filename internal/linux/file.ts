/** Reading files of others: whatever lies there, reading ends. @module */

import { fstatSync, readSync } from "node:fs";
import { ThawError } from "../errors/errors.ts";
import { AT_FDCWD, O_NONBLOCK, O_RDONLY, openAt } from "./fd.ts";
import { EAGAIN, hasErrno, wrapFs } from "./libc.ts";
import { POLLIN, poll } from "./signal.ts";

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

/** Far more than a document of limits can have: 10 MB. */
const MAX_DOCUMENT = 10_000_000;

/**
 * Reads text until there is enough of it, or no more: from a pipe no further than that.
 *
 * @param source a path, or an open descriptor, which stays open
 * @param isEnough whether the text so far will do
 * @throws SyscallError `open PATH: …`, `read PATH: is a directory`
 */
export function readUntil(source: string | number, isEnough: (text: string) => boolean): string {
  using opened = typeof source === "string" ? openAt(AT_FDCWD, source, O_RDONLY) : undefined;
  const fd = opened?.fd ?? Number(source);
  const name = typeof source === "string" ? source : `descriptor ${source}`;
  const decoder = new TextDecoder();
  const bytes = Buffer.from(new ArrayBuffer(65536));
  let text = "";
  while (!isEnough(text)) {
    const size = readSome(fd, bytes, name);
    if (size === 0) return text + decoder.decode();
    text += decoder.decode(bytes.subarray(0, size), { stream: true });
    if (text.length > MAX_DOCUMENT) throw new ThawError(`read ${name}: more than 10 MB`);
  }
  return text;
}

/** As read(2), and waits where whoever opened it made it non-blocking. */
function readSome(fd: number, bytes: Buffer, name: string): number {
  for (;;) {
    try {
      return wrapFs(`read ${name}`, () => readSync(fd, bytes, 0, bytes.length, null));
    } catch (error) {
      if (!hasErrno(error, EAGAIN)) throw error;
      poll([{ fd, events: POLLIN }], -1);
    }
  }
}
