/** Pausing a container and letting it go on. @module */

import { freeze, thaw } from "../cgroups/freezer.ts";
import { type Container, refuse, statusOf } from "./container.ts";

/**
 * Freezes every process of a running or created container; all are when this returns.
 *
 * @throws ThawError `container not running`, of a paused one too; `unable to freeze`
 */
export function pauseContainer(container: Container): void {
  const status = statusOf(container);
  if (status !== "running" && status !== "created")
    throw refuse("container not running", container, status);
  freeze(container.cgroupPaths);
}

/** Lets a paused container go on. @throws ThawError `container not paused` */
export function resumeContainer(container: Container): void {
  const status = statusOf(container);
  if (status !== "paused") throw refuse("container not paused", container, status);
  thaw(container.cgroupPaths);
}
