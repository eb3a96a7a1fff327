/** Limits as files of cgroup v2 (opencontainers/cgroups fs2). @module */

import { ThawError } from "../../errors/errors.ts";
import { goQuote } from "../../log/log.ts";
import type { BlockDevice, Cgroup } from "../../oci/config.ts";

/** One value to write. */
export interface LimitWrite {
  readonly file: string;
  readonly value: string;
  /** When the kernel refuses it, the next value may change that: it is tried again then. */
  readonly again?: true | undefined;
  /** A file that config.json names itself, in `unified`. */
  readonly unified?: true | undefined;
}

type Values = readonly (readonly [file: string, value: number | string | undefined])[];

/**
 * The values to write, in order, for a cgroup's limits.
 *
 * What v2 has no counterpart for (swappiness, the OOM killer's switch, real-time scheduling, network
 * classes) is left out, as runc leaves it out.
 *
 * @param exists whether a file exists in the container's cgroup
 * @throws ThawError for memory limits that contradict each other, `unified resource "x" must be …`
 */
export function limitWrites(cgroup: Cgroup, exists: (file: string) => boolean): LimitWrite[] {
  const values: Values = [
    [
      "pids.max",
      maximum(cgroup.pids_limit, cgroup.pids_limit !== undefined && cgroup.pids_limit < 0),
    ],
    ["memory.swap.max", swapWrite(cgroup, exists)],
    ["memory.max", maximum(cgroup.memory, cgroup.memory === -1)],
    ["memory.low", maximum(cgroup.memory_reservation, cgroup.memory_reservation === -1)],
    ...ioValues(cgroup, exists),
    ["cpu.idle", cgroup.cpu_idle],
    ["cpu.weight", cgroup.cpu_weight],
    [BURST, exists(BURST) ? cgroup.cpu_burst : undefined],
    ["cpu.max", cpuMax(cgroup)],
    ["cpuset.cpus", cgroup.cpuset_cpus],
    ["cpuset.mems", cgroup.cpuset_mems],
    ...(cgroup.hugetlb_limit ?? []).flatMap(({ page_size, limit }) => {
      const reserved = `hugetlb.${page_size}.rsvd.max`;
      return [
        [`hugetlb.${page_size}.max`, limit] as const,
        [reserved, exists(reserved) ? limit : undefined] as const,
      ];
    }),
    ...Object.entries(cgroup.rdma ?? {}).map(([device, limits]) => {
      const { hca_handles: handles, hca_objects: objects } = limits;
      const parts = [
        device,
        ...(handles === undefined ? [] : [`hca_handle=${handles}`]),
        ...(objects === undefined ? [] : [`hca_object=${objects}`]),
      ];
      return ["rdma.max", parts.join(" ")] as const;
    }),
  ];
  const limits = values.flatMap(([file, value]) =>
    value === undefined
      ? []
      : [{ file, value: String(value), again: file === BURST ? (true as const) : undefined }],
  );
  return [...limits, ...unifiedWrites(cgroup.unified ?? {})];
}

// A burst is refused while the old quota does not fit it.
const BURST = "cpu.max.burst";

function unifiedWrites(files: Readonly<Record<string, string>>): LimitWrite[] {
  return Object.entries(files).map(([file, value]) => {
    if (file.includes("/"))
      throw new ThawError(`unified resource ${goQuote(file)} must be a file name (no slashes)`);
    if (!file.includes("."))
      throw new ThawError(
        `unified resource ${goQuote(file)} must be in the form CONTROLLER.PARAMETER`,
      );
    return { file, value, unified: true };
  });
}

// Without swap in the kernel there is none to limit.
function swapWrite(cgroup: Cgroup, exists: (file: string) => boolean): string | undefined {
  const most = swapMax(cgroup);
  return (most === "max" || most === "0") && !exists("memory.swap.max") ? undefined : most;
}

function maximum(limit: number | undefined, unlimited: boolean): string | undefined {
  if (limit === undefined) return undefined;
  return unlimited ? "max" : String(limit);
}

/**
 * memory.swap.max: v1 counts memory and swap together, v2 swap alone.
 *
 * @returns bytes or `max`; undefined: not limited by config.json
 * @throws ThawError for limits that contradict each other
 */
export function swapMax(cgroup: Cgroup): string | undefined {
  const { memory = 0, memory_swap: both = 0 } = cgroup;
  if (both === -1 || (both === 0 && memory === -1)) return "max";
  if (both === 0) return undefined;
  if (memory === 0) throw new ThawError("unable to set swap limit without memory limit");
  if (memory === -1) return String(both);
  if (both < memory) throw new ThawError("memory+swap limit should be >= memory limit");
  return String(BigInt(both) - BigInt(memory)); // either may have more than 53 bits
}

const DEFAULT_PERIOD = 100_000; // microseconds

function cpuMax({ cpu_quota: quota = 0, cpu_period: period = 0 }: Cgroup): string | undefined {
  if (quota === 0 && period === 0) return undefined;
  return `${quota > 0 ? quota : "max"} ${period === 0 ? DEFAULT_PERIOD : period}`;
}

function ioValues(cgroup: Cgroup, exists: (file: string) => boolean): Values {
  const bfq = exists("io.bfq.weight");
  const weight = cgroup.blkio_weight;
  const rates = (list: BlockDevice[] | undefined, name: string) =>
    (list ?? []).map(
      ({ major, minor, rate }) => ["io.max", `${major}:${minor} ${name}=${rate}`] as const,
    );
  return [
    bfq
      ? ["io.bfq.weight", weight]
      : ["io.weight", weight === undefined ? undefined : ioWeight(weight)],
    ...(bfq ? (cgroup.blkio_weight_device ?? []) : []).map(
      ({ major, minor, weight: own }) => ["io.bfq.weight", `${major}:${minor} ${own}`] as const,
    ),
    ...rates(cgroup.blkio_throttle_read_bps_device, "rbps"),
    ...rates(cgroup.blkio_throttle_write_bps_device, "wbps"),
    ...rates(cgroup.blkio_throttle_read_iops_device, "riops"),
    ...rates(cgroup.blkio_throttle_write_iops_device, "wiops"),
  ];
}

// 10..1000 onto 1..10000
function ioWeight(weight: number): number {
  return Math.trunc(1 + ((weight - 10) * 9999) / 990);
}
