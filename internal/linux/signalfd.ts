/**
 * Every signal as something to read (signalfd(2)), for a thaw that stays with its container.
 *
 * Bun's threads start with an empty mask, so blocking in JavaScript is too late: a signal would go
 * to a thread that does not block it, and kill. A mask is inherited through execve(2) by every
 * thread, so thaw blocks all signals and executes itself once. A detached restore pays nothing.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { InterruptedError, ThawError } from "../errors/errors.ts";
import { owned } from "./fd.ts";
import { check, cstring, cstringArray, libc, memory } from "./libc.ts";
import { bit, type Interrupts, POLLIN, poll, signalMask, terminationName } from "./signal.ts";

/** Carries the caller's mask over the execution of ourselves; children never see it. */
export const MASK_VARIABLE = "THAW_CALLERS_SIGNAL_MASK";

const SIG_SETMASK = 2;
const SFD_FLAGS = 0o2000000 | 0o4000; // SFD_CLOEXEC | SFD_NONBLOCK
const SIGTERM = 15;
const masked = (numbers: readonly number[]) => numbers.reduce((mask, n) => mask | bit(n), 0n);
// Faults, SIGABRT and SIGSYS: a thread of Bun's allocator never blocks them. JavaScriptCore stops its
// threads with SIGPWR.
const NEVER_BLOCKED = masked([4, 5, 6, 7, 8, 9, 11, 19, 30, 31]);
// SIGPIPE and SIGXFSZ: Bun ignores them before the first line, and whether the caller did is not known.
const BUNS = [13, 25];
const ALL = (1n << 64n) - 1n;

/** The signal mask the caller started thaw with. */
export function callersMask(): bigint {
  const carried = process.env[MASK_VARIABLE] ?? "";
  const blocked = signalMask("SigBlk");
  // Anybody may set a variable; only after our own execution SIGTERM is blocked as well.
  const isOurs = /^[0-9a-f]{1,16}$/.test(carried) && (blocked & bit(SIGTERM)) !== 0n;
  return isOurs ? BigInt(`0x${carried}`) : blocked;
}

/**
 * The environment thaw was started with, byte for byte, without Bun's own variables.
 *
 * @returns `NAME=value` entries without a NUL
 */
export function callersEnvironment(): Buffer[] {
  const entries: Buffer[] = [];
  const all = readFileSync("/proc/self/environ");
  for (let start = 0; start < all.length; ) {
    const end = all.indexOf(0, start);
    const entry = all.subarray(start, end === -1 ? all.length : end);
    if (entry.length > 0 && !entry.subarray(0, 4).equals(BUN)) entries.push(entry);
    start += entry.length + 1;
  }
  return entries;
}

const BUN = Buffer.from("BUN_");

/**
 * Executes thaw again with all signals blocked, unless that has been done.
 *
 * @param argv the command line, argv[0] included
 * @throws SyscallError when that is not possible
 */
export function blockAllSignals(argv: readonly string[]): void {
  if (process.env[MASK_VARIABLE] !== undefined) {
    if ((signalMask("SigBlk") & bit(SIGTERM)) === 0n)
      throw new ThawError(`${MASK_VARIABLE} is set in the environment`, { hint: "unset it" });
    return;
  }
  const before = signalMask("SigBlk");
  const set = memory(128);
  // What the caller ignores stays ignored: a blocked signal would be kept for us.
  const ignored = signalMask("SigIgn") & ~masked(BUNS);
  set.view.setBigUint64(0, (ALL & ~NEVER_BLOCKED & ~ignored) | bit(SIGTERM), true);
  check(libc.pthread_sigmask(SIG_SETMASK, set.bytes, null), "block signals");
  const arguments_ = cstringArray(argv);
  const mask = `${MASK_VARIABLE}=${before.toString(16)}`;
  const environment = cstringArray([...callersEnvironment(), mask]);
  const failed = libc.execve(cstring("/proc/self/exe"), arguments_.bytes, environment.bytes);
  check(failed, `execute ${argv[0]} again (${arguments_.owned.length + environment.owned.length})`);
}

const SIGINFO_SIZE = 128; // struct signalfd_siginfo

/** Reads signals from a signalfd; call it after {@link blockAllSignals}. */
export function readSignals(): Interrupts {
  const set = memory(128);
  set.view.setBigUint64(0, signalMask("SigBlk"), true);
  const signals = owned(check(libc.signalfd(-1, set.bytes, SFD_FLAGS), "signalfd"));
  // What is ignored does not arrive; no thread of Bun's gets them, as all were started with this mask.
  for (const signal of BUNS) libc.signal(signal, 0n);
  const waiting: number[] = [];
  const drain = () => {
    const info = memory(SIGINFO_SIZE);
    while (poll([{ fd: signals.fd, events: POLLIN }], 0)[0] !== 0) {
      if (libc.read(signals.fd, info.bytes, SIGINFO_SIZE) !== SIGINFO_SIZE) break;
      const [signal, sender] = [info.view.getUint32(0, true), info.view.getUint32(12, true)];
      // One of Bun's that comes from here is only a write(2) of ours that has failed.
      if (sender !== process.pid || !BUNS.includes(signal)) waiting.push(signal);
    }
  };
  return {
    forwarding: {
      fd: signals.fd,
      take: () => {
        drain();
        return waiting.splice(0);
      },
    },
    forget: () => {
      drain();
      waiting.length = 0;
    },
    check: async (doing) => {
      await new Promise((resolve) => setImmediate(resolve));
      drain();
      const name = waiting.map(terminationName).find((found) => found !== undefined);
      if (name !== undefined) throw new InterruptedError(name, doing);
    },
    [Symbol.dispose]: () => signals.close(),
  };
}
