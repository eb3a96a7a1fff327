/**
 * Writes docs/compatibility.md from the conformance table: `bun scripts/compatibility.ts`.
 *
 * No row is run. With `--check` nothing is written, and a file that is not up to date is an error.
 *
 * @module
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { COMMANDS, type FlagEntry, flagEntries, type Which } from "../tests/conformance/flags.ts";
import { commandOf, KINDS, type Kind } from "../tests/conformance/row.ts";
import { counts, TABLE } from "../tests/conformance/table.ts";

const FILE = join(import.meta.dir, "../docs/compatibility.md");

const TITLES: Readonly<Record<Kind, string>> = {
  syntax: "The command line",
  config: "config.json",
  host: "The host",
  image: "Damaged checkpoints",
  namespace: "Namespaces",
  cgroup: "Cgroups",
  checkpoint: "Checkpoints",
  exec: "exec",
  life: "The other commands",
};

/** Text as a cell of a table. */
function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll(/[<>]/g, (sign) => `\\${sign}`);
}

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]) =>
    `| ${cells.map((one) => cell(String(one))).join(" | ")} |`;
  return [line(head), `|${head.map(() => "---|").join("")}`, ...rows.map(line)].join("\n");
}

function flagTable(entries: readonly FlagEntry[]): string {
  const verdict = ({ differs, runc }: FlagEntry) => {
    const reasons = differs.map((reason, i) => `(${i + 1}) ${reason}`).join(" ");
    if (runc) return reasons === "" ? "as runc" : `as runc in all rows but: ${reasons}`;
    return `not runc's: ${differs.join("; ")}`;
  };
  return table(
    ["flag", "rows", "thaw"],
    entries.map((entry) => [`\`${entry.name}\``, entry.rows, verdict(entry)]),
  );
}

function flagsOf(which: Which): string {
  return `## Flags of ${which}\n\n${flagTable(flagEntries(which))}`;
}

function differencesOf(kind: Kind): string {
  const rows = TABLE.filter((row) => row.kind === kind && row.differs !== undefined);
  const reasons = [...new Set(rows.map(({ differs }) => differs as string))];
  const named = (reason: string) =>
    rows
      .filter(({ differs }) => differs === reason)
      .map((row) => (row.command === undefined ? row.name : `${row.command}: ${row.name}`))
      .join("; ");
  const lines = reasons.map((reason) => [named(reason), reason]);
  const head = kind === "life" ? "command, with" : `${commandOf({ kind })} with`;
  return `### ${TITLES[kind]}\n\n${table([head, "thaw"], lines)}`;
}

/** The whole document. */
export function compatibility(): string {
  const kinds = KINDS.filter((kind) => TABLE.some((row) => row.kind === kind && row.differs));
  const numbers = counts().map(({ kind, rows, equal, different }) => [
    kind === "all" ? "all" : TITLES[kind],
    rows,
    equal,
    different,
  ]);
  return `# Compatibility with runc

Made from the conformance table (tests/conformance/) by \`bun scripts/compatibility.ts\`. \`npm test\`
runs each of its rows with runc 1.3.6 and with thaw, in the same conditions and the same run, and
compares exit status, standard output and error, the log in text and JSON, and the restored
container's state. A row is equal, or says why it is not; a difference that is no longer one fails
the test too.

## Rows

${table(["about", "rows", "equal", "different on purpose"], numbers)}

## In every row

- After runc's message thaw may add a remedy, and the container where nothing else names it:
  \`MESSAGE; REMEDY; container ID\`.
- After \`criu failed: type RESTORE errno N\`, and DUMP, thaw adds CRIU's own line, the cause, the remedy, and where
  CRIU's log is, on the same line.
- The text of help is thaw's own. What stands before it, and where it goes, is runc's.
- Where runc shows its own name, thaw shows the name it was called by.
- In the foreground, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV and SIGSYS end thaw itself, and what it
  stayed with goes on, as after SIGKILL; SIGPWR is lost. runc forwards them. All others are forwarded by both.
- In a working directory that has been deleted thaw does not start, and says so.

${COMMANDS.map(flagsOf).join("\n\n")}

\`state\`, \`pause\`, \`resume\` and \`features\` have none.

## Global flags

${flagTable(flagEntries("global"))}

## Different on purpose

${kinds.map(differencesOf).join("\n\n")}
`;
}

/** @returns what is wrong, and the command to run; undefined when the file is up to date */
export function outdated(): string | undefined {
  const found = existsSync(FILE) ? readFileSync(FILE, "utf8") : "";
  if (found === compatibility()) return undefined;
  return "docs/compatibility.md is not up to date: run node_modules/.bin/bun scripts/compatibility.ts\n";
}

if (import.meta.main) {
  const problem = process.argv.includes("--check") ? outdated() : undefined;
  if (problem !== undefined) {
    process.stderr.write(problem);
    process.exitCode = 1;
  } else if (!process.argv.includes("--check")) {
    mkdirSync(dirname(FILE), { recursive: true });
    writeFileSync(FILE, compatibility());
  }
}
