import { expect, test } from "bun:test";
import { ABIS, type Abi, systemCalls } from "../../../internal/linux/syscalls.ts";
import { compileProfile } from "../../../internal/seccomp/filter.ts";
import { abiRules, abisOf, hidesNewCalls, type Profile } from "../../../internal/seccomp/rules.ts";
import { LIBSECCOMP, libseccompProgram } from "./libseccomp.ts";
import { runFilter, type SystemCall } from "./machine.ts";

const AUDIT: Record<Abi, number> = {
  x86_64: 0xc000003e,
  x32: 0xc000003e,
  x86: 0x40000003,
  aarch64: 0xc00000b7,
  arm: 0x40000028,
};
const X32 = 0x40000000;
const ENOSYS = 0x50026;

/** The same numbers in every run (a linear congruential generator). */
function random(seed: number) {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const below = (limit: number) => Math.floor(next() * limit);
  const one = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  return { below, one };
}

const VALUES = [
  0n,
  1n,
  5n,
  40n,
  0xffffffffn,
  0x100000000n,
  0x1_0000_0005n,
  2n ** 63n,
  2n ** 64n - 1n,
];
const NAMES = [...systemCalls().keys()];

/**
 * A profile of some calls. The rules of one call have one action, and those that are alternatives
 * compare for equality, as everywhere in practice: of others libseccomp 2.6 overlooks some.
 */
function randomProfile(seed: number): Profile {
  const { below, one } = random(seed);
  const seen = new Set<string>();
  const call = () => {
    const name = one(["socket", "socketpair", "semop", "clone", "personality", ...NAMES]);
    const action = 1 + ((name.length + seed) % 6);
    const rules = below(4) === 0 ? 2 : 1;
    const conditions = below(3) > 0 ? 0 : 1 + below(3);
    const alone = !seen.has(name) && rules === 1;
    seen.add(name);
    return Array.from({ length: rules }, () => ({
      name,
      action,
      errnoRet: action === 2 ? (name.length % 3 === 0 ? null : name.length) : null,
      args: Array.from({ length: conditions }, (_, i) => ({
        index: alone ? 2 * i + below(2) : below(6),
        value: one(VALUES),
        value_two: one(VALUES),
        op: alone ? 1 + below(7) : 1,
      })),
    }));
  };
  return {
    default_action: one([1, 2, 3, 4, 6, 9]),
    default_errno_ret: null,
    architectures: one([null, ["amd64"], ["amd64", "x86"], ["amd64", "x86", "x32"], ["x32"]]),
    syscalls: Array.from({ length: below(60) }, call).flat(),
  };
}

/** What runc puts before libseccomp's program. */
function isNew(profile: Profile, { number, arch }: SystemCall): boolean {
  if (!hidesNewCalls(profile)) return false;
  const abis = abisOf(profile, "x86_64");
  const of = (abi: Abi, bit: number) => {
    const { last } = abiRules(profile, abi);
    return abis.includes(abi) && last !== undefined && number > last + bit;
  };
  if (arch === AUDIT.x86) return of("x86", 0);
  if (arch !== AUDIT.x86_64) return false;
  return number >= X32 ? of("x32", X32) : of("x86_64", 0);
}

function* someCalls(seed: number): Generator<SystemCall> {
  const { below, one } = random(seed);
  const numbers = [...Array(470).keys(), 0xf0002, 0x7fffffff, 0xffffffff];
  for (const abi of ABIS)
    for (const plain of numbers) {
      const number = abi === "x32" ? (plain | X32) >>> 0 : plain;
      for (let i = 0; i < 3; i++) {
        const args = Array.from({ length: 6 }, () => one(VALUES) + BigInt(below(2)));
        yield { number, arch: AUDIT[abi], args };
      }
    }
}

test.skipIf(LIBSECCOMP === undefined || process.arch !== "x64")(
  "compileProfile() decides every call as libseccomp's filter in runc does",
  () => {
    for (let seed = 1; seed <= 30; seed++) {
      const profile = randomProfile(seed);
      const ours = compileProfile(profile, "x86_64").program;
      const theirs = libseccompProgram(LIBSECCOMP as string, profile);
      for (const call of someCalls(seed)) {
        const expected = isNew(profile, call) ? ENOSYS : runFilter(theirs, call);
        const found = runFilter(ours, call);
        if (found === expected) continue;
        const rules = (profile.syscalls ?? []).filter(({ name }) =>
          Object.values(systemCalls().get(name) ?? {}).includes(call.number & ~X32),
        );
        expect({ seed, call, rules, profile: { ...profile, syscalls: [] }, found }).toEqual({
          found: expected,
        } as never);
      }
    }
  },
);

/** Rules of one call with different actions, of which several may hold. */
function overlapping(seed: number): Profile {
  const { below, one } = random(seed);
  const rule = (_: unknown, i: number) => {
    const some = [0, 1, 2, 3].filter(() => below(2) === 0);
    const indices = some.length === 0 ? [below(4)] : some;
    const args = indices.map((index) => ({ index, value: one([1, 5]), value_two: 0, op: 1 }));
    return { name: "socket", action: 2, errnoRet: 10 + i, args };
  };
  const syscalls = Array.from({ length: 2 + below(3) }, rule);
  return { default_action: 4, default_errno_ret: null, architectures: ["amd64"], syscalls };
}

test.skipIf(LIBSECCOMP === undefined || process.arch !== "x64")(
  "of rules that hold at once, libseccomp's decides",
  () => {
    let compared = 0;
    for (let seed = 1; seed <= 150; seed++) {
      const profile = overlapping(seed);
      let theirs: Uint8Array;
      try {
        theirs = libseccompProgram(LIBSECCOMP as string, profile);
      } catch {
        continue; // a rule behind one that asks for less is refused
      }
      compared++;
      const ours = compileProfile(profile, "x86_64").program;
      for (let bits = 0; bits < 16; bits++) {
        const args = [0, 1, 2, 3, 4, 5].map((i) => ((bits >> i) & 1 ? 5n : 1n));
        const call = { number: 41, arch: AUDIT.x86_64, args };
        const [found, expected] = [runFilter(ours, call), runFilter(theirs, call)];
        expect({ seed, args, syscalls: profile.syscalls, found }).toMatchObject({
          found: expected,
        });
      }
    }
    expect(compared).toBeGreaterThan(50);
  },
);
