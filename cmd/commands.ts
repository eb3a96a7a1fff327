/** The commands, each loaded only when it is called. @module */

import { GUARDIAN } from "../internal/lazy/protocol.ts";
import type { Command } from "./command.ts";

/** A word of the command line: one line for the overview, and how to load it. */
export interface CommandEntry {
  readonly description: string;
  /** Not for people: help does not show it. */
  readonly hidden?: true;
  /** Imports the command; only then is its code read. */
  readonly load: () => Promise<Command>;
}

/** All commands by name. */
export const commands: Readonly<Record<string, CommandEntry>> = {
  restore: {
    description: "restore a container from a checkpoint",
    load: async () => (await import("./restore.ts")).restoreCommand,
  },
  [GUARDIAN]: {
    description: "guard a container whose memory is still arriving",
    hidden: true,
    load: async () => (await import("./guardian.ts")).guardianCommand,
  },
};
