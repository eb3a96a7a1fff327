import { expect, test } from "bun:test";
import {
  rangeToBytes,
  resourceProperties,
  roundedQuota,
  type SystemdHost,
  startProperties,
} from "../../../../internal/cgroups/systemd/properties.ts";
import type { Cgroup } from "../../../../internal/oci/config.ts";
import { parseInteger, toUint64 } from "../../../../internal/oci/go.ts";

const NOW: SystemdHost = { unified: true, version: 262, groups: () => "", exists: () => false };
const MOST = "18446744073709551615";

/** Properties as lines, without those for devices. */
function limits(cgroup: Omit<Cgroup, "devices">, host = NOW): string[] {
  return resourceProperties({ devices: [], ...cgroup }, host)
    .properties.filter(({ name }) => !name.startsWith("Device"))
    .map(({ name, signature, words }) => `${name} ${signature} ${words.join(" ")}`);
}

function devices(
  rules: readonly (readonly [number, number, number, string, boolean])[],
  host = NOW,
) {
  const cgroup = {
    devices: rules.map(([type, major, minor, permissions, allow]) => ({
      type,
      major,
      minor,
      permissions,
      allow,
    })),
  };
  const { properties, warnings } = resourceProperties(cgroup, host);
  return { properties: properties.map(({ name, words }) => [name, ...words].join(" ")), warnings };
}

test("startProperties() are runc's", () => {
  const lines = startProperties({ name: "c1", slice: "a.slice", pid: 7 }, true).map(
    ({ name, signature, words }) => `${name} ${signature} ${words.join(" ")}`,
  );
  expect(lines).toEqual([
    "Description s libcontainer container c1",
    "Slice s a.slice",
    "Delegate b true",
    "PIDs au 1 7",
    "MemoryAccounting b true",
    "CPUAccounting b true",
    "IOAccounting b true",
    "TasksAccounting b true",
    "DefaultDependencies b false",
  ]);
  expect(
    startProperties({ name: "c1", slice: "a.slice", pid: 7 }, false).some(
      ({ name }) => name === "BlockIOAccounting",
    ),
  ).toBe(true);
});

test("resourceProperties() has v2's for v2", () => {
  expect(
    limits({
      memory: 200,
      memory_reservation: 100,
      memory_swap: 300,
      cpu_weight: 59,
      cpu_shares: 512,
      cpu_quota: 50500,
      cpu_period: 100000,
      pids_limit: 77,
      cpuset_cpus: "0,3-4",
      cpuset_mems: "0",
      blkio_weight: 500,
    }),
  ).toEqual([
    "MemoryMax t 200",
    "MemoryLow t 100",
    "MemorySwapMax t 100",
    "CPUWeight t 59",
    "CPUQuotaPeriodUSec t 100000",
    "CPUQuotaPerSecUSec t 510000",
    "TasksMax t 77",
    "AllowedCPUs ay 1 25",
    "AllowedMemoryNodes ay 1 1",
  ]);
});

test("resourceProperties() has v1's for v1", () => {
  const cgroup = {
    memory: -1,
    memory_reservation: 100,
    cpu_shares: 512,
    cpu_weight: 59,
    blkio_weight: 500,
    pids_limit: -1,
    cpu_quota: -1,
  };
  expect(limits(cgroup, { ...NOW, unified: false })).toEqual([
    `MemoryLimit t ${MOST}`,
    "CPUShares t 512",
    "BlockIOWeight t 500",
    `CPUQuotaPerSecUSec t ${MOST}`,
    `TasksMax t ${MOST}`,
  ]);
});

test("resourceProperties() leaves out what an old systemd does not know", () => {
  const cgroup = { cpu_period: 50000, cpuset_cpus: "1", cpu_idle: 1, cpu_weight: 5 };
  expect(limits(cgroup, { ...NOW, version: 241 })).toEqual([
    "CPUWeight t 5",
    `CPUQuotaPerSecUSec t ${MOST}`,
  ]);
  expect(limits(cgroup)).toEqual([
    "CPUWeight t 0",
    "CPUQuotaPeriodUSec t 50000",
    `CPUQuotaPerSecUSec t ${MOST}`,
    "AllowedCPUs ay 1 2",
  ]);
  expect(resourceProperties({ devices: [], ...cgroup }, NOW).warnings).toEqual([
    "unable to apply both CPUWeight and CpuIdle to systemd, ignoring CPUWeight",
  ]);
});

test("resourceProperties() knows the files of unified that systemd has a property for", () => {
  expect(
    limits({
      unified: {
        "memory.high": " 100 ",
        "memory.max": "max",
        "pids.max": "9",
        "cpu.max": "max 50000",
        "cpu.weight": "7",
        "cpuset.mems": "1",
        "memory.oom.group": "1",
      },
    }),
  ).toEqual([
    "MemoryHigh t 100",
    `MemoryMax t ${MOST}`,
    "TasksMax t 9",
    "CPUQuotaPeriodUSec t 50000",
    `CPUQuotaPerSecUSec t ${MOST}`,
    "CPUWeight t 7",
    "AllowedMemoryNodes ay 1 2",
  ]);
  expect(limits({ unified: { "cpu.idle": "1", "cpu.weight": "7" } })).toEqual(["CPUWeight t 0"]);
});

