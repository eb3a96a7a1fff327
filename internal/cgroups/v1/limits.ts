/** Limits as files of cgroup v1 (opencontainers/cgroups fs). @module */

import { ThawError } from "../../errors/errors.ts";
import type { BlockDevice, Cgroup } from "../../oci/config.ts";

/** One value to write. */
export interface LimitWrite {
  readonly controller: string;
  readonly file: string;
  readonly value: string;
  /** When the kernel refuses it, the next value may change that: it is tried again then. */
  readonly again?: true;
}

/** What the host offers, for the choices that depend on it. */
export interface HostFacts {
  /** Whether the file exists in the container's cgroup of that controller. */
  exists(controller: string, file: string): boolean;
  /** memory.limit_in_bytes of the container's cgroup now. */
  memoryLimit(): bigint;
}

/**
 * The values to write, in order, for a cgroup's limits.
 *
 * @throws ThawError for limits that cgroup v1 cannot have
 */
export function limitWrites(cgroup: Cgroup, host: HostFacts): LimitWrite[] {
  if (cgroup.unified !== undefined)
    throw new ThawError("invalid configuration: cannot use unified on cgroup v1", {
      hint: "take linux.resources.unified out of config.json",
    });
  return [
    ...group("cpuset", [
      ["cpuset.cpus", cgroup.cpuset_cpus],
      ["cpuset.mems", cgroup.cpuset_mems],
    ]),
    ...memoryWrites(cgroup, host),
    ...cpuWrites(cgroup, host),
    ...group("pids", [["pids.max", pidsMax(cgroup.pids_limit)]]),
    ...blkioWrites(cgroup, host),
    ...(cgroup.hugetlb_limit ?? []).flatMap(({ page_size, limit }) => {
      const reserved = `hugetlb.${page_size}.rsvd.limit_in_bytes`;
      return group("hugetlb", [
        [`hugetlb.${page_size}.limit_in_bytes`, limit],
        [reserved, host.exists("hugetlb", reserved) ? limit : undefined],
      ]);
    }),
    ...group("net_cls", [["net_cls.classid", cgroup.net_cls_classid_u]]),
    ...(cgroup.net_prio_ifpriomap ?? []).map(({ interface: name, priority }) => ({
      controller: "net_prio",
      file: "net_prio.ifpriomap",
      value: `${name} ${priority}`,
    })),
    ...Object.entries(cgroup.rdma ?? {}).map(([device, limits]) => ({
      controller: "rdma",
      file: "rdma.max",
      value: [
        device,
        ...(limits.hca_handles === undefined ? [] : [`hca_handle=${limits.hca_handles}`]),
        ...(limits.hca_objects === undefined ? [] : [`hca_object=${limits.hca_objects}`]),
      ].join(" "),
    })),
  ];
}

type Values = readonly (readonly [file: string, value: number | string | undefined])[];

function group(controller: string, values: Values): LimitWrite[] {
  return values.flatMap(([file, value]) =>
    value === undefined ? [] : [{ controller, file, value: String(value) }],
  );
}

// A period is refused while the old quota does not fit it, a burst likewise.
function cpuWrites(cgroup: Cgroup, host: HostFacts): LimitWrite[] {
  const again = (writes: LimitWrite[]) => writes.map((one) => ({ ...one, again: true as const }));
  const burst = host.exists("cpu", "cpu.cfs_burst_us") ? cgroup.cpu_burst : undefined;
  return [
    ...group("cpu", [["cpu.shares", cgroup.cpu_shares]]),
    ...again(group("cpu", [["cpu.cfs_period_us", cgroup.cpu_period]])),
    ...again(group("cpu", [["cpu.cfs_burst_us", burst]])),
    ...group("cpu", [
      ["cpu.cfs_quota_us", cgroup.cpu_quota],
      ["cpu.idle", cgroup.cpu_idle],
    ]),
    ...again(group("cpu", [["cpu.rt_period_us", cgroup.cpu_rt_period]])),
    ...group("cpu", [["cpu.rt_runtime_us", cgroup.cpu_rt_quota]]),
  ];
}

function pidsMax(limit: number | undefined): string | undefined {
  if (limit === undefined) return undefined;
  return limit > 0 ? String(limit) : "max";
}

function memoryWrites(cgroup: Cgroup, host: HostFacts): LimitWrite[] {
  const limit = cgroup.memory;
  const accountsSwap = () => host.exists("memory", "memory.memsw.limit_in_bytes");
  const swap = cgroup.memory_swap ?? (limit === -1 && accountsSwap() ? -1 : undefined);
  const swappiness = cgroup.memory_swappiness;
  if (swappiness !== undefined && (swappiness < -1 || swappiness > 100))
    throw new ThawError(`invalid memory swappiness value: ${swappiness} (valid range is 0-100)`);
  const memory = ["memory.limit_in_bytes", limit] as const;
  const withSwap = ["memory.memsw.limit_in_bytes", swap] as const;
  // The kernel keeps memory below memory+swap at every moment, so the order depends on the old.
  const raising =
    limit !== undefined && swap !== undefined && (swap === -1 || host.memoryLimit() < swap);
  return group("memory", [
    ...(raising ? [withSwap, memory] : [memory, withSwap]),
    ["memory.soft_limit_in_bytes", cgroup.memory_reservation],
    ["memory.oom_control", cgroup.oom_kill_disable === true ? 1 : undefined],
    ["memory.swappiness", swappiness === -1 ? undefined : swappiness],
  ]);
}

function blkioWrites(cgroup: Cgroup, host: HostFacts): LimitWrite[] {
  const prefix = host.exists("blkio", "blkio.weight") ? "blkio" : "blkio.bfq";
  const lines = (
    file: string,
    list: BlockDevice[] | undefined,
    key: "rate" | "weight" | "leafWeight",
  ) =>
    (list ?? []).flatMap((device) =>
      device[key] === undefined || (key !== "rate" && device[key] === 0)
        ? []
        : [{ controller: "blkio", file, value: `${device.major}:${device.minor} ${device[key]}` }],
    );
  return [
    ...group("blkio", [
      [`${prefix}.weight`, cgroup.blkio_weight],
      ["blkio.leaf_weight", cgroup.blkio_leaf_weight],
    ]),
    ...lines(`${prefix}.weight_device`, cgroup.blkio_weight_device, "weight"),
    ...lines("blkio.leaf_weight_device", cgroup.blkio_weight_device, "leafWeight"),
    ...lines("blkio.throttle.read_bps_device", cgroup.blkio_throttle_read_bps_device, "rate"),
    ...lines("blkio.throttle.write_bps_device", cgroup.blkio_throttle_write_bps_device, "rate"),
    ...lines("blkio.throttle.read_iops_device", cgroup.blkio_throttle_read_iops_device, "rate"),
    ...lines("blkio.throttle.write_iops_device", cgroup.blkio_throttle_write_iops_device, "rate"),
  ];
}
