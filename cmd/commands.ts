/** The commands, each loaded only when it is called. @module */

import type { CommandDef } from "citty";
import type { Log } from "../internal/log/log.ts";
import type { Flags, Parsed } from "./flags.ts";
import type { Globals } from "./globals.ts";

/** What a command's `run` gets as citty's `data`. */
export interface Invocation {
  readonly parsed: Parsed;
  readonly globals: Globals;
  readonly log: Log;
}

/** A command as thaw defines it: citty's definition, its flags table, and its examples for help. */
export interface Command {
  readonly definition: CommandDef;
  readonly flags: Flags;
  /** Positional arguments, as help shows them. */
  readonly usage: string;
  /** Exactly this many. */
  readonly positionals: number;
  readonly examples: string;
}

/** A word of the command line: one line for the overview, and how to load it. */
export interface CommandEntry {
  readonly description: string;
  readonly load: () => Promise<Command>;
}

/** All commands by name. */
export const commands: Readonly<Record<string, CommandEntry>> = {
  restore: {
    description: "restore a container from a checkpoint",
    load: async () => (await import("./restore.ts")).restoreCommand,
  },
};
