/** What a cgroup has used, from the files of cgroup v1 (opencontainers/cgroups fs). @module */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { ThawError } from "../../errors/errors.ts";
import { ENOENT } from "../../linux/libc.ts";
import {
  blkioEntry,
  hugePageSizes,
  hugetlbUint,
  NO_CPUSET,
  NO_MEMORY,
  orNone,
  pidsStats,
  sorted,
} from "../figures.ts";
import { readKeyed, readText, readUint, uintOf, unless } from "../files.ts";
import type {
  BlkioEntry,
  BlkioStats,
  CgroupStats,
  CpuStats,
  CpusetStats,
  HugetlbStats,
  MemoryEntry,
  MemoryStats,
} from "../stats.ts";

/**
 * Reads every controller that the container has.
 *
 * @throws SyscallError `open PATH: …`; ThawError for a file of another form
 */
export function legacyStats(paths: ReadonlyMap<string, string>): CgroupStats {
  /** The directory of a controller, when it is there. */
  const at = (controller: string) => {
    const directory = paths.get(controller);
    return directory !== undefined && existsSync(directory) ? directory : undefined;
  };
  const read = <T>(controller: string, from: (directory: string) => T, otherwise: T): T => {
    const directory = at(controller);
    return directory === undefined ? otherwise : from(directory);
  };
  return {
    cpu: {
      usage: read("cpuacct", cpuUsage, { kernel: 0n, user: 0n }),
      throttling: read("cpu", throttling, {}),
    },
    cpuset: cpuset(paths.get("cpuset")),
    memory: read("memory", memory, NOTHING),
    pids: read("pids", pidsStats, {}),
    blkio: read("blkio", blkio, {}),
    hugetlb: read("hugetlb", hugetlb, {}),
  };
}

const NANOSECONDS_A_TICK = 10_000_000n; // USER_HZ is 100

function cpuUsage(directory: string): CpuStats["usage"] {
  const ticks = readKeyed(directory, "cpuacct.stat");
  const words = readText(directory, "cpuacct.usage_percpu").split(/\s+/).filter(Boolean);
  // Its columns are the CPU, user and system; a kernel before 4.7 does not have it.
  const all = unless([ENOENT], () => readText(directory, "cpuacct.usage_all")) ?? "";
  const rows = all
    .split("\n")
    .slice(1)
    .map((line) => line.split(" "))
    .filter((row) => row.length === 3);
  const column = (i: number) => list(rows.map((row) => uintOf(row[i] ?? "") ?? 0n));
  return {
    total: orNone(readUint(directory, "cpuacct.usage")),
    percpu: list(words.map((word) => uintOf(word) ?? 0n)),
    percpu_kernel: column(2),
    percpu_user: column(1),
    kernel: (ticks.get("system") ?? 0n) * NANOSECONDS_A_TICK,
    user: (ticks.get("user") ?? 0n) * NANOSECONDS_A_TICK,
  };
}

const list = (values: readonly bigint[]) => (values.length === 0 ? undefined : values);

function throttling(directory: string): CpuStats["throttling"] {
  const found = readKeyed(directory, "cpu.stat");
  return {
    periods: orNone(found.get("nr_periods") ?? 0n),
    throttledPeriods: orNone(found.get("nr_throttled") ?? 0n),
    throttledTime: orNone(found.get("throttled_time") ?? 0n),
  };
}

function cpuset(directory: string | undefined): CpusetStats {
  if (directory === undefined) return NO_CPUSET;
  const number = (file: string) =>
    unless([ENOENT], () => readUint(directory, `cpuset.${file}`)) ?? 0n;
  const level = unless([ENOENT], () => readText(directory, "cpuset.sched_relax_domain_level"));
  return {
    cpus: unless([ENOENT], () => numbers(directory, "cpuset.cpus")),
    cpu_exclusive: number("cpu_exclusive"),
    mems: unless([ENOENT], () => numbers(directory, "cpuset.mems")),
    mem_hardwall: number("mem_hardwall"),
    mem_exclusive: number("mem_exclusive"),
    memory_migrate: number("memory_migrate"),
    memory_spread_page: number("memory_spread_page"),
    memory_spread_slab: number("memory_spread_slab"),
    memory_pressure: number("memory_pressure"),
    sched_load_balance: number("sched_load_balance"),
    sched_relax_domain_level: BigInt(level?.trim() ?? 0),
  };
}

