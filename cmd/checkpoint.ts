/** `thaw checkpoint`: flags to options, and the call. @module */

import { defineCommand } from "citty";
import { checkpoint } from "../internal/checkpoint/checkpoint.ts";
import type { Command, Invocation } from "./command.ts";
import { descriptor, type Flags, type Parsed } from "./flags.ts";

const flags = {
  "image-path": {
    type: "string",
    valueHint: "DIR",
    description: "where the checkpoint goes; made if need be; default: ./checkpoint",
  },
  "work-path": {
    type: "string",
    valueHint: "DIR",
    description: "where dump.log and stats-dump go; default: the image path",
  },
  "parent-path": {
    type: "string",
    valueHint: "DIR",
    description:
      "the images of an earlier --pre-dump, relative to the image path: only what has changed since is saved",
  },
  "leave-running": { type: "boolean", description: "let the container go on afterwards" },
  "tcp-established": { type: "boolean", description: "save established TCP connections" },
  "tcp-skip-in-flight": {
    type: "boolean",
    description: "leave out TCP connections that are just being set up",
  },
  "link-remap": {
    type: "boolean",
    description: "give open files that have no name any more one, so that they can be restored",
  },
  "ext-unix-sk": {
    type: "boolean",
    description: "save unix sockets connected to outside of the container",
  },
  "shell-job": { type: "boolean", description: "save a process whose session leader is outside" },
  "lazy-pages": {
    type: "boolean",
    description:
      "leave memory where it is and serve it, on --page-server, to a restore with --lazy-pages elsewhere",
  },
  "status-fd": {
    type: "string",
    valueHint: "FD",
    description: "with --lazy-pages: write a NUL byte to this descriptor when memory is served",
  },
  "page-server": {
    type: "string",
    valueHint: "ADDRESS:PORT",
    description:
      "send memory to the criu page-server there; with --lazy-pages: serve it on that port, of every address",
  },
  "file-locks": { type: "boolean", description: "save file locks" },
  "pre-dump": {
    type: "boolean",
    description: "save memory alone, for a later --parent-path; the container goes on",
  },
  "manage-cgroups-mode": {
    type: "string",
    valueHint: "MODE",
    values: ["soft", "full", "strict", "ignore"],
    description: "how cgroups are saved: soft (CRIU's default), full, strict or ignore",
  },
  "empty-ns": {
    type: "string",
    list: true,
    valueHint: "NS",
    values: ["network"],
    description: "save a namespace without what is in it; only network, which is always so",
  },
  "auto-dedup": {
    type: "boolean",
    description: "with --parent-path: free the pages of the parent that have changed",
  },
  wait: {
    type: "boolean",
    description: "first wait until all memory has arrived, after a restore with --lazy-pages",
  },
} as const satisfies Flags;

/** The checkpoint command. */
export const checkpointCommand: Command = {
  definition: defineCommand({
    meta: {
      name: "checkpoint",
      description:
        "Saves the state of a running or paused container, thaw's or runc's, into image files that thaw restore and runc restore bring back. The container is then destroyed, unless it is to be left running. When it cannot be saved, one line says why, the container goes on, and no half-made checkpoint is left.",
    },
    run: async ({ data }) => {
      const { parsed, globals, log } = data as Invocation;
      const { root, debug, criu } = globals;
      await checkpoint({ ...toOptions(parsed), root, debug, criu, log });
      return 0;
    },
  }),
  flags,
  usage: "ID",
  positionals: 1,
  completes: "containers",
  examples: [
    "# save it, and let it go on",
    "thaw checkpoint --image-path /var/lib/ckpt/c1 --leave-running c1",
    "# a database with a client connected, to be restored on this host or another",
    "thaw checkpoint --image-path /var/lib/ckpt/db --tcp-established --file-locks db",
  ].join("\n"),
};

function toOptions(parsed: Parsed) {
  const bool = (name: keyof typeof flags) => parsed.booleans.get(name) ?? false;
  // An empty string is a flag that was not given, as in runc.
  const text = (name: keyof typeof flags) => parsed.strings.get(name) || undefined;
  const status = text("status-fd");
  return {
    id: parsed.positionals[0] ?? "",
    imagePath: text("image-path"),
    workPath: text("work-path"),
    parentPath: text("parent-path"),
    leaveRunning: bool("leave-running"),
    preDump: bool("pre-dump"),
    tcpEstablished: bool("tcp-established"),
    tcpSkipInFlight: bool("tcp-skip-in-flight"),
    linkRemap: bool("link-remap"),
    extUnixSk: bool("ext-unix-sk"),
    shellJob: bool("shell-job"),
    fileLocks: bool("file-locks"),
    autoDedup: bool("auto-dedup"),
    lazyPages: bool("lazy-pages"),
    statusFd: descriptor("status-fd", status === "-1" ? undefined : status), // runc's default
    pageServer: text("page-server"),
    manageCgroupsMode: text("manage-cgroups-mode") ?? "",
    emptyNamespaces: parsed.lists.get("empty-ns") ?? [],
    wait: bool("wait"),
  };
}
