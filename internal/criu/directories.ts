/** The image and work directories, opened for CRIU. @module */

import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { AT_FDCWD, O_DIRECTORY, O_RDONLY, type OwnedFd, openAt } from "../linux/fd.ts";
import { makeDirectory } from "../linux/file.ts";
import { wrapFs } from "../linux/libc.ts";

/** The two directories; CRIU opens them through /proc/<thaw>/fd, so they stay ours. */
export interface CriuDirectories extends Disposable {
  readonly images: number;
  /** undefined when it is the image directory. */
  readonly work: number | undefined;
  /** Absolute path of CRIU's log. */
  readonly log: string;
}

/** Where they are. */
export interface DirectoryPaths {
  /** Absolute; it must be there. */
  readonly images: string;
  /** Absolute; undefined: the image directory. */
  readonly work: string | undefined;
  /** Name of CRIU's log. */
  readonly log: string;
}

/**
 * Makes the work directory (one level, 0700, as runc does) and opens both.
 *
 * Call it in the mount namespace CRIU runs in: CRIU mounts below its work directory, which only
 * works for a mount of its own namespace.
 *
 * @throws SyscallError `mkdir W: no such file or directory`
 */
export function openDirectories(paths: DirectoryPaths): CriuDirectories {
  using undo = new DisposableStack();
  const images = undo.use(openAt(AT_FDCWD, paths.images, O_RDONLY | O_DIRECTORY));
  let work: OwnedFd | undefined;
  if (paths.work !== undefined) {
    makeWorkDirectory(paths.work);
    work = undo.use(openAt(AT_FDCWD, paths.work, O_RDONLY | O_DIRECTORY));
  }
  const directory = paths.work ?? paths.images;
  const log = join(directory, paths.log);
  // CRIU would say no more than errno 56.
  wrapFs(`open ${log}`, () => accessSync(directory, constants.W_OK));
  const done = undo.move();
  return { images: images.fd, work: work?.fd, log, [Symbol.dispose]: () => done.dispose() };
}

/** Makes the work directory: one level, mode 0700. @throws SyscallError */
export function makeWorkDirectory(path: string): void {
  makeDirectory(path, 0o700);
}
