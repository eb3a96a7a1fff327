/** Stage: namespaces with a path, which CRIU enters instead of making them. @module */

import { existsSync } from "node:fs";
import { AT_FDCWD, O_RDONLY, type OwnedFd, openAt } from "../linux/fd.ts";
import { isSameNamespace } from "../linux/namespace.ts";
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

// Type in config.json's words, and the file in /proc/PID/ns. A time namespace is always made.
const KINDS = {
  NEWNET: ["network", "net"],
  NEWPID: ["pid", "pid"],
  NEWIPC: ["ipc", "ipc"],
  NEWUTS: ["uts", "uts"],
  NEWUSER: ["user", "user"],
  NEWCGROUP: ["cgroup", "cgroup"],
} as const;

/**
 * Compares the namespaces a restored container is in with those config.json asks for: CRIU goes by
 * the checkpoint, and a container may share the host's network though its configuration says no.
 *
 * @param init host pid of init
 * @returns a sentence for each that differs
 */
export function unexpectedNamespaces(config: Config, init: number): string[] {
  return Object.entries(KINDS).flatMap(([type, [word, file]]) => {
    const path = namespacePath(config, type);
    const inside = `/proc/${init}/ns/${file}`;
    if (!existsSync(inside)) return []; // a kernel without it
    const shares = isSameNamespace(inside, `/proc/thread-self/ns/${file}`);
    if (path ? isSameNamespace(inside, path) : shares === (path === undefined)) return [];
    const asks =
      path === undefined
        ? "shares the host's"
        : path === ""
          ? "asks for a new one"
          : `names ${path}`;
    const has = shares ? "shares the host's" : "has one of its own";
    return [
      `${word} namespace: config.json ${asks}, but the container ${has}, as at the checkpoint`,
    ];
  });
}
