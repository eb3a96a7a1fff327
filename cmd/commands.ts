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
