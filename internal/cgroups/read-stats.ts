/** Reads what a container's cgroup has used, whatever kind of cgroup it is. @module */

import { isV2, mainDirectory } from "./paths.ts";
import type { CgroupStats } from "./stats.ts";
import { legacyStats } from "./v1/stats.ts";
import { unifiedStats } from "./v2/stats.ts";

/**
 * Reads what a container's cgroup has used.
 *
 * @throws SyscallError `open PATH: …` when the cgroup is gone; ThawError for a file of another form
 */
export function readStats(paths: ReadonlyMap<string, string>): CgroupStats {
  return isV2(paths) ? unifiedStats(mainDirectory(paths)) : legacyStats(paths);
}
