/** A seccomp profile made a program for seccomp(2). @module */

import { ThawError } from "../errors/errors.ts";
import { type Abi, NATIVE } from "../linux/syscalls.ts";
import { type Code, choose, encode, load, returns } from "./bpf.ts";
import { conditionsCode } from "./conditions.ts";
import {
  type AbiRules,
  abiRules,
  abisOf,
  hidesNewCalls,
  NOTIFY,
  type Profile,
  type Rule,
  returnValue,
} from "./rules.ts";

/** What seccomp(2), SECCOMP_SET_MODE_FILTER, gets. */
export interface Filter {
  /** An array of struct sock_filter. */
  readonly program: Uint8Array;
  /** SECCOMP_FILTER_FLAG_ bits. */
  readonly flags: number;
  /** Whether the call returns a descriptor that somebody must listen to (SCMP_ACT_NOTIFY). */
  readonly notifies: boolean;
}

const NUMBER = 0; // offsets in struct seccomp_data
const ARCHITECTURE = 4;
// AUDIT_ARCH_ of linux/audit.h; x32 is x86-64 with a bit in the number.
const AUDIT: Readonly<Record<Abi, number>> = {
  x86_64: 0xc000003e,
  x32: 0xc000003e,
  x86: 0x40000003,
  aarch64: 0xc00000b7,
  arm: 0x40000028,
};
const X32_BIT = 0x40000000;
/** What a tracer sets for "no call"; not one of x32. */
const NO_CALL = 0xffffffff;
const KILL_THREAD = 0;
const ENOSYS = 0x00050000 | 38;
const MAX_INSTRUCTIONS = 4096; // BPF_MAXINSNS

const FLAGS: Readonly<Record<string, number>> = {
  SECCOMP_FILTER_FLAG_TSYNC: 0, // there is one thread
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
};
const NEW_LISTENER = 8;

/**
 * Compiles a profile.
 *
 * @param native the ABI of the machine
 * @throws ThawError in runc's words for a profile that it refuses, too
 */
export function compileProfile(profile: Profile, native: Abi = NATIVE): Filter {
  const calls = profile.syscalls ?? [];
  if (calls.some(({ name, action }) => action === NOTIFY && name === "write"))
    throw new ThawError("SCMP_ACT_NOTIFY cannot be used for the write syscall");
  if (profile.default_action === NOTIFY)
    throw new ThawError("SCMP_ACT_NOTIFY cannot be used as default action");
  const notifies = calls.some(({ action }) => action === NOTIFY);
  let flags = notifies ? NEW_LISTENER : 0;
  for (const name of profile.flags ?? []) {
    const bits = FLAGS[name];
    if (bits === undefined) throw new ThawError(`seccomp flag ${name} is not known to runc`);
    flags |= bits;
  }
  const code = programOf(profile, native);
  if (code.length > MAX_INSTRUCTIONS)
    throw new ThawError(
      `the seccomp profile needs ${code.length} instructions, more than the kernel takes (${MAX_INSTRUCTIONS})`,
    );
  return { program: encode(code), flags, notifies };
}

function programOf(profile: Profile, native: Abi): Code {
  const abis = abisOf(profile, native);
  const byNumber = (abi: Abi) => searchTree(profile, abi);
  // A call through an ABI that the profile does not name is the end of the thread.
  let code: Code = returns(KILL_THREAD);
  const x32 = () => (abis.includes("x32") ? byNumber("x32") : withoutX32(profile));
  for (const abi of abis) {
    if (abi === "x32") continue; // it is told from x86-64 by the number
    const calls = abi === "x86_64" ? choose("&", X32_BIT, x32(), byNumber(abi)) : byNumber(abi);
    code = choose("==", AUDIT[abi], [load(NUMBER), ...calls], code);
  }
  return [load(ARCHITECTURE), ...code];
}

function withoutX32(profile: Profile): Code {
  const otherwise = returnValue(profile.default_action, profile.default_errno_ret);
  return choose("==", NO_CALL, returns(otherwise), returns(KILL_THREAD));
}

/** Calls from `first` on, up to the next interval, are decided alike. */
interface Interval {
  readonly first: number;
  readonly rules: readonly Rule[];
  readonly otherwise: number;
}

/** Finds the interval of the loaded number by halving, and decides. */
function searchTree(profile: Profile, abi: Abi): Code {
  const all = intervals(profile, abiRules(profile, abi), abi === "x32" ? X32_BIT : 0);
  const wide = abi === "x86_64" || abi === "aarch64"; // not x32, as in libseccomp
  const tree = (from: number, to: number): Code => {
    const middle = (from + to) >> 1;
    const { first, rules, otherwise } = all[middle] as Interval;
    if (to - from === 1) return decide(rules, otherwise, wide);
    return choose(">=", first, tree(middle, to), tree(from, middle));
  };
  return tree(0, all.length);
}

function intervals(profile: Profile, { rules, last }: AbiRules, bit: number): Interval[] {
  const otherwise = returnValue(profile.default_action, profile.default_errno_ret);
  const found: Interval[] = [];
  const begin = (first: number, rules: readonly Rule[], value: number) => {
    const before = found.at(-1);
    if (before?.first === first) found.pop();
    const previous = found.at(-1);
    const same = previous?.otherwise === value && previous.rules.length + rules.length === 0;
    if (!same) found.push({ first, rules, otherwise: value });
  };
  begin(0, [], otherwise);
  const newest = last !== undefined && hidesNewCalls(profile) ? last : undefined;
  const known = [...rules].filter(([number]) => number <= (newest ?? number));
  for (const [number, own] of known.sort(([a], [b]) => a - b)) {
    const [only] = own;
    const decided = only?.conditions.length === 0;
    begin(number + bit, decided ? [] : own, decided ? only.value : otherwise);
    begin(number + bit + 1, [], otherwise);
  }
  if (newest !== undefined) begin(newest + bit + 1, [], ENOSYS);
  return found;
}

/** Code that returns the value of the first rule whose conditions hold. */
function decide(rules: readonly Rule[], otherwise: number, wide: boolean): Code {
  let code = returns(otherwise);
  for (const { conditions, value } of [...rules].reverse()) {
    const done = returns(value);
    code = [...conditionsCode(conditions, wide, done.length), ...done, ...code];
  }
  return code;
}
