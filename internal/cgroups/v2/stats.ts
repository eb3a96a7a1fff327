/** What a cgroup has used, from the files of cgroup v2 (opencontainers/cgroups fs2). @module */

import { describe, ThawError } from "../../errors/errors.ts";
import { ENODEV, ENOENT, EOPNOTSUPP, hasErrno } from "../../linux/libc.ts";
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
import { MAX_UINT64, readKeyed, readText, readUint, unless } from "../files.ts";
import type {
  BlkioEntry,
  BlkioStats,
  CgroupStats,
  CpuStats,
  HugetlbStats,
  MemoryEntry,
  MemoryStats,
  Pressure,
  PressureData,
} from "../stats.ts";

/**
 * Reads every controller that is enabled for the container's cgroup; one that is not counts nothing.
 *
 * @throws ThawError `error while statting cgroup v2: […]` with all that went wrong
 */
export function unifiedStats(directory: string): CgroupStats {
  const errors: string[] = [];
  const attempt = <T>(read: () => T, otherwise: T, optional = true): T => {
    try {
      return read();
    } catch (error) {
      if (!optional || !hasErrno(error, ENOENT)) errors.push(describe(error));
      return otherwise;
    }
  };
  const pressure = (file: string) => attempt(() => readPressure(directory, file), undefined);
  const pids = attempt(() => readPids(directory), {}, false);
  const memory = attempt(() => readMemory(directory), {
    usage: NO_MEMORY,
    swap: NO_MEMORY,
    kernel: NO_MEMORY,
    kernelTCP: NO_MEMORY,
  });
  const stats = {
    cpu: {
      ...attempt(() => readCpu(directory), { usage: { kernel: 0n, user: 0n }, throttling: {} }),
      psi: pressure("cpu.pressure"),
    },
    cpuset: NO_CPUSET,
    memory: { ...memory, psi: pressure("memory.pressure") },
    pids,
    blkio: { ...attempt(() => readIo(directory), {}), psi: pressure("io.pressure") },
    hugetlb: attempt(() => readHugetlb(directory), {}),
  };
  if (errors.length > 0)
    throw new ThawError(`error while statting cgroup v2: [${errors.join(" ")}]`);
  return stats;
}

function readPids(directory: string): CgroupStats["pids"] {
  const counted = unless([ENOENT], () => pidsStats(directory));
  if (counted !== undefined) return counted;
  // Without the controller the processes are counted; of a threaded cgroup, the threads.
  const text =
    unless([EOPNOTSUPP], () => readText(directory, "cgroup.procs")) ??
    readText(directory, "cgroup.threads");
  return { current: orNone(BigInt(text.split("\n").length - 1)) };
}

const NANOSECONDS = 1000n;

function readCpu(directory: string): CpuStats {
  const found = readKeyed(directory, "cpu.stat");
  const at = (key: string) => found.get(key) ?? 0n;
  return {
    usage: {
      total: orNone(at("usage_usec") * NANOSECONDS),
      kernel: at("system_usec") * NANOSECONDS,
      user: at("user_usec") * NANOSECONDS,
    },
    throttling: {
      periods: orNone(at("nr_periods")),
      throttledPeriods: orNone(at("nr_throttled")),
      throttledTime: orNone(at("throttled_usec") * NANOSECONDS),
    },
  };
}

function readMemory(directory: string): MemoryStats {
  const raw = readKeyed(directory, "memory.stat");
  const usage = readAmount(directory, "memory");
  const swap = unless([ENOENT], () => readAmount(directory, "memory.swap"));
  return {
    cache: orNone(raw.get("file") ?? 0n),
    usage: entry(usage),
    swap: entry(withSwap(usage, swap ?? { usage: 0n, limit: 0n, max: 0n })),
    kernel: NO_MEMORY,
    kernelTCP: NO_MEMORY,
    raw: sorted(raw),
  };
}

interface Amount {
  readonly usage: bigint;
  readonly limit: bigint;
  readonly max: bigint;
}

function readAmount(directory: string, name: string): Amount {
  return {
    usage: readUint(directory, `${name}.current`),
    limit: readUint(directory, `${name}.max`),
    max: unless([ENOENT], () => readUint(directory, `${name}.peak`)) ?? 0n,
  };
}

// v1 counts memory and swap together; of the largest of both at once nothing is known.
function withSwap(memory: Amount, swap: Amount): Amount {
  const limit = swap.limit === MAX_UINT64 ? MAX_UINT64 : swap.limit + memory.limit;
  return { usage: swap.usage + memory.usage, limit: BigInt.asUintN(64, limit), max: 0n };
}

function entry({ limit, usage, max }: Amount): MemoryEntry {
  return { limit, usage: orNone(usage), max: orNone(max), failcnt: 0n };
}

const IO: Readonly<Record<string, readonly ["bytes" | "requests", op: string]>> = {
  rbytes: ["bytes", "Read"],
  wbytes: ["bytes", "Write"],
  rios: ["requests", "Read"],
  wios: ["requests", "Write"],
};

/** io.stat: lines of `8:0 rbytes=1 wbytes=2 …`. */
function readIo(directory: string): BlkioStats {
  const found = { bytes: [] as BlkioEntry[], requests: [] as BlkioEntry[] };
  for (const line of readText(directory, "io.stat").split("\n")) {
    const [device = "", ...words] = line.split(" ").filter(Boolean);
    if (!/^\d+:\d+$/.test(device)) continue;
    for (const word of words) {
      const [key = "", value = ""] = word.split("=");
      const [table, op] = (Object.hasOwn(IO, key) ? IO[key] : undefined) ?? [];
      if (table !== undefined) found[table].push(blkioEntry(device, op ?? "", value));
    }
  }
  return {
    ...(found.bytes.length === 0 ? {} : { ioServiceBytesRecursive: found.bytes }),
    ...(found.requests.length === 0 ? {} : { ioServicedRecursive: found.requests }),
  };
}

function readHugetlb(directory: string): Readonly<Record<string, HugetlbStats>> {
  return Object.fromEntries(
    hugePageSizes()
      .sort()
      .map((size) => [
        size,
        {
          usage: orNone(hugetlbUint(directory, size, "current")),
          failcnt: readKeyed(directory, `hugetlb.${size}.events`).get("max") ?? 0n,
        },
      ]),
  );
}

/** Pressure; undefined where the kernel does not measure it. */
function readPressure(directory: string, file: string): Pressure | undefined {
  const text = unless([ENOENT, EOPNOTSUPP, ENODEV], () => readText(directory, file));
  if (text === undefined) return undefined;
  const found: Record<string, PressureData> = {};
  for (const line of text.split("\n").filter(Boolean)) {
    const [name = "", ...words] = line.split(" ");
    const values = new Map(words.map((word) => word.split("=") as [string, string]));
    const share = (key: string) => Number(values.get(key) ?? 0);
    found[name] = {
      avg10: share("avg10"),
      avg60: share("avg60"),
      avg300: share("avg300"),
      total: BigInt(values.get("total") ?? 0),
    };
  }
  return found;
}
