/** `linux.resources` and `linux.cgroupsPath` as libcontainer keeps them. @module */

import { posix } from "node:path";
import { ThawError } from "../errors/errors.ts";
import type { BlockDevice, Cgroup, CgroupPlacement, DeviceRule, PlaceCgroup } from "./config.ts";
import type { Spec, SpecBlockDevice, SpecDeviceRule, SpecResources } from "./spec.ts";

/**
 * Makes the cgroup part of the configuration.
 *
 * @param defaults the rules that follow those of config.json
 * @param place how the cgroup driver reads `linux.cgroupsPath`
 * @throws ThawError `device access at 0 field cannot be empty`, `invalid cgroup device type "x"`
 */
export function cgroupConfig(
  spec: Spec,
  id: string,
  defaults: readonly DeviceRule[],
  place: PlaceCgroup = placeByPath,
): Cgroup {
  const resources = spec.linux?.resources ?? {};
  return {
    ...place(spec, id),
    devices: [...(resources.devices ?? []).map(toRule), ...defaults],
    ...dropZeros(cgroupLimits(resources)),
  };
}

/** Reads `linux.cgroupsPath` as a path, for the cgroupfs driver; without one the id names the cgroup. */
export function placeByPath(spec: Spec, id: string): CgroupPlacement {
  const path = cleanPath(spec.linux?.cgroupsPath ?? "");
  return path === "" ? { name: id } : { path };
}

// libcontainer/utils.CleanPath: a relative path cannot climb.
function cleanPath(path: string): string {
  if (path === "") return "";
  if (path.startsWith("/")) return posix.normalize(path).replace(/(.)\/$/, "$1");
  return posix.normalize(`/${path}`).slice(1).replace(/\/$/, "");
}

const TYPES: Record<string, number> = { a: 97, b: 98, c: 99 };

function toRule(rule: SpecDeviceRule, index: number): DeviceRule {
  const type = rule.type === undefined || rule.type === "" ? "a" : rule.type;
  if ((rule.access ?? "") === "")
    throw new ThawError(`device access at ${index} field cannot be empty`);
  const code = Object.hasOwn(TYPES, type) ? TYPES[type] : undefined;
  if (code === undefined) throw new ThawError(`invalid cgroup device type ${JSON.stringify(type)}`);
  return {
    type: code,
    major: rule.major ?? -1,
    minor: rule.minor ?? -1,
    permissions: rule.access ?? "",
    allow: rule.allow ?? false,
  };
}

/** Limits that were given, those of zero too. */
export type Limits = { [key in keyof Cgroup]?: Cgroup[key] | null | undefined };

/** `linux.resources`, all but the rules for devices, in libcontainer's names. */
export function cgroupLimits(r: SpecResources): Limits {
  const { memory, cpu, blockIO } = r;
  return {
    memory: memory?.limit,
    memory_reservation: memory?.reservation,
    memory_swap: memory?.swap,
    cpu_shares: cpu?.shares,
    cpu_quota: cpu?.quota,
    cpu_burst: cpu?.burst,
    cpu_period: cpu?.period,
    cpu_rt_quota: cpu?.realtimeRuntime,
    cpu_rt_period: cpu?.realtimePeriod,
    cpuset_cpus: cpu?.cpus,
    cpuset_mems: cpu?.mems,
    cpu_idle: cpu?.idle,
    pids_limit: r.pids?.limit,
    blkio_weight: blockIO?.weight,
    blkio_leaf_weight: blockIO?.leafWeight,
    blkio_weight_device: blockIO?.weightDevice?.map(weightDevice),
    blkio_throttle_read_bps_device: blockIO?.throttleReadBpsDevice?.map(rateDevice),
    blkio_throttle_write_bps_device: blockIO?.throttleWriteBpsDevice?.map(rateDevice),
    blkio_throttle_read_iops_device: blockIO?.throttleReadIOPSDevice?.map(rateDevice),
    blkio_throttle_write_iops_device: blockIO?.throttleWriteIOPSDevice?.map(rateDevice),
    hugetlb_limit: r.hugepageLimits?.map((l) => ({
      page_size: l.pageSize ?? "",
      limit: l.limit ?? 0,
    })),
    oom_kill_disable: memory?.disableOOMKiller === true ? true : undefined,
    memory_swappiness: memory?.swappiness,
    net_prio_ifpriomap: r.network?.priorities?.map((p) => ({
      interface: p.name ?? "",
      priority: p.priority ?? 0,
    })),
    net_cls_classid_u: r.network?.classID,
    rdma: rdma(r.rdma),
    cpu_weight: cpu?.shares == null ? undefined : cpuWeight(cpu.shares),
    unified: r.unified,
    memory_check_before_update: memory?.checkBeforeUpdate === true ? true : undefined,
  };
}

// Pointers in Go: a zero that was given is kept.
const KEEP_ZERO = new Set(["cpu_burst", "cpu_idle", "memory_swappiness"]);

/** Whether a value is one that Go leaves out of state.json. */
export function isDropped(key: string, value: unknown): boolean {
  if (value === null || value === undefined) return true;
  if (KEEP_ZERO.has(key)) return false;
  return (
    value === 0 || value === "" || (typeof value === "object" && Object.keys(value).length === 0)
  );
}

function dropZeros(values: Limits): Omit<Cgroup, "devices"> {
  return Object.fromEntries(
    Object.entries(values).filter(([key, value]) => !isDropped(key, value)),
  );
}

const place = (device: SpecBlockDevice) => ({ major: device.major ?? 0, minor: device.minor ?? 0 });

function weightDevice(device: SpecBlockDevice): BlockDevice {
  return { ...place(device), weight: device.weight ?? 0, leafWeight: device.leafWeight ?? 0 };
}

function rateDevice(device: SpecBlockDevice): BlockDevice {
  return { ...place(device), rate: device.rate ?? 0 };
}

function rdma(limits: SpecResources["rdma"]): Cgroup["rdma"] {
  if (limits === null || limits === undefined) return undefined;
  return Object.fromEntries(
    Object.entries(limits).map(([device, { hcaHandles, hcaObjects }]) => [
      device,
      {
        ...(hcaHandles === undefined ? {} : { hca_handles: hcaHandles }),
        ...(hcaObjects === undefined ? {} : { hca_objects: hcaObjects }),
      },
    ]),
  );
}

/**
 * cpu.weight of cgroup v2 for cpu.shares of v1: 2..262144 onto 1..10000 by the quadratic of
 * opencontainers/cgroups 0.0.4, with 1024 shares as weight 100.
 */
function cpuWeight(shares: number): number {
  if (shares === 0) return 0; // not set
  // A value of more than 53 bits is a bigint, which compares but does not compute with numbers.
  if (shares <= 2) return 1;
  if (shares >= 262144) return 10000;
  const l = Math.log2(Number(shares));
  return Math.ceil(10 ** ((l * l + 125 * l) / 612 - 7 / 34));
}
