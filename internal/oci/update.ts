/** New values for `linux.resources` of a container that runs, merged as runc's update merges. @module */

import { cgroupLimits, isDropped } from "./cgroup-config.ts";
import type { BlockDevice, Cgroup } from "./config.ts";
import type { SpecResources } from "./spec.ts";

// Left out, they stay as they are.
const KEPT = [
  "memory",
  "memory_reservation",
  "memory_swap",
  "cpu_shares",
  "cpu_weight",
  "cpu_rt_quota",
  "cpu_rt_period",
  "blkio_weight",
  "blkio_leaf_weight",
] as const;

// Left out, they are forgotten: the cgroup keeps its value, state.json no longer has it.
const FORGOTTEN = [
  "cpu_burst",
  "cpu_idle",
  "cpuset_cpus",
  "cpuset_mems",
  "pids_limit",
  "unified",
  "memory_check_before_update",
] as const;

const DEVICES = [
  "blkio_weight_device",
  "blkio_throttle_read_bps_device",
  "blkio_throttle_write_bps_device",
  "blkio_throttle_read_iops_device",
  "blkio_throttle_write_iops_device",
] as const;

/**
 * The limits a container is to have (runc 1.3: update.go). Devices, huge pages, networks, RDMA,
 * swappiness and the OOM killer cannot be changed and are passed over.
 *
 * @param old as in state.json
 */
export function mergeResources(old: Cgroup, changes: SpecResources): Cgroup {
  const given = cgroupLimits(fixUp(changes));
  const merged: Record<string, unknown> = { ...old };
  const set = (key: keyof Cgroup, value: unknown) => {
    if (isDropped(key, value)) delete merged[key];
    else merged[key] = value;
  };
  for (const key of KEPT) if (given[key] != null) set(key, given[key]);
  for (const key of FORGOTTEN) set(key, given[key]);
  for (const key of DEVICES) set(key, given[key]?.reduce(putDevice, old[key] ?? []) ?? old[key]);
  // One of them alone leaves the other as it is; neither, and both are forgotten.
  const { cpu_period: period, cpu_quota: quota } = given;
  if (period || !quota) set("cpu_period", period);
  if (quota || !period) set("cpu_quota", quota);
  return merged as unknown as Cgroup;
}

/** Values that only make sense together. */
function fixUp(changes: SpecResources): SpecResources {
  const { memory, cpu } = changes;
  return {
    ...changes,
    ...(memory?.limit === -1 && memory.swap == null ? { memory: { ...memory, swap: 0 } } : {}),
    // An idle cgroup has no shares, and the kernel would refuse to set some.
    ...(cpu?.idle != null && cpu.shares == null ? { cpu: { ...cpu, shares: 0 } } : {}),
  };
}

/** The list with a device's new values, in place of the last that names it, or at the end. */
function putDevice(list: readonly BlockDevice[], device: BlockDevice): BlockDevice[] {
  const at = list.findLastIndex(
    ({ major, minor }) => major === device.major && minor === device.minor,
  );
  if (at === -1) return [...list, device];
  return list.map((one, i) => (i === at ? { ...one, ...device } : one));
}
