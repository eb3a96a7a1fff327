/**
 * Stage: the root CRIU restores into.
 *
 * CRIU wants a root that is a mount point, under a parent nothing is mounted over. As runc does,
 * the rootfs is bound to `criu-root` in the state directory; unlike runc, in a mount namespace
 * that ends with CRIU, so that a killed restore leaves no way into the rootfs.
 *
 * @module
 */

import { mkdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { ThawError } from "../errors/errors.ts";
import { wrapFs } from "../linux/libc.ts";
import { bindMount } from "../linux/mount.ts";

/**
 * Binds the rootfs to `criu-root`; the state directory owns the directory and removes it.
 *
 * @returns the absolute path without links, CRIU's `root` option
 * @throws ThawError naming both
 */
export function mountCriuRoot(rootfs: string, stateDirectory: string): string {
  const directory = join(stateDirectory, "criu-root");
  try {
    wrapFs(`mkdir ${directory}`, () => mkdirSync(directory, 0o755));
    const path = realpathSync(directory);
    bindMount(rootfs, path);
    return path;
  } catch (cause) {
    throw new ThawError(`prepare ${directory} for ${rootfs}`, { cause });
  }
}
