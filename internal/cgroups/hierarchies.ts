/** Which cgroup hierarchies the host has, and where thaw itself is in them (cgroups(7)). @module */

import { readFileSync, statfsSync } from "node:fs";
import { basename, dirname, join, posix } from "node:path";
import { ThawError } from "../errors/errors.ts";
import { type MountInfo, mounts } from "../linux/mount.ts";

const ROOT = "/sys/fs/cgroup";
const CGROUP2_SUPER_MAGIC = 0x63677270;

/** Controllers in the order runc's cgroupfs driver handles them. */
export const CONTROLLERS = [
  "cpuset",
  "devices",
  "memory",
  "cpu",
  "cpuacct",
  "pids",
  "blkio",
  "hugetlb",
  "net_cls",
  "net_prio",
  "perf_event",
  "freezer",
  "rdma",
  "name=systemd",
  "misc",
] as const;

/** Name of the unified hierarchy in a hybrid layout, as state.json spells it. */
export const UNIFIED = "";

/** One mounted hierarchy. */
export interface Hierarchy {
  /** Controllers bound to it; a named one is `name=systemd`, the unified one is "". */
  readonly controllers: readonly string[];
  readonly mountpoint: string;
  /** What of the hierarchy is mounted there, usually `/`. */
  readonly root: string;
  /** thaw's own cgroup, from the hierarchy's root. */
  readonly own: string;
}

/** The v1 hierarchies and the unified one of a hybrid layout; on a v2 host the one there is. */
export function hierarchies(): Hierarchy[] {
  const own = parseOwn(readFileSync("/proc/thread-self/cgroup", "utf8"));
  return findHierarchies(mounts(), own, isUnified());
}

function isUnified(): boolean {
  try {
    return statfsSync(ROOT).type === CGROUP2_SUPER_MAGIC;
  } catch (cause) {
    throw new ThawError(`cgroups are not mounted at ${ROOT}`, { cause });
  }
}

/** /proc/PID/cgroup: each controller (or `name=systemd`, or "" for unified) to its path. */
export function parseOwn(text: string): Map<string, string> {
  const own = new Map<string, string>();
  for (const line of text.split("\n")) {
    const match = /^\d+:([^:]*):(.*)$/.exec(line);
    if (match === null) continue;
    for (const controller of (match[1] ?? "").split(",")) own.set(controller, match[2] ?? "/");
  }
  return own;
}

/**
 * Matches mounts with controllers; pure.
 *
 * @param unified whether the host has cgroup v2 alone
 */
export function findHierarchies(
  table: readonly MountInfo[],
  own: ReadonlyMap<string, string>,
  unified = false,
): Hierarchy[] {
  if (unified) {
    const root = table.findLast(({ mountpoint }) => mountpoint === ROOT)?.root ?? "/";
    const path = own.get(UNIFIED) ?? "/";
    return [{ controllers: [UNIFIED], mountpoint: ROOT, root, own: path }];
  }
  const found: Hierarchy[] = [];
  for (const { fstype, mountpoint, root, superOptions } of table) {
    if (!mountpoint.startsWith(`${ROOT}/`)) continue;
    const controllers =
      fstype === "cgroup" ? superOptions.filter((option) => own.has(option)) : [UNIFIED];
    const wanted =
      fstype === "cgroup" || (fstype === "cgroup2" && mountpoint === `${ROOT}/unified`);
    if (!wanted || controllers.length === 0) continue;
    if (found.some((other) => other.controllers[0] === controllers[0])) continue;
    found.push({ controllers, mountpoint, root, own: own.get(controllers[0] ?? "") ?? "/" });
  }
  return found;
}

/**
 * Where the container's cgroup is in each hierarchy.
 *
 * An absolute path counts from the hierarchy's root; a relative one, and the bare name of a
 * container without cgroupsPath, from thaw's own cgroup.
 *
 * @param inner `linux.cgroupsPath`, or the id
 * @returns controller to absolute directory, in runc's order, without controllers not mounted; on a
 *   v2 host the one directory, under ""
 * @throws ThawError when the devices controller is not mounted: limits on devices are a defence
 */
export function cgroupPaths(found: readonly Hierarchy[], inner: string): Map<string, string> {
  const paths = new Map<string, string>();
  const [only] = found;
  if (only !== undefined && only.mountpoint === ROOT)
    return paths.set(UNIFIED, unifiedPath(only, inner));
  for (const controller of [...CONTROLLERS, UNIFIED]) {
    const hierarchy = found.find(({ controllers }) => controllers.includes(controller));
    if (hierarchy === undefined) continue;
    paths.set(controller, cgroupPath(hierarchy, inner));
  }
  if (!paths.has("devices"))
    throw new ThawError("cgroup: devices controller not mounted", {
      hint: "mount the v1 devices hierarchy under /sys/fs/cgroup",
    });
  return paths;
}

// A cgroup with processes cannot hand controllers on, so a relative path counts from the parent.
function unifiedPath(hierarchy: Hierarchy, inner: string): string {
  if (inner.startsWith("/")) return join(ROOT, inner);
  return join(ROOT, dirname(hierarchy.own), inner);
}

function cgroupPath(hierarchy: Hierarchy, inner: string): string {
  if (inner.startsWith("/")) return join(ROOT, basename(hierarchy.mountpoint), inner);
  return join(ownDirectory(hierarchy), inner);
}

/** The directory of thaw's own cgroup in a hierarchy. */
export function ownDirectory(hierarchy: Hierarchy): string {
  const relative = posix.relative(hierarchy.root, hierarchy.own);
  // A cgroup outside of what is mounted (a container's view) is taken for the mount's root.
  return relative.startsWith("..") ? hierarchy.mountpoint : join(hierarchy.mountpoint, relative);
}
