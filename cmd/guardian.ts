/** `thaw lazy-pages-guardian`: what restore --lazy-pages executes thaw as. @module */

import { defineCommand } from "citty";
import { guard } from "../internal/lazy/guardian.ts";
import { GUARDIAN } from "../internal/lazy/protocol.ts";
import type { Command, Invocation } from "./command.ts";

/** The hidden command. */
export const guardianCommand: Command = {
  definition: defineCommand({
    meta: {
      name: GUARDIAN,
      description:
        "Runs criu lazy-pages for a container that thaw restores with --lazy-pages, and kills the container when that daemon dies before the last page. thaw starts it by itself.",
    },
    run: ({ data }) => guard((data as Invocation).log),
  }),
  flags: {},
  usage: "",
  positionals: 0,
  examples: "thaw restore -d --lazy-pages --image-path /var/lib/ckpt/c1 c1",
};
