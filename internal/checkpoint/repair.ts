/** Stage: a dump that CRIU could not undo itself leaves the container as it was found. @module */

import { freeze, isFrozen, thaw } from "../cgroups/freezer.ts";
import { removeDumpLock } from "../criu/network-lock.ts";
import type { CriuSession } from "../criu/session.ts";
import { describe } from "../errors/errors.ts";
import { holdProcess } from "../linux/pidfd.ts";
import type { CheckpointPlan } from "./plan.ts";

// How long a process that CRIU killed last of all may take to end, in milliseconds.
const DYING = 300;

/** How far a dump came that has failed. */
export interface Damage {
  /** CRIU has cut off the network; whether it does so still is not known. */
  readonly cutOff: boolean;
  /** All images are written, and so CRIU may have ended the container. */
  readonly complete: boolean;
  /** Path of CRIU's log. */
  readonly log: string;
}

/**
 * Does what a CRIU that was killed cannot: it leaves the container frozen, or not frozen any more,
 * and cut off from the network. One that fails by itself undoes its own work, except that it forgets
 * the network once it has images of all and fails to hand over memory (CRIU cr-dump.c, cr_dump_finish).
 *
 * Whatever goes wrong is a warning: the failure that led here is what is reported.
 *
 * @returns whether the container goes on; if it may not, its images are all there is of it
 */
export async function leaveAsFound(
  plan: CheckpointPlan,
  criu: CriuSession,
  { cutOff, complete, log: criuLog }: Damage,
): Promise<boolean> {
  const { log } = plan.options;
  const { id, state, cgroupPaths } = plan.container;
  if (criu.status === undefined) {
    log.warn(`criu (pid ${criu.pid}) still works, and will let ${id} go on by itself`);
    return false;
  }
  const killed = criu.status.code >= 128;
  const { pid, startTime } = state.init;
  using init = holdProcess(pid, startTime);
  if (init === undefined || (killed && complete && init.ended(DYING))) return false;
  try {
    if (killed && isFrozen(cgroupPaths) !== plan.paused) (plan.paused ? freeze : thaw)(cgroupPaths);
    if (cutOff) await removeDumpLock(`/proc/${pid}/ns/net`, { init: pid, log: criuLog });
  } catch (failed) {
    log.warn(`${id} may still be frozen, or cut off from the network: ${describe(failed)}`);
  }
  return true;
}
