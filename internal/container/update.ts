/** Changing the limits of a container that runs. @module */

import { changeLimits, settledLimits } from "../cgroups/limits.ts";
import type { Cgroup } from "../oci/config.ts";
import type { SpecResources } from "../oci/spec.ts";
import { mergeResources } from "../oci/update.ts";
import { saveCgroup } from "../state/load.ts";
import { type Container, statusOf } from "./container.ts";
import { NotRunningError } from "./kill.ts";

/**
 * Changes a container's limits and records them in its state.json. When that fails, the cgroup has
 * the limits it had before, and so has state.json.
 *
 * @param warn takes what a person should know though it worked, and what could not be put back
 * @throws NotRunningError; ThawError naming the file of the cgroup that could not be written
 */
export async function updateContainer(
  container: Container,
  changes: SpecResources,
  warn: (message: string) => void,
): Promise<void> {
  const { id, root, state, cgroupPaths } = container;
  const cgroup = settledLimits(cgroupPaths, mergeResources(state.cgroup, changes));
  if (statusOf(container) === "stopped") throw new NotRunningError(id);
  const putBack = await change(container, cgroup, warn);
  try {
    saveCgroup(root, id, cgroup);
  } catch (error) {
    await putBack();
    throw error;
  }
}

/** @returns puts back the old limits */
async function change(
  { state, cgroupPaths }: Container,
  cgroup: Cgroup,
  warn: (message: string) => void,
): Promise<() => void | Promise<void>> {
  if (state.cgroup.Systemd !== true) return changeLimits(cgroupPaths, cgroup, warn);
  const { changeUnit } = await import("../cgroups/systemd/update.ts");
  return await changeUnit(cgroupPaths, { old: state.cgroup, cgroup }, warn);
}
