/** The mounts, devices and masked files CRIU must be told of (runc: criu_linux.go). @module */

import { basename, join, posix } from "node:path";
import { type Hierarchy, ownDirectory } from "../cgroups/hierarchies.ts";
import { resolveInRoot } from "../linux/path.ts";
import type { Config } from "../oci/config.ts";

/** An external mount: the key it was dumped under, and the path on the host to bind. */
export interface ExternalMount {
  readonly key: string;
  readonly val: string;
}

/**
 * Lists external mounts in runc's order: bind mounts and cgroup v1 hierarchies as in config.json,
 * /dev/null for masked files, then devices.
 *
 * @param root an O_PATH descriptor of the rootfs, in which destinations are resolved
 * @param hierarchies of the host; the unified one is not shown in containers
 */
export function externalMounts(
  config: Config,
  root: number,
  hierarchies: readonly Hierarchy[],
): ExternalMount[] {
  const privateCgroups = config.namespaces.some(({ type }) => type === "NEWCGROUP");
  const list: ExternalMount[] = [];
  for (const { device, destination, source } of config.mounts) {
    if (device === "bind") {
      using found = resolveInRoot(root, destination, "nothing");
      list.push({ key: found.path, val: source });
    } else if (device === "cgroup" && !privateCgroups) {
      for (const hierarchy of hierarchies) {
        if (hierarchy.controllers[0] === "") continue;
        const key = posix.join(destination, basename(hierarchy.mountpoint));
        list.push({ key, val: ownDirectory(hierarchy) });
      }
    }
  }
  // A masked file was dumped as the external mount of its path with the value /dev/null, which
  // is its key when it comes back.
  if ((config.mask_paths ?? []).length > 0) list.push({ key: "/dev/null", val: "/dev/null" });
  for (const { path } of config.devices) list.push({ key: path, val: path });
  return list;
}

/** Whether a path is below the destination of one of the tmpfs mounts, whose contents CRIU restores. */
export function isOnTmpfs(config: Config, destination: string): boolean {
  return config.mounts.some(
    (mount) =>
      mount.device === "tmpfs" && join(destination).startsWith(`${join(mount.destination)}/`),
  );
}
