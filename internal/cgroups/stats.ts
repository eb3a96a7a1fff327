/**
 * What a container's cgroup has used, in the form of runc's `events --stats` (runc types/events.go).
 *
 * Numbers are uint64 in Go, so bigints; what Go leaves out when it is zero is undefined here.
 *
 * @module
 */

/** How long processes waited for something: shares in percent, and microseconds in all. */
export interface PressureData {
  readonly avg10: number;
  readonly avg60: number;
  readonly avg300: number;
  readonly total: bigint;
}

/** Pressure stall information (Documentation/accounting/psi.rst). */
export interface Pressure {
  readonly some?: PressureData;
  readonly full?: PressureData;
}

/** CPU time, in nanoseconds. */
export interface CpuStats {
  readonly usage: {
    readonly total?: bigint | undefined;
    readonly percpu?: readonly bigint[] | undefined;
    readonly percpu_kernel?: readonly bigint[] | undefined;
    readonly percpu_user?: readonly bigint[] | undefined;
    readonly kernel: bigint;
    readonly user: bigint;
  };
  readonly throttling: {
    readonly periods?: bigint | undefined;
    readonly throttledPeriods?: bigint | undefined;
    readonly throttledTime?: bigint | undefined;
  };
  readonly psi?: Pressure | undefined;
}

/** The cpuset; on v2 all zero, as runc has it. */
export interface CpusetStats {
  readonly cpus?: readonly number[] | undefined;
  readonly cpu_exclusive: bigint;
  readonly mems?: readonly number[] | undefined;
  readonly mem_hardwall: bigint;
  readonly mem_exclusive: bigint;
  readonly memory_migrate: bigint;
  readonly memory_spread_page: bigint;
  readonly memory_spread_slab: bigint;
  readonly memory_pressure: bigint;
  readonly sched_load_balance: bigint;
  readonly sched_relax_domain_level: bigint;
}

/** One kind of memory, in bytes. */
export interface MemoryEntry {
  readonly limit: bigint;
  readonly usage?: bigint | undefined;
  readonly max?: bigint | undefined;
  readonly failcnt: bigint;
}

/** Memory, in bytes; `raw` is memory.stat. */
export interface MemoryStats {
  readonly cache?: bigint | undefined;
  readonly usage: MemoryEntry;
  readonly swap: MemoryEntry;
  readonly kernel: MemoryEntry;
  readonly kernelTCP: MemoryEntry;
  readonly raw?: Readonly<Record<string, bigint>> | undefined;
  readonly psi?: Pressure | undefined;
}

/** One figure of a block device. */
export interface BlkioEntry {
  readonly major?: bigint | undefined;
  readonly minor?: bigint | undefined;
  readonly op?: string | undefined;
  readonly value?: bigint | undefined;
}

/** Block devices: bytes, requests, nanoseconds. */
export interface BlkioStats {
  readonly ioServiceBytesRecursive?: readonly BlkioEntry[];
  readonly ioServicedRecursive?: readonly BlkioEntry[];
  readonly ioQueueRecursive?: readonly BlkioEntry[];
  readonly ioServiceTimeRecursive?: readonly BlkioEntry[];
  readonly ioWaitTimeRecursive?: readonly BlkioEntry[];
  readonly ioMergedRecursive?: readonly BlkioEntry[];
  readonly ioTimeRecursive?: readonly BlkioEntry[];
  readonly sectorsRecursive?: readonly BlkioEntry[];
  readonly psi?: Pressure | undefined;
}

/** Huge pages of one size, in bytes. */
export interface HugetlbStats {
  readonly usage?: bigint | undefined;
  readonly max?: bigint | undefined;
  readonly failcnt: bigint;
}

/** All of it. */
export interface CgroupStats {
  readonly cpu: CpuStats;
  readonly cpuset: CpusetStats;
  readonly memory: MemoryStats;
  readonly pids: { readonly current?: bigint | undefined; readonly limit?: bigint | undefined };
  readonly blkio: BlkioStats;
  /** By page size, such as `2MB`. */
  readonly hugetlb: Readonly<Record<string, HugetlbStats>>;
}
