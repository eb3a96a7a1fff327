/** OCI hooks: programs of the host, given the container's state on standard input. @module */

import { readSync, writeSync } from "node:fs";
import { ThawError } from "../errors/errors.ts";
import { makeNonBlocking, pipe } from "../linux/fd.ts";
import { EAGAIN, hasErrno, memory } from "../linux/libc.ts";
import { type Child, childEnvironment, type ExitStatus, spawn } from "../linux/process.ts";
import { type Interrupts, POLLIN, POLLOUT, waitReady } from "../linux/signal.ts";
import type { Hook } from "../oci/config.ts";

/** The OCI state a hook reads (runtime-spec runtime.md, State). */
export interface HookState {
  readonly ociVersion: string;
  readonly id: string;
  readonly status: "stopped";
  readonly pid?: number;
  readonly bundle: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * Runs hooks one after the other, in the calling thread's mount namespace and directory.
 *
 * @param name such as `prestart`, for the error
 * @param interrupts undefined: the hook cannot be interrupted
 * @throws ThawError `error running prestart hook #0: exit status 3, stdout: , stderr: …`
 */
export async function runHooks(
  name: string,
  hooks: readonly Hook[] | null | undefined,
  state: HookState,
  interrupts: Interrupts | undefined,
): Promise<void> {
  for (const [index, hook] of (hooks ?? []).entries()) {
    try {
      await runHook(hook, JSON.stringify(state), interrupts);
    } catch (cause) {
      throw new ThawError(`error running ${name} hook #${index}`, { cause });
    }
  }
}

async function runHook(
  hook: Hook,
  input: string,
  interrupts: Interrupts | undefined,
): Promise<void> {
  using scope = new DisposableStack();
  const stdin = pipe();
  const stdout = pipe();
  const stderr = pipe();
  for (const end of [stdin, stdout, stderr].flatMap(({ read, write }) => [read, write]))
    scope.use(end);
  // Only our own ends: the hook's are other file descriptions.
  for (const end of [stdin.write, stdout.read, stderr.read]) makeNonBlocking(end.fd);
  const child = spawn({
    file: hook.path,
    argv: hook.args?.length ? hook.args : [hook.path],
    env: hook.env ?? childEnvironment(), // without `env`, Go passes on the runtime's own
    fds: [stdin.read.fd, stdout.write.fd, stderr.write.fd],
    ownGroup: true,
  });
  // One that has not ended is ended with all it started; one that has may leave a daemon.
  scope.defer(() => child.kill());
  for (const end of [stdin.read, stdout.write, stderr.write]) end.close();
  const timeout = hook.timeout === null ? undefined : hook.timeout / 1e6;
  const exchange = {
    child,
    input: Buffer.from(input),
    stdin: stdin.write,
    outputs: [
      { fd: stdout.read.fd, chunks: [] as Buffer[], open: true },
      { fd: stderr.read.fd, chunks: [] as Buffer[], open: true },
    ],
  };
  const status = await communicate(exchange, interrupts, timeout);
  const [out = "", err = ""] = exchange.outputs.map(({ chunks }) =>
    Buffer.concat(chunks).toString(),
  );
  if (status === undefined)
    throw new ThawError(
      `hook ran past specified timeout of ${((timeout ?? 0) / 1000).toFixed(1)}s`,
    );
  if (status.code !== 0) throw new ThawError(`${status.text}, stdout: ${out}, stderr: ${err}`);
}

interface Exchange {
  readonly child: Child;
  readonly input: Buffer;
  readonly stdin: { readonly fd: number; close(): void };
  readonly outputs: { readonly fd: number; readonly chunks: Buffer[]; open: boolean }[];
}

/** Feeds and drains the hook until it ends; undefined when the time is up. */
async function communicate(
  exchange: Exchange,
  interrupts: Interrupts | undefined,
  timeout: number | undefined,
): Promise<ExitStatus | undefined> {
  const { child, outputs } = exchange;
  const start = performance.now();
  let written = 0;
  for (;;) {
    const left = timeout === undefined ? undefined : timeout - (performance.now() - start);
    if (left !== undefined && left <= 0) return undefined;
    const watches = [
      { fd: child.pidfd, events: POLLIN },
      { fd: written < exchange.input.length ? exchange.stdin.fd : -1, events: POLLOUT },
      ...outputs.map(({ fd, open }) => ({ fd: open ? fd : -1, events: POLLIN })),
    ];
    const events = await waitReady(watches, { doing: "run a hook", interrupts, timeout: left });
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
    // A hook that does not read its state has closed the pipe (EPIPE): that is its choice.
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
