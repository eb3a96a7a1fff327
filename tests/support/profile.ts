/** A seccomp profile like those of container engines: a long list of what is allowed. @module */

import { systemCalls } from "../../internal/linux/syscalls.ts";
import type { Json } from "./lab.ts";

const FORBIDDEN =
  "add_key bpf clone3 delete_module finit_module init_module kexec_load keyctl mount move_mount open_by_handle_at personality ptrace reboot request_key setns socket swapon umount2 unshare userfaultfd";

/** Allows all calls but some, and those with arguments; calls newer than openat2 do not exist. */
export function engineProfile(): Json {
  const forbidden = new Set(FORBIDDEN.split(" "));
  const openat2 = systemCalls().get("openat2")?.x86_64 ?? 0;
  const names = [...systemCalls()]
    .filter(([name, { x86_64: number = 0 }]) => !forbidden.has(name) && number <= openat2)
    .map(([name]) => name);
  const allow = (name: string, args: Json[]) => ({ names: [name], action: "SCMP_ACT_ALLOW", args });
  return {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 1,
    architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    syscalls: [
      { names, action: "SCMP_ACT_ALLOW" },
      ...[0x0, 0x8, 0x20000, 0x20008, 0xffffffff].map((value) =>
        allow("personality", [{ index: 0, value, op: "SCMP_CMP_EQ" }]),
      ),
      allow("socket", [{ index: 0, value: 40, op: "SCMP_CMP_NE" }]),
      { names: ["sync"], action: "SCMP_ACT_ERRNO", errnoRet: 77 },
    ],
  };
}
