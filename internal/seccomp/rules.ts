/**
 * A seccomp profile as decisions by system call, for each ABI of a machine.
 *
 * The meaning is that of libseccomp as runc uses it (libcontainer/seccomp): the first rule without
 * conditions of a call decides alone; else one whose conditions hold; else the default.
 *
 * @module
 */

import { ThawError } from "../errors/errors.ts";
import { ABIS, type Abi, systemCalls } from "../linux/syscalls.ts";
import { type Condition, toCondition } from "./conditions.ts";

/** `config.seccomp` of state.json. Numbers beyond 2^53 are bigints. */
export interface Profile {
  readonly default_action: number;
  readonly default_errno_ret?: number | null;
  readonly architectures?: readonly string[] | null;
  readonly flags?: readonly string[] | null;
  readonly syscalls?: readonly ProfileCall[] | null;
  readonly listener_path?: string;
  readonly listener_metadata?: string;
}

/** A system call of a profile. */
export interface ProfileCall {
  readonly name: string;
  readonly action: number;
  readonly errnoRet?: number | null;
  readonly args?: readonly Parameters<typeof toCondition>[0][] | null;
}

/** When a call has these arguments, this SECCOMP_RET_ value. */
export interface Rule {
  readonly conditions: readonly Condition[];
  readonly value: number;
}

/** The rules of one ABI. */
export interface AbiRules {
  /** By number of the call; the first whose conditions hold decides. */
  readonly rules: ReadonlyMap<number, readonly Rule[]>;
  /** The highest number of a call that the profile names; what is newer does not exist (ENOSYS). */
  readonly last: number | undefined;
}

/** libcontainer's number of SCMP_ACT_NOTIFY. */
export const NOTIFY = 7;

const EPERM = 1;
// Numbers of libcontainer/configs to values of linux/seccomp.h; those that carry an errno.
const VALUES: Readonly<Record<number, number>> = {
  1: 0x00000000, // KILL, of the thread
  2: 0x00050000, // ERRNO
  3: 0x00030000, // TRAP
  4: 0x7fff0000, // ALLOW
  5: 0x7ff00000, // TRACE
  6: 0x7ffc0000, // LOG
  [NOTIFY]: 0x7fc00000,
  8: 0x00000000, // KILL_THREAD
  9: 0x80000000, // KILL_PROCESS
};
const WITH_ERRNO = [2, 5];
const PERMISSIVE = [4, 5, 6];

/** The SECCOMP_RET_ value of an action. @throws ThawError for a number that is no action */
export function returnValue(action: number, errno: number | null | undefined): number {
  const value = VALUES[action];
  if (value === undefined) throw new ThawError("invalid action, cannot use in rule");
  return WITH_ERRNO.includes(action) ? value | ((errno ?? EPERM) & 0xffff) : value;
}

/** Whether calls newer than the profile get ENOSYS: where they would not be allowed anyway. */
export function hidesNewCalls({ default_action }: Profile): boolean {
  return !PERMISSIVE.includes(default_action);
}

/**
 * Reads the rules of a profile.
 *
 * @throws ThawError in runc's words
 */
export function abiRules(profile: Profile, abi: Abi): AbiRules {
  const otherwise = returnValue(profile.default_action, profile.default_errno_ret);
  const rules = new Map<number, Rule[]>();
  let last = 0;
  for (const call of profile.syscalls ?? []) {
    const value = returnValue(call.action, call.errnoRet);
    const multiplexed = abi === "x86" ? MULTIPLEXED.get(call.name) : undefined;
    const number = systemCalls().get(call.name)?.[abi];
    if (multiplexed === undefined) last = Math.max(last, number ?? 0);
    if (value === otherwise) continue;
    for (const conditions of alternatives(call)) {
      if (multiplexed !== undefined)
        add(rules, ...throughOther(multiplexed, { conditions, value }));
      if (number !== undefined) add(rules, number, { conditions, value });
    }
  }
  for (const [number, own] of rules) if (own.length > 1) rules.set(number, inOrder(own));
  return { rules, last: last === 0 ? undefined : last };
}

