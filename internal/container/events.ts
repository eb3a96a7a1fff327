/** What happens in a container: its figures, now and then, and when it runs out of memory. @module */

import { type OomWatch, watchOom } from "../cgroups/oom.ts";
import { readStats } from "../cgroups/read-stats.ts";
import type { CgroupStats } from "../cgroups/stats.ts";
import { describe, ThawError } from "../errors/errors.ts";
import { POLLIN, poll } from "../linux/signal.ts";
import type { Container } from "./container.ts";

/** An event as runc prints it (types/events.go). */
export type Event =
  | { readonly type: "oom"; readonly id: string }
  | { readonly type: "stats"; readonly id: string; readonly data: Figures };

/** What a container has used. */
export interface Figures extends CgroupStats {
  /** Intel RDT, which runc itself reports. */
  readonly intel_rdt: Readonly<Record<string, never>>;
  /** Of interfaces that libcontainer makes; runc has it make none. */
  readonly network_interfaces: null;
}

/**
 * The container's figures at this moment.
 *
 * @throws ThawError `unable to get container cgroup stats: …`
 */
export function statsEvent({ id, cgroupPaths }: Container): Event {
  try {
    const data = { ...readStats(cgroupPaths), intel_rdt: {}, network_interfaces: null };
    return { type: "stats", id, data };
  } catch (cause) {
    throw new ThawError("unable to get container cgroup stats", { cause });
  }
}

/** How to follow a container. */
export interface FollowOptions {
  /** Milliseconds between two reports of figures, more than 0. */
  readonly interval: number;
  /** Takes each event. */
  readonly tell: (event: Event) => void;
  /** Takes why there are no figures this time. */
  readonly complain: (message: string) => void;
}

/**
 * Tells what happens in a container until its cgroup is gone; on v2 until it has no processes.
 *
 * @throws ThawError when its cgroup cannot be watched; what `tell` throws
 */
export function followEvents(container: Container, options: FollowOptions): void {
  using watch = watchOom(container.cgroupPaths);
  let next = performance.now() + options.interval;
  for (;;) {
    if (tellOoms(container.id, watch, options)) return;
    const left = next - performance.now();
    if (left > 0) {
      poll([{ fd: watch.fd, events: POLLIN }], Math.ceil(Math.min(left, LONGEST)));
      continue;
    }
    const event = statsOr(container, options.complain);
    if (event !== undefined) options.tell(event);
    // As a ticker in Go: what was missed is not made up for.
    next +=
      options.interval * Math.max(1, Math.ceil((performance.now() - next) / options.interval));
  }
}

// poll(2) takes an int of milliseconds.
const LONGEST = 2 ** 31 - 1;

function statsOr(container: Container, complain: (message: string) => void): Event | undefined {
  try {
    return statsEvent(container);
  } catch (error) {
    complain(describe(error));
    return undefined;
  }
}

/** @returns whether the container is over */
function tellOoms(id: string, watch: OomWatch, { tell }: FollowOptions): boolean {
  const happened = watch.take();
  for (const what of happened) if (what === "oom") tell({ type: "oom", id });
  return happened.includes("over");
}
