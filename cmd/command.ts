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
  /** Exactly this many, or between these two. */
  readonly positionals: number | { readonly least: number; readonly most: number };
  /** Options end at the first positional argument; what follows is another program's. */
  readonly passesOn?: true;
  /** What a shell offers as first positional: words, or the ids under `--root`; absent is nothing. */
  readonly completes?: readonly string[] | "containers";
  readonly examples: string;
}

/** A word of the command line: one line for the overview, and how to load it. */
export interface CommandEntry {
  readonly description: string;
  /** Not for people: help, completions and manual pages do not show it. */
  readonly hidden?: true;
  /** Imports the command; only then is its code read. */
  readonly load: () => Promise<Command>;
}

/** Commands by name. */
export type Commands = Readonly<Record<string, CommandEntry>>;

/** The commands for people, in order. */
export function shownCommands(commands: Commands): [name: string, CommandEntry][] {
  return Object.entries(commands).filter(([, { hidden }]) => !hidden);
}
