/** Mount points CRIU needs, made inside a rootfs nobody trusts (runc: prepareCriuRestoreMounts). @module */

import { fstatSync, statSync } from "node:fs";
import { join } from "node:path";
import { ThawError } from "../errors/errors.ts";
import { wrapFs } from "../linux/libc.ts";
import { bindMount, detach } from "../linux/mount.ts";
import { resolveInRoot } from "../linux/path.ts";
import type { Config, Mount } from "../oci/config.ts";
import { isOnTmpfs } from "./external.ts";

/**
 * Makes the missing mount points of config.json's mounts: directories 0755, files 0644.
 *
 * Each bind is mounted for the moment, so that a mount point below it is made in its source.
 * Call it in a private mount namespace: those mounts must be seen by no one.
 *
 * @param root an O_PATH descriptor of the rootfs
 * @returns the configuration with the mode of existing tmpfs mount points put before their data,
 *   as runc records it
 * @throws ThawError `create criu restore mountpoint for /x mount: …`
 */
export function makeMountpoints(config: Config, root: number): Config {
  using binds = new DisposableStack();
  const mounts = config.mounts.map((mount) => {
    // CRIU makes the mount points of cgroup hierarchies, and what is on a tmpfs.
    if (mount.device === "cgroup" || isOnTmpfs(config, mount.destination)) return mount;
    try {
      return makeMountpoint(mount, config, root, binds);
    } catch (cause) {
      throw new ThawError(`create criu restore mountpoint for ${mount.destination} mount`, {
        cause,
      });
    }
  });
  return { ...config, mounts };
}

function makeMountpoint(
  mount: Mount,
  { rootfs }: Config,
  root: number,
  binds: DisposableStack,
): Mount {
  const isBind = mount.device === "bind";
  const kind = isBind && !sourceIsDirectory(mount.source) ? "file" : "directory";
  {
    // Refused before anything is made.
    using found = resolveInRoot(root, mount.destination, "nothing");
    refusePath(found.path, mount, rootfs);
  }
  using target = resolveInRoot(root, mount.destination, kind);
  refusePath(target.path, mount, rootfs);
  if (target.fd === undefined) throw new ThawError(`${target.path} does not exist`);
  if (isBind) {
    bindMount(mount.source, `/proc/self/fd/${target.fd}`, mount.destination);
    // Undone in reverse, through a fresh walk that ends on the mount itself.
    binds.defer(() => {
      using mounted = resolveInRoot(root, target.path, "nothing");
      if (mounted.fd !== undefined) detach(`/proc/self/fd/${mounted.fd}`);
    });
  }
  if (mount.device !== "tmpfs" || !target.existed) return mount;
  const mode = (fstatSync(target.fd).mode & 0o7777).toString(8).padStart(4, "0");
  return { ...mount, data: [`mode=${mode}`, mount.data].filter((text) => text !== "").join(",") };
}

function sourceIsDirectory(source: string): boolean {
  return wrapFs(`stat ${source}`, () => statSync(source)).isDirectory();
}

const PROC_FILES = new Set(
  [
    "cpuinfo",
    "diskstats",
    "meminfo",
    "stat",
    "swaps",
    "uptime",
    "loadavg",
    "slabinfo",
    "sys/kernel/ns_last_pid",
    "sys/crypto/fips_enabled",
  ].map((name) => join("/proc", name)),
);

// runc: checkProcMount; what a container shows of /proc is the kernel's.
function refusePath(path: string, mount: Mount, rootfs: string): void {
  const shown = JSON.stringify(join(rootfs, path));
  if (path === "/")
    throw new ThawError(
      `mountpoint ${JSON.stringify(rootfs)} is on the top of rootfs ${JSON.stringify(rootfs)}`,
    );
  if (path === "/proc" ? mount.device === "proc" : !path.startsWith("/proc/")) return;
  if (PROC_FILES.has(path) || (path === "/proc" && mount.device === "bind")) return;
  throw new ThawError(
    `check proc-safety of ${mount.destination} mount: ${shown} cannot be mounted because it is inside /proc`,
  );
}
