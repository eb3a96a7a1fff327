/** `thaw resume`: lets a paused container go on. @module */

import { defineCommand } from "citty";
import { loadContainer } from "../internal/container/container.ts";
import { resumeContainer } from "../internal/container/pause.ts";
import type { Command, Invocation } from "./command.ts";

/** The resume command. */
export const resumeCommand: Command = {
  definition: defineCommand({
    meta: {
      name: "resume",
      description: "Lets the processes of a paused container go on.",
    },
    run: ({ data }) => {
      const { parsed, globals } = data as Invocation;
      resumeContainer(loadContainer(globals.root, parsed.positionals[0] ?? ""));
      return 0;
    },
  }),
  flags: {},
  usage: "ID",
  positionals: 1,
  completes: "containers",
  examples: "thaw resume c1",
};
