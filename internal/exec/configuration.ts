/** What a container's own configuration says of each process in it (state.json, `config`). @module */

import type { IdMap } from "../oci/config.ts";
import type { SpecProcess, SpecScheduler } from "../oci/spec.ts";
import type { Profile } from "../seccomp/rules.ts";
import type { StoredState } from "../state/load.ts";

/** Names of capabilities by set; a set that is not there is empty. */
export interface CapabilityNames {
  readonly Bounding?: readonly string[] | null;
  readonly Effective?: readonly string[] | null;
  readonly Inheritable?: readonly string[] | null;
  readonly Permitted?: readonly string[] | null;
  readonly Ambient?: readonly string[] | null;
}

/** A resource limit by its RLIMIT_ number. */
export interface Limit {
  readonly type: number;
  readonly hard: number | bigint;
  readonly soft: number | bigint;
}

/** The part of `config` that concerns a process; fields and their types are runc's. */
export interface Configuration {
  readonly namespaces: readonly { readonly type: string }[];
  readonly umask?: number | null;
  readonly capabilities?: CapabilityNames | null;
  readonly apparmor_profile?: string;
  readonly process_label?: string;
  readonly oom_score_adj?: number;
  readonly uid_mappings?: readonly IdMap[] | null;
  readonly gid_mappings?: readonly IdMap[] | null;
  readonly seccomp?: Profile | null;
  readonly no_new_privileges?: boolean;
  readonly no_new_keyring?: boolean;
  readonly rlimits?: readonly Limit[] | null;
  readonly personality?: { readonly domain: number } | null;
  readonly scheduler?: SpecScheduler | null;
  readonly io_priority?: SpecProcess["ioPriority"];
  /** Words of 64 CPUs each. */
  readonly exec_cpu_affinity?: {
    readonly Initial?: readonly (number | bigint)[] | null;
    readonly Final?: readonly (number | bigint)[] | null;
  } | null;
}

/** The configuration of a container. Who can write state.json is root already: types are believed. */
export function configurationOf({ config }: StoredState): Configuration {
  return { ...config, namespaces: (config["namespaces"] ?? []) as Configuration["namespaces"] };
}
