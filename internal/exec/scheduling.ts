/** CPUs, priorities and limits of a process: from words to what the kernel takes. @module */

import { ThawError } from "../errors/errors.ts";
import type { SchedulerAttributes } from "../linux/schedule.ts";
import type { SpecProcess, SpecRlimit, SpecScheduler } from "../oci/spec.ts";
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

/** CPUs while a process is started, and once it is in the container's cgroup; bit N for CPU N. */
export interface Affinity {
  readonly initial: Uint8Array | undefined;
  readonly final: Uint8Array | undefined;
}

const CPUS = 1024;
/** Every CPU there may be. */
export const ALL_CPUS = new Uint8Array(CPUS / 8).fill(0xff);

/** The first 64 CPUs of a mask, such as `0x5`, for a log. */
export function firstCpus(mask: Uint8Array): string {
  return `0x${Buffer.from(mask.slice(0, 8)).readBigUInt64LE().toString(16)}`;
}

/** Reads `execCPUAffinity`. @throws ThawError `bad CPUAffinity.Initial: …` */
export function toAffinity(words: NonNullable<SpecProcess["execCPUAffinity"]>): Affinity {
  return { initial: cpus("Initial", words.initial), final: cpus("Final", words.final) };
}

function cpus(which: string, text = ""): Uint8Array | undefined {
  if (text === "") return undefined;
  const refuse = (why: string) =>
    new ThawError(`bad CPUAffinity.${which}: ${why}`, { hint: "say a list such as 0-3,5" });
  const number = (digits: string): number => {
    if (!/^\d+$/.test(digits))
      throw refuse(`strconv.ParseUint: parsing ${JSON.stringify(digits)}: invalid syntax`);
    if (Number(digits) >= 2 ** 32)
      throw refuse(`strconv.ParseUint: parsing ${JSON.stringify(digits)}: value out of range`);
    if (Number(digits) >= CPUS) throw refuse(`values larger than ${CPUS - 1} are not supported`);
    return Number(digits);
  };
  const mask = new Uint8Array(CPUS / 8);
  for (const range of text.split(",").map((one) => one.trim())) {
    if (range === "") continue;
    const dash = range.indexOf("-");
    const first = number(dash === -1 ? range : range.slice(0, dash));
    const last = dash === -1 ? first : number(range.slice(dash + 1));
    if (first > last) throw refuse(`invalid range: ${range}`);
    for (let cpu = first; cpu <= last; cpu++)
      mask[cpu >> 3] = (mask[cpu >> 3] ?? 0) | (1 << (cpu & 7));
  }
  if (mask.every((byte) => byte === 0)) throw refuse(`no CPUs found in ${JSON.stringify(text)}`);
  return mask;
}

/** What state.json says of a container's exec'd processes, as runc stores it. */
export function storedAffinity(stored: Configuration["exec_cpu_affinity"]): Affinity {
  const mask = (words: readonly (number | bigint)[] | null | undefined) =>
    words == null ? undefined : new Uint8Array(new BigUint64Array(words.map(BigInt)).buffer);
  return { initial: mask(stored?.Initial), final: mask(stored?.Final) };
}
