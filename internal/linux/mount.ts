/** Mounts (mount(2), umount2(2)) and the mount table. @module */

import { readFileSync } from "node:fs";
import { ThawError } from "../errors/errors.ts";
import { check, cstring, EINVAL, ENOENT, hasErrno, libc } from "./libc.ts";

/** mount(2). */
export const MS_BIND = 0x1000;
/** mount(2). */
export const MS_REC = 0x4000;
/** mount(2). */
export const MS_SLAVE = 0x80000;
const MNT_DETACH = 2;
// Mounts may lie on top of each other; somebody who goes on mounting is not followed for ever.
const MAX_STACKED = 100;

/**
 * Bind-mounts a tree with its submounts (MS_BIND|MS_REC).
 *
 * @throws SyscallError worded as runc words a failed mount
 */
export function bindMount(source: string, target: string, shownAs = target): void {
  const done = libc.mount(cstring(source), cstring(target), null, MS_BIND | MS_REC, null);
  check(done, `mount src=${source}, dst=${shownAs}, flags=MS_BIND|MS_REC`);
}

/** Changes the propagation of a mount and, with MS_REC, of those below it. */
export function setPropagation(target: string, flags: number): void {
  const done = libc.mount(cstring("none"), cstring(target), null, flags, null);
  check(done, `mount dst=${target}, flags=0x${flags.toString(16)}`);
}

/** Detaches a mount and all below it (MNT_DETACH). */
export function detach(target: string): void {
  check(libc.umount2(cstring(target), MNT_DETACH), `umount ${target}`);
}

/**
 * Takes away everything mounted on a directory and below it, so that what lies under it can be
 * removed.
 *
 * Each mount becomes a slave first: without that, what a bind shares with its source (runc's
 * `criu-root` and the rootfs) would be unmounted in the source too.
 *
 * @param directory absolute, without links
 * @throws SyscallError naming the mount that stays
 */
export function unmountTree(directory: string): void {
  for (let tries = 0; ; tries++) {
    const found = mounts()
      .map(({ mountpoint }) => mountpoint)
      .filter((mountpoint) => mountpoint === directory || mountpoint.startsWith(`${directory}/`));
    const last = found.at(-1); // mounted last, so that no other hides it
    if (last === undefined) return;
    if (tries > MAX_STACKED) throw new ThawError(`umount ${last}: it is mounted again and again`);
    for (const mountpoint of found) enslave(mountpoint);
    detach(last);
  }
}

function enslave(mountpoint: string): void {
  try {
    setPropagation(mountpoint, MS_SLAVE | MS_REC);
  } catch (error) {
    // Another hides it: its turn comes when that one is gone.
    if (!hasErrno(error, EINVAL) && !hasErrno(error, ENOENT)) throw error;
  }
}

/** One line of /proc/PID/mountinfo (proc(5)). */
export interface MountInfo {
  /** Major and minor number of the file system, `8:1`. */
  readonly device: string;
  /** The directory of the file system that is shown. */
  readonly root: string;
  readonly mountpoint: string;
  readonly fstype: string;
  /** Options of the file system, which name the controllers of a cgroup v1 hierarchy. */
  readonly superOptions: readonly string[];
}

/** The mounts this process sees, in order. */
export function mounts(): MountInfo[] {
  return parseMountInfo(readFileSync("/proc/thread-self/mountinfo", "utf8"));
}

/** Parses mountinfo; octal escapes in paths are decoded. */
export function parseMountInfo(text: string): MountInfo[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [before = "", after = ""] = line.split(" - ", 2);
      const [, , device = "", root = "", mountpoint = ""] = before.split(" ");
      const [fstype = "", , options = ""] = after.split(" ");
      return {
        device,
        root: unescapeOctal(root),
        mountpoint: unescapeOctal(mountpoint),
        fstype,
        superOptions: options.split(","),
      };
    });
}

function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
