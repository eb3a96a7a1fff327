/** Stage: a failed restore does not leave others cut off from the network. @module */

import { describe } from "../errors/errors.ts";
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
  const { log } = plan.options;
  try {
    // Only a failed restore needs them.
    const { removeNetworkLock } = await import("../criu/network-lock.ts");
    const { networkLock } = await import("../images/network-lock.ts");
    const removed = await removeNetworkLock(path, networkLock(plan.imagePath));
    if (removed.length === 0) return;
    log.warn(
      `the checkpoint had cut off network namespace ${path}; removed ${removed.join(" and ")}, since the restore failed`,
    );
  } catch (error) {
    log.warn(
      `network namespace ${path} may still be cut off by the checkpoint: ${describe(error)}; look there with "iptables -S" and "nft list tables"`,
    );
  }
}
