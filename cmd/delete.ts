/** `thaw delete`: a container and all that belongs to it. @module */

import { defineCommand } from "citty";
import { deleteContainer } from "../internal/container/delete.ts";
import type { Command, Invocation } from "./command.ts";
import type { Flags } from "./flags.ts";

const flags = {
  force: {
    type: "boolean",
    alias: "f",
    description: "kill the container if it runs; no error if there is none",
  },
} as const satisfies Flags;

/** The delete command. */
export const deleteCommand: Command = {
  definition: defineCommand({
    meta: {
      name: "delete",
      description:
        "Deletes a container that has stopped: its cgroups and its state; its poststop hooks are run. With --force also one that runs, and whatever a killed restore left of that id. Nothing is ever removed through a mount.",
    },
    run: async ({ data }) => {
      const { parsed, globals, log } = data as Invocation;
      const force = parsed.booleans.get("force") ?? false;
      await deleteContainer(globals.root, parsed.positionals[0] ?? "", { force, log });
      return 0;
    },
  }),
  flags,
  usage: "ID",
  positionals: 1,
  completes: "containers",
  examples: [
    "thaw delete c1",
    "# kill it first; or clear away what a killed restore left",
    "thaw delete --force c1",
  ].join("\n"),
};
