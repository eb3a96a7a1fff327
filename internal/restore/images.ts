/** Stage: the image and work directories, opened for CRIU. @module */

import { accessSync, constants, mkdirSync } from "node:fs";
import { join } from "node:path";
import { AT_FDCWD, O_DIRECTORY, O_RDONLY, type OwnedFd, openAt } from "../linux/fd.ts";
import { EEXIST, hasErrno, wrapFs } from "../linux/libc.ts";
import type { RestorePlan } from "./plan.ts";

/** The two directories; CRIU opens them through /proc/<thaw>/fd, so they stay ours. */
export interface ImageDirectories extends Disposable {
  readonly images: number;
  /** undefined when it is the image directory. */
  readonly work: number | undefined;
  /** Absolute path of restore.log. */
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
export function openImages(plan: RestorePlan): ImageDirectories {
  using undo = new DisposableStack();
  const images = undo.use(openAt(AT_FDCWD, plan.imagePath, O_RDONLY | O_DIRECTORY));
  let work: OwnedFd | undefined;
  if (plan.options.workPath !== undefined) {
    makeWorkDirectory(plan.workPath);
    work = undo.use(openAt(AT_FDCWD, plan.workPath, O_RDONLY | O_DIRECTORY));
  }
  // CRIU would say no more than errno 56.
  wrapFs(`open ${join(plan.workPath, "restore.log")}`, () =>
    accessSync(plan.workPath, constants.W_OK),
  );
  const done = undo.move();
  return {
    images: images.fd,
    work: work?.fd,
    log: join(plan.workPath, "restore.log"),
    [Symbol.dispose]: () => done.dispose(),
  };
}

/** Makes the work directory: one level, mode 0700. @throws SyscallError */
export function makeWorkDirectory(path: string): void {
  try {
    wrapFs(`mkdir ${path}`, () => mkdirSync(path, 0o700));
  } catch (error) {
    if (!hasErrno(error, EEXIST)) throw error;
  }
}