test.each([
  [{ unified: { "a/b": "1" } }, 'unified resource "a/b" must be a file name (no slashes)'],
  [{ unified: { ab: "1" } }, 'unified resource "ab" must be in the form CONTROLLER.PARAMETER'],
  [{ unified: { "memory.high": "x" } }, 'unified resource "memory.high" value conversion error'],
  [{ unified: { "cpu.max": "1 2 3" } }, 'unified resource "cpu.max" value invalid: "1 2 3"'],
  [{ unified: { "cpuset.cpus": "x" } }, 'unified resource "cpuset.cpus"="x" conversion error'],
  [{ cpuset_cpus: "x" }, 'resources.CPU.Cpus="x" conversion error'],
  [{ memory: 2, memory_swap: 1 }, "memory+swap limit should be >= memory limit"],
] as const)("resourceProperties() refuses %p in runc's words", (cgroup, message) => {
  expect(() => limits(cgroup as unknown as Cgroup)).toThrow(message);
});

test("device rules become DeviceAllow, in runc's order", () => {
  expect(
    devices([
      [97, -1, -1, "rwm", false],
      [99, 10, 229, "rw", true],
      [98, 7, -1, "r", true],
      [99, -1, -1, "m", true],
      [99, 1, 3, "rwm", true],
    ]),
  ).toEqual({
    properties: [
      "DevicePolicy strict",
      "DeviceAllow 0",
      "DeviceAllow 4 char-* m /dev/char/1:3 rwm block-7 r /dev/char/10:229 rw",
    ],
    warnings: [],
  });
});

test("device rules that systemd cannot have are warned of", () => {
  expect(devices([[97, -1, -1, "rwm", true]])).toEqual({
    properties: ["DevicePolicy auto", "DeviceAllow 0"],
    warnings: [],
  });
  const list = devices([
    [97, -1, -1, "rwm", true],
    [98, 7, 1, "rw", false],
  ]);
  expect(list.properties).toEqual(["DevicePolicy strict", "DeviceAllow 0"]);
  expect(list.warnings[0]).toStartWith("systemd doesn't support blacklist device rules");
  expect(devices([[98, -1, 1, "rw", true]]).warnings).toEqual([
    "systemd doesn't support '*:n' device rules -- temporarily ignoring rule: {98 -1 1 rw true}",
  ]);
});

test("a systemd before 240 gets the names of device groups, and nodes that exist", () => {
  const groups = "Character devices:\n  1 mem\n136 pts\n\nBlock devices:\n  7 loop\n259 blkext\n";
  const host = {
    ...NOW,
    version: 239,
    groups: () => groups,
    exists: (p: string) => p.endsWith(":3"),
  };
  const made = devices(
    [
      [99, 136, -1, "rwm", true],
      [98, 7, -1, "r", true],
      [98, 136, -1, "r", true],
      [99, 1, 3, "r", true],
      [99, 1, 5, "r", true],
    ],
    host,
  );
  expect(made.properties.at(-1)).toBe("DeviceAllow 3 /dev/char/1:3 r block-loop r char-pts rwm");
  expect(made.warnings).toHaveLength(1);
});

test.each([
  ["0", "1 1"],
  ["3-5", "1 56"],
  ["1,3-5, 8 ,", "2 58 1"],
  ["63", "8 0 0 0 0 0 0 0 128"],
])("rangeToBytes() makes %p the mask %p", (text, words) => {
  expect(rangeToBytes(text).join(" ")).toBe(words);
});

test.each([
  ["", "empty value"],
  ["x", 'strconv.ParseUint: parsing "x": invalid syntax'],
  ["3-1", "invalid range: 3-1"],
  ["0-4294967295", "invalid range: 0-4294967295: no such CPU or memory node"],
])("rangeToBytes() refuses %p", (text, message) => {
  expect(() => rangeToBytes(text)).toThrow(new Error(message));
});

test("roundedQuota() is a whole percent of a CPU", () => {
  const quota = (cpu_quota: number, cpu_period?: number) =>
    roundedQuota({ devices: [], cpu_quota, ...(cpu_period === undefined ? {} : { cpu_period }) });
  expect(quota(50000)).toBe(50000);
  expect(quota(50500)).toBe(51000);
  expect(quota(1, 1000000)).toBe(10000);
  expect(quota(-1)).toBe(-1);
  expect(quota(0)).toBe(0);
});

test("parseInteger() and toUint64() are Go's", () => {
  expect(parseInteger("7f", { bits: 8, signed: true }, 16)).toBe(127n);
  expect(() => parseInteger("80", { bits: 8, signed: true }, 16)).toThrow("value out of range");
  expect(() => parseInteger("8", { bits: 8, signed: true }, 8)).toThrow("invalid syntax");
  expect(toUint64(-1)).toBe(MOST);
});
