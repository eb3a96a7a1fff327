/** Limits as properties of a unit (systemd.resource-control(5), opencontainers/cgroups). Pure. @module */

import { ThawError } from "../../errors/errors.ts";
import { goQuote } from "../../log/log.ts";
import type { Cgroup } from "../../oci/config.ts";
import { parseInteger, toUint64 } from "../../oci/go.ts";
import { swapMax } from "../v2/limits.ts";
import { type DeviceHost, deviceProperties } from "./devices.ts";
import { boolean, type Property, string, uint64 } from "./property.ts";

/** The host's systemd and cgroups. */
export interface SystemdHost extends DeviceHost {
  /** Whether it has cgroup v2 alone. */
  readonly unified: boolean;
}

/** Properties to set, and what a person should know of them. */
export interface ResourceProperties {
  readonly properties: readonly Property[];
  readonly warnings: readonly string[];
}

const INFINITY = toUint64(-1);
// Versions of systemd that brought a property.
const CPU_QUOTA_PERIOD = 242;
const ALLOWED_CPUS = 244;
const CPU_IDLE = 252;
const DEFAULT_PERIOD = 100_000n; // microseconds

/** What starts a scope around a process: everything but the limits. */
export function startProperties(
  scope: { readonly name: string; readonly slice: string; readonly pid: number },
  unified: boolean,
): Property[] {
  return [
    string("Description", `libcontainer container ${scope.name}`),
    string("Slice", scope.slice),
    boolean("Delegate", true),
    { name: "PIDs", signature: "au", words: ["1", String(scope.pid)] },
    boolean("MemoryAccounting", true),
    boolean("CPUAccounting", true),
    boolean(unified ? "IOAccounting" : "BlockIOAccounting", true),
    boolean("TasksAccounting", true),
    boolean("DefaultDependencies", false),
  ];
}

/**
 * The quota systemd can keep: it counts whole percents of a CPU.
 *
 * @returns the quota rounded up, in microseconds
 */
export function roundedQuota({ cpu_quota: quota = 0, cpu_period: period = 0 }: Cgroup): number {
  return quota > 0 ? Number(roundQuota(BigInt(quota), BigInt(period)).quota) : quota;
}

function roundQuota(quota: bigint, given: bigint): { quota: bigint; perSecond: bigint } {
  const period = given === 0n ? DEFAULT_PERIOD : given;
  const perSecond = (quota * 1_000_000n) / period;
  if (perSecond % 10_000n === 0n) return { quota, perSecond };
  const rounded = (perSecond / 10_000n + 1n) * 10_000n;
  return { quota: (rounded * period) / 1_000_000n, perSecond: rounded };
}

/**
 * The limits as properties. What systemd has no property for is written to cgroupfs alone.
 *
 * @throws ThawError in runc's words, such as `resources.CPU.Cpus="x" conversion error: …`
 */
export function resourceProperties(cgroup: Cgroup, host: SystemdHost): ResourceProperties {
  const warnings: string[] = [];
  const devices = deviceProperties(cgroup.devices, host, warnings);
  const limits = limitProperties(cgroup, host);
  return {
    properties: [...devices, ...limits.properties],
    warnings: [...warnings, ...limits.warnings],
  };
}

/**
 * The same without the rules for devices.
 *
 * @throws ThawError in runc's words
 */
export function limitProperties(cgroup: Cgroup, host: SystemdHost): ResourceProperties {
  const warnings: string[] = [];
  const properties = [
    ...(host.unified ? unifiedLimits(cgroup, host, warnings) : legacyLimits(cgroup)),
    ...cpuQuota(cgroup.cpu_quota ?? 0, cgroup.cpu_period ?? 0, host),
    ...tasksMax(cgroup.pids_limit),
    ...cpuset(cgroup, host),
    ...(host.unified ? unifiedFiles(cgroup.unified ?? {}, host, warnings) : []),
  ];
  return { properties, warnings };
}

function given(name: string, value: number | bigint | undefined): Property[] {
  return value === undefined ? [] : [uint64(name, value)];
}

function legacyLimits(cgroup: Cgroup): Property[] {
  return [
    ...given("MemoryLimit", cgroup.memory),
    ...given("CPUShares", cgroup.cpu_shares),
    ...given("BlockIOWeight", cgroup.blkio_weight),
  ];
}

function unifiedLimits(cgroup: Cgroup, host: SystemdHost, warnings: string[]): Property[] {
  const swap = swapMax(cgroup);
  const idle = cgroup.cpu_idle === 1 && host.version >= CPU_IDLE;
  if (idle && cgroup.cpu_weight !== undefined)
    warnings.push("unable to apply both CPUWeight and CpuIdle to systemd, ignoring CPUWeight");
  return [
    ...given("MemoryMax", cgroup.memory),
    ...given("MemoryLow", cgroup.memory_reservation),
    ...(swap === undefined || swap === "0"
      ? []
      : [uint64("MemorySwapMax", swap === "max" ? INFINITY : swap)]),
    ...given("CPUWeight", idle ? 0 : cgroup.cpu_weight),
  ];
}

function cpuQuota(
  quota: number | bigint,
  period: number | bigint,
  { version }: SystemdHost,
): Property[] {
  if (BigInt(quota) === 0n && BigInt(period) === 0n) return [];
  const hasPeriod = BigInt(period) !== 0n && version >= CPU_QUOTA_PERIOD;
  return [
    ...(hasPeriod ? [uint64("CPUQuotaPeriodUSec", period)] : []),
    uint64(
      "CPUQuotaPerSecUSec",
      quota > 0 ? roundQuota(BigInt(quota), BigInt(period)).perSecond : INFINITY,
    ),
  ];
}

