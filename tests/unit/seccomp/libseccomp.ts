/** libseccomp, as runc uses it: what our filters are compared with. @module */

import { dlopen, type Pointer, ptr } from "bun:ffi";
import { closeSync, existsSync, openSync, readFileSync, realpathSync, unlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Profile } from "../../../internal/seccomp/rules.ts";

const runc = Bun.which("runc");
const beside =
  runc === null
    ? undefined
    : join(dirname(realpathSync(runc)), "../root/usr/lib/x86_64-linux-gnu/libseccomp.so.2");

/** The library that came with the runc on PATH; older ones differ (2.6 is meant). */
export const LIBSECCOMP = beside !== undefined && existsSync(beside) ? beside : undefined;

const TOKENS: Readonly<Record<string, number>> = {
  amd64: 0xc000003e,
  x32: 0x4000003e,
  x86: 0x40000003,
  arm64: 0xc00000b7,
  arm: 0x40000028,
};
const ACTIONS = [0, 0, 0x50000, 0x30000, 0x7fff0000, 0x7ff00000, 0x7ffc0000, 0x7fc00000, 0];
// enum scmp_compare; libcontainer's operators in their order.
const OPERATORS = [0, 4, 1, 6, 5, 2, 3, 7];

function value(action: number, errno: number | null | undefined): number {
  if (action === 9) return 0x80000000;
  const base = ACTIONS[action] as number;
  return action === 2 || action === 5 ? base | ((errno ?? 1) & 0xffff) : base;
}

function open(library: string) {
  return dlopen(library, {
    seccomp_init: { args: ["u32"], returns: "ptr" },
    seccomp_release: { args: ["ptr"], returns: "void" },
    seccomp_arch_add: { args: ["ptr", "u32"], returns: "i32" },
    seccomp_syscall_resolve_name: { args: ["cstring"], returns: "i32" },
    seccomp_rule_add_array: {
      args: ["ptr", "u32", "i32", "u32", "ptr"],
      returns: "i32",
    },
    seccomp_export_bpf: { args: ["ptr", "i32"], returns: "i32" },
  }).symbols;
}

/**
 * The program libseccomp makes of a profile on an x86-64 machine, by the calls that runc makes.
 *
 * Without what runc puts before it: ENOSYS for calls newer than the profile.
 */
export function libseccompProgram(library: string, profile: Profile): Uint8Array {
  const lib = open(library);
  const context = lib.seccomp_init(
    value(profile.default_action, profile.default_errno_ret),
  ) as Pointer;
  for (const name of profile.architectures ?? []) lib.seccomp_arch_add(context, TOKENS[name] ?? 0);
  for (const call of profile.syscalls ?? []) {
    const action = value(call.action, call.errnoRet);
    if (action === value(profile.default_action, profile.default_errno_ret)) continue;
    const number = lib.seccomp_syscall_resolve_name(Buffer.from(`${call.name}\0`));
    if (number === -1) continue;
    const args = call.args ?? [];
    const twice = new Set(args.map(({ index }) => index)).size < args.length;
    for (const group of twice ? args.map((arg) => [arg]) : [args]) {
      const bytes = new ArrayBuffer(24 * Math.max(1, group.length));
      const view = new DataView(bytes);
      group.forEach((arg, i) => {
        view.setUint32(24 * i, arg.index, true);
        view.setUint32(24 * i + 4, OPERATORS[arg.op] as number, true);
        view.setBigUint64(24 * i + 8, BigInt(arg.value), true);
        view.setBigUint64(24 * i + 16, BigInt(arg.value_two), true);
      });
      const memory = new Uint8Array(bytes);
      const done = lib.seccomp_rule_add_array(context, action, number, group.length, ptr(memory));
      if (done !== 0) throw new Error(`seccomp_rule_add ${call.name}: ${done} (${memory.length})`);
    }
  }
  const file = `/tmp/thaw-libseccomp-${process.pid}`;
  const fd = openSync(file, "w+");
  const done = lib.seccomp_export_bpf(context, fd);
  closeSync(fd);
  const program = readFileSync(file);
  unlinkSync(file);
  lib.seccomp_release(context);
  if (done !== 0) throw new Error(`seccomp_export_bpf: ${done}`);
  return program;
}
