import { expect, test } from "bun:test";
import { limitWrites } from "../../../../internal/cgroups/v2/limits.ts";
import type { Cgroup } from "../../../../internal/oci/config.ts";

const lines = (
  cgroup: Partial<Cgroup>,
  files: readonly string[] = ["memory.swap.max", "cpu.max.burst"],
) =>
  limitWrites({ devices: [], ...cgroup }, (file) => files.includes(file)).map(
    ({ file, value }) => `${file}=${value}`,
  );

test("limitWrites() writes nothing for a cgroup without limits", () => {
  expect(lines({})).toEqual([]);
});

test("limitWrites() turns memory and swap of v1 into swap alone", () => {
  expect(lines({ memory: 100, memory_swap: 150 })).toEqual([
    "memory.swap.max=50",
    "memory.max=100",
  ]);
  expect(lines({ memory: 100, memory_swap: 100 })).toEqual(["memory.swap.max=0", "memory.max=100"]);
  expect(lines({ memory: -1 })).toEqual(["memory.swap.max=max", "memory.max=max"]);
  expect(lines({ memory: 100, memory_swap: -1 })).toEqual([
    "memory.swap.max=max",
    "memory.max=100",
  ]);
});

test("limitWrites() refuses memory limits that contradict each other", () => {
  expect(() => lines({ memory: 100, memory_swap: 50 })).toThrow(
    "memory+swap limit should be >= memory limit",
  );
  expect(() => lines({ memory_swap: 50 })).toThrow("unable to set swap limit without memory limit");
});

test("limitWrites() writes CPU, pids, I/O and whatever unified names", () => {
  expect(
    lines({
      pids_limit: 77,
      cpu_weight: 59,
      cpu_quota: 50000,
      blkio_weight: 100,
      blkio_throttle_read_bps_device: [{ major: 8, minor: 0, rate: 1048576 }],
      unified: { "memory.high": "5" },
    }),
  ).toEqual([
    "pids.max=77",
    "io.weight=910",
    "io.max=8:0 rbps=1048576",
    "cpu.weight=59",
    "cpu.max=50000 100000",
    "memory.high=5",
  ]);
  expect(lines({ blkio_weight: 100 }, ["io.bfq.weight"])).toEqual(["io.bfq.weight=100"]);
  expect(lines({ pids_limit: -1, cpu_period: 1000 })).toEqual(["pids.max=max", "cpu.max=max 1000"]);
});
