/** Changing the limits of a unit: systemd is told first, so that it does not undo them. @module */

import { describe, ThawError } from "../../errors/errors.ts";
import type { Cgroup } from "../../oci/config.ts";
import { freeze, isFrozen, thaw } from "../freezer.ts";
import { changeLimits, refuseMemoryBelowUsage } from "../limits.ts";
import { isV2, mainDirectory } from "../paths.ts";
import { SystemdBus } from "./bus.ts";
import { systemdHost } from "./host.ts";
import { limitProperties, roundedQuota } from "./properties.ts";
import type { Property } from "./property.ts";
import { unitName } from "./unit.ts";

/** Limits as systemd can keep them; so they are recorded, too. */
export function settledUnit(cgroup: Cgroup): Cgroup {
  const quota = roundedQuota(cgroup);
  return quota === 0 ? cgroup : { ...cgroup, cpu_quota: quota };
}

/**
 * Sets the limits of a container's unit, those on devices excepted, and then those of its cgroup.
 *
 * @param change the limits in state.json, and those to come, which are {@link settledUnit}
 * @param warn takes what a person should know though it worked
 * @returns puts back the old limits
 * @throws ThawError `unable to set unit properties: …`, or naming the file that could not be written;
 *   the old limits are put back
 */
export async function changeUnit(
  paths: ReadonlyMap<string, string>,
  { old, cgroup }: { readonly old: Cgroup; readonly cgroup: Cgroup },
  warn: (message: string) => void,
): Promise<() => Promise<void>> {
  if (isV2(paths)) refuseMemoryBelowUsage(mainDirectory(paths), cgroup);
  const bus = new SystemdBus();
  const host = systemdHost(paths, await bus.version());
  const unit = unitName(cgroup);
  const { properties, warnings } = limitProperties(cgroup, host);
  for (const warning of warnings) warn(warning);
  const before = limitProperties(old, host).properties;
  const putBack = async () => {
    try {
      await setProperties(bus, { unit, properties: before }, paths);
    } catch (error) {
      warn(`could not put back the limits of ${unit}: ${describe(error)}`);
    }
  };
  await setProperties(bus, { unit, properties }, paths);
  try {
    const putFilesBack = changeLimits(paths, cgroup, warn);
    return async () => {
      await putBack();
      putFilesBack();
    };
  } catch (error) {
    await putBack();
    throw error;
  }
}

/** On v1 systemd rewrites the rules for devices as well, and denies them all for a moment. */
async function setProperties(
  bus: SystemdBus,
  { unit, properties }: { readonly unit: string; readonly properties: readonly Property[] },
  paths: ReadonlyMap<string, string>,
): Promise<void> {
  using scope = new DisposableStack();
  if (!isV2(paths) && paths.has("freezer") && !isFrozen(paths)) {
    scope.defer(() => thaw(paths));
    freeze(paths);
  }
  try {
    await bus.set(unit, properties);
  } catch (cause) {
    throw new ThawError("unable to set unit properties", { cause });
  }
}
