/** Starting a program that was written here, from a file that nobody can change. @module */

import { ptr } from "bun:ffi";
import { writeSync } from "node:fs";
import { ThawError } from "../../errors/errors.ts";
import { duplicate, type OwnedFd, owned } from "../fd.ts";
import { check, cstring, EACCES, EINVAL, errno, libc, SyscallError } from "../libc.ts";
import { type Child, spawn } from "../process.ts";
import { NATIVE, systemCalls } from "../syscalls.ts";

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const MFD_EXEC = 0x10; // since Linux 6.3
const F_ADD_SEALS = 1033;
const ALL_SEALS = 0xf; // F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE

/**
 * Starts an executable that is in memory only (memfd_create(2)), sealed: who gets hold of
 * /proc/PID/exe, as a container may (CVE-2019-5736), finds nothing of the host's behind it. No signal
 * is ignored in it.
 *
 * @param name what the process is called at first
 * @param fds the program's descriptors, as of {@link spawn}
 * @throws ThawError when the host forbids executables in memory
 */
export function startImage(name: string, bytes: Uint8Array, fds: readonly number[]): Child {
  using made = owned(createMemfd(name));
  fill(made, name, bytes);
  // Above what the program is given: its numbers are filled before the file is executed.
  using file = duplicate(made.fd, fds.length);
  const path = `/proc/self/fd/${file.fd}`;
  return spawn({ file: path, argv: [name], env: [], fds, ownDispositions: true });
}

function fill(file: OwnedFd, name: string, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file.fd, bytes, done);
  check(libc.fcntl(file.fd, F_ADD_SEALS, ALL_SEALS), `seal ${name}`);
}

function createMemfd(name: string): number {
  const text = cstring(name);
  const create = (flags: number) => {
    const number = systemCalls().get("memfd_create")?.[NATIVE] ?? 0;
    const fd = Number(libc.syscall(number, ptr(text), flags, 0, 0));
    return { fd, reason: fd === -1 ? errno() : 0 };
  };
  const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  let made = create(flags | MFD_EXEC);
  if (made.reason === EINVAL) made = create(flags);
  if (made.reason === EACCES)
    throw new ThawError("memfd_create: the host forbids executables in memory", {
      hint: "set vm.memfd_noexec to 0 or 1 (sysctl)",
    });
  if (made.fd === -1) throw new SyscallError("memfd_create", made.reason);
  return made.fd;
}
