/** `linux.seccomp` as libcontainer keeps it; `exec` installs it from state.json. @module */

import { ThawError } from "../errors/errors.ts";

interface SpecSeccomp {
  readonly defaultAction?: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[];
  readonly flags?: readonly string[];
  readonly listenerPath?: string;
  readonly listenerMetadata?: string;
  readonly syscalls?: readonly {
    readonly names?: readonly string[];
    readonly action?: string;
    readonly errnoRet?: number;
    readonly args?: readonly { index?: number; value?: number; valueTwo?: number; op?: string }[];
  }[];
}

// Numbers of libcontainer/configs (iota from 1).
/** Actions without `SCMP_ACT_`. */
export const ACTIONS = [
  "KILL",
  "ERRNO",
  "TRAP",
  "ALLOW",
  "TRACE",
  "LOG",
  "NOTIFY",
  "KILL_THREAD",
  "KILL_PROCESS",
];
/** Operators without `SCMP_CMP_`. */
export const OPERATORS = ["EQ", "NE", "GT", "GE", "LT", "LE", "MASKED_EQ"];
/** Architectures without `SCMP_ARCH_`, and libcontainer's names of them. */
export const ARCHITECTURES: Record<string, string> = {
  X86: "x86",
  X86_64: "amd64",
  X32: "x32",
  LOONGARCH64: "loong64",
  ARM: "arm",
  AARCH64: "arm64",
  MIPS: "mips",
  MIPS64: "mips64",
  MIPS64N32: "mips64n32",
  MIPSEL: "mipsel",
  MIPSEL64: "mipsel64",
  MIPSEL64N32: "mipsel64n32",
  PPC: "ppc",
  PPC64: "ppc64",
  PPC64LE: "ppc64le",
  RISCV64: "riscv64",
  S390: "s390",
  S390X: "s390x",
};

/**
 * Converts the seccomp section.
 *
 * @returns null when there is none, or one without action and system calls
 * @throws ThawError naming the word that is not known, as runc words it
 */
export function seccompConfig(value: unknown): object | null {
  const spec = value as SpecSeccomp | null | undefined;
  if (spec === null || spec === undefined) return null;
  const syscalls = spec.syscalls ?? [];
  if ((spec.defaultAction ?? "") === "" && syscalls.length === 0) return null;
  return {
    default_action: action(spec.defaultAction),
    architectures:
      (spec.architectures ?? []).length === 0 ? null : spec.architectures?.map(architecture),
    flags: spec.flags ?? ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
    syscalls: syscalls.flatMap((call) =>
      (call.names ?? []).map((name) => ({
        name,
        action: action(call.action),
        errnoRet: call.errnoRet ?? null,
        args: (call.args ?? []).map((argument) => ({
          index: argument.index ?? 0,
          value: argument.value ?? 0,
          value_two: argument.valueTwo ?? 0,
          op: code(OPERATORS, "SCMP_CMP_", argument.op, "operator"),
        })),
      })),
    ),
    default_errno_ret: spec.defaultErrnoRet ?? null,
    ...(spec.listenerPath === undefined ? {} : { listener_path: spec.listenerPath }),
    ...(spec.listenerMetadata === undefined ? {} : { listener_metadata: spec.listenerMetadata }),
  };
}

function action(name: string | undefined): number {
  return code(ACTIONS, "SCMP_ACT_", name, "action");
}

function code(names: readonly string[], prefix: string, name = "", kind: string): number {
  const index = name.startsWith(prefix) ? names.indexOf(name.slice(prefix.length)) : -1;
  if (index === -1) throw new ThawError(`string ${name} is not a valid ${kind} for seccomp`);
  return index + 1;
}

function architecture(name: string): string {
  const short = name.replace(/^SCMP_ARCH_/, "");
  const found = Object.hasOwn(ARCHITECTURES, short) ? ARCHITECTURES[short] : undefined;
  if (found === undefined || !name.startsWith("SCMP_ARCH_"))
    throw new ThawError(`string ${name} is not a valid arch for seccomp`);
  return found;
}
