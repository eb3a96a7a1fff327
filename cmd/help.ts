/** Help, made from the commands' own tables. @module */

import { type Command, shownCommands } from "./command.ts";
import { commands, handedToRunc } from "./commands.ts";
import type { Flags } from "./flags.ts";
import { globalFlags } from "./globals.ts";
import { heading } from "./heading.ts";

const WIDTH = 100;

/** The overview: `thaw --help`. */
export function overview(): string {
  return [
    `${heading("thaw")} - bring checkpointed containers back to life: a drop-in for runc restore`,
    "",
    heading("Usage"),
    "  thaw [global options] COMMAND [options] [ID]",
    "",
    heading("Commands"),
    ...shownCommands(commands).map(
      ([name, { description }]) => `  ${name.padEnd(12)}${description}`,
    ),
    "",
    heading("Left to runc, which is executed in thaw's place (THAW_RUNC, or the one on PATH)"),
    ...wrap(Object.keys(handedToRunc).join(" "), 2),
    "",
    heading("Global options"),
    ...flagLines(globalFlags),
    "",
    heading("Examples"),
    "  thaw checkpoint --image-path /var/lib/ckpt/c1 c1",
    "  thaw restore -d --bundle /srv/c1 --image-path /var/lib/ckpt/c1 c1",
    "  thaw list                        # its containers and runc's: each knows the other's",
    "",
    'Run "thaw COMMAND --help" for the options of a command. thaw needs root and criu on PATH.',
    "",
  ].join("\n");
}

/** Help of one command: `thaw restore --help`. */
export async function commandHelp(command: Command): Promise<string> {
  const meta = (await command.definition.meta) as { name?: string; description?: string };
  const own = flagLines(command.flags);
  return [
    `${heading(`thaw ${meta.name}`)}`,
    ...wrap(meta.description ?? "", 2),
    "",
    heading("Usage"),
    `  thaw [global options] ${meta.name} ${own.length > 0 ? "[options] " : ""}${command.usage}`,
    "",
    ...(own.length > 0 ? [heading("Options"), ...own, ""] : []),
    heading("Global options"),
    ...flagLines(globalFlags),
    "",
    heading("Examples"),
    ...command.examples.split("\n").map((line) => `  ${line}`),
    "",
  ].join("\n");
}

function flagLines(flags: Flags): string[] {
  return Object.entries(flags).flatMap(([name, flag]) => {
    if (flag.hidden) return [];
    const alias = flag.alias === undefined ? "    " : `-${flag.alias}, `;
    const value = flag.valueHint === undefined ? "" : ` ${flag.valueHint}`;
    const left = `  ${alias}--${name}${value}`.padEnd(34);
    const more = [
      ...(flag.list ? ["repeatable"] : []),
      ...(flag.default === undefined ? [] : [`default: ${flag.default}`]),
    ];
    const text = `${flag.description}${more.length === 0 ? "" : ` (${more.join(", ")})`}`;
    return wrap(text, 35).map((line, i) => (i === 0 ? left + line.slice(34) : line));
  });
}

function wrap(text: string, indent: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent + line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = "";
    }
    line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].map((one) => " ".repeat(indent) + one);
}
