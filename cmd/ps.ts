/** `thaw ps`: the processes of a container. @module */

import { defineCommand } from "citty";
import { containerProcesses } from "../internal/cgroups/end.ts";
import { loadContainer } from "../internal/container/container.ts";
import { psTable } from "../internal/container/processes.ts";
import { ThawError } from "../internal/errors/errors.ts";
import { print } from "../internal/log/log.ts";
import type { Command, Invocation } from "./command.ts";
import type { Flags } from "./flags.ts";
import { heading } from "./heading.ts";

const flags = {
  format: {
    type: "string",
    alias: "f",
    valueHint: "FORMAT",
    default: "table",
    values: ["table", "json"],
    description: "table (by the host's ps) or json (an array of pids)",
  },
} as const satisfies Flags;

/** The ps command. */
export const psCommand: Command = {
  definition: defineCommand({
    meta: {
      name: "ps",
      description:
        "Lists the processes of a container by their host pids: everything in its cgroup. What follows ID is handed to the host's ps; without it, -ef.",
    },
    run: ({ data }) => {
      const { parsed, globals } = data as Invocation;
      const [id = "", ...options] = parsed.positionals;
      const pids = containerProcesses(loadContainer(globals.root, id).cgroupPaths);
      const format = parsed.strings.get("format") ?? "table";
      if (format === "json")
        print(`${pids.length === 0 ? "null" : JSON.stringify(pids)}\n`); // Go's empty list
      else if (format === "table") {
        const [head = "", ...lines] = psTable(pids, options);
        print(`${[heading(head), ...lines].join("\n")}\n`);
      } else throw new ThawError("invalid format option", { hint: "say table or json" });
      return 0;
    },
  }),
  flags,
  usage: "ID [OPTIONS OF PS]",
  positionals: { least: 1, most: Number.POSITIVE_INFINITY },
  completes: "containers",
  passesOn: true,
  examples: ["thaw ps c1", "thaw ps c1 -o pid,rss,comm", "thaw ps --format json c1"].join("\n"),
};
