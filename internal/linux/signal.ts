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

/** Signal numbers thaw sends or names. */
export const SIGKILL = 9;
const NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
type Name = keyof typeof NUMBERS;

// The longest a signal waits to be seen, in milliseconds.
const SLICE = 25;

/** Catches SIGTERM, SIGINT and SIGHUP until disposed. */
export interface Interrupts extends Disposable {
  /**
   * Lets handlers run, then throws if a signal has come.
   *
   * @param doing what is being interrupted, such as `restore c1`
   * @throws InterruptedError
   */
  check(doing: string): Promise<void>;
  /** From now on signals are ignored: clean-up must not be interrupted. */
  disarm(): void;
}

/** Starts catching. A signal the caller ignores (nohup, a background job) stays ignored. */
export function catchInterrupts(): Interrupts {
  const ignored = ignoredSignals();
  let pending: Name | undefined;
  let armed = true;
  const handlers = (Object.keys(NUMBERS) as Name[])
    .filter((name) => (ignored & (1n << BigInt(NUMBERS[name] - 1))) === 0n)
    .map((name) => {
      const handler = () => {
        pending ??= name;
      };
      process.on(name, handler);
      return { name, handler };
    });
  return {
    check: async (doing) => {
      await new Promise((resolve) => setImmediate(resolve));
      if (armed && pending !== undefined) throw new InterruptedError(pending, doing);
    },
    disarm: () => {
      armed = false;
    },
    [Symbol.dispose]: () => {
      for (const { name, handler } of handlers) process.off(name, handler);
    },
  };
}

/** The signals this process ignores, as a mask with bit N-1 for signal N (proc(5), SigIgn). */
function ignoredSignals(): bigint {
  const status = readFileSync("/proc/self/status", "utf8");
  return BigInt(`0x${/^SigIgn:\s*(\w+)/m.exec(status)?.[1] ?? "0"}`);
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
