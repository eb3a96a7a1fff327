/** `thaw events`: what a container uses, and when it runs out of memory. @module */

import { defineCommand } from "citty";
import { loadContainer, statusOf } from "../internal/container/container.ts";
import { type Event, followEvents, statsEvent } from "../internal/container/events.ts";
import { reportsRdt } from "../internal/container/rdt.ts";
import { ThawError } from "../internal/errors/errors.ts";
import { goJson, print } from "../internal/log/log.ts";
import { handToRunc } from "../internal/runc/runc.ts";
import type { Command, Invocation } from "./command.ts";
import type { Flags } from "./flags.ts";
import { parseDuration } from "./numbers.ts";

const flags = {
  interval: {
    type: "string",
    valueHint: "DURATION",
    default: "5s",
    number: "duration",
    description: "time between two reports: a number with ms, s, m or h, such as 500ms or 1m30s",
  },
  stats: { type: "boolean", description: "print one report and end" },
} as const satisfies Flags;

const NANOSECONDS_A_MILLISECOND = 1e6;

/** The events command. */
export const eventsCommand: Command = {
  definition: defineCommand({
    meta: {
      name: "events",
      description:
        "Prints what a container uses of CPU, memory, pids and block devices, a line of JSON every five seconds, and a line when it runs out of memory. Ends with the container's cgroup.",
    },
    run: ({ data }) => {
      const { parsed, globals, log } = data as Invocation;
      const container = loadContainer(globals.root, parsed.positionals[0] ?? "");
      const interval =
        parseDuration(parsed.strings.get("interval") ?? flags.interval.default) ?? 0n;
      if (interval <= 0n)
        throw new ThawError("duration interval must be greater than 0", {
          hint: "say how long, such as --interval 5s",
        });
      if (statusOf(container) === "stopped")
        throw new ThawError(`container with id ${container.id} is not running`);
      if (reportsRdt(container)) handToRunc("events");
      const tell = (event: Event) => print(`${goJson(event)}\n`);
      if (parsed.booleans.get("stats")) tell(statsEvent(container));
      else
        followEvents(container, {
          interval: Number(interval) / NANOSECONDS_A_MILLISECOND,
          tell,
          complain: (message) => log.error(message),
        });
      return 0;
    },
  }),
  flags,
  usage: "ID",
  positionals: 1,
  completes: "containers",
  examples: [
    "thaw events --stats c1 | jq .data.memory.usage",
    "# every second, until the container is deleted",
    "thaw events --interval 1s c1",
  ].join("\n"),
};
