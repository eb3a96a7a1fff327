/**
 * Writes every file that is made from the program's tables: `npm run docs`.
 *
 * Manual pages, completion scripts, and the part of docs/troubleshooting.md between its two marks.
 * `npm run check` fails when one of them is out of date.
 *
 * @module
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { commands } from "../cmd/commands.ts";
import { completionScript } from "../cmd/completion.ts";
import { DUMP_RULES } from "../internal/criu/dump-rules.ts";
import { explain } from "../internal/criu/explain.ts";
import { RULES, type Rule } from "../internal/criu/rules.ts";
import { render } from "./docs/mdoc.ts";
import { pages } from "./docs/pages.ts";

const root = join(import.meta.dir, "..");
const read = (path: string) => readFileSync(join(root, path), "utf8");

// The day of the pages' own text; the files must not change with the day they are made on.
const DATE = "November 24, 2026";
const TABLES = { "rules.ts": RULES, "dump-rules.ts": DUMP_RULES };
const END = "<!-- end -->";

/** One row for each rule, with the texts that its example gives. */
function errorTable(rules: readonly Rule[]): string {
  const cell = (text: string) => text.replaceAll(/[|*<]/g, "\\$&");
  const rows = rules.map(({ example }) => {
    const { cause, remedy } = explain([example], rules) ?? { cause: "", remedy: "" };
    return `| \`${example.replaceAll("|", "\\|")}\` | ${cell(cause)} | ${cell(remedy)} |`;
  });
  return ["| CRIU's log says | because | what to do |", "|---|---|---|", ...rows].join("\n");
}

function troubleshooting(): string {
  const path = "docs/troubleshooting.md";
  return Object.entries(TABLES).reduce((text, [file, rules]) => {
    const mark = `<!-- made by npm run docs from internal/criu/${file}: change that -->`;
    const begin = text.indexOf(mark);
    const end = text.indexOf(END, begin);
    if (begin === -1 || end === -1)
      throw new Error(`${path} has lost its mark "${mark}" or "${END}"`);
    return `${text.slice(0, begin)}${mark}\n\n${errorTable(rules)}\n\n${text.slice(end)}`;
  }, read(path));
}

/** All made files: path in the repository to text. */
export async function made(): Promise<Map<string, string>> {
  const { version } = JSON.parse(read("package.json"));
  const files = new Map([["docs/troubleshooting.md", troubleshooting()]]);
  for (const page of await pages())
    files.set(`docs/man/${page.name}.8`, render(page, version, DATE));
  for (const [shell, file] of [
    ["bash", "thaw.bash"],
    ["zsh", "_thaw"],
    ["fish", "thaw.fish"],
  ] as const)
    files.set(`completions/${file}`, await completionScript(shell, commands));
  return files;
}

/** Names the files that are not what they should be, and the command that makes them. */
export async function outOfDate(): Promise<string | undefined> {
  const stale = [...(await made())]
    .filter(([path, text]) => !existsSync(join(root, path)) || read(path) !== text)
    .map(([path]) => path);
  return stale.length === 0 ? undefined : `${stale.join(", ")}: run "npm run docs"`;
}

if (import.meta.main) {
  for (const [path, text] of await made()) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}
