/** `thaw list`: the containers of a root directory. @module */

import { defineCommand } from "citty";
import { listContainers, type Report } from "../internal/container/report.ts";
import { ThawError } from "../internal/errors/errors.ts";
import { goJson, print, writeAll } from "../internal/log/log.ts";
import type { Command, Invocation } from "./command.ts";
import type { Flags } from "./flags.ts";
import { heading } from "./heading.ts";
import { withRemedy } from "./report.ts";

const flags = {
  format: {
    type: "string",
    alias: "f",
    valueHint: "FORMAT",
    default: "table",
    values: ["table", "json"],
    description: "table or json",
  },
  quiet: { type: "boolean", alias: "q", description: "print only the ids" },
} as const satisfies Flags;

/** The list command. */
export const listCommand: Command = {
  definition: defineCommand({
    meta: {
      name: "list",
      description:
        "Lists the containers of the root directory (--root), thaw's and runc's, with pid, status, bundle, time of creation and owner. A directory there that holds no container is named on standard error.",
    },
    run: ({ data }) => {
      const { parsed, globals } = data as Invocation;
      const warn = (message: string) => writeAll(2, `${withRemedy(message)}\n`);
      const found = listContainers(globals.root, !globals.rootGiven, warn);
      const format = parsed.strings.get("format") ?? "table";
      if (parsed.booleans.get("quiet")) for (const { id } of found) print(`${id}\n`);
      else if (format === "table") print(table(found));
      else if (format === "json")
        print(`${found.length === 0 ? "null" : goJson(found)}\n`); // Go's empty list
      else throw new ThawError("invalid format option", { hint: "say table or json" });
      return 0;
    },
  }),
  flags,
  usage: "",
  positionals: 0,
  examples: ["thaw list", "thaw --root /run/containerd/runc/default list --format json"].join("\n"),
};

/** Columns as Go's tabwriter sets them for runc: at least 12 wide, 3 apart, the last one free. */
function table(found: readonly Report[]): string {
  const rows = [
    ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"],
    ...found.map((c) => [c.id, String(c.pid), c.status, c.bundle, c.created, c.owner]),
  ];
  const size = (text: string | undefined) => [...(text ?? "")].length;
  const widths = (rows[0] ?? []).map((_, i) =>
    Math.max(12, ...rows.map((row) => size(row[i]) + 3)),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) =>
        i === row.length - 1 ? cell : cell + " ".repeat((widths[i] ?? 0) - size(cell)),
      )
      .join("");
  return rows.map((row, i) => `${i === 0 ? heading(line(row)) : line(row)}\n`).join("");
}
