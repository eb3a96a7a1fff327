/** `thaw restore`: flags to options, and the call. @module */

import { defineCommand } from "citty";
import { restore } from "../internal/restore/restore.ts";
import type { Command, Invocation } from "./command.ts";
import { descriptor, type Flags, type Parsed } from "./flags.ts";

const flags = {
  bundle: {
    type: "string",
    alias: "b",
    valueHint: "DIR",
    description:
      "the bundle (config.json and, usually, the rootfs); default: the current directory",
  },
  "image-path": {
    type: "string",
    valueHint: "DIR",
    description: "the checkpoint; default: ./checkpoint. Relative paths count from the bundle",
  },
  "work-path": {
    type: "string",
    valueHint: "DIR",
    description: "where restore.log and stats-restore go; default: the image path",
  },
  detach: { type: "boolean", alias: "d", description: "return as soon as the container runs" },
  "pid-file": {
    type: "string",
    valueHint: "FILE",
    description: "write the pid of the container's init to FILE",
  },
  "console-socket": {
    type: "string",
    valueHint: "SOCKET",
    description:
      "where to send the master of the container's terminal: a listening AF_UNIX stream socket",
  },
  "tcp-established": { type: "boolean", description: "restore established TCP connections" },
  "tcp-close": { type: "boolean", description: "restore TCP sockets of connections closed" },
  "ext-unix-sk": {
    type: "boolean",
    description: "restore unix sockets connected to outside of the container",
  },
  "shell-job": {
    type: "boolean",
    description: "restore a process whose session leader is outside",
  },
  "lazy-pages": {
    type: "boolean",
    description:
      "let the container run before its memory is there: a criu lazy-pages daemon, started unless one listens in the work path, brings it",
  },
  "status-fd": {
    type: "string",
    valueHint: "FD",
    description:
      "with --lazy-pages: write a NUL byte to this descriptor when the last page has arrived; closed without one: it never will",
  },
  "file-locks": { type: "boolean", description: "restore file locks" },
  "manage-cgroups-mode": {
    type: "string",
    valueHint: "MODE",
    values: ["soft", "full", "strict", "ignore"],
    description: "how cgroups are restored: soft (CRIU's default), full, strict or ignore",
  },
  "auto-dedup": {
    type: "boolean",
    description: "free each page of the images once it is restored",
  },
  "empty-ns": {
    type: "string",
    list: true,
    valueHint: "NS",
    values: ["network"],
    description:
      "make a namespace without restoring what is in it; only network, which is always so",
  },
  "lsm-profile": {
    type: "string",
    valueHint: "TYPE:NAME",
    description: "LSM profile for the container",
  },
  "lsm-mount-context": {
    type: "string",
    valueHint: "CONTEXT",
    description: "LSM context for its mounts",
  },
  "no-subreaper": {
    type: "boolean",
    description: "do not become a subreaper for the container's orphans",
  },
  "preserve-fds": {
    type: "string",
    number: "count",
    valueHint: "N",
    description:
      "expect N descriptors from 3 on to be open, as for runc create; the container keeps those of its checkpoint",
  },
  "no-pivot": { type: "boolean", description: "record that the container does not use pivot_root" },
  "no-new-keyring": {
    type: "boolean",
    description: "record that it has no session keyring of its own",
  },
} as const satisfies Flags;

/** The restore command. */
export const restoreCommand: Command = {
  definition: defineCommand({
    meta: {
      name: "restore",
      description:
        "Brings the container of a checkpoint (made by thaw or runc) back to life under ID: reads the bundle, prepares cgroups and mounts, and has CRIU restore the processes. When that fails, one line says why and nothing is left.",
    },
    run: async ({ data }) => {
      const { parsed, globals, log } = data as Invocation;
      return await restore({
        ...toOptions(parsed),
        root: globals.root,
        debug: globals.debug,
        systemdCgroup: globals.systemdCgroup,
        criu: globals.criu,
        log,
      });
    },
  }),
  flags,
  usage: "ID",
  positionals: 1,
  examples: [
    "# what containerd's shim calls, with the bundle as the current directory",
    "thaw restore -d --image-path /var/lib/ckpt/c1 --pid-file /run/c1.pid c1",
    "# stay with the container and exit with its status",
    "thaw restore --bundle /srv/c1 --image-path /var/lib/ckpt/c1 c1",
  ].join("\n"),
};

function toOptions(parsed: Parsed) {
  const bool = (name: keyof typeof flags) => parsed.booleans.get(name) ?? false;
  // An empty string is a flag that was not given, as in runc.
  const text = (name: keyof typeof flags) => parsed.strings.get(name) || undefined;
  return {
    id: parsed.positionals[0] ?? "",
    bundle: text("bundle"),
    imagePath: text("image-path"),
    workPath: text("work-path"),
    pidFile: text("pid-file"),
    consoleSocket: text("console-socket"),
    detach: bool("detach"),
    noSubreaper: bool("no-subreaper"),
    preserveFds: Number(text("preserve-fds") ?? 0),
    noPivot: bool("no-pivot"),
    noNewKeyring: bool("no-new-keyring"),
    tcpEstablished: bool("tcp-established"),
    tcpClose: bool("tcp-close"),
    extUnixSk: bool("ext-unix-sk"),
    shellJob: bool("shell-job"),
    fileLocks: bool("file-locks"),
    autoDedup: bool("auto-dedup"),
    lazyPages: bool("lazy-pages"),
    statusFd: descriptor("status-fd", text("status-fd")),
    manageCgroupsMode: text("manage-cgroups-mode") ?? "",
    emptyNamespaces: parsed.lists.get("empty-ns") ?? [],
    lsmProfile: text("lsm-profile"),
    lsmMountContext: text("lsm-mount-context"),
  };
}
