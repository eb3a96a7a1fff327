/** Files: read whatever lies there, written whole or not at all; directories made. @module */

import {
  closeSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { ThawError } from "../errors/errors.ts";
import { AT_FDCWD, O_DIRECTORY, O_NONBLOCK, O_RDONLY, openAt } from "./fd.ts";
import {
  EAGAIN,
  EEXIST,
  EINTR,
  ENOTDIR,
  errno,
  hasErrno,
  libc,
  SyscallError,
  wrapFs,
} from "./libc.ts";
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
 * @param isEnough told of each piece; whether what there is now will do
 * @throws SyscallError `open PATH: …`, `read PATH: is a directory`
 */
export function readUntil(source: string | number, isEnough: (piece: string) => boolean): string {
  using opened = typeof source === "string" ? openAt(AT_FDCWD, source, O_RDONLY) : undefined;
  const fd = opened?.fd ?? Number(source);
  const name = typeof source === "string" ? source : `descriptor ${source}`;
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const bytes = Buffer.from(new ArrayBuffer(65536));
  for (let text = ""; ; ) {
    const size = readSome(fd, bytes, name);
    if (size === 0) return text + decoder.decode();
    const piece = decoder.decode(bytes.subarray(0, size), { stream: true });
    text += piece;
    if (isEnough(piece)) return text;
    if (text.length > MAX_DOCUMENT) throw new ThawError(`read ${name}: more than 10 MB`);
  }
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

/** Makes a directory, one level, unless something of that name is there. @throws SyscallError */
export function makeDirectory(path: string, mode: number): void {
  try {
    wrapFs(`mkdir ${path}`, () => mkdirSync(path, mode));
  } catch (error) {
    if (!hasErrno(error, EEXIST)) throw error;
  }
}

/**
 * mkdir -p, worded like Go's os.MkdirAll: the first directory that failed.
 *
 * @param mode of each that is made
 * @throws SyscallError `mkdir PATH: not a directory`
 */
export function makeDirectories(path: string, mode: number): void {
  if (isDirectory(path)) return;
  const parent = join(path, "..");
  if (parent !== path) makeDirectories(parent, mode);
  makeDirectory(path, mode);
  if (!isDirectory(path)) throw new SyscallError(`mkdir ${path}`, ENOTDIR);
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/**
 * Writes a file beside and renames it, mode 0600: it is there as a whole or not at all, and nothing
 * beside it.
 *
 * @throws SyscallError naming it
 */
export function writeAtomically(directory: string, name: string, text: string): void {
  const temporary = join(directory, `.${name}.new`);
  using undo = new DisposableStack();
  wrapFs(`write ${join(directory, name)}`, () => {
    const fd = openSync(temporary, "w", 0o600);
    undo.defer(() => rmSync(temporary, { force: true }));
    try {
      const bytes = Buffer.from(text);
      for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, join(directory, name));
    undo.move();
  });
}

const LOCK_EX = 2;

/**
 * Waits until nobody else has locked a directory, and locks it (flock(2)).
 *
 * @returns disposing unlocks it, and so does the end of this process
 * @throws SyscallError `open PATH: …`
 */
export function lockDirectory(path: string): Disposable {
  const directory = openAt(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  while (libc.flock(directory.fd, LOCK_EX) === -1) {
    const reason = errno();
    if (reason === EINTR) continue;
    directory.close();
    throw new SyscallError(`lock ${path}`, reason);
  }
  return directory;
}
