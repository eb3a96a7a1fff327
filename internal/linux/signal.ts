/**
 * Termination signals as errors thrown at the next wait, so that everything is undone.
 *
 * Bun runs a handler only when JavaScript yields. So nothing here blocks for long: a wait polls
 * in short slices and yields between them.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { InterruptedError } from "../errors/errors.ts";
import { EINTR, errno, libc, memory, SyscallError } from "./libc.ts";

/** SIGKILL. */
export const SIGKILL = 9;
const NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
type Name = keyof typeof NUMBERS;

// The longest a signal waits to be seen, in milliseconds.
const SLICE = 25;

/** Catches termination signals until disposed. */
export interface Interrupts extends Disposable {
  /**
   * Lets handlers run, then throws if SIGTERM, SIGINT or SIGHUP has come.
   *
   * @param doing what is being interrupted, such as `restore c1`
   * @throws InterruptedError
   */
  check(doing: string): Promise<void>;
  /** What has come so far no longer counts: only a signal that comes from now on interrupts. */
  forget(): void;
  /** Where signals to forward can be read; undefined when thaw does not stay. */
  readonly forwarding: Forwarding | undefined;
}

/** Signals for the container, once it runs: from then on nothing interrupts thaw. */
export interface Forwarding {
  /** Readable when a signal has come. */
  readonly fd: number;
  /** The signals that have come since the last call, in order, those during the restore too. */
  take(): number[];
}

/**
 * Catches SIGTERM, SIGINT and SIGHUP by handlers, for a thaw that is gone as soon as the container
 * runs. A signal the caller ignores (nohup, a background job) stays ignored.
 */
export function catchInterrupts(): Interrupts {
  const ignored = signalMask("SigIgn");
  let pending: Name | undefined;
  const handlers = (Object.keys(NUMBERS) as Name[])
    .filter((name) => (ignored & bit(NUMBERS[name])) === 0n)
    .map((name) => {
      const handler = () => {
        pending ??= name;
      };
      process.on(name, handler);
      return { name, handler };
    });
  return {
    forwarding: undefined,
    forget: () => {
      pending = undefined;
    },
    check: async (doing) => {
      await new Promise((resolve) => setImmediate(resolve));
      if (pending !== undefined) throw new InterruptedError(pending, doing);
    },
    [Symbol.dispose]: () => {
      for (const { name, handler } of handlers) process.off(name, handler);
    },
  };
}

/** The name of a termination signal; undefined for any other number. */
export function terminationName(signal: number): string | undefined {
  return (Object.keys(NUMBERS) as Name[]).find((name) => NUMBERS[name] === signal);
}

/** A mask with the bit of one signal, as the kernel has it: bit N-1 for signal N. */
export function bit(signal: number): bigint {
  return 1n << BigInt(signal - 1);
}

/** A mask of this thread from proc(5): what it blocks or ignores. */
export function signalMask(field: "SigBlk" | "SigIgn"): bigint {
  const status = readFileSync("/proc/thread-self/status", "utf8");
  return BigInt(`0x${new RegExp(`^${field}:\\s*(\\w+)`, "m").exec(status)?.[1] ?? "0"}`);
}

/** What poll(2) can report. */
export const POLLIN = 1;
/** poll(2). */
export const POLLOUT = 4;

/** A descriptor to watch and the events wanted; fd -1 is skipped. */
export interface Watch {
  readonly fd: number;
  readonly events: number;
}

/**
 * poll(2): waits until one of the descriptors is ready.
 *
 * @param timeout milliseconds, -1 for no limit
 * @returns the events of each descriptor, all 0 on timeout or when a signal came
 */
export function poll(watches: readonly Watch[], timeout: number): number[] {
  const set = memory(8 * watches.length);
  watches.forEach(({ fd, events }, i) => {
    set.view.setInt32(8 * i, fd, true);
    set.view.setInt16(8 * i + 4, events, true);
  });
  if (libc.poll(set.bytes, watches.length, timeout) === -1) {
    const reason = errno();
    if (reason !== EINTR) throw new SyscallError("poll", reason);
    return watches.map(() => 0);
  }
  return watches.map((_, i) => set.view.getInt16(8 * i + 6, true));
}

/** How a wait may end early. */
export interface WaitOptions {
  /** What is waited for, for the error of an interrupt. */
  readonly doing: string;
  /** Undefined: cannot be interrupted. */
  readonly interrupts: Interrupts | undefined;
  /** Milliseconds; undefined: no limit. */
  readonly timeout?: number | undefined;
}

/**
 * Waits until one of the descriptors is ready.
 *
 * @returns the events of each descriptor; all 0 when the time is up
 * @throws InterruptedError when a termination signal came
 */
export async function waitReady(
  watches: readonly Watch[],
  options: WaitOptions,
): Promise<number[]> {
  const start = performance.now();
  for (;;) {
    const left = (options.timeout ?? Number.POSITIVE_INFINITY) - (performance.now() - start);
    const events = poll(watches, Math.max(0, Math.min(SLICE, Math.ceil(left))));
    if (events.some((e) => e !== 0)) return events;
    await options.interrupts?.check(options.doing);
    if (left <= 0) return events;
  }
}
