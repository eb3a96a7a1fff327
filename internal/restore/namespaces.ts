/** Stage: namespaces with a path, which CRIU enters instead of making them. @module */

import { AT_FDCWD, O_RDONLY, type OwnedFd, openAt } from "../linux/fd.ts";
import { type Config, namespacePath } from "../oci/config.ts";

/** How CRIU is told of them (runc: handleRestoringNamespaces). */
export interface JoinedNamespaces extends Disposable {
  /** Opened network and pid namespaces; CRIU gets them as 4, 5, … */
  readonly fds: readonly number[];
  readonly inheritFd: readonly { key: string; fd: number }[];
  readonly joinNs: readonly { ns: string; nsFile: string }[];
}

/** CRIU's first descriptor after stdio and the socket. */
const FIRST_EXTRA = 4;
const INHERITED = { NEWNET: "extRootNetNS", NEWPID: "extRootPidNS" } as const;
const JOINED = {
  NEWNS: "mnt",
  NEWIPC: "ipc",
  NEWUTS: "uts",
  NEWUSER: "user",
  NEWTIME: "time",
} as const;

/**
 * Opens what must be inherited and lists what must be joined.
 *
 * @throws SyscallError when a namespace file cannot be opened
 */
export function openNamespaces(config: Config): JoinedNamespaces {
  using undo = new DisposableStack();
  const opened: OwnedFd[] = [];
  const inheritFd: { key: string; fd: number }[] = [];
  for (const [type, key] of Object.entries(INHERITED)) {
    const path = namespacePath(config, type) ?? "";
    if (path === "") continue;
    inheritFd.push({ key, fd: FIRST_EXTRA + opened.length });
    opened.push(undo.use(openAt(AT_FDCWD, path, O_RDONLY)));
  }
  const joinNs = Object.entries(JOINED).flatMap(([type, ns]) => {
    const nsFile = namespacePath(config, type) ?? "";
    return nsFile === "" ? [] : [{ ns, nsFile }];
  });
  const done = undo.move();
  return {
    fds: opened.map(({ fd }) => fd),
    inheritFd,
    joinNs,
    [Symbol.dispose]: () => done.dispose(),
  };
}
