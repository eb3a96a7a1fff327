/** Copying between the caller's streams and a container's, until it ends. @module */

import { readSync, writeSync } from "node:fs";
import { EAGAIN, hasErrno, memory } from "../linux/libc.ts";
import { type Child, type ExitStatus, reapOrphans, sendSignal } from "../linux/process.ts";
import {
  type Interrupts,
  POLLIN,
  POLLOUT,
  poll,
  terminationName,
  waitReady,
} from "../linux/signal.ts";

const BUFFER = 64 * 1024;
// A blocking write this large never blocks when poll(2) says that there is room (PIPE_BUF).
const CALLERS_CHUNK = 4096;

/** One direction: from one descriptor to another through a buffer. */
export class Copy {
  readonly #bytes = Buffer.from(memory(BUFFER).bytes.buffer as ArrayBuffer);
  readonly #from: number;
  readonly #to: number;
  readonly #chunk: number;
  readonly #close: () => void;
  #start = 0;
  #end = 0;
  #done = false;

  /**
   * @param target whose descriptor `to` is: the caller's is blocking and stays so, ours is not
   * @param close ends our side, once the source has ended or the target wants no more
   */
  constructor(from: number, to: number, target: "callers" | "ours", close: () => void) {
    this.#from = from;
    this.#to = to;
    this.#chunk = target === "callers" ? CALLERS_CHUNK : BUFFER;
    this.#close = close;
  }

  /** What to wait for: room in the target while there is something to write, else input. */
  watch(): { fd: number; events: number } {
    if (this.#done) return { fd: -1, events: 0 };
    if (this.#start < this.#end) return { fd: this.#to, events: POLLOUT };
    return { fd: this.#from, events: POLLIN };
  }

  /** Moves what can be moved now. */
  step(): void {
    try {
      if (this.#start === this.#end) {
        this.#start = 0;
        this.#end = readSync(this.#from, this.#bytes, 0, BUFFER, null);
        if (this.#end === 0) this.#finish();
        return;
      }
      const length = Math.min(this.#chunk, this.#end - this.#start);
      this.#start += writeSync(this.#to, this.#bytes, this.#start, length);
    } catch (error) {
      if (hasErrno(error, EAGAIN)) return;
      this.#end = this.#start; // EPIPE, or EIO of a terminal: nobody is there any more
      this.#finish();
    }
  }

  #finish(): void {
    this.#done = true;
    this.#close();
  }

  /** Whether the source has ended, or the target wants no more. */
  get done(): boolean {
    return this.#done;
  }

  /** Whether the source has more to give right now, or something is on the way. */
  get busy(): boolean {
    if (this.#done) return false;
    return this.#start < this.#end || poll([{ fd: this.#from, events: POLLIN }], 0)[0] !== 0;
  }
}

/** What runs while a container is stayed with. */
export interface Foreground {
  readonly init: Child;
  readonly interrupts: Interrupts;
  /** From the caller to the container. */
  readonly input: Copy;
  /** From the container to the caller. */
  readonly outputs: readonly Copy[];
  /** The caller's terminal has another size (SIGWINCH). */
  resized(): void;
  /** Processes that outlive init are listened to as well, until they close their ends or a signal comes. */
  readonly waitsForEnds: boolean;
}

// How long orphans of the container may stay zombies while it is quiet, in milliseconds.
const REAP_INTERVAL = 1000;
const SIGWINCH = 28;
// SIGCHLD tells of our own children, SIGURG is ours too (runc: signals.go).
const OURS = [17, 23];

/**
 * Copies and forwards signals until init has ended and all it wrote is through.
 *
 * @returns how init ended
 */
export async function copyUntilExit(parts: Foreground): Promise<ExitStatus> {
  const { init, interrupts, outputs } = parts;
  const copies = [parts.input, ...outputs];
  const forwarding = interrupts.forwarding;
  // Nothing interrupts thaw now: what comes goes to the container.
  const quiet = { doing: "wait for the container", interrupts: undefined };
  let status: ExitStatus | undefined;
  while (status === undefined) {
    for (const signal of forwarding?.take() ?? []) forward(signal, parts);
    const watches = [
      { fd: init.pidfd, events: POLLIN },
      { fd: forwarding?.fd ?? -1, events: POLLIN },
      ...copies.map((copy) => copy.watch()),
    ];
    const [ended = 0, , ...events] = await waitReady(watches, { ...quiet, timeout: REAP_INTERVAL });
    copies.forEach((copy, i) => {
      if ((events[i] ?? 0) !== 0) copy.step();
    });
    reapOrphans([init.pid]);
    if (ended !== 0) status = init.reap();
  }
  await copyTheRest(parts);
  return status;
}

/** Init has ended. Unless its heirs are waited for, only what is there already goes out. */
async function copyTheRest({
  input,
  outputs,
  interrupts,
  waitsForEnds,
}: Foreground): Promise<void> {
  const { forwarding } = interrupts;
  const copies = waitsForEnds ? [input, ...outputs] : outputs;
  while (outputs.some((copy) => (waitsForEnds ? !copy.done : copy.busy))) {
    const signal = { fd: forwarding?.fd ?? -1, events: POLLIN };
    const [, ...events] = await waitReady([signal, ...copies.map((copy) => copy.watch())], {
      doing: "wait for what is written",
      interrupts: undefined,
    });
    // A reader that has stopped reading, or a writer that never ends, would keep us for ever.
    if (forwarding?.take().some((number) => terminationName(number) !== undefined)) break;
    copies.forEach((copy, i) => {
      if ((events[i] ?? 0) !== 0) copy.step();
    });
  }
}

function forward(signal: number, parts: Foreground): void {
  if (signal === SIGWINCH) parts.resized();
  else if (!OURS.includes(signal)) sendSignal(parts.init.pid, signal);
}
