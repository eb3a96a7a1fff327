/** Namespaces of the calling thread. @module */

import { statSync } from "node:fs";
import { AT_FDCWD, O_RDONLY, openAt } from "./fd.ts";
import { check, cstring, libc } from "./libc.ts";
import { MS_REC, MS_SLAVE, setPropagation } from "./mount.ts";

// Flags of clone(2), by their C names.
const CLONE_FS = 0x200;
const CLONE_NEWNS = 0x20000;
const CLONE_NEWNET = 0x40000000;

/** Mounts made while this lives are seen by this thread and its children only. */
export interface PrivateMounts extends Disposable {
  /** Goes back to the mount namespace and working directory of before; once. */
  leave(): void;
}

/**
 * Moves the calling thread into a mount namespace of its own.
 *
 * Its mounts are slaves of the host's: nothing mounted here is seen there, while CRIU can still
 * bind from shared mounts and volumes still receive what is mounted later. In a private
 * namespace CRIU fails with "Failed to copy sharing".
 *
 * Only this thread moves; from here to {@link PrivateMounts.leave} use synchronous calls only.
 *
 * @throws SyscallError EPERM without CAP_SYS_ADMIN
 */
export function enterPrivateMounts(): PrivateMounts {
  const back = process.cwd();
  const before = openAt(AT_FDCWD, "/proc/thread-self/ns/mnt", O_RDONLY);
  let inside = false;
  const leave = () => {
    if (!inside) return;
    inside = false;
    // A thread that Bun started meanwhile shares our working directory, which setns(2) refuses.
    check(libc.unshare(CLONE_FS), "unshare the working directory");
    check(libc.setns(before.fd, CLONE_NEWNS), "return to the host's mount namespace");
    before.close();
    check(libc.chdir(cstring(back)), `chdir ${back}`); // setns(2) moved us to the root
  };
  try {
    check(libc.unshare(CLONE_NEWNS), "unshare the mount namespace");
    inside = true;
    setPropagation("/", MS_SLAVE | MS_REC);
  } catch (error) {
    leave();
    before.close();
    throw error;
  }
  return { leave, [Symbol.dispose]: leave };
}

/**
 * Does something with the calling thread in another network namespace, and comes back.
 *
 * Sockets made and children started inside are of that namespace. Only this thread moves, so the
 * action must be synchronous.
 *
 * @param netns a descriptor of the namespace
 * @throws SyscallError EPERM without CAP_SYS_ADMIN in the user namespace that owns it
 */
export function inNetworkNamespace<T>(netns: number, action: () => T): T {
  using before = openAt(AT_FDCWD, "/proc/thread-self/ns/net", O_RDONLY);
  check(libc.setns(netns, CLONE_NEWNET), "enter the network namespace");
  try {
    return action();
  } finally {
    check(libc.setns(before.fd, CLONE_NEWNET), "return to the host's network namespace");
  }
}

/** Whether two files, such as /proc/PID/ns/net, are one namespace; true when one cannot be read. */
export function isSameNamespace(one: string, other: string): boolean {
  try {
    const [a, b] = [statSync(one), statSync(other)];
    return a.dev === b.dev && a.ino === b.ino;
  } catch {
    return true; // a holder may have ended
  }
}
