/** Programs for cgroups (bpf(2)). @module */

import { ptr } from "bun:ffi";
import { type OwnedFd, owned } from "./fd.ts";
import { check, cstring, libc, memory } from "./libc.ts";

const SYS_bpf = process.arch === "arm64" ? 280 : 321;
const BPF_PROG_LOAD = 5;
const BPF_PROG_ATTACH = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE = 15;
const BPF_CGROUP_DEVICE = 6;
const BPF_F_ALLOW_MULTI = 2;
// union bpf_attr: the kernel takes a shorter one than it knows.
const ATTR_SIZE = 48;

function bpf(command: number, attr: Uint8Array): number {
  return Number(libc.syscall(SYS_bpf, command, ptr(attr), ATTR_SIZE, 0));
}

/**
 * Loads a device program and attaches it to a cgroup v2 directory, for as long as that exists.
 *
 * @param cgroup a descriptor of the directory
 * @param code eBPF instructions
 * @throws SyscallError EPERM without CAP_BPF, EINVAL when the kernel refuses the program
 */
export function attachDeviceProgram(cgroup: number, code: Uint8Array): void {
  using program = load(code);
  const attr = memory(ATTR_SIZE);
  attr.view.setUint32(0, cgroup, true);
  attr.view.setUint32(4, program.fd, true);
  attr.view.setUint32(8, BPF_CGROUP_DEVICE, true);
  attr.view.setUint32(12, BPF_F_ALLOW_MULTI, true);
  check(bpf(BPF_PROG_ATTACH, attr.bytes), "attach the device filter to the cgroup");
}

function load(code: Uint8Array): OwnedFd {
  const instructions = memory(code.length);
  instructions.bytes.set(code);
  const license = cstring("Apache");
  const attr = memory(ATTR_SIZE);
  attr.view.setUint32(0, BPF_PROG_TYPE_CGROUP_DEVICE, true);
  attr.view.setUint32(4, code.length / 8, true);
  attr.view.setBigUint64(8, BigInt(ptr(instructions.bytes)), true);
  attr.view.setBigUint64(16, BigInt(ptr(license)), true);
  const fd = bpf(BPF_PROG_LOAD, attr.bytes);
  return owned(
    check(fd, `load the device filter (${license.length && instructions.bytes.length} bytes)`),
  );
}
