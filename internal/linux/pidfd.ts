/** What a pidfd is good for: the process it means is never another one (pidfd_open(2)). @module */

import { type OwnedFd, owned } from "./fd.ts";
import { check, libc } from "./libc.ts";
import { startTime } from "./process.ts";
import { POLLIN, poll } from "./signal.ts";

// Equal on all architectures since Linux 5.1.
const SYS_pidfd_send_signal = 424;
const SYS_pidfd_open = 434;
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

/** A process that was there when it was taken hold of; disposing lets go of it. */
export interface HeldProcess extends Disposable {
  readonly pid: number;
  /** Sends a signal. @throws SyscallError EINVAL for a number that is none, ESRCH when it has ended */
  signal(signal: number): void;
  /** Waits until it has ended, zombie or not. @param timeout milliseconds @returns whether it has */
  ended(timeout: number): boolean;
}

/**
 * Takes hold of a process (pidfd_open(2)).
 *
 * @param start clock ticks since boot, field 22 of /proc/PID/stat
 * @returns undefined when there is no such process, it is a zombie, or it is a later one
 */
export function holdProcess(pid: number, start: number): HeldProcess | undefined {
  if (pid <= 0) return undefined;
  const fd = Number(libc.syscall(SYS_pidfd_open, pid, 0, 0, 0));
  if (fd === -1) return undefined;
  const pidfd = owned(fd);
  // Asked after opening: whatever has the pid now, the descriptor is of the process of that time.
  if (startTime(pid) !== start) {
    pidfd.close();
    return undefined;
  }
  return {
    pid,
    signal: (signal) => {
      check(Number(libc.syscall(SYS_pidfd_send_signal, pidfd.fd, signal, 0, 0)), "");
    },
    ended: (timeout) => poll([{ fd: pidfd.fd, events: POLLIN }], timeout)[0] !== 0,
    [Symbol.dispose]: () => pidfd.close(),
  };
}
