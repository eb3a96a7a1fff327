/** `thaw state`: what is known of one container. @module */

import { defineCommand } from "citty";
import { loadContainer } from "../internal/container/container.ts";
import { reportOf } from "../internal/container/report.ts";
import { goJson, print } from "../internal/log/log.ts";
import type { Command, Invocation } from "./command.ts";

/** The state command. */
export const stateCommand: Command = {
  definition: defineCommand({
    meta: {
      name: "state",
      description:
        "Prints the state of a container as JSON: created, running, paused or stopped, the host pid of its init, bundle, root filesystem and annotations. It may be thaw's or runc's.",
    },
    run: ({ data }) => {
      const { parsed, globals } = data as Invocation;
      const container = loadContainer(globals.root, parsed.positionals[0] ?? "");
      print(goJson(reportOf(container), 2)); // without a newline, as runc
      return 0;
    },
  }),
  flags: {},
  usage: "ID",
  positionals: 1,
  completes: "containers",
  examples: ["thaw state c1", "thaw state c1 | jq -r .status"].join("\n"),
};
