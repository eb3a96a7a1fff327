/** Intel RDT (resctrl), which thaw leaves to runc: whether there is any to speak of. @module */

import { existsSync } from "node:fs";
import type { Container } from "./container.ts";

const INFO = "/sys/fs/resctrl/info";

/** Whether the host can partition the L3 cache (CAT). */
export function hasCacheAllocation(): boolean {
  return existsSync(`${INFO}/L3`);
}

/** Whether the host can limit memory bandwidth (MBA). */
export function hasBandwidthAllocation(): boolean {
  return existsSync(`${INFO}/MB`);
}

/** Whether a container has figures of Intel RDT. */
export function reportsRdt({ state }: Container): boolean {
  return state.intelRdt && existsSync(INFO);
}
