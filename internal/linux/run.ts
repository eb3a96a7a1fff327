/** A program run to its end: text for it, and what it said. @module */

import { readSync, writeSync } from "node:fs";
import { makeNonBlocking, type OwnedFd, pipe } from "./fd.ts";
import { EAGAIN, hasErrno, memory } from "./libc.ts";
import { type Child, type ExitStatus, type SpawnOptions, spawn } from "./process.ts";
import { type Interrupts, POLLIN, POLLOUT, waitReady } from "./signal.ts";

/** How to run it. */
export interface RunOptions {
  /** What it is given on standard input. */
  readonly input: string;
  /** What is being done, for the error of an interrupt. */
  readonly doing: string;
  /** Undefined: cannot be interrupted, as during clean-up. */
  readonly interrupts: Interrupts | undefined;
  /** Milliseconds; undefined: no limit. */
  readonly timeout: number | undefined;
  /** Starts it in another surrounding, such as a network namespace; synchronous. */
  readonly around?: (start: () => Child) => Child;
}

/** How it ended and what it said. */
export interface Finished {
  /** undefined when the time was up, and it was killed with its process group. */
  readonly status: ExitStatus | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program in a process group of its own, which is ended with it when it has to be ended; one
 * that ends by itself may leave a daemon.
 *
 * @throws SyscallError `exec FILE: …`; InterruptedError
 */
export async function runToEnd(
  program: Pick<SpawnOptions, "file" | "argv" | "env">,
  options: RunOptions,
): Promise<Finished> {
  using scope = new DisposableStack();
  const stdin = pipe();
  const stdout = pipe();
  const stderr = pipe();
  for (const end of [stdin, stdout, stderr].flatMap(({ read, write }) => [read, write]))
    scope.use(end);
  // Only our own ends: the program's are other file descriptions.
  for (const end of [stdin.write, stdout.read, stderr.read]) makeNonBlocking(end.fd);
  const fds = [stdin.read.fd, stdout.write.fd, stderr.write.fd];
  const start = () => spawn({ ...program, fds, ownGroup: true });
  const child = options.around === undefined ? start() : options.around(start);
  scope.defer(() => child.kill());
  for (const end of [stdin.read, stdout.write, stderr.write]) end.close();
  const exchange = {
    child,
    input: Buffer.from(options.input),
    stdin: stdin.write,
    outputs: [
      { fd: stdout.read.fd, chunks: [] as Buffer[], open: true },
      { fd: stderr.read.fd, chunks: [] as Buffer[], open: true },
    ],
  };
  const status = await communicate(exchange, options);
  const [out = "", err = ""] = exchange.outputs.map(({ chunks }) =>
    Buffer.concat(chunks).toString(),
  );
  return { status, stdout: out, stderr: err };
}

interface Exchange {
  readonly child: Child;
  readonly input: Buffer;
  readonly stdin: OwnedFd;
  readonly outputs: { readonly fd: number; readonly chunks: Buffer[]; open: boolean }[];
}

/** Feeds and drains the program until it ends; undefined when the time is up. */
async function communicate(
  exchange: Exchange,
  { doing, interrupts, timeout }: RunOptions,
): Promise<ExitStatus | undefined> {
  const { child, outputs } = exchange;
  const start = performance.now();
  let written = 0;
  if (exchange.input.length === 0) exchange.stdin.close();
  for (;;) {
    const left = timeout === undefined ? undefined : timeout - (performance.now() - start);
    if (left !== undefined && left <= 0) return undefined;
    const watches = [
      { fd: child.pidfd, events: POLLIN },
      { fd: written < exchange.input.length ? exchange.stdin.fd : -1, events: POLLOUT },
      ...outputs.map(({ fd, open }) => ({ fd: open ? fd : -1, events: POLLIN })),
    ];
    const events = await waitReady(watches, { doing, interrupts, timeout: left });
    if (events[1] !== 0) {
      written = feed(exchange, written);
      if (written >= exchange.input.length) exchange.stdin.close();
    }
    for (const output of outputs) if (output.open) output.open = drain(output.fd, output.chunks);
    if (events[0] !== 0) return child.reap();
  }
}

function feed(exchange: Exchange, written: number): number {
  try {
    return written + writeSync(exchange.stdin.fd, exchange.input, written);
  } catch (error) {
    // A program that does not read has closed the pipe (EPIPE): that is its choice.
    return hasErrno(error, EAGAIN) ? written : exchange.input.length;
  }
}

/** Reads what is there; false at the end. */
function drain(fd: number, chunks: Buffer[]): boolean {
  for (;;) {
    const chunk = Buffer.from(memory(4096).bytes);
    try {
      const length = readSync(fd, chunk);
      if (length === 0) return false;
      chunks.push(chunk.subarray(0, length));
    } catch (error) {
      return hasErrno(error, EAGAIN);
    }
  }
}
