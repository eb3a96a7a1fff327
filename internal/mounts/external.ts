/** The mounts, devices and masked files CRIU must be told of (runc: criu_linux.go). @module */

import { fstatSync } from "node:fs";
import { basename, join, posix } from "node:path";
import { type Hierarchy, ownDirectory } from "../cgroups/hierarchies.ts";
import { resolveInRoot } from "../linux/path.ts";
import type { Config, Mount, Namespace } from "../oci/config.ts";

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
  const list = boundMounts(config, root, hierarchies);
  // A masked file was dumped as the external mount of its path with the value /dev/null, which
  // is its key when it comes back.
  if ((config.mask_paths ?? []).length > 0) list.push({ key: "/dev/null", val: "/dev/null" });
  for (const { path } of config.devices) list.push({ key: path, val: path });
  return list;
}

/** What of a running container is known of its mounts. */
export interface MountedContainer {
  readonly namespaces: readonly Namespace[];
  readonly mounts: readonly Pick<Mount, "device" | "destination" | "source">[];
  readonly maskPaths: readonly string[];
  /** Paths of its device nodes. */
  readonly devices: readonly string[];
}

/**
 * Lists, in runc's order, what a dump must not look into, under the names that a restore gives back:
 * each mount by its own destination, a masked file by `/dev/null`.
 *
 * @param rootfs an O_PATH descriptor of the rootfs, in which destinations are resolved
 * @param inside an O_PATH descriptor of the root that the container's init sees
 * @param hierarchies of the host
 */
export function dumpedMounts(
  container: MountedContainer,
  rootfs: number,
  inside: number,
  hierarchies: readonly Hierarchy[],
): ExternalMount[] {
  const bound = boundMounts(container, rootfs, hierarchies).map(({ key }) => ({ key, val: key }));
  const masked = container.maskPaths
    .filter((path) => isFile(inside, path))
    .map((key) => ({ key, val: "/dev/null" }));
  const devices = container.devices.map((path) => ({ key: path, val: path }));
  return [...bound, ...masked, ...devices];
}

function isFile(root: number, path: string): boolean {
  try {
    using found = resolveInRoot(root, path, "nothing");
    return found.fd !== undefined && !fstatSync(found.fd).isDirectory();
  } catch {
    return false; // below a file: there is nothing to mask
  }
}

/** Bind mounts and cgroup v1 hierarchies: by destination, the path on the host. */
function boundMounts(
  { mounts, namespaces }: Pick<MountedContainer, "mounts" | "namespaces">,
  root: number,
  hierarchies: readonly Hierarchy[],
): ExternalMount[] {
  const privateCgroups = namespaces.some(({ type }) => type === "NEWCGROUP");
  return mounts.flatMap(({ device, destination, source }) => {
    if (device === "bind") {
      using found = resolveInRoot(root, destination, "nothing");
      return [{ key: found.path, val: source }];
    }
    if (device !== "cgroup" || privateCgroups) return [];
    return hierarchies
      .filter(({ controllers }) => controllers[0] !== "")
      .map((hierarchy) => ({
        key: posix.join(destination, basename(hierarchy.mountpoint)),
        val: ownDirectory(hierarchy),
      }));
  });
}

/** Whether a path is below the destination of one of the tmpfs mounts, whose contents CRIU restores. */
export function isOnTmpfs(config: Config, destination: string): boolean {
  return config.mounts.some(
    (mount) =>
      mount.device === "tmpfs" && join(destination).startsWith(`${join(mount.destination)}/`),
  );
}
