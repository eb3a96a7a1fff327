/** Figures that v1 and v2 have in common, as `events --stats` prints them. @module */

import { readdirSync } from "node:fs";
import { ThawError } from "../errors/errors.ts";
import { ENOENT } from "../linux/libc.ts";
import { readUint, uintOf, unless } from "./files.ts";
import type { BlkioEntry, CgroupStats, CpusetStats, MemoryEntry } from "./stats.ts";

/** Go's omitempty: a zero is not printed. */
export const orNone = (value: bigint): bigint | undefined => (value === 0n ? undefined : value);

/** Sorted by bytes, as Go prints a map; undefined when it is empty. */
export function sorted(
  values: ReadonlyMap<string, bigint>,
): Readonly<Record<string, bigint>> | undefined {
  if (values.size === 0) return undefined;
  const keys = [...values.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return Object.fromEntries(keys.map((key) => [key, values.get(key) ?? 0n]));
}

/** pids.current and pids.max; no limit is 0, which is not printed. */
export function pidsStats(directory: string): CgroupStats["pids"] {
  const current = readUint(directory, "pids.current");
  const limit = readUint(directory, "pids.max");
  return {
    current: orNone(current),
    limit: limit === NO_LIMIT ? undefined : orNone(limit),
  };
}

const NO_LIMIT = (1n << 64n) - 1n;

/** A cpuset of which nothing is known. */
export const NO_CPUSET: CpusetStats = {
  cpu_exclusive: 0n,
  mem_hardwall: 0n,
  mem_exclusive: 0n,
  memory_migrate: 0n,
  memory_spread_page: 0n,
  memory_spread_slab: 0n,
  memory_pressure: 0n,
  sched_load_balance: 0n,
  sched_relax_domain_level: 0n,
};

/** Memory of which nothing is known. */
export const NO_MEMORY: MemoryEntry = { limit: 0n, failcnt: 0n };

/** A figure of a block device. @throws ThawError for what is no number */
export function blkioEntry(device: string, op: string, text: string): BlkioEntry {
  const [major, minor] = device.split(":").map(uintOf);
  const value = uintOf(text);
  if (major === undefined || minor === undefined || value === undefined)
    throw new ThawError(`invalid line found while parsing: ${device} ${op} ${text}`);
  return {
    major: orNone(major),
    minor: orNone(minor),
    op: op === "" ? undefined : op,
    value: orNone(value),
  };
}

/** Sizes of huge pages this host has, as cgroup files spell them: `2MB`, `1GB`. */
export function hugePageSizes(): string[] {
  const found = unless([ENOENT], () => readdirSync("/sys/kernel/mm/hugepages")) ?? [];
  return found.flatMap((name) => {
    const size = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1] ?? 0);
    if (size === 0) return [];
    if (size >= 1 << 20) return [`${size >> 20}GB`];
    return [size >= 1 << 10 ? `${size >> 10}MB` : `${size}KB`];
  });
}

/**
 * A figure of huge pages: of those reserved, where the kernel counts them (Linux 5.7), else of those
 * in use.
 *
 * @throws SyscallError `open PATH: …`
 */
export function hugetlbUint(directory: string, size: string, file: string): bigint {
  const reserved = unless([ENOENT], () => readUint(directory, `hugetlb.${size}.rsvd.${file}`));
  return reserved ?? readUint(directory, `hugetlb.${size}.${file}`);
}
