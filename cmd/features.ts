/** `thaw features`: what the runtime supports, for programs that choose among runtimes. @module */

import { defineCommand } from "citty";
import { goJson, print } from "../internal/log/log.ts";
import { features } from "../internal/oci/features.ts";
import type { Command } from "./command.ts";

// Set by the build (bun build --define).
declare const THAW_VERSION: string;
declare const THAW_COMMIT: string;

/** The features command. */
export const featuresCommand: Command = {
  definition: defineCommand({
    meta: {
      name: "features",
      description:
        "Prints what thaw supports as JSON (the runtime specification's features.md): versions, hooks, mount options, namespaces, cgroups. Of the commands left to runc, runc features says what they support.",
    },
    run: () => {
      print(`${goJson(features(THAW_VERSION, THAW_COMMIT), 4)}\n`);
      return 0;
    },
  }),
  flags: {},
  usage: "",
  positionals: 0,
  examples: ["thaw features", "thaw features | jq .linux.cgroup"].join("\n"),
};
