/** Container images without a registry: `docker save` archives of one layer. @module */

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must, run } from "./lab.ts";

/**
 * Makes the archive of an image, which `ctr image import` and `podman load` take.
 *
 * @param directory where it is made; not there yet
 * @param name the image's name and tag
 * @param rootfs its only layer
 * @param command what a container runs
 * @returns the archive's path
 */
export function imageArchive(
  directory: string,
  name: string,
  rootfs: string,
  command: readonly string[],
): string {
  mkdirSync(join(directory, "0"), { recursive: true });
  const layer = join(directory, "0/layer.tar");
  must(run(["tar", "-C", rootfs, "-cf", layer, "."]));
  const digest = createHash("sha256").update(readFileSync(layer)).digest("hex");
  const config = {
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    os: "linux",
    config: { Cmd: command, Env: ["PATH=/bin:/usr/bin:/usr/sbin"] },
    rootfs: { type: "layers", diff_ids: [`sha256:${digest}`] },
  };
  const manifest = [{ Config: "config.json", RepoTags: [name], Layers: ["0/layer.tar"] }];
  writeFileSync(join(directory, "config.json"), JSON.stringify(config));
  writeFileSync(join(directory, "manifest.json"), JSON.stringify(manifest));
  const archive = `${directory}.tar`;
  must(run(["tar", "-C", directory, "-cf", archive, "manifest.json", "config.json", "0"]));
  rmSync(directory, { recursive: true });
  return archive;
}
