/** Removing a directory with all in it, never through a mount. @module */

import { readdirSync, readFileSync, rmdirSync, unlinkSync } from "node:fs";
import { ThawError } from "../errors/errors.ts";
import { AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openAt } from "./fd.ts";
import { ENOENT, hasErrno, wrapFs } from "./libc.ts";

/**
 * Removes a directory and what is in it. What somebody removes meanwhile is not missed.
 *
 * Each directory is opened first and its mount compared: one that something is mounted on is never
 * emptied, and one that is mounted over afterwards is emptied underneath.
 *
 * @param path absolute
 * @param last a name in it that is removed after all others
 * @returns whether this call removed `last`, so that of several callers one knows that it was the one
 * @throws ThawError naming what stays; SyscallError
 */
export function removeTree(path: string, last: string): boolean {
  let removed = false;
  try {
    using directory = openAt(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    empty(directory.fd, path, mountId(directory.fd), last);
    removed = tolerant(() =>
      wrapFs(`remove ${path}/${last}`, () => unlinkSync(`/proc/self/fd/${directory.fd}/${last}`)),
    );
  } catch (error) {
    if (!hasErrno(error, ENOENT)) throw error;
  }
  tolerant(() => wrapFs(`rmdir ${path}`, () => rmdirSync(path)));
  return removed;
}

function empty(fd: number, path: string, mount: string, last?: string): void {
  const here = `/proc/self/fd/${fd}`;
  const entries = wrapFs(`read ${path}`, () => readdirSync(here, { withFileTypes: true }));
  for (const entry of entries) {
    if (entry.name === last) continue;
    const name = `${path}/${entry.name}`;
    if (!entry.isDirectory()) {
      tolerant(() => wrapFs(`remove ${name}`, () => unlinkSync(`${here}/${entry.name}`)));
      continue;
    }
    tolerant(() => {
      using child = openAt(fd, entry.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      if (mountId(child.fd) !== mount)
        throw new ThawError(`${name} is a mount: nothing is removed through it`, {
          hint: `unmount it: umount ${name}`,
        });
      empty(child.fd, name, mount);
      wrapFs(`rmdir ${name}`, () => rmdirSync(`${here}/${entry.name}`));
    });
  }
}

/** Which mount an open file is on (proc(5), fdinfo). */
function mountId(fd: number): string {
  const text = readFileSync(`/proc/self/fdinfo/${fd}`, "utf8");
  return /^mnt_id:\s*(\d+)/m.exec(text)?.[1] ?? "";
}

/** Whether an action found what it works on. */
function tolerant(action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (!hasErrno(error, ENOENT)) throw error;
    return false;
  }
}
