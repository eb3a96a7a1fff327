/** thaw's command line as a completion script needs it. @module */

import { type Command, type Commands, shownCommands } from "../command.ts";
import type { Flag, Flags } from "../flags.ts";
import { globalFlags } from "../globals.ts";

/** A command: what stands before its flags in a list, and what follows it. */
export interface ProgramCommand extends Pick<Command, "completes"> {
  readonly name: string;
  readonly description: string;
  /** Without the hidden ones. */
  readonly flags: Flags;
  /** Its positional arguments in words, such as `ID`. */
  readonly usage: string;
}

/** The command line. */
export interface Program {
  /** Accepted before and after the command; without the hidden ones. */
  readonly globals: Flags;
  readonly commands: readonly ProgramCommand[];
}

/** Loads all commands for people. */
export async function loadProgram(commands: Commands): Promise<Program> {
  const loaded = await Promise.all(
    shownCommands(commands).map(async ([name, { description, load }]) => {
      const { flags, usage, completes } = await load();
      return { name, description, flags: shown(flags), usage, ...(completes && { completes }) };
    }),
  );
  const help: ProgramCommand = {
    name: "help",
    description: "show help of a command",
    flags: {},
    usage: "COMMAND",
    completes: loaded.map(({ name }) => name),
  };
  return { globals: shown(globalFlags), commands: [...loaded, help] };
}

function shown(flags: Flags): Flags {
  return Object.fromEntries(Object.entries(flags).filter(([, flag]) => !flag.hidden));
}

/** What follows a flag: nothing, one of some words, a path, or what nobody can guess. */
export type Value = "none" | "directory" | "file" | "anything" | readonly string[];

/** What follows a flag. */
export function valueKind(flag: Flag): Value {
  if (flag.type === "boolean") return "none";
  if (flag.values !== undefined) return flag.values;
  if (flag.valueHint === "DIR") return "directory";
  return flag.valueHint === "FILE" || flag.valueHint === "SOCKET" ? "file" : "anything";
}

/** A flag's names without dashes, the long one first. */
export function namesOf(name: string, flag: Flag): string[] {
  return flag.alias === undefined ? [name] : [name, flag.alias];
}

/** A word in single quotes, for bash and zsh. */
export function shellQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The directory whose subdirectories are the containers, unless `--root` says otherwise. */
export function defaultRoot({ globals }: Program): string {
  return globals["root"]?.default ?? "/run/runc";
}
