/** Mounts (mount(2), umount2(2)) and the mount table. @module */

import { readFileSync } from "node:fs";
import { check, cstring, libc } from "./libc.ts";

/** mount(2). */
export const MS_BIND = 0x1000;
/** mount(2). */
export const MS_REC = 0x4000;
/** mount(2). */
export const MS_SLAVE = 0x80000;
const MNT_DETACH = 2;

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

/** One line of /proc/PID/mountinfo (proc(5)). */
export interface MountInfo {
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
      const [, , , root = "", mountpoint = ""] = before.split(" ");
      const [fstype = "", , options = ""] = after.split(" ");
      return {
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
