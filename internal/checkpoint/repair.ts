/** Stage: a dump that CRIU could not undo itself leaves the container as it was found. @module */

import { freeze, isFrozen, thaw } from "../cgroups/freezer.ts";
import { removeNetworkLock } from "../criu/network-lock.ts";
import type { CriuSession } from "../criu/session.ts";
import { describe, findCause, InterruptedError } from "../errors/errors.ts";
import { networkLock } from "../images/network-lock.ts";
import type { CheckpointPlan } from "./plan.ts";

/**
 * Does what a CRIU that was killed cannot: it leaves the container frozen, or not frozen any more,
 * and cut off from the network. One that fails by itself undoes its own work, except that it forgets
 * the network when it fails to hand over memory (CRIU cr-dump.c, cr_dump_finish).
 *
 * Whatever goes wrong is a warning: the failure that led here is what is reported.
 *
 * @param locked CRIU had cut off the network, and has not said that it does so no longer
 */
export async function leaveAsFound(
  plan: CheckpointPlan,
  criu: CriuSession,
  locked: boolean,
  error: unknown,
): Promise<void> {
  const { log } = plan.options;
  const { id, state, cgroupPaths } = plan.container;
  if (criu.status === undefined) {
    log.warn(`criu (pid ${criu.pid}) still works, and will let ${id} go on by itself`);
    return;
  }
  const killed = criu.status.code >= 128;
  const interrupted = findCause(error, InterruptedError) !== undefined; // what it said last went unheard
  try {
    if (killed && isFrozen(cgroupPaths) !== plan.paused) (plan.paused ? freeze : thaw)(cgroupPaths);
    if (locked && (killed || !interrupted))
      await removeNetworkLock(`/proc/${state.init.pid}/ns/net`, networkLock(plan.imagePath));
  } catch (failed) {
    log.warn(`${id} may still be frozen, or cut off from the network: ${describe(failed)}`);
  }
}
