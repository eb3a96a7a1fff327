/**
 * Priorities and CPUs of a process, as libcontainer keeps them; `exec` applies them from state.json.
 *
 * @module
 */

import { ThawError } from "../errors/errors.ts";
import type { Config } from "./config.ts";
import type { SpecProcess, SpecScheduler } from "./spec.ts";

/** As Go writes it: without zeros. */
export function schedulerConfig(scheduler: SpecScheduler): SpecScheduler {
  const { policy = "", nice, priority, flags, runtime, deadline, period } = scheduler;
  const rest = { nice, priority, flags: flags?.length ? flags : 0, runtime, deadline, period };
  return { policy, ...Object.fromEntries(Object.entries(rest).filter(([, value]) => value)) };
}

/** As Go writes it: with zeros. */
export function ioPriorityConfig(
  io: NonNullable<SpecProcess["ioPriority"]>,
): NonNullable<Config["io_priority"]> {
  return { class: io.class ?? "", priority: io.priority ?? 0 };
}

/** Words of 64 CPUs each; undefined when no CPUs are named. @throws ThawError in runc's words */
export function affinityConfig(affinity: SpecProcess["execCPUAffinity"]): object | undefined {
  const found = toAffinity(affinity);
  if (found === undefined) return undefined;
  const words = (mask: Uint8Array | undefined) =>
    mask === undefined ? null : Array.from(new BigUint64Array(mask.buffer), exactNumber);
  return { Initial: words(found.initial), Final: words(found.final) };
}

// JSON.stringify knows no bigints, and few masks need one.
const exactNumber = (word: bigint) =>
  word <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(word) : word;

/** CPUs while a process is started, and once it is in the container's cgroup; bit N for CPU N. */
export interface Affinity {
  readonly initial: Uint8Array | undefined;
  readonly final: Uint8Array | undefined;
}

/** unix.CPUSet's. */
const CPUS = 1024;
/** Every CPU there may be. */
export const ALL_CPUS = new Uint8Array(CPUS / 8).fill(0xff);

/**
 * Reads `execCPUAffinity`.
 *
 * @returns undefined when it names no CPUs: of an exec'd process then the container's count
 * @throws ThawError `bad CPUAffinity.Initial: …`
 */
export function toAffinity(words: SpecProcess["execCPUAffinity"]): Affinity | undefined {
  const [initial, final] = [cpus("Initial", words?.initial), cpus("Final", words?.final)];
  return initial === undefined && final === undefined ? undefined : { initial, final };
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

const IO_CLASSES = ["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"];
const WITH_NICE = ["SCHED_OTHER", "SCHED_BATCH"];
const WITH_PRIORITY = ["SCHED_FIFO", "SCHED_RR"];

/**
 * Checks what is recorded, as runc does before anything is made.
 *
 * @throws ThawError in runc's words
 */
export function validateScheduling(config: Config): void {
  const hint = { hint: "correct process in config.json" };
  if (config.scheduler !== undefined) {
    const { policy, nice = 0, priority = 0, ...times } = config.scheduler;
    if (!policy) throw new ThawError("scheduler policy is required", hint);
    if (WITH_NICE.includes(policy) && (nice < -20 || nice > 19))
      throw new ThawError(
        `invalid scheduler.nice: ${nice} when scheduler.policy is ${policy}`,
        hint,
      );
    if (priority !== 0 && !WITH_PRIORITY.includes(policy))
      throw new ThawError(
        "scheduler.priority can only be specified for SchedFIFO or SchedRR policy",
        hint,
      );
    if (policy !== "SCHED_DEADLINE" && (times.runtime || times.deadline || times.period))
      throw new ThawError(
        "scheduler runtime/deadline/period can only be specified for SchedDeadline policy",
        hint,
      );
  }
  if (config.io_priority === undefined) return;
  const { class: name, priority } = config.io_priority;
  if (priority < 0 || priority > 7)
    throw new ThawError(`invalid ioPriority.Priority: ${priority}`, hint);
  if (!IO_CLASSES.includes(name))
    throw new ThawError(`invalid ioPriority.Class: ${JSON.stringify(name)}`, hint);
}
