/** The namespaces of a container's init, held so that they stay its. @module */

import { statSync } from "node:fs";
import type { Container } from "../container/container.ts";
import { ThawError } from "../errors/errors.ts";
import { AT_FDCWD, O_DIRECTORY, O_PATH, O_RDONLY, type OwnedFd, openAt } from "../linux/fd.ts";
import { isSameNamespace } from "../linux/namespace.ts";
import { startTime } from "../linux/process.ts";

/**
 * Names in state.json to files of proc(5) and CLONE_NEW flags, in the order of joining: the user
 * namespace last, as thaw's rights are those of the one it is in.
 */
const KINDS = [
  ["NEWIPC", "ipc", 0x08000000],
  ["NEWUTS", "uts", 0x04000000],
  ["NEWNET", "net", 0x40000000],
  ["NEWPID", "pid", 0x20000000],
  ["NEWNS", "mnt", 0x00020000],
  ["NEWCGROUP", "cgroup", 0x02000000],
  ["NEWTIME", "time", 0x00000080],
  ["NEWUSER", "user", 0x10000000],
] as const;

/** A namespace to join. */
export interface HeldNamespace {
  readonly fd: OwnedFd;
  /** CLONE_NEW flag. */
  readonly flag: number;
  /** As in /proc/PID/ns. */
  readonly name: string;
}

/** What thaw holds of a container's init; disposing lets go of it. */
export interface Inside extends Disposable {
  /** In the order to join them. */
  readonly namespaces: readonly HeldNamespace[];
  /** An O_PATH descriptor of the root directory. */
  readonly root: number;
}

/**
 * Opens the namespaces of a container's init that are its own, and its root directory.
 *
 * @throws an error of any kind when init has ended meanwhile
 */
export function holdInside({ state }: Container): Inside {
  const { pid } = state.init;
  using undo = new DisposableStack();
  const namespaces = KINDS.filter(([type]) => state.namespaces.some((one) => one.type === type))
    .filter(([, name]) => !isOurs(pid, name))
    .map(([, name, flag]) => {
      const fd = undo.use(openAt(AT_FDCWD, `/proc/${pid}/ns/${name}`, O_RDONLY));
      return { fd, flag, name };
    });
  const root = undo.use(openAt(AT_FDCWD, `/proc/${pid}/root`, O_PATH | O_DIRECTORY)).fd;
  // Asked after opening: what is held is of the process of that time.
  if (startTime(pid) !== state.init.startTime) throw new ThawError(`process ${pid} has ended`);
  const done = undo.move();
  return { namespaces, root, [Symbol.dispose]: () => done.dispose() };
}

/** Whether a namespace is thaw's own, too: joining the user namespace one is in is refused. */
function isOurs(pid: number, name: string): boolean {
  const theirs = `/proc/${pid}/ns/${name}`;
  statSync(theirs);
  return isSameNamespace(theirs, `/proc/thread-self/ns/${name}`);
}
