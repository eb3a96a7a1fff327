/** The directories of a container's cgroup, and what is in them. @module */

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { readOr } from "./files.ts";
import { UNIFIED } from "./hierarchies.ts";

/** The directory all of the container's processes are in: that of v1's devices, or v2's only one. */
export function mainDirectory(paths: ReadonlyMap<string, string>): string {
  return paths.get("devices") ?? paths.get(UNIFIED) ?? "/nonexistent";
}

/** Whether these are the paths of a host with cgroup v2 alone. */
export function isV2(paths: ReadonlyMap<string, string>): boolean {
  return !paths.has("devices");
}

/** Every process in a cgroup and those below it; none when there is no such cgroup. */
export function pidsBelow(directory: string): number[] {
  const own = readOr(join(directory, "cgroup.procs"), "").split("\n").filter(Boolean).map(Number);
  return [...own, ...childCgroups(directory).flatMap(pidsBelow)];
}

/** The cgroups directly below one, sorted; none when there is no such cgroup. */
export function childCgroups(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(directory, entry.name))
      .sort();
  } catch {
    return [];
  }
}
