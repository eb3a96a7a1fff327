/** config.json to libcontainer's configuration (runc: specconv.CreateLibcontainerConfig). @module */

import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { ThawError } from "../errors/errors.ts";
import { goJson } from "../log/log.ts";
import { cgroupConfig } from "./cgroup-config.ts";
import {
  type Config,
  type IdMap,
  type IntelRdt,
  type Mount,
  type Namespace,
  type PlaceCgroup,
  SPEC_VERSION,
  toHook,
} from "./config.ts";
import { createDevices } from "./devices.ts";
import { PROPAGATION, parseMountOptions } from "./mount-options.ts";
import { refuseUnused } from "./refuse.ts";
import { affinityConfig, ioPriorityConfig, schedulerConfig } from "./scheduling.ts";
import { seccompConfig } from "./seccomp.ts";
import {
  HOOK_NAMES,
  type IdMapping,
  type Spec,
  type SpecLinux,
  type SpecMount,
  type SpecProcess,
} from "./spec.ts";

/** What beside config.json decides the configuration. */
export interface ConvertOptions {
  readonly id: string;
  /** Absolute path of the bundle. */
  readonly bundle: string;
  readonly noPivot: boolean;
  readonly noNewKeyring: boolean;
  /** How the cgroup driver reads `linux.cgroupsPath`; undefined: as a path. */
  readonly placeCgroup?: PlaceCgroup;
}

/**
 * Makes the configuration that state.json records.
 *
 * @returns the configuration, and warnings for the log
 * @throws ThawError in runc's words for what config.json gets wrong
 */
export function toConfig(
  spec: Spec,
  options: ConvertOptions,
): { config: Config; warnings: string[] } {
  const warnings: string[] = [];
  if (spec.root === null || spec.root === undefined) throw new ThawError("root must be specified");
  const linux = spec.linux ?? {};
  const mounts = (spec.mounts ?? []).map((mount) => toMount(mount, options.bundle, warnings));
  warnings.push(...refuseUnused(spec));
  const { nodes, rules } = createDevices(linux.devices ?? []);
  if (linux.resources?.memory?.kernel != null || linux.resources?.memory?.kernelTCP != null)
    warnings.push("Kernel memory settings are ignored and will be removed");
  const cgroups = cgroupConfig(spec, options.id, rules, options.placeCgroup);
  const namespaces = toNamespaces(linux.namespaces ?? []);
  const uidMappings = toIdMaps(linux.uidMappings);
  const gidMappings = toIdMaps(linux.gidMappings);
  const hasUser = namespaces.some(({ type }) => type === "NEWUSER");
  // Without mappings validateConfig() refuses it.
  if (hasUser && uidMappings?.length && gidMappings?.length)
    ownDevices(nodes, uidMappings, gidMappings);
  const config: Config = {
    no_pivot_root: options.noPivot,
    parent_death_signal: 0,
    rootfs: resolve(options.bundle, spec.root.path ?? ""),
    umask: spec.process?.user?.umask ?? null,
    readonlyfs: spec.root.readonly ?? false,
    rootPropagation: rootPropagation(linux.rootfsPropagation ?? ""),
    mounts,
    devices: nodes,
    mount_label: linux.mountLabel ?? "",
    hostname: spec.hostname ?? "",
    domainname: spec.domainname ?? "",
    namespaces,
    ...capabilities(spec.process),
    networks: namespaces.some(({ type, path }) => type === "NEWNET" && path === "")
      ? [LOOPBACK]
      : null,
    routes: null,
    cgroups,
    ...processFields(spec.process),
    uid_mappings: hasUser ? uidMappings : null,
    gid_mappings: hasUser ? gidMappings : null,
    mask_paths: linux.maskedPaths ?? null,
    readonly_paths: linux.readonlyPaths ?? null,
    sysctl: linux.sysctl ?? null,
    seccomp: seccompConfig(linux.seccomp),
    ...(spec.process?.noNewPrivileges === true ? { no_new_privileges: true as const } : {}),
    Hooks: Object.fromEntries(
      HOOK_NAMES.map((name) => [name, spec.hooks?.[name]?.map(toHook) ?? null]),
    ),
    version: SPEC_VERSION,
    labels: [
      ...Object.entries(spec.annotations ?? {}).map(([key, value]) => `${key}=${value}`),
      `bundle=${options.bundle}`,
    ],
    no_new_keyring: options.noNewKeyring,
    ...(linux.intelRdt == null ? {} : { intel_rdt: intelRdt(linux.intelRdt) }),
    ...(linux.timeOffsets == null ? {} : { time_offsets: timeOffsets(linux.timeOffsets) }),
    ...execution(spec.process ?? {}, linux.personality),
  };
  return { config, warnings };
}

