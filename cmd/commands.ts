/** The commands, each loaded only when it is called. @module */

import { GUARDIAN } from "../internal/lazy/protocol.ts";
import type { Commands } from "./command.ts";

/** All commands by name. */
export const commands: Commands = {
  restore: {
    description: "restore a container from a checkpoint",
    load: async () => (await import("./restore.ts")).restoreCommand,
  },
  completion: {
    description: "print the completion script of a shell",
    load: async () => (await import("./completion.ts")).completionCommand(commands),
  },
  [GUARDIAN]: {
    description: "guard a container whose memory is still arriving",
    hidden: true,
    load: async () => (await import("./guardian.ts")).guardianCommand,
  },
};

/** The rest of runc's commands, which runc itself runs in thaw's place. */
export const handedToRunc: Readonly<Record<string, string>> = {
  checkpoint: "checkpoint a running container",
  create: "create a container",
  delete: "delete a container and what belongs to it",
  events: "show events and statistics of a container",
  exec: "execute a process in a container",
  features: "show what the runtime supports",
  kill: "send a signal to a container's init",
  list: "list containers",
  pause: "suspend all processes of a container",
  ps: "show the processes of a container",
  resume: "resume the processes of a container",
  run: "create and start a container",
  spec: "make a config.json",
  start: "start what create has made",
  state: "print the state of a container",
  update: "change the limits of a container",
};
