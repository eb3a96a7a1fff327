/** `thaw kill`: a signal to a container. @module */

import { defineCommand } from "citty";
import { loadContainer } from "../internal/container/container.ts";
import { NotRunningError, signalContainer } from "../internal/container/kill.ts";
import { parseSignal } from "../internal/container/signals.ts";
import type { Command, Invocation } from "./command.ts";
import type { Flags } from "./flags.ts";

const flags = {
  all: {
    type: "boolean",
    alias: "a",
    description: "succeed for a stopped container too (what it once meant, SIGKILL does by itself)",
  },
} as const satisfies Flags;

/** The kill command. */
export const killCommand: Command = {
  definition: defineCommand({
    meta: {
      name: "kill",
      description:
        "Sends a signal to the init of a container: a number, or a name in any case, with or without SIG. SIGKILL ends a paused container too; of a container without a PID namespace of its own it ends every process.",
    },
    run: ({ data }) => {
      const { parsed, globals } = data as Invocation;
      const [id = "", signal = ""] = parsed.positionals;
      const container = loadContainer(globals.root, id);
      const number = parseSignal(signal);
      try {
        signalContainer(container, number);
      } catch (error) {
        if (!(error instanceof NotRunningError && parsed.booleans.get("all"))) throw error;
      }
      return 0;
    },
  }),
  flags,
  usage: "ID [SIGNAL]",
  positionals: { least: 1, most: 2 },
  completes: "containers",
  examples: ["thaw kill c1", "thaw kill c1 KILL", "thaw kill c1 10"].join("\n"),
};