const LOOPBACK = {
  type: "loopback",
  name: "",
  bridge: "",
  mac_address: "",
  address: "",
  gateway: "",
  ipv6_address: "",
  ipv6_gateway: "",
  mtu: 0,
  txqueuelen: 0,
  host_interface_name: "",
  hairpin_mode: false,
};

const MS_BIND = 0x1000;

function toMount(mount: SpecMount, bundle: string, warnings: string[]): Mount {
  const { source = "", destination = "", type = "" } = mount;
  if (!destination.startsWith("/"))
    warnings.push(
      `mount destination ${destination} is not absolute. Support for non-absolute mount destinations will be removed in a future release.`,
    );
  if ([source, destination, type].some((text) => text.includes("\0")))
    throw new ThawError(`invalid mount ${goJson(mount)}: mount field contains null byte`);
  const { idmap, ...parsed } = parseMountOptions(mount.options ?? []);
  const isBind = (parsed.flags & MS_BIND) !== 0;
  const uids = toIdMaps(mount.uidMappings);
  const gids = toIdMaps(mount.gidMappings);
  const mapped = idmap !== undefined || uids !== null || gids !== null;
  return {
    source: isBind ? resolve(bundle, source) : source,
    destination,
    device: isBind ? "bind" : type, // the type of a bind mount means nothing
    flags: parsed.flags,
    cleared_flags: parsed.cleared_flags,
    propagation_flags: parsed.propagation_flags,
    data: parsed.data,
    relabel: "",
    rec_attr: parsed.rec_attr,
    extensions: parsed.extensions,
    ...(mapped
      ? { id_mapping: { recursive: idmap === "ridmap", uid_mappings: uids, gid_mappings: gids } }
      : {}),
  };
}

/** Types of namespaces: of config.json, and as libcontainer names them. */
export const NAMESPACES: Readonly<Record<string, string>> = {
  pid: "NEWPID",
  network: "NEWNET",
  mount: "NEWNS",
  user: "NEWUSER",
  ipc: "NEWIPC",
  uts: "NEWUTS",
  cgroup: "NEWCGROUP",
  time: "NEWTIME",
};

function toNamespaces(list: readonly { type?: string; path?: string }[]): Namespace[] {
  const seen = new Set<string>();
  return list.map(({ type = "", path = "" }) => {
    const shown = `{${JSON.stringify(type)} ${JSON.stringify(path)}}`; // Go's %q of the struct
    const name = Object.hasOwn(NAMESPACES, type) ? NAMESPACES[type] : undefined;
    if (name === undefined) throw new ThawError(`namespace ${shown} does not exist`);
    if (seen.has(name)) throw new ThawError(`malformed spec file: duplicated ns ${shown}`);
    seen.add(name);
    return { type: name, path };
  });
}

function toIdMaps(list: readonly IdMapping[] | null | undefined): IdMap[] | null {
  if (list === null || list === undefined) return null;
  return list.map(({ containerID = 0, hostID = 0, size = 0 }) => ({
    container_id: containerID,
    host_id: hostID,
    size,
  }));
}

/**
 * The host id that an id of the container is mapped to.
 *
 * @throws ThawError when it has no mapping
 */
