/** What a process may use and when it runs: of another process, by its pid. @module */

import { ptr } from "bun:ffi";
import { check, libc, memory } from "./libc.ts";
import { NATIVE, systemCalls } from "./syscalls.ts";

const IOPRIO_WHO_PROCESS = 1;
const IOPRIO_CLASS_SHIFT = 13;
const SCHED_ATTR_SIZE = 48; // struct sched_attr of Linux 3.14

function call(name: string, ...words: readonly (number | bigint)[]): number {
  const [a = 0, b = 0, c = 0] = words;
  return Number(libc.syscall(systemCalls().get(name)?.[NATIVE] ?? -1, a, b, c, 0));
}

/**
 * Sets a resource limit (prlimit(2)).
 *
 * @param resource RLIMIT_ number
 * @throws SyscallError EINVAL for a soft limit above the hard one; EPERM
 */
export function setLimit(pid: number, resource: number, soft: bigint, hard: bigint): void {
  const limit = memory(16);
  limit.view.setBigUint64(0, soft, true);
  limit.view.setBigUint64(8, hard, true);
  check(libc.prlimit(pid, resource, limit.bytes, null), "");
}

/**
 * Sets the CPUs a process may run on (sched_setaffinity(2)).
 *
 * @param mask bit N for CPU N, any size
 * @throws SyscallError EINVAL when none of them is there or allowed
 */
export function setAffinity(pid: number, mask: Uint8Array): void {
  const words = memory(Math.ceil(mask.length / 8) * 8);
  words.bytes.set(mask);
  check(call("sched_setaffinity", pid, words.bytes.length, ptr(words.bytes)), "");
}

/**
 * Sets the I/O priority of a process (ioprio_set(2)).
 *
 * @param level of which the kernel takes 32 bits
 * @throws SyscallError EINVAL, EPERM
 */
export function setIoPriority(pid: number, ioClass: number, level: number | bigint): void {
  const value = (ioClass << IOPRIO_CLASS_SHIFT) | Number(BigInt.asIntN(32, BigInt(level)));
  check(call("ioprio_set", IOPRIO_WHO_PROCESS, pid, value), "");
}

/** struct sched_attr, without its size. */
export interface SchedulerAttributes {
  readonly policy: number;
  readonly flags: bigint;
  readonly nice: number;
  readonly priority: number;
  /** Nanoseconds, like the next two. */
  readonly runtime: bigint;
  readonly deadline: bigint;
  readonly period: bigint;
}

/** Sets the scheduling policy of a process (sched_setattr(2)). @throws SyscallError EINVAL, EPERM */
export function setScheduler(pid: number, attributes: SchedulerAttributes): void {
  const { policy, flags, nice, priority, runtime, deadline, period } = attributes;
  const { bytes, view } = memory(SCHED_ATTR_SIZE);
  view.setUint32(0, SCHED_ATTR_SIZE, true);
  view.setUint32(4, policy, true);
  view.setBigUint64(8, flags, true);
  view.setInt32(16, nice, true);
  view.setUint32(20, priority, true);
  view.setBigUint64(24, runtime, true);
  view.setBigUint64(32, deadline, true);
  view.setBigUint64(40, period, true);
  check(call("sched_setattr", pid, ptr(bytes), 0), "");
}
