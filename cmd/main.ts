/** thaw: from the words of the command line to an exit status. @module */

import { ThawError } from "../internal/errors/errors.ts";
import { type Log, openLog, print, writeAll } from "../internal/log/log.ts";
import type { Command } from "./command.ts";
import { commands, handedToRunc } from "./commands.ts";
import { type Parsed, parseFlags, UsageError } from "./flags.ts";
import { globalFlags, readGlobals, refuseRootless } from "./globals.ts";
import { report } from "./report.ts";

/** What runc exits with for a command it does not have. */
const UNKNOWN_COMMAND = 3;

/** Runs one command line and returns the exit status. */
async function main(argv: readonly string[]): Promise<number> {
  using scope = new DisposableStack();
  // Until the log is open, errors go to standard error.
  let log: Log = openLog({ path: undefined, format: "text", debug: false });
  let container = "";
  try {
    const before = parse(argv, globalFlags, true);
    const [word, ...rest] = before.positionals;
    if (before.booleans.get("version")) return await printVersion(before.strings.get("criu"));
    if (word === undefined || word === "help" || (before.booleans.get("help") ?? false))
      return await printHelp(word === "help" ? rest[0] : undefined);
    if (Object.hasOwn(handedToRunc, word)) {
      const { handToRunc } = await import("../internal/runc/runc.ts");
      try {
        handToRunc(word);
      } catch (error) {
        log = scope.use(openLog(readGlobals([before]).log));
        throw error;
      }
    }
    const entry = Object.hasOwn(commands, word) ? commands[word] : undefined;
    if (entry === undefined) {
      log = scope.use(openLog(readGlobals([before]).log));
      return refuseCommand(word, log);
    }
    const command = await entry.load();
    const after = await parseCommand(word, command, rest, () => {
      log = scope.use(openLog(readGlobals([before]).log));
    });
    if (after.booleans.get("help")) return await printHelp(word);
    const globals = readGlobals([before, after]);
    log = scope.use(openLog(globals.log));
    await requirePositionals(word, command, after);
    if (command.usage.startsWith("ID")) container = after.positionals[0] ?? "";
    refuseRootless(globals);
    const { runCommand } = await import("citty");
    const invocation = { parsed: after, globals, log };
    const { result } = await runCommand(command.definition, { rawArgs: [], data: invocation });
    return Number(result);
  } catch (error) {
    report(error, log, container);
    return 1;
  }
}

function parse(argv: readonly string[], flags: typeof globalFlags, stopAtFirst: boolean): Parsed {
  try {
    return parseFlags(argv, flags, stopAtFirst);
  } catch (error) {
    if (error instanceof UsageError) writeAll(1, `Incorrect Usage. ${error.message}\n\n`);
    throw error;
  }
}

// The final newline is part of runc's message.
function refuseCommand(word: string, log: Log): number {
  const message = `No help topic for '${word}'\n`;
  log.error(message);
  if (!log.isStderr) writeAll(2, `${message}\n`);
  return UNKNOWN_COMMAND;
}

// Global flags are accepted after the command too, as runc 1.5 does; the command's own win. What
// is wrong with them is told in the log that was named before the command, as by runc 1.3.
async function parseCommand(
  word: string,
  command: Command,
  argv: readonly string[],
  openLogBefore: () => void,
): Promise<Parsed> {
  try {
    return parseFlags(argv, { ...globalFlags, ...command.flags }, command.passesOn ?? false);
  } catch (error) {
    if (error instanceof UsageError) {
      openLogBefore();
      writeAll(1, `Incorrect Usage: ${error.message}\n\n`);
      await printHelp(word);
    }
    throw error;
  }
}

async function requirePositionals(word: string, command: Command, parsed: Parsed): Promise<void> {
  const wanted = wrongCount(command.positionals, parsed.positionals.length);
  if (wanted === undefined) return;
  writeAll(1, "Incorrect Usage.\n\n");
  await printHelp(word);
  throw new ThawError(`${process.argv0}: ${JSON.stringify(word)} requires ${wanted} argument(s)`);
}

/** What a number of arguments should have been, in runc's words; undefined when it is right. */
function wrongCount(wanted: Command["positionals"], given: number): string | undefined {
  if (typeof wanted === "number") return given === wanted ? undefined : `exactly ${wanted}`;
  if (given < wanted.least) return `a minimum of ${wanted.least}`;
  return given > wanted.most ? `a maximum of ${wanted.most}` : undefined;
}

async function printHelp(word: string | undefined): Promise<number> {
  const help = await import("./help.ts");
  const entry = word !== undefined && Object.hasOwn(commands, word) ? commands[word] : undefined;
  print(entry === undefined ? help.overview() : await help.commandHelp(await entry.load()));
  return 0;
}

async function printVersion(criu: string | undefined): Promise<number> {
  const { versionText } = await import("./version.ts");
  print(versionText(criu || undefined));
  return 0;
}

// A status is set before anything can fail: a program that ends early has not succeeded.
process.exitCode = 1;
void main(process.argv.slice(2)).then((status) => {
  process.exitCode = status;
});
