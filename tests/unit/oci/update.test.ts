import { expect, test } from "bun:test";
import type { Cgroup } from "../../../internal/oci/config.ts";
import { decodeFirst, FirstValue, isCutShort } from "../../../internal/oci/exact-json.ts";
import { checkResourcesShape } from "../../../internal/oci/schema.ts";
import type { SpecResources } from "../../../internal/oci/spec.ts";
import { mergeResources } from "../../../internal/oci/update.ts";

const OLD: Cgroup = {
  name: "c1",
  devices: [],
  memory: 100,
  cpu_shares: 512,
  cpu_weight: 59,
  cpu_quota: 10,
  cpu_period: 20,
  cpu_burst: 0,
  cpuset_cpus: "0",
  pids_limit: 7,
  hugetlb_limit: [{ page_size: "2MB", limit: 1 }],
};
const merged = (changes: SpecResources) => mergeResources(OLD, changes);
const {
  cpu_quota: _,
  cpu_period: __,
  cpu_burst: ___,
  cpuset_cpus: ____,
  pids_limit: _____,
  ...rest
} = OLD;

test("mergeResources() keeps what is not named, and forgets what runc forgets", () => {
  expect(merged({})).toEqual(rest);
  expect(merged({ memory: { limit: 5 } })).toEqual({ ...rest, memory: 5 });
  expect(merged({ memory: { limit: 0 }, cpu: { shares: 0 } })).toEqual({
    name: "c1",
    devices: [],
    hugetlb_limit: [{ page_size: "2MB", limit: 1 }],
  });
});

test("mergeResources() leaves the period when the quota is named alone, and the other way", () => {
  const both = ({ cpu_quota, cpu_period }: Cgroup) => [cpu_quota, cpu_period];
  expect(both(merged({ cpu: { quota: 5 } }))).toEqual([5, 20]);
  expect(both(merged({ cpu: { period: 5 } }))).toEqual([10, 5]);
  expect(both(merged({ cpu: { quota: -1, period: 5 } }))).toEqual([-1, 5]);
  expect(both(merged({ cpu: { quota: 0, period: 0 } }))).toEqual([undefined, undefined]);
});

test("mergeResources() keeps a 0 for burst and idle, which takes the shares away", () => {
  expect(merged({ cpu: { burst: 0 } }).cpu_burst).toBe(0);
  const idle = merged({ cpu: { idle: 0 } });
  expect([idle.cpu_idle, idle.cpu_shares, idle.cpu_weight]).toEqual([0, undefined, undefined]);
  expect(merged({ cpu: { idle: 1, shares: 7 } })).toMatchObject({ cpu_shares: 7, cpu_weight: 3 });
});

test("mergeResources() gives a device its new rate, or adds it", () => {
  const device = { major: 8, minor: 0 };
  const throttle = (old: Cgroup, minor: number, rate: number) =>
    mergeResources(old, { blockIO: { throttleReadBpsDevice: [{ major: 8, minor, rate }] } });
  const one = throttle(OLD, 0, 5);
  expect(one.blkio_throttle_read_bps_device).toEqual([{ ...device, rate: 5 }]);
  expect(throttle(one, 0, 6).blkio_throttle_read_bps_device).toEqual([{ ...device, rate: 6 }]);
  expect(throttle(one, 1, 7).blkio_throttle_read_bps_device).toHaveLength(2);
});

test("decodeFirst() reads one value and keeps integers of 64 bits", () => {
  expect(decodeFirst('{"a":9223372036854771712} trailing')).toEqual({ a: 9223372036854771712n });
  expect(decodeFirst('{"a":"}"}{')).toEqual({ a: "}" });
  expect(decodeFirst(" null")).toBeNull();
  for (const [text, says] of [
    ["", "EOF"],
    [" ", "EOF"],
    ['{"a":', "unexpected EOF"],
    ['{"a":"x', "unexpected EOF"],
    ["{bad}", "invalid JSON"],
    ["\ufeff{}", "invalid JSON"],
    ["[".repeat(10_001), "invalid character '[' exceeded max depth"],
  ] as const)
    expect(() => decodeFirst(text)).toThrow(says);
  expect(decodeFirst("[".repeat(1_000) + "]".repeat(1_000))).toBeArray();
});

test.each<[string, number | undefined]>([
  ['{"a":1', undefined],
  ['{"a":"}', undefined],
  ['{"a":"\\"}', undefined],
  ["", undefined],
  ["5", undefined],
  ['"{}"', undefined],
  ["x{}", undefined],
  ['{"a":{}}', 8],
  [' \n[] "', 4],
  ['{"\\\\":"}"}}', 10],
])("FirstValue finds the end of %j, in one piece or in many", (text, end) => {
  expect(new FirstValue().take(text)).toBe(end as number);
  const first = new FirstValue();
  const found = [...text].findIndex((char) => first.take(char) !== undefined);
  expect(found === -1 ? undefined : found + 1).toBe(end as number);
});

test("isCutShort() tells half a value from a wrong one", () => {
  const texts = ['{"a":', '["x', '"x', '{"a":"\\"', "{x}", "x", "5", "[]]", '{"a":1} {'];
  expect(texts.map(isCutShort)).toEqual([true, true, true, true, ...Array(5).fill(false)]);
});

test("checkResourcesShape() takes keys in any case, and names what is wrong as Go does", () => {
  expect(checkResourcesShape({ MEMORY: { Limit: 5 } }, "")).toEqual({ memory: { limit: 5 } });
  expect(() => checkResourcesShape({ cpu: { shares: -1 } }, "")).toThrow(
    "json: cannot unmarshal number -1 into Go struct field LinuxCPU.cpu.shares of type uint64",
  );
});
