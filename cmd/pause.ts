/** `thaw pause`: stops a container where it is. @module */

import { defineCommand } from "citty";
import { loadContainer } from "../internal/container/container.ts";
import { pauseContainer } from "../internal/container/pause.ts";
import type { Command, Invocation } from "./command.ts";

/** The pause command. */
export const pauseCommand: Command = {
  definition: defineCommand({
    meta: {
      name: "pause",
      description:
        "Freezes every process of a container; all of them are frozen when this returns. They lose no state and get no signal.",
    },
    run: ({ data }) => {
      const { parsed, globals } = data as Invocation;
      pauseContainer(loadContainer(globals.root, parsed.positionals[0] ?? ""));
      return 0;
    },
  }),
  flags: {},
  usage: "ID",
  positionals: 1,
  completes: "containers",
  examples: "thaw pause c1",
};
