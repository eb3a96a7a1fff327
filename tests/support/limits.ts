/** Limits of a container as the kernel and state.json have them, and updates of two containers. @module */

import { expect } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Json, run } from "./lab.ts";
import type { Twin, Twins } from "./side-by-side.ts";

// Of v2 all are in one directory, whose controller state.json calls "".
const LIMITS: Readonly<Record<string, readonly string[]>> = {
  memory: [
    "memory.limit_in_bytes",
    "memory.memsw.limit_in_bytes",
    "memory.soft_limit_in_bytes",
    "memory.swappiness",
  ],
  cpu: [
    "cpu.shares",
    "cpu.cfs_period_us",
    "cpu.cfs_quota_us",
    "cpu.cfs_burst_us",
    "cpu.idle",
    "cpu.rt_period_us",
    "cpu.rt_runtime_us",
  ],
  cpuset: ["cpuset.cpus", "cpuset.mems"],
  pids: ["pids.max"],
  blkio: ["blkio.bfq.weight", "blkio.throttle.read_bps_device", "blkio.throttle.write_iops_device"],
  "": [
    ...["memory.max", "memory.low", "memory.high", "memory.swap.max", "pids.max", "cpu.weight"],
    ...["cpu.max", "cpu.max.burst", "cpu.idle", "cpuset.cpus", "cpuset.mems", "io.max"],
    ...["io.weight", "io.bfq.weight"],
  ],
};

/** Every limit as the kernel has it, and as state.json has it. */
export function limitsOf({ lab, id }: Pick<Twin, "lab" | "id">): Json {
  const { cgroup_paths: paths, config, ...rest } = lab.state(id);
  const files = Object.entries(LIMITS).flatMap(([controller, names]) =>
    names.map((name) => {
      const path = join(paths[controller] ?? "/nonexistent", name);
      return [
        `${controller} ${name}`,
        existsSync(path) ? readFileSync(path, "utf8").trim() : "none",
      ];
    }),
  );
  const { name: _, ...cgroups } = config.cgroups;
  return {
    files: Object.fromEntries(files),
    cgroups,
    keys: [Object.keys(rest), Object.keys(config)],
  };
}

/**
 * Runs an update on both; what each says, and all limits then, must be the same.
 *
 * @param resources the document for --resources
 * @param look what else must be
 */
export function updateBoth(
  twins: Twins,
  line: string,
  resources?: string,
  look?: (twin: Twin) => object,
): void {
  const outcomes = twins.both.map((twin) => {
    const { lab, id, runtime } = twin;
    const file = join(lab.path, "resources.json");
    if (resources !== undefined) writeFileSync(file, resources);
    const words = line.split(" ").filter(Boolean);
    const given = resources === undefined ? words : ["--resources", file, ...words];
    const { status, stdout, stderr } = run([
      runtime,
      "--root",
      lab.root,
      ...lab.globals,
      "update",
      ...given,
      id,
    ]);
    const said = stderr
      .split("\n")
      // runc means to put back the old limits and sets the refused ones a second time.
      .filter((text) => text !== "" && !text.includes("Setting back cgroup configs failed"))
      .flatMap((text) => /level=(\w+) msg="?(.*?)(; .*)?"?$/.exec(text)?.slice(1, 3) ?? text)
      .map((text) => text.replaceAll(id, "ID").replaceAll(lab.path, "/LAB"))
      .map((text) => text.replace(/(usage:? )\d+/g, "$1N"));
    const { files, ...recorded } = limitsOf(twin);
    // Of a refused update runc leaves the first limits changed, and thaw none.
    const kept = status === 0 ? { files, recorded } : { recorded };
    return { status, stdout: status === 0 ? stdout : "", said, ...kept, ...look?.(twin) };
  });
  expect({ line, resources, ...outcomes[1] }).toEqual({ line, resources, ...outcomes[0] } as Json);
}