function tasksMax(limit = 0): Property[] {
  return limit > 0 || limit === -1 ? [uint64("TasksMax", limit)] : [];
}

function cpuset({ cpuset_cpus: cpus, cpuset_mems: mems }: Cgroup, host: SystemdHost): Property[] {
  const set = (name: string, field: string, text: string | undefined) => {
    if (text === undefined) return [];
    try {
      const property = { name, signature: "ay", words: rangeToBytes(text) };
      return host.version >= ALLOWED_CPUS ? [property] : [];
    } catch (cause) {
      throw new ThawError(`resources.CPU.${field}=${goQuote(text)} conversion error`, { cause });
    }
  };
  return [...set("AllowedCPUs", "Cpus", cpus), ...set("AllowedMemoryNodes", "Mems", mems)];
}

const UINT32 = { bits: 32, signed: false };
const UINT64 = { bits: 64, signed: false };
const MOST = 1 << 16; // far above what a kernel can be built for

/** `1,3-5` as the bytes of a bit mask, least significant first, with their count before them. */
export function rangeToBytes(text: string): string[] {
  const bytes: number[] = [];
  for (const range of text.split(",").map((part) => part.trim())) {
    if (range === "") continue;
    const dash = range.indexOf("-");
    const first = parseInteger(dash === -1 ? range : range.slice(0, dash), UINT32);
    const last = dash === -1 ? first : parseInteger(range.slice(dash + 1), UINT32);
    if (first > last) throw new ThawError(`invalid range: ${range}`);
    if (last >= MOST) throw new ThawError(`invalid range: ${range}: no such CPU or memory node`);
    for (let bit = Number(first); bit <= Number(last); bit++) {
      while (bytes.length <= bit >> 3) bytes.push(0);
      bytes[bit >> 3] = (bytes[bit >> 3] as number) | (1 << (bit & 7));
    }
  }
  if (bytes.length === 0) throw new ThawError("empty value");
  return [String(bytes.length), ...bytes.map(String)];
}

const AMOUNTS: Record<string, string> = {
  "memory.high": "MemoryHigh",
  "memory.low": "MemoryLow",
  "memory.max": "MemoryMax",
  "memory.min": "MemoryMin",
  "memory.swap.max": "MemorySwapMax",
  "pids.max": "TasksMax",
};

/** `linux.resources.unified`, as far as systemd has a property for a file. */
function unifiedFiles(
  files: Readonly<Record<string, string>>,
  host: SystemdHost,
  warnings: string[],
): Property[] {
  const idle = (files["cpu.idle"] ?? "").trim() === "1" && host.version >= CPU_IDLE;
  return Object.entries(files).flatMap(([file, given]) => {
    if (file.includes("/"))
      throw new ThawError(`unified resource ${goQuote(file)} must be a file name (no slashes)`);
    if (file.indexOf(".") <= 0)
      throw new ThawError(
        `unified resource ${goQuote(file)} must be in the form CONTROLLER.PARAMETER`,
      );
    const value = given.trim();
    const amount = Object.hasOwn(AMOUNTS, file) ? AMOUNTS[file] : undefined;
    if (amount !== undefined)
      return [uint64(amount, value === "max" ? INFINITY : converted(file, value))];
    if (file === "cpu.idle") return idle ? [uint64("CPUWeight", 0)] : [];
    if (file === "cpu.max") return unifiedCpuMax(file, value, host);
    if (file === "cpuset.cpus" || file === "cpuset.mems") return unifiedCpuset(file, value, host);
    if (file !== "cpu.weight") return [];
    if (!idle) return [uint64("CPUWeight", converted(file, value))];
    warnings.push("unable to apply both cpu.weight and cpu.idle to systemd, ignoring cpu.weight");
    return [];
  });
}

function converted(file: string, value: string): bigint {
  try {
    return parseInteger(value, UINT64);
  } catch (cause) {
    throw new ThawError(`unified resource ${goQuote(file)} value conversion error`, { cause });
  }
}

function unifiedCpuMax(file: string, value: string, host: SystemdHost): Property[] {
  const words = value.split(/\s+/).filter(Boolean);
  const [quota = "", period] = words;
  if (words.length < 1 || words.length > 2)
    throw new ThawError(`unified resource ${goQuote(file)} value invalid: ${goQuote(value)}`);
  // Which number is which is runc's mistake, and part of its text.
  const number = (text: string, signed: boolean, name: string) => {
    try {
      return parseInteger(text, { bits: 64, signed });
    } catch (cause) {
      throw new ThawError(`unified resource ${goQuote(file)} ${name} value conversion error`, {
        cause,
      });
    }
  };
  return cpuQuota(
    quota === "max" ? 0n : number(quota, true, "period"),
    period === undefined ? DEFAULT_PERIOD : number(period, false, "quota"),
    host,
  );
}

function unifiedCpuset(file: string, value: string, host: SystemdHost): Property[] {
  const name = file === "cpuset.cpus" ? "AllowedCPUs" : "AllowedMemoryNodes";
  try {
    const property = { name, signature: "ay", words: rangeToBytes(value) };
    return host.version >= ALLOWED_CPUS ? [property] : [];
  } catch (cause) {
    throw new ThawError(`unified resource ${goQuote(file)}=${goQuote(value)} conversion error`, {
      cause,
    });
  }
}
