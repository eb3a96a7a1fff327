/** What a pidfd is good for: the process it means is never another one (pidfd_open(2)). @module */

import { type OwnedFd, owned } from "./fd.ts";
import { libc } from "./libc.ts";

// Equal on all architectures since Linux 5.1.
const SYS_pidfd_send_signal = 424;
const SYS_pidfd_getfd = 438;

/** Sends a signal; false when the process has ended (pidfd_send_signal(2)). */
export function signalPidfd(pidfd: number, signal: number): boolean {
  return Number(libc.syscall(SYS_pidfd_send_signal, pidfd, signal, 0, 0)) === 0;
}

/**
 * Copies a descriptor out of another process (pidfd_getfd(2), Linux 5.6), close-on-exec.
 *
 * @returns undefined when it has none of that number, or we may not (Yama, seccomp)
 */
export function takeCopy(pidfd: number, fd: number): OwnedFd | undefined {
  const copy = Number(libc.syscall(SYS_pidfd_getfd, pidfd, fd, 0, 0));
  return copy === -1 ? undefined : owned(copy);
}
