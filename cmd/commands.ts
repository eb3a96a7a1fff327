/** The commands, each loaded only when it is called. @module */

import { GUARDIAN } from "../internal/lazy/protocol.ts";
import type { Commands } from "./command.ts";

/** All commands by name. */
export const commands: Commands = {
  restore: {
    description: "restore a container from a checkpoint",
    load: async () => (await import("./restore.ts")).restoreCommand,
  },
  checkpoint: {
    description: "save the state of a running container",
    load: async () => (await import("./checkpoint.ts")).checkpointCommand,
  },
  state: {
    description: "print the state of a container as JSON",
    load: async () => (await import("./state.ts")).stateCommand,
  },
  list: {
    description: "list the containers of the root directory",
    load: async () => (await import("./list.ts")).listCommand,
  },
  ps: {
    description: "list the processes of a container",
    load: async () => (await import("./ps.ts")).psCommand,
  },
  pause: {
    description: "freeze the processes of a container",
    load: async () => (await import("./pause.ts")).pauseCommand,
  },
  resume: {
    description: "let a paused container go on",
    load: async () => (await import("./resume.ts")).resumeCommand,
  },
  kill: {
    description: "send a signal to a container's init (default: SIGTERM)",
    load: async () => (await import("./kill.ts")).killCommand,
  },
  delete: {
    description: "delete a container, or what a killed restore left of one",
    load: async () => (await import("./delete.ts")).deleteCommand,
  },
  events: {
    description: "print what a container uses, and when it runs out of memory",
    load: async () => (await import("./events.ts")).eventsCommand,
  },
  update: {
    description: "change the limits of a container",
    load: async () => (await import("./update.ts")).updateCommand,
  },
  features: {
    description: "print what thaw supports as JSON",
    load: async () => (await import("./features.ts")).featuresCommand,
  },
  exec: {
    description: "execute a program in a container",
    load: async () => (await import("./exec.ts")).execCommand,
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
  create: "create a container",
  run: "create and start a container",
  spec: "make a config.json",
  start: "start what create has made",
};
