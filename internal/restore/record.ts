/** What is recorded of a restored container: state.json. @module */

import { existsSync } from "node:fs";
import { startTime } from "../linux/process.ts";
import type { Config } from "../oci/config.ts";
import type { State } from "../state/state.ts";

/** What state.json says beside the configuration. */
export interface StateParts {
  readonly id: string;
  /** Host pid of init. */
  readonly pid: number;
  readonly config: Config;
  readonly cgroupPaths: ReadonlyMap<string, string>;
  readonly externalDescriptors: readonly string[];
  readonly now: Date;
}

const NAMESPACES = {
  NEWCGROUP: "cgroup",
  NEWIPC: "ipc",
  NEWNET: "net",
  NEWNS: "mnt",
  NEWPID: "pid",
  NEWTIME: "time",
  NEWUSER: "user",
  NEWUTS: "uts",
};

/** Makes the state of a restored container, as runc 1.3 writes it. */
export function restoredState(parts: StateParts): State {
  const kernelHas = (file: string) => existsSync(`/proc/self/ns/${file}`);
  const namespaces = Object.entries(NAMESPACES).filter(([, file]) => kernelHas(file));
  return {
    id: parts.id,
    init_process_pid: parts.pid,
    init_process_start: startTime(parts.pid) ?? 0,
    created: parts.now.toISOString().replace(/\.?0*Z$/, "Z"), // Go's RFC3339Nano has no trailing zeros
    config: withTimeNamespace(parts.config, kernelHas("time")),
    rootless: false,
    cgroup_paths: Object.fromEntries([...parts.cgroupPaths].sort(([a], [b]) => (a < b ? -1 : 1))),
    namespace_paths: Object.fromEntries(
      namespaces.map(([type, file]) => [type, `/proc/${parts.pid}/ns/${file}`]),
    ),
    external_descriptors: parts.externalDescriptors,
    intel_rdt_path: "",
  };
}

// CRIU always restores into a time namespace; `exec` joins what is listed here.
function withTimeNamespace(config: Config, kernelHas: boolean): Config {
  if (!kernelHas || config.namespaces.some(({ type }) => type === "NEWTIME")) return config;
  return { ...config, namespaces: [...config.namespaces, { type: "NEWTIME", path: "" }] };
}
