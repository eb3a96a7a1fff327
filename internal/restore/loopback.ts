/** Stage: the loopback interface of a new network namespace. @module */

import { describe } from "../errors/errors.ts";
import { isSameNamespace } from "../linux/namespace.ts";
import { raiseLoopback } from "../linux/network.ts";
import { namespacePath } from "../oci/config.ts";
import type { RestorePlan } from "./plan.ts";

/**
 * Raises `lo` in the container's new network namespace, before hooks run and sockets come back.
 *
 * `runc run` does so, its restore does not: services would lose 127.0.0.1 for good, and a dumped
 * TCP connection over it could not be restored. A namespace with a path is its owner's business, and so is the host's.
 *
 * @param init host pid of init, once CRIU has made its namespaces
 */
export function raiseContainerLoopback(plan: RestorePlan, init: number): void {
  const path = namespacePath(plan.config, "NEWNET") ?? "";
  if (path !== "" && isSameNamespace(path, `/proc/${init}/ns/net`)) return;
  const { log } = plan.options;
  try {
    if (raiseLoopback(init)) log.debug("raised lo in the container's network namespace");
  } catch (error) {
    // The container is restorable without it, as it is with runc.
    log.warn(`cannot raise lo in the container's network namespace: ${describe(error)}`);
  }
}