/**
 * Of rules that hold at once, libseccomp takes not the first in the profile: it keeps them as a tree,
 * by the lowest argument that each looks at, then the next, and looks for higher arguments before lower
 * ones; and a rule before those that ask for more than it does.
 */
function inOrder(rules: readonly Rule[]): Rule[] {
  const ordinals = new Map<string, number>();
  const ordinalOf = ({ index, operator, value, mask }: Condition) => {
    const key = `${index} ${operator} ${value} ${mask}`;
    const ordinal = ordinals.get(key) ?? ordinals.size;
    ordinals.set(key, ordinal);
    return { index, ordinal };
  };
  const paths = rules.map((rule) => ({
    rule,
    path: [...rule.conditions].sort((a, b) => a.index - b.index).map(ordinalOf),
  }));
  paths.sort(({ path: a }, { path: b }) => {
    for (const [i, one] of a.entries()) {
      const other = b[i];
      if (other === undefined) return 1;
      if (one.index !== other.index) return other.index - one.index;
      if (one.ordinal !== other.ordinal) return one.ordinal - other.ordinal;
    }
    return a.length - b.length;
  });
  return paths.map(({ rule }) => rule);
}

/** Two conditions on one argument are alternatives, not both wanted: so it has always been. */
function alternatives({ args }: ProfileCall): (readonly Condition[])[] {
  const conditions = (args ?? []).map(toCondition);
  const arguments_ = new Set(conditions.map(({ index }) => index));
  if (arguments_.size === conditions.length) return [conditions];
  return conditions.map((condition) => [condition]);
}

function add(rules: Map<number, Rule[]>, number: number, rule: Rule): void {
  const before = rules.get(number) ?? [];
  if (before[0]?.conditions.length === 0) return;
  rules.set(number, rule.conditions.length === 0 ? [rule] : [...before, rule]);
}

// socketcall(2) and ipc(2) of i386: the first argument says which call is meant.
const SOCKET_CALLS =
  "socket bind connect listen accept getsockname getpeername socketpair send recv sendto recvfrom shutdown setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg";
const IPC_CALLS: Readonly<Record<string, number>> = {
  semop: 1,
  semget: 2,
  semctl: 3,
  semtimedop: 4,
  msgsnd: 11,
  msgrcv: 12,
  msgget: 13,
  msgctl: 14,
  shmat: 21,
  shmdt: 22,
  shmget: 23,
  shmctl: 24,
};
const MULTIPLEXED = new Map<string, readonly [through: string, code: number]>([
  ...SOCKET_CALLS.split(" ").map((name, i) => [name, ["socketcall", i + 1]] as const),
  ...Object.entries(IPC_CALLS).map(([name, code]) => [name, ["ipc", code]] as const),
]);

function throughOther([through, code]: readonly [string, number], rule: Rule): [number, Rule] {
  const number = systemCalls().get(through)?.x86 ?? 0;
  const which = { index: 0, operator: "EQ", value: BigInt(code), mask: 0n } as const;
  const rest = rule.conditions.filter(({ index }) => index !== 0);
  return [number, { ...rule, conditions: [which, ...rest] }];
}

/** libcontainer's names of architectures, of those that a machine of ours can run. */
const NAMES: Readonly<Record<string, Abi>> = {
  amd64: "x86_64",
  x32: "x32",
  x86: "x86",
  arm64: "aarch64",
  arm: "arm",
};

/** The ABIs that a profile is about; the machine's own always. Those of other machines do not occur. */
export function abisOf({ architectures }: Profile, native: Abi): readonly Abi[] {
  const named = new Set([native, ...(architectures ?? []).map((name) => NAMES[name])]);
  return ABIS.filter((abi) => named.has(abi));
}