/** `0,2-3` as its numbers. */
function numbers(directory: string, file: string): number[] {
  const text = readText(directory, file).trim();
  if (text === "") throw new ThawError(`${join(directory, file)} found to be empty`);
  return text.split(",").flatMap((range) => {
    const [first = "", last = first, ...more] = range.split("-");
    const [from, to] = [Number(first), Number(last)];
    if (more.length > 0 || !(from <= to))
      throw new ThawError(`invalid values in ${join(directory, file)}`);
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
}

const NOTHING: MemoryStats = {
  usage: NO_MEMORY,
  swap: NO_MEMORY,
  kernel: NO_MEMORY,
  kernelTCP: NO_MEMORY,
};

function memory(directory: string): MemoryStats {
  const raw = readKeyed(directory, "memory.stat");
  return {
    cache: orNone(raw.get("cache") ?? 0n),
    usage: memoryEntry(directory, "memory"),
    swap: optionalMemory(directory, "memory.memsw"),
    kernel: optionalMemory(directory, "memory.kmem"),
    kernelTCP: optionalMemory(directory, "memory.kmem.tcp"),
    raw: sorted(raw),
  };
}

function memoryEntry(directory: string, name: string): MemoryEntry {
  return {
    limit: readUint(directory, `${name}.limit_in_bytes`),
    usage: orNone(readUint(directory, `${name}.usage_in_bytes`)),
    max: orNone(readUint(directory, `${name}.max_usage_in_bytes`)),
    failcnt: readUint(directory, `${name}.failcnt`),
  };
}

// A kernel may be built without swap or kernel memory accounting.
function optionalMemory(directory: string, name: string): MemoryEntry {
  return unless([ENOENT], () => memoryEntry(directory, name)) ?? NO_MEMORY;
}

type Source = readonly (readonly [keyof BlkioStats & `${string}Recursive`, file: string])[];

const KINDS = [
  ["sectorsRecursive", "sectors_recursive"],
  ["ioServiceTimeRecursive", "io_service_time_recursive"],
  ["ioWaitTimeRecursive", "io_wait_time_recursive"],
  ["ioMergedRecursive", "io_merged_recursive"],
  ["ioQueueRecursive", "io_queued_recursive"],
  ["ioTimeRecursive", "time_recursive"],
  ["ioServicedRecursive", "io_serviced_recursive"],
  ["ioServiceBytesRecursive", "io_service_bytes_recursive"],
] as const;

const from = (prefix: string, kinds: Source): Source =>
  kinds.map(([name, file]) => [name, `${prefix}${file}`]);
// What an I/O scheduler counts, and what throttling does; in runc's order, the first that has any.
const SOURCES: readonly Source[] = [
  from("blkio.bfq.", KINDS),
  from("blkio.bfq.", KINDS.slice(6)),
  from("blkio.", KINDS),
  from("blkio.throttle.", KINDS.slice(6)),
  [
    ["ioServicedRecursive", "blkio.throttle.io_serviced"],
    ["ioServiceBytesRecursive", "blkio.throttle.io_service_bytes"],
  ],
];

function blkio(directory: string): BlkioStats {
  const found: { [name in Source[number][0]]?: readonly BlkioEntry[] } = {};
  for (const source of SOURCES) {
    const [first] = source;
    if (first === undefined || entriesOr(directory, first[1]).length === 0) continue;
    for (const [name, file] of source) {
      const entries = blkioEntries(directory, file);
      if (entries.length === 0) break;
      found[name] = entries;
    }
    break;
  }
  return Object.fromEntries(
    PRINTED.flatMap((name) => (name in found ? [[name, found[name]]] : [])),
  );
}

const PRINTED = [
  "ioServiceBytesRecursive",
  "ioServicedRecursive",
  "ioQueueRecursive",
  "ioServiceTimeRecursive",
  "ioWaitTimeRecursive",
  "ioMergedRecursive",
  "ioTimeRecursive",
  "sectorsRecursive",
] as const;

function entriesOr(directory: string, file: string): BlkioEntry[] {
  try {
    return blkioEntries(directory, file);
  } catch {
    return []; // the next source may have some
  }
}

/** Lines of `8:0 Read 1282048` or `8:0 6792`; those of a total are left out. */
function blkioEntries(directory: string, file: string): BlkioEntry[] {
  const text = unless([ENOENT], () => readText(directory, file)) ?? "";
  return text
    .split("\n")
    .map((line) => line.split(" ").filter(Boolean))
    .filter((words) => words.length > 0 && words[0] !== "Total")
    .map(([device = "", ...words]) => {
      const [op, value] = words.length > 1 ? words : ["", ...words];
      return blkioEntry(device, op ?? "", value ?? "");
    });
}

function hugetlb(directory: string): Readonly<Record<string, HugetlbStats>> {
  return Object.fromEntries(
    hugePageSizes()
      .sort()
      .map((size) => [
        size,
        {
          usage: orNone(hugetlbUint(directory, size, "usage_in_bytes")),
          max: orNone(hugetlbUint(directory, size, "max_usage_in_bytes")),
          failcnt: hugetlbUint(directory, size, "failcnt"),
        },
      ]),
  );
}
