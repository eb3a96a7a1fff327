/** CPUs, priorities and limits of a process: from words to what the kernel takes. @module */

import { ThawError } from "../errors/errors.ts";
import type { SchedulerAttributes } from "../linux/schedule.ts";
import type { Affinity } from "../oci/scheduling.ts";
import type { SpecRlimit, SpecScheduler } from "../oci/spec.ts";
import type { Configuration, Limit } from "./configuration.ts";

// RLIMIT_ numbers (asm-generic/resource.h).
const LIMITS =
  "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME".split(
    " ",
  );

/** Reads a limit. @throws ThawError `wrong rlimit value: X` */
export function toLimit({ type = "", hard = 0, soft = 0 }: SpecRlimit): Limit {
  const number = type.startsWith("RLIMIT_") ? LIMITS.indexOf(type.slice(7)) : -1;
  if (number === -1)
    throw new ThawError(`wrong rlimit value: ${type}`, { hint: "see setrlimit(2) for its names" });
  return { type: number, hard, soft };
}

const IO_CLASSES = ["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"];

/** The number of an I/O class. @throws ThawError in runc's words */
export function ioClass(name = ""): number {
  const index = IO_CLASSES.indexOf(name);
  if (index === -1)
    throw new ThawError(`invalid io priority class: ${name}`, {
      hint: `say one of ${IO_CLASSES.join(", ")}`,
    });
  return index + 1;
}

const POLICIES = ["OTHER", "FIFO", "RR", "BATCH", "ISO", "IDLE", "DEADLINE"];
const FLAGS = [
  "RESET_ON_FORK",
  "RECLAIM",
  "DL_OVERRUN",
  "KEEP_POLICY",
  "KEEP_PARAMS",
  "UTIL_CLAMP_MIN",
  "UTIL_CLAMP_MAX",
];

/** What sched_setattr(2) takes. @throws ThawError in runc's words */
export function schedulerAttributes(scheduler: SpecScheduler): SchedulerAttributes {
  const { policy = "", nice = 0, priority = 0 } = scheduler;
  const number = policy.startsWith("SCHED_") ? POLICIES.indexOf(policy.slice(6)) : -1;
  if (number === -1) throw new ThawError(`invalid scheduler policy: ${policy}`, HINT);
  let flags = 0n;
  for (const flag of scheduler.flags ?? []) {
    const bit = flag.startsWith("SCHED_FLAG_") ? FLAGS.indexOf(flag.slice(11)) : -1;
    if (bit === -1) throw new ThawError(`invalid scheduler flag: ${flag}`, HINT);
    flags |= 1n << BigInt(bit);
  }
  const time = (value: number | bigint | undefined) => BigInt(value ?? 0);
  return {
    policy: number,
    flags,
    nice,
    priority,
    runtime: time(scheduler.runtime),
    deadline: time(scheduler.deadline),
    period: time(scheduler.period),
  };
}

const HINT = { hint: "see sched_setattr(2) for what there is" };

/** The first 64 CPUs of a mask, such as `0x5`, for a log. */
export function firstCpus(mask: Uint8Array): string {
  return `0x${Buffer.from(mask.slice(0, 8)).readBigUInt64LE().toString(16)}`;
}

/** What state.json says of a container's exec'd processes, as runc stores it. */
export function storedAffinity(stored: Configuration["exec_cpu_affinity"]): Affinity {
  const mask = (words: readonly (number | bigint)[] | null | undefined) =>
    words == null ? undefined : new Uint8Array(new BigUint64Array(words.map(BigInt)).buffer);
  return { initial: mask(stored?.Initial), final: mask(stored?.Final) };
}
