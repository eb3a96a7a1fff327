/** A new terminal of a container, made from outside of it (pty(7)). @module */

import { fstatSync, statfsSync } from "node:fs";
import { ThawError } from "../errors/errors.ts";
import { AT_FDCWD, O_CLOEXEC, O_NOCTTY, O_RDWR, type OwnedFd, openAt, owned } from "./fd.ts";
import { check, ENOENT, libc, memory, SyscallError } from "./libc.ts";
import { resolveInRoot } from "./path.ts";

/** What is opened for a new terminal. */
export const PTMX = "/dev/pts/ptmx";
const DEVPTS_SUPER_MAGIC = 0x1cd1;
const PTMX_DEVICE = 0x502; // major 5, minor 2
const PTMX_INODE = 2;
const TIOCSPTLCK = 0x40045431;
const TIOCGPTPEER = 0x5441;

/** Both ends, close-on-exec. */
export interface Pty extends Disposable {
  readonly master: OwnedFd;
  readonly slave: OwnedFd;
}

/**
 * Makes a terminal in the devpts of a root nobody trusts: what is opened is a ptmx, whatever lies
 * under that name (CVE-2025-52565 was about such a name).
 *
 * @param root an O_PATH descriptor of the container's root
 * @throws ThawError, SyscallError naming the step
 */
export function openPty(root: number): Pty {
  using undo = new DisposableStack();
  using found = resolveInRoot(root, PTMX, "nothing");
  if (found.fd === undefined) throw new SyscallError(`open ${PTMX}`, ENOENT);
  refuseOther(found.fd);
  const flags = O_RDWR | O_NOCTTY;
  const master = undo.use(openAt(AT_FDCWD, `/proc/self/fd/${found.fd}`, flags));
  const unlocked = memory(4);
  check(libc.ioctl(master.fd, TIOCSPTLCK, unlocked.bytes), "unlock the new terminal");
  // The number is the argument itself, not a pointer.
  const peer = libc.ioctl(master.fd, TIOCGPTPEER, (flags | O_CLOEXEC) as never);
  const slave = undo.use(owned(check(peer, "open the new terminal's other end")));
  const done = undo.move();
  return { master, slave, [Symbol.dispose]: () => done.dispose() };
}

function refuseOther(fd: number): void {
  const refuse = (why: string) =>
    new ThawError(`verify ptmx handle: ${why}`, { hint: `look at ${PTMX} in the container` });
  if (statfsSync(`/proc/self/fd/${fd}`).type !== DEVPTS_SUPER_MAGIC)
    throw refuse("ptmx handle is not on a real devpts mount");
  const stat = fstatSync(fd);
  if (stat.ino !== PTMX_INODE) throw refuse(`ptmx handle has wrong inode number: ${stat.ino}`);
  if (!stat.isCharacterDevice() || stat.rdev !== PTMX_DEVICE)
    throw refuse("ptmx handle is not a real char ptmx device");
}
