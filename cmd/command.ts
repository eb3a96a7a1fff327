/** What a command is made of. @module */

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
