/**
 * libcontainer's configuration: the `config` of runc's state.json, made from config.json.
 *
 * Field names and their order are runc 1.3's (libcontainer/configs), so that runc reads it.
 *
 * @module
 */

import type { Spec, SpecHook, SpecScheduler } from "./spec.ts";

/** libcontainer's Mount. */
export interface Mount {
  source: string;
  destination: string;
  device: string;
  flags: number;
  cleared_flags: number;
  propagation_flags: number[] | null;
  data: string;
  relabel: "";
  rec_attr: object | null;
  extensions: number;
  id_mapping?: { recursive: boolean; uid_mappings: IdMap[] | null; gid_mappings: IdMap[] | null };
}

/** A device cgroup rule; -1 is a wildcard, `type` the code of a, b or c. */
export interface DeviceRule {
  type: number;
  major: number;
  minor: number;
  permissions: string;
  allow: boolean;
}

/** A device node of the container; a FIFO (`p`) has no rule. */
export interface Device extends DeviceRule {
  path: string;
  file_mode: number;
  uid?: number;
  gid?: number;
}

/** A namespace; an empty path means a new one. */
export interface Namespace {
  type: string;
  path: string;
}

/** A per-device block I/O weight or rate. */
export interface BlockDevice {
  major: number;
  minor: number;
  weight?: number;
  leafWeight?: number;
  rate?: number;
}

/** Cgroup placement and limits; absent fields are not set. Bytes, microseconds, counts. */
export interface Cgroup {
  name?: string;
  /** The slice, with systemd cgroups. */
  parent?: string;
  path?: string;
  scope_prefix?: string;
  devices: DeviceRule[];
  memory?: number;
  memory_reservation?: number;
  memory_swap?: number;
  cpu_shares?: number;
  cpu_quota?: number;
  cpu_burst?: number;
  cpu_period?: number;
  cpu_rt_quota?: number;
  cpu_rt_period?: number;
  cpuset_cpus?: string;
  cpuset_mems?: string;
  cpu_idle?: number;
  pids_limit?: number;
  blkio_weight?: number;
  blkio_leaf_weight?: number;
  blkio_weight_device?: BlockDevice[];
  blkio_throttle_read_bps_device?: BlockDevice[];
  blkio_throttle_write_bps_device?: BlockDevice[];
  blkio_throttle_read_iops_device?: BlockDevice[];
  blkio_throttle_write_iops_device?: BlockDevice[];
  hugetlb_limit?: { page_size: string; limit: number }[];
  oom_kill_disable?: true;
  memory_swappiness?: number;
  net_prio_ifpriomap?: { interface: string; priority: number }[];
  net_cls_classid_u?: number;
  rdma?: Record<string, { hca_handles?: number; hca_objects?: number }>;
  cpu_weight?: number;
  unified?: Record<string, string>;
  memory_check_before_update?: true;
  owner_uid?: number;
  /** Written like this by runc 1.3. */
  Systemd?: true;
}

/** Where a cgroup is to be, of which each cgroup driver sets its own fields. */
export type CgroupPlacement = Pick<Cgroup, "name" | "parent" | "path" | "scope_prefix">;

/** How a cgroup driver reads `linux.cgroupsPath`. */
export type PlaceCgroup = (spec: Spec, id: string) => CgroupPlacement;

/** A hook as runc stores it; `timeout` in nanoseconds. */
export interface Hook {
  path: string;
  args: readonly string[] | null;
  env: readonly string[] | null;
  dir: "";
  timeout: number | null;
}

/** An id mapping, as libcontainer spells it. */
export interface IdMap {
  container_id: number;
  host_id: number;
  size: number;
}

/** Intel RDT, in libcontainer's spelling; a restore records it and applies nothing. */
export interface IntelRdt {
  closID?: string;
  l3_cache_schema?: string;
  memBwSchema?: string;
}

/** The `config` of state.json. */
export interface Config {
  no_pivot_root: boolean;
  parent_death_signal: 0;
  rootfs: string;
  umask: number | null;
  readonlyfs: boolean;
  rootPropagation: number;
  mounts: Mount[];
  devices: Device[];
  mount_label: string;
  hostname: string;
  domainname: string;
  namespaces: Namespace[];
  capabilities: Record<string, readonly string[] | null> | null;
  networks: object[] | null;
  routes: null;
  cgroups: Cgroup;
  apparmor_profile?: string;
  process_label?: string;
  oom_score_adj?: number;
  uid_mappings: IdMap[] | null;
  gid_mappings: IdMap[] | null;
  mask_paths: readonly string[] | null;
  readonly_paths: readonly string[] | null;
  sysctl: Readonly<Record<string, string>> | null;
  seccomp: object | null;
  no_new_privileges?: true;
  Hooks: Record<string, Hook[] | null>;
  version: string;
  labels: string[];
  no_new_keyring: boolean;
  intel_rdt?: IntelRdt;
  time_offsets?: object;
  scheduler?: SpecScheduler;
  personality?: object;
  io_priority?: { readonly class: string; readonly priority: number | bigint };
  exec_cpu_affinity?: object;
}

/** Version of the specification that runc 1.3 implements; `ociVersion` of what it prints. */
export const SPEC_VERSION = "1.2.1";

/** A hook of config.json as runc stores it. */
export function toHook(hook: SpecHook): Hook {
  return {
    path: hook.path ?? "",
    args: hook.args ?? null,
    env: hook.env ?? null,
    dir: "",
    timeout: hook.timeout == null ? null : hook.timeout * 1e9,
  };
}

/** Path of a configured namespace: undefined when it has none, "" when it is a new one. */
export function namespacePath(config: Config, type: string): string | undefined {
  return config.namespaces.find((namespace) => namespace.type === type)?.path;
}
