/** File locks that processes wait for: proc_locks(5). @module */

import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";

/** A process that waits for a file lock. */
export interface BlockedLock {
  readonly waiter: number;
  /** -1 for an open file description lock, which has no process. */
  readonly holder: number;
  /** Inode number of the file. */
  readonly inode: number;
}

// 2: POSIX  ADVISORY  WRITE 100 00:2a:104 0 EOF
// 2: -> POSIX  ADVISORY  WRITE 200 00:2a:104 0 EOF
const LINE = /^(\d+): +(-> *)*\S+ +\S+ +\S+ +(-?\d+) [0-9a-f]+:[0-9a-f]+:(\d+) /;

/** The waiters in the text of /proc/locks, each after the lock it waits for. */
export function blockedLocks(text: string): BlockedLock[] {
  const found: BlockedLock[] = [];
  let held = { number: "", holder: -1 };
  for (const line of text.split("\n")) {
    const [, number = "", arrow, pid, inode] = LINE.exec(line) ?? [];
    if (arrow === undefined) held = { number, holder: Number(pid) };
    else if (number === held.number)
      found.push({ waiter: Number(pid), holder: held.holder, inode: Number(inode) });
  }
  return found;
}

/** The waiters there are now, in this process's view of pids. */
export function readBlockedLocks(): BlockedLock[] {
  return blockedLocks(readFileSync("/proc/locks", "utf8"));
}

/** The path by which a process has a file open, as the kernel tells it; undefined when it has not. */
export function openPath(pid: number, inode: number): string | undefined {
  try {
    const directory = `/proc/${pid}/fd`;
    const fds = readdirSync(directory).map((fd) => `${directory}/${fd}`);
    const fd = fds.find((path) => statSync(path, { throwIfNoEntry: false })?.ino === inode);
    return fd === undefined ? undefined : readlinkSync(fd);
  } catch {
    return undefined; // it has ended
  }
}
