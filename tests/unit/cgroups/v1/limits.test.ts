import { expect, test } from "bun:test";
import { limitWrites } from "../../../../internal/cgroups/v1/limits.ts";
import type { Cgroup } from "../../../../internal/oci/config.ts";

const UNLIMITED = 9223372036854771712n;

interface Host {
  readonly files?: readonly string[];
  readonly memory?: number;
}

/** `file=value` of every write, in order. */
function writes(limits: Omit<Cgroup, "devices">, host: Host = {}): string[] {
  const { files = ["memory.memsw.limit_in_bytes", "blkio.weight"] } = host;
  const facts = {
    exists: (_: string, file: string) => files.includes(file),
    memoryLimit: () => BigInt(host.memory ?? UNLIMITED),
  };
  const made = limitWrites({ devices: [], ...limits }, facts);
  for (const { controller, file } of made) expect(file).toStartWith(`${controller}.`);
  return made.map(({ file, value }) => `${file}=${value}`);
}

test("limitWrites() writes nothing without limits", () => {
  expect(writes({})).toEqual([]);
});

test("limitWrites() writes cpuset first, then memory, cpu and pids, as runc does", () => {
  const limits = {
    memory: 209715200,
    cpu_shares: 512,
    cpu_quota: 50000,
    cpu_period: 100000,
    pids_limit: 77,
    cpuset_cpus: "0-1",
    cpuset_mems: "0",
  };
  expect(writes(limits)).toEqual([
    "cpuset.cpus=0-1",
    "cpuset.mems=0",
    "memory.limit_in_bytes=209715200",
    "cpu.shares=512",
    "cpu.cfs_period_us=100000",
    "cpu.cfs_quota_us=50000",
    "pids.max=77",
  ]);
});

test.each([
  [77, "pids.max=77"],
  [-1, "pids.max=max"],
  [0, "pids.max=max"],
])("limitWrites() writes a pids limit of %d as %s", (pids_limit, line) => {
  expect(writes({ pids_limit })).toEqual([line]);
});

test("limitWrites() raises memory+swap before memory, and lowers it after", () => {
  const limits = { memory: 100, memory_swap: 200 };
  const [memory, swap] = ["memory.limit_in_bytes=100", "memory.memsw.limit_in_bytes=200"] as const;
  expect(writes(limits, { memory: 150 })).toEqual([swap, memory]);
  expect(writes(limits)).toEqual([memory, swap]);
  expect(writes({ memory: 100, memory_swap: -1 })).toEqual([
    "memory.memsw.limit_in_bytes=-1",
    "memory.limit_in_bytes=100",
  ]);
});

test("limitWrites() lifts the swap limit with the memory limit, where swap is accounted", () => {
  expect(writes({ memory: -1 })).toEqual([
    "memory.memsw.limit_in_bytes=-1",
    "memory.limit_in_bytes=-1",
  ]);
  expect(writes({ memory: -1 }, { files: [] })).toEqual(["memory.limit_in_bytes=-1"]);
});

test("limitWrites() writes the other limits of memory", () => {
  const limits = { memory_reservation: 5, oom_kill_disable: true as const };
  expect(writes({ ...limits, memory_swappiness: 0 })).toEqual([
    "memory.soft_limit_in_bytes=5",
    "memory.oom_control=1",
    "memory.swappiness=0",
  ]);
  expect(writes({ memory_swappiness: -1 })).toEqual([]);
});

test("limitWrites() refuses a swappiness that is none, in runc's words", () => {
  for (const memory_swappiness of [101, -2])
    expect(() => writes({ memory_swappiness })).toThrow(
      `invalid memory swappiness value: ${memory_swappiness} (valid range is 0-100)`,
    );
});

test("limitWrites() keeps a 0 for burst and idle", () => {
  const files = ["cpu.cfs_burst_us"];
  expect(writes({ cpu_burst: 0, cpu_idle: 0 }, { files })).toEqual([
    "cpu.cfs_burst_us=0",
    "cpu.idle=0",
  ]);
});

test("limitWrites() writes real-time period before runtime", () => {
  expect(writes({ cpu_rt_quota: 1, cpu_rt_period: 2 })).toEqual([
    "cpu.rt_period_us=2",
    "cpu.rt_runtime_us=1",
  ]);
});

test("limitWrites() takes BFQ's files where there is no blkio.weight", () => {
  const device = { major: 8, minor: 0 };
  const limits = {
    blkio_weight: 10,
    blkio_leaf_weight: 20,
    blkio_weight_device: [{ ...device, weight: 30, leafWeight: 0 }],
    blkio_throttle_read_bps_device: [{ ...device, rate: 40 }],
    blkio_throttle_write_iops_device: [{ ...device, rate: 0 }],
  };
  const throttle = [
    "blkio.throttle.read_bps_device=8:0 40",
    "blkio.throttle.write_iops_device=8:0 0",
  ];
  expect(writes(limits)).toEqual([
    "blkio.weight=10",
    "blkio.leaf_weight=20",
    "blkio.weight_device=8:0 30",
    ...throttle,
  ]);
  expect(writes(limits, { files: [] })).toEqual([
    "blkio.bfq.weight=10",
    "blkio.leaf_weight=20",
    "blkio.bfq.weight_device=8:0 30",
    ...throttle,
  ]);
});

test("limitWrites() writes hugetlb, network and rdma", () => {
  const limits = {
    hugetlb_limit: [{ page_size: "2MB", limit: 4096 }],
    net_cls_classid_u: 0x100001,
    net_prio_ifpriomap: [{ interface: "eth0", priority: 5 }],
    rdma: { mlx: { hca_handles: 3, hca_objects: 4 } },
  };
  expect(writes(limits)).toEqual([
    "hugetlb.2MB.limit_in_bytes=4096",
    "net_cls.classid=1048577",
    "net_prio.ifpriomap=eth0 5",
    "rdma.max=mlx hca_handle=3 hca_object=4",
  ]);
});

test("limitWrites() refuses limits of cgroup v2 in runc's words", () => {
  expect(() => writes({ unified: { "memory.max": "1" } })).toThrow(
    "invalid configuration: cannot use unified on cgroup v1",
  );
});
