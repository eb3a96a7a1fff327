/** Changing the limits of a container that runs. @module */

import { changeLimits, settledLimits } from "../cgroups/limits.ts";
import type { SpecResources } from "../oci/spec.ts";
import { mergeResources } from "../oci/update.ts";
import { lockState, saveCgroup } from "../state/load.ts";
import { type Container, loadContainer, statusOf } from "./container.ts";
import { NotRunningError } from "./kill.ts";

/**
 * Changes a container's limits and records them in its state.json. When that fails, the cgroup has
 * the limits it had before, and so has state.json. Of two at once one waits for the other.
 *
 * @param warn takes what a person should know though it worked, and what could not be put back
 * @throws NotRunningError; ThawError naming the file of the cgroup that could not be written
 */
export async function updateContainer(
  { root, id }: Pick<Container, "root" | "id">,
  changes: SpecResources,
  warn: (message: string) => void,
): Promise<void> {
  using scope = new DisposableStack();
  scope.use(lockState(root, id));
  // What is recorded now, not before the lock: the limits of another update are kept.
  const container = loadContainer(root, id);
  const { state, cgroupPaths } = container;
  const merged = settledLimits(cgroupPaths, mergeResources(state.cgroup, changes));
  if (statusOf(container) === "stopped") throw new NotRunningError(id);
  const byUnit = state.cgroup.Systemd === true;
  const systemd = byUnit ? await import("../cgroups/systemd/update.ts") : undefined;
  const cgroup = systemd?.settledUnit(merged) ?? merged;
  const putBack =
    systemd === undefined
      ? changeLimits(cgroupPaths, cgroup, warn)
      : await systemd.changeUnit(cgroupPaths, { old: state.cgroup, cgroup }, warn);
  try {
    saveCgroup(root, id, cgroup);
  } catch (error) {
    await putBack();
    throw error;
  }
}
