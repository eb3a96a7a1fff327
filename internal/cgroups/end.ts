/** Ending what is in a container's cgroup, and removing it when the container has stopped. @module */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, ThawError } from "../errors/errors.ts";
import { sendSignal } from "../linux/process.ts";
import { SIGKILL } from "../linux/signal.ts";
import type { Cgroup } from "../oci/config.ts";
import { write } from "./files.ts";
import { freeze, thawBelow } from "./freezer.ts";
import { UNIFIED } from "./hierarchies.ts";
import { removeTree } from "./manager.ts";
import { mainDirectory, pidsBelow } from "./paths.ts";

// How long processes that were killed may take to leave, in milliseconds.
const LEAVING = 5000;
// How long the kernel may take to let go of a cgroup whose last process has ended, in milliseconds.
const PATIENCE = 2000;

/** Host pids of the container's processes, as they are in its cgroups. */
export function containerProcesses(paths: ReadonlyMap<string, string>): number[] {
  return pidsBelow(mainDirectory(paths));
}

/** Whether the container's cgroup is there. */
export function cgroupExists(paths: ReadonlyMap<string, string>): boolean {
  return existsSync(mainDirectory(paths));
}

/**
 * Kills every process in the container's cgroup; a frozen one too.
 *
 * `cgroup.kill` (Linux 5.14) gets all of them at once; before, they are frozen, so that none forks
 * away, and killed one by one.
 *
 * @throws ThawError when thaw itself is in that cgroup
 */
export function killProcesses(paths: ReadonlyMap<string, string>): void {
  if (containerProcesses(paths).includes(process.pid))
    throw new ThawError(`thaw itself is in the cgroup ${mainDirectory(paths)}`, {
      hint: "call it from outside of the container's cgroup",
    });
  if (!killAtOnce(paths)) {
    try {
      freeze(paths);
    } catch {
      // No freezer is no reason not to kill.
    }
    for (const pid of containerProcesses(paths)) sendSignal(pid, SIGKILL);
  }
  thawBelow(paths); // on v1 a frozen process dies only when it is thawed
}

/**
 * Kills every process in the container's cgroup and waits (five seconds at most) until they have
 * gone. They are not frozen first: one that waits for a page that never arrives cannot be.
 */
export function endProcesses(paths: ReadonlyMap<string, string>): void {
  const deadline = performance.now() + LEAVING;
  for (;;) {
    const pids = containerProcesses(paths);
    if (pids.length === 0 || performance.now() > deadline) return;
    if (!killAtOnce(paths)) for (const pid of pids) sendSignal(pid, SIGKILL);
    Bun.sleepSync(5);
  }
}

/** @returns false when the kernel has no `cgroup.kill` for this cgroup */
function killAtOnce(paths: ReadonlyMap<string, string>): boolean {
  const unified = paths.get(UNIFIED);
  if (unified === undefined || !existsSync(join(unified, "cgroup.kill"))) return false;
  write(unified, "cgroup.kill", "1");
  return true;
}

/**
 * Removes the cgroups of a container that has stopped.
 *
 * @param _cgroup its configuration: where a systemd unit, which must be stopped as well, is named
 * @throws ThawError `unable to remove container's cgroup: …` while there are processes in them
 */
export function destroyCgroups(paths: ReadonlyMap<string, string>, _cgroup: Cgroup): void {
  for (const start = performance.now(); ; Bun.sleepSync(5)) {
    // Not before it is empty: a path that names the root of a hierarchy has others' cgroups below.
    const pids = containerProcesses(paths);
    const failures = pids.length > 0 ? [`${mainDirectory(paths)} is in use`] : removeAll(paths);
    if (failures.length === 0) return;
    if (performance.now() - start < PATIENCE) continue;
    throw new ThawError(
      `unable to remove container's cgroup: ${failures.join("; ")}`,
      pids.length === 0 ? {} : { hint: `these processes are in it: ${pids.join(" ")}` },
    );
  }
}

function removeAll(paths: ReadonlyMap<string, string>): string[] {
  return [...new Set(paths.values())].flatMap((directory) => {
    try {
      removeTree(directory);
      return [];
    } catch (error) {
      return [describe(error)];
    }
  });
}
