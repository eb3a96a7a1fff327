/**
 * Go's flag syntax (package flag, as urfave/cli uses it), driven by the commands' own tables.
 *
 * citty cannot parse it: to citty `-no-subreaper` is nine short flags and `--no-pivot` the
 * negation of `pivot`. So an argument list is parsed here and citty is handed the result.
 *
 * @module
 */

import { ThawError } from "../internal/errors/errors.ts";
import { parseDecimal, parseDuration, parseGoInteger } from "./numbers.ts";

/** A flag, in citty's terms; `list` is a flag that may be repeated. */
export interface Flag {
  readonly type: "boolean" | "string";
  readonly description: string;
  readonly alias?: string;
  readonly valueHint?: string;
  readonly default?: string;
  readonly list?: true;
  /** All values there are, for a shell to offer; what is given is checked where it is used. */
  readonly values?: readonly string[];
  /** The value is a number: decimal digits, an integer as Go reads it, or a duration. */
  readonly number?: "count" | "integer" | "duration";
  /** Accepted but not shown in help. */
  readonly hidden?: true;
}

/** Flags by name, without dashes. */
export type Flags = Readonly<Record<string, Flag>>;

/** A mistake on the command line; usage is shown with it. */
export class UsageError extends ThawError {
  override name = "UsageError";
}

/** What an argument list says. */
export interface Parsed {
  readonly booleans: ReadonlyMap<string, boolean>;
  readonly strings: ReadonlyMap<string, string>;
  readonly lists: ReadonlyMap<string, readonly string[]>;
  readonly positionals: readonly string[];
}

const TRUE = new Set(["1", "t", "T", "TRUE", "true", "True"]);
const FALSE = new Set(["0", "f", "F", "FALSE", "false", "False"]);

/** Go's strconv.ParseBool. @returns undefined for anything else */
export function parseBool(text: string): boolean | undefined {
  if (TRUE.has(text)) return true;
  return FALSE.has(text) ? false : undefined;
}

/**
 * Parses an argument list: `-x` and `--x` are the same, a value follows as `=v` or as the next
 * argument (a boolean takes `=v` only), the last of several wins, `--` ends the flags.
 *
 * @param stopAtFirst stop at the first positional, as before a command
 * @throws UsageError in the words of urfave/cli v1, which runc 1.3 prints
 */
export function parseFlags(argv: readonly string[], flags: Flags, stopAtFirst: boolean): Parsed {
  const booleans = new Map<string, boolean>();
  const strings = new Map<string, string>();
  const lists = new Map<string, string[]>();
  const positionals: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i] as string;
    if (argument === "--") {
      positionals.push(...argv.slice(i + 1));
      break;
    }
    // A negative number after a positional is one too: `kill c1 -1`.
    const isNumber = positionals.length > 0 && /^-\d+$/.test(argument);
    if (!argument.startsWith("-") || argument === "-" || isNumber) {
      if (stopAtFirst) {
        positionals.push(...argv.slice(i));
        break;
      }
      positionals.push(argument);
      continue;
    }
    const { word, value: given } = split(argument);
    const name = lookUp(flags, word);
    const flag = flags[name] as Flag;
    if (flag.type === "boolean") {
      const value = given === undefined ? true : parseBool(given);
      if (value === undefined)
        throw new UsageError(
          `invalid boolean value ${JSON.stringify(given)} for -${word}: parse error`,
        );
      booleans.set(name, value);
      continue;
    }
    const value = given ?? argv[++i];
    if (value === undefined) throw new UsageError(`flag needs an argument: -${word}`);
    if (flag.number !== undefined) refuseNoNumber(word, value, flag);
    if (flag.list) lists.set(name, [...(lists.get(name) ?? []), value]);
    else strings.set(name, value);
  }
  return { booleans, strings, lists, positionals };
}

/** The number of a descriptor, as a flag's value. @throws ThawError for anything else */
export function descriptor(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text))
    throw new ThawError(`invalid value ${JSON.stringify(text)} for flag -${flag}: parse error`, {
      hint: "give the number of an open descriptor",
    });
  return Number(text);
}

// Of a count runc takes a negative number, and treats it as 0. What may be repeated is decimal.
function refuseNoNumber(word: string, value: string, { number: kind, list }: Flag): void {
  const number =
    kind === "duration"
      ? parseDuration(value)
      : kind === "count" && !/^\d+$/.test(value)
        ? undefined
        : list
          ? parseDecimal(value)
          : parseGoInteger(value);
  const reason =
    number === undefined
      ? "parse error"
      : BigInt.asIntN(64, number) === number
        ? undefined
        : "value out of range";
  if (reason === undefined) return;
  // urfave/cli has other words for a flag that may be repeated.
  const slice = `strconv.ParseInt: parsing ${JSON.stringify(value)}: `;
  const text = list ? `${slice}${reason === "parse error" ? "invalid syntax" : reason}` : reason;
  throw new UsageError(`invalid value ${JSON.stringify(value)} for flag -${word}: ${text}`);
}

function split(argument: string): { word: string; value: string | undefined } {
  const body = argument.replace(/^--?/, "");
  if (body === "" || body.startsWith("-") || body.startsWith("="))
    throw new UsageError(`bad flag syntax: ${argument}`);
  const equals = body.indexOf("=");
  if (equals === -1) return { word: body, value: undefined };
  return { word: body.slice(0, equals), value: body.slice(equals + 1) };
}

function lookUp(flags: Flags, word: string): string {
  if (Object.hasOwn(flags, word)) return word;
  const found = Object.keys(flags).find((name) => flags[name]?.alias === word);
  if (found === undefined) throw new UsageError(`flag provided but not defined: -${word}`);
  return found;
}
