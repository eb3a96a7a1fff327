/** Stage: a failed restore does not leave others cut off from the network. @module */

import { namespacePath } from "../oci/config.ts";
import type { RestorePlan } from "./plan.ts";

/** The lock that the checkpoint left in a network namespace with a path. */
export interface LockedNetwork extends AsyncDisposable {
  /** CRIU has removed it itself: disposing does nothing. */
  lifted(): void;
}

/**
 * Takes charge of the lock; disposing removes it, unless it has been lifted, and says so.
 *
 * runc leaves it, so that every other process in the namespace stays cut off after a failed restore.
 * Whatever cannot be removed is a warning: the failure that led here is what is reported.
 */
export function lockedNetwork(plan: RestorePlan): LockedNetwork {
  const path = namespacePath(plan.config, "NEWNET") ?? "";
  let lifted = path === "";
  return {
    lifted: () => {
      lifted = true;
    },
    [Symbol.asyncDispose]: async () => {
      if (!lifted) await unlock(plan, path);
    },
  };
}

async function unlock(plan: RestorePlan, path: string): Promise<void> {
  // Only a failed restore needs it.
  const { liftNetworkLock } = await import("../criu/network-lock.ts");
  const cutOff = { path, by: plan.imagePath, since: "the restore failed" };
  await liftNetworkLock(cutOff, (message) => plan.options.log.warn(message));
}