export function hostId(mappings: readonly IdMap[] | null, id: number): number {
  if (mappings === null) return id;
  const found = mappings.find((m) => id >= m.container_id && id < m.container_id + m.size);
  if (found === undefined)
    throw new ThawError(`user namespaces enabled, but no mapping found for uid ${id}`, {
      hint: "map id 0 in linux.uidMappings and linux.gidMappings of config.json",
    });
  return found.host_id + (id - found.container_id);
}

function ownDevices(
  nodes: { uid?: number; gid?: number }[],
  uids: IdMap[] | null,
  gids: IdMap[] | null,
) {
  const uid = hostId(uids, 0);
  const gid = hostId(gids, 0);
  for (const node of nodes) Object.assign(node, uid === 0 ? {} : { uid }, gid === 0 ? {} : { gid });
}

function rootPropagation(name: string): number {
  if (name === "") return 0;
  const flags = Object.hasOwn(PROPAGATION, name) ? PROPAGATION[name] : undefined;
  if (flags === undefined) throw new ThawError(`rootfsPropagation=${name} is not supported`);
  return flags;
}

function capabilities(process: SpecProcess | null | undefined) {
  const sets = process?.capabilities;
  if (sets === null || sets === undefined) return { capabilities: null };
  return {
    capabilities: {
      Bounding: sets["bounding"] ?? null,
      Effective: sets["effective"] ?? null,
      Inheritable: sets["inheritable"] ?? null,
      Permitted: sets["permitted"] ?? null,
      Ambient: sets["ambient"] ?? null,
    },
  };
}

function processFields(process: SpecProcess | null | undefined) {
  return {
    ...(process?.apparmorProfile && hasAppArmor()
      ? { apparmor_profile: process.apparmorProfile }
      : {}),
    ...(process?.selinuxLabel ? { process_label: process.selinuxLabel } : {}),
    ...(process?.oomScoreAdj == null ? {} : { oom_score_adj: process.oomScoreAdj }),
  };
}

// In Go's order.
function execution(process: SpecProcess, domain: SpecLinux["personality"]) {
  const affinity = affinityConfig(process.execCPUAffinity);
  return {
    ...(process.scheduler == null ? {} : { scheduler: schedulerConfig(process.scheduler) }),
    ...(domain == null ? {} : { personality: personality(domain.domain) }),
    ...(process.ioPriority == null ? {} : { io_priority: ioPriorityConfig(process.ioPriority) }),
    ...(affinity === undefined ? {} : { exec_cpu_affinity: affinity }),
  };
}

function intelRdt(rdt: NonNullable<SpecLinux["intelRdt"]>): IntelRdt {
  return {
    ...(rdt.closID ? { closID: rdt.closID } : {}),
    ...(rdt.l3CacheSchema ? { l3_cache_schema: rdt.l3CacheSchema } : {}),
    ...(rdt.memBwSchema ? { memBwSchema: rdt.memBwSchema } : {}),
  };
}

// As Go writes a map: sorted, without zeros.
function timeOffsets(offsets: NonNullable<SpecLinux["timeOffsets"]>): object {
  const sorted = Object.entries(offsets).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(
    sorted.map(([clock, { secs, nanosecs }]) => [
      clock,
      { ...(secs ? { secs } : {}), ...(nanosecs ? { nanosecs } : {}) },
    ]),
  );
}

// runc's own test of AppArmor; without it the profile means nothing and is not recorded.
function hasAppArmor(): boolean {
  try {
    statSync("/sys/kernel/security/apparmor");
    return readFileSync("/sys/module/apparmor/parameters/enabled", "utf8").startsWith("Y");
  } catch {
    return false;
  }
}

function personality(domain = ""): object {
  if (domain === "LINUX") return { domain: 0 };
  if (domain === "LINUX32") return { domain: 8 };
  throw new ThawError(`invalid personality domain ${domain}`);
}
