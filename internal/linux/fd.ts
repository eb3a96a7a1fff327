/** File descriptors that close themselves, and which of them children see. @module */

import { readdirSync, readlinkSync } from "node:fs";
import { ThawError } from "../errors/errors.ts";
import { check, cstring, EINTR, errno, libc, memory, SyscallError } from "./libc.ts";

/** open(2) flags, equal on x64 and arm64 where thaw uses them. */
export const O_RDONLY = 0;
/** open(2). */
export const O_RDWR = 2;
/** open(2). */
export const O_CREAT = 0o100;
/** open(2). */
export const O_EXCL = 0o200;
/** open(2). */
export const O_WRONLY = 1;
/** open(2): not the controlling terminal. */
export const O_NOCTTY = 0o400;
/** open(2). */
export const O_CLOEXEC = 0o2000000;
/** open(2). */
export const O_NONBLOCK = 0o4000;
/** open(2). */
export const O_PATH = 0o10000000;
// These two differ between architectures (asm/fcntl.h).
const arm = process.arch === "arm64";
/** open(2); differs between architectures. */
export const O_DIRECTORY = arm ? 0o40000 : 0o200000;
/** open(2); differs between architectures. */
export const O_NOFOLLOW = arm ? 0o100000 : 0o400000;
/** openat(2): relative to the working directory. */
export const AT_FDCWD = -100;

const F_DUPFD_CLOEXEC = 1030;
const F_GETFD = 1;
const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const FD_CLOEXEC = 1;
const SYS_close_range = 436;
const CLOSE_RANGE_CLOEXEC = 4;

/** A descriptor that is closed when disposed. */
export interface OwnedFd extends Disposable {
  readonly fd: number;
  /** Closes it now; disposing afterwards does nothing. */
  close(): void;
}

/** Takes ownership of an open descriptor. */
export function owned(fd: number): OwnedFd {
  let open = true;
  const close = () => {
    if (open) libc.close(fd);
    open = false;
  };
  return { fd, close, [Symbol.dispose]: close };
}

/**
 * Opens a path relative to a directory (openat(2)), close-on-exec.
 *
 * @param directory a descriptor, or AT_FDCWD
 * @throws SyscallError `open PATH: …`
 */
export function openAt(directory: number, path: string, flags: number, mode = 0): OwnedFd {
  for (;;) {
    const fd = libc.openat(directory, cstring(path), flags | O_CLOEXEC, mode);
    if (fd !== -1) return owned(fd);
    const reason = errno();
    if (reason !== EINTR) throw new SyscallError(`open ${path}`, reason);
  }
}

/** A pipe (pipe2(2)), both ends close-on-exec. */
export function pipe(): { readonly read: OwnedFd; readonly write: OwnedFd } {
  const ends = memory(8);
  check(libc.pipe2(ends.bytes, O_CLOEXEC), "pipe2");
  return { read: owned(ends.view.getInt32(0, true)), write: owned(ends.view.getInt32(4, true)) };
}

/** A copy of a descriptor numbered at least `least`, close-on-exec. */
export function duplicate(fd: number, least: number): OwnedFd {
  return owned(check(libc.fcntl(fd, F_DUPFD_CLOEXEC, least), `duplicate descriptor ${fd}`));
}

/** Whether a descriptor number is open in this process. */
export function isOpen(fd: number): boolean {
  return libc.fcntl(fd, F_GETFD, 0) !== -1;
}

/** Whether a descriptor can be written to. @throws SyscallError EBADF when it is not open */
export function isWritable(fd: number): boolean {
  return (check(libc.fcntl(fd, F_GETFL, 0), "") & (O_WRONLY | O_RDWR)) !== 0;
}

/**
 * Whether the caller passed this descriptor. Ask early: Bun marks all of them close-on-exec at start,
 * so that only what they are tells its own (epoll, eventfd) from the caller's.
 */
export function isCallers(fd: number): boolean {
  return isOpen(fd) && !describeFd("self", fd).startsWith("anon_inode:");
}

/**
 * Makes every descriptor but 0, 1 and 2 close-on-exec: what the caller leaked into thaw stays
 * with thaw. close_range(2) since Linux 5.11, one by one before.
 */
export function keepDescriptorsPrivate(): void {
  if (libc.syscall(SYS_close_range, 3, 0xffffffff, CLOSE_RANGE_CLOEXEC, 0) === 0) return;
  for (const name of readdirSync("/proc/self/fd")) {
    if (Number(name) > 2) libc.fcntl(Number(name), F_SETFD, FD_CLOEXEC);
  }
}

/** Leaves a descriptor open for the program that is executed in our place; if there is one. */
export function keepThroughExec(fd: number): void {
  const flags = libc.fcntl(fd, F_GETFD, 0);
  if (flags !== -1) libc.fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC);
}

/**
 * Counts how many descriptors from 3 on the caller handed over, without a gap. Whatever they are: the
 * first that Bun opens, at the lowest free number, is its epoll.
 *
 * @param most where to stop
 */
export function countHandedOver(most: number): number {
  const isOther = (fd: number) => isOpen(fd) && describeFd("self", fd) !== "anon_inode:[eventpoll]";
  let count = 0;
  while (count < most && isOther(3 + count)) count++;
  return count;
}

/**
 * Refuses a number of descriptors from 3 on that the caller has not handed over.
 *
 * @throws ThawError `unable to stat preserved-fd 1 (of 2): no such file or directory`
 */
export function expectHandedOver(count: number): void {
  const found = countHandedOver(count);
  if (found < count)
    throw new ThawError(
      `unable to stat preserved-fd ${found} (of ${count}): no such file or directory`,
      { hint: `descriptor ${3 + found} is not open: give --preserve-fds as many as there are` },
    );
}

/** Makes descriptors from 3 on outlive an execve(2) of ourselves; those not open are passed over. */
export function keepHandedOver(count: number): void {
  if (countHandedOver(count) < count) return; // told later
  for (let fd = 3; fd < 3 + count; fd++) keepThroughExec(fd);
}

/** Opens /dev/null on each of 0, 1 and 2 that the caller left closed, as Go's runtime does. */
export function ensureStdio(): void {
  for (const fd of [0, 1, 2]) {
    // The lowest free number is taken, which is fd.
    if (!isOpen(fd)) libc.openat(AT_FDCWD, cstring("/dev/null"), O_RDWR, 0);
  }
}

/** What a descriptor is, as readlink of /proc/PID/fd/N says; "" when it cannot be read (EACCES). */
export function describeFd(pid: number | "self", fd: number): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    return "";
  }
}

/** Makes an end of ours non-blocking; never one that the caller or the container has too. */
export function makeNonBlocking(fd: number): void {
  libc.fcntl(fd, F_SETFL, O_NONBLOCK);
}

/** Gives an open file another owner on the host (fchown(2)). @throws SyscallError EPERM */
export function changeOwner(fd: number, uid: number, gid: number): void {
  check(libc.fchown(fd, uid, gid), `change the owner of descriptor ${fd}`);
}
