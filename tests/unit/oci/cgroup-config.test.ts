import { expect, test } from "bun:test";
import { cgroupConfig } from "../../../internal/oci/cgroup-config.ts";
import type { SpecResources } from "../../../internal/oci/spec.ts";

const limits = (resources: SpecResources) => {
  const { name: _, devices: __, ...rest } = cgroupConfig({ linux: { resources } }, "c1", []);
  return rest;
};

test.each([
  ["/rrcg/one", "/rrcg/one"],
  ["/thaw/./x/", "/thaw/x"],
  ["/a/../../b", "/b"],
  ["a/b", "a/b"],
  ["../../../etc", "etc"],
  ["a/../../b", "b"],
  ["//a", "/a"],
  ["/", "/"],
])("cgroupConfig() cleans the path %p to %p", (cgroupsPath, path) => {
  expect(cgroupConfig({ linux: { cgroupsPath } }, "c1", [])).toEqual({ path, devices: [] });
});

test("cgroupConfig() names the cgroup after the container when there is no path", () => {
  expect(cgroupConfig({}, "c1", [])).toEqual({ name: "c1", devices: [] });
  expect(cgroupConfig({ linux: { cgroupsPath: "" } }, "c1", [])).toEqual({
    name: "c1",
    devices: [],
  });
});

test("cgroupConfig() puts the rules of config.json before the defaults", () => {
  const rule = { type: 99, major: 1, minor: 3, permissions: "rwm", allow: true };
  const devices = [
    { allow: false, access: "rwm" },
    { allow: true, type: "b", major: 8, access: "r" },
  ];
  const made = cgroupConfig({ linux: { resources: { devices } } }, "c1", [rule]).devices;
  expect(made).toEqual([
    { type: 97, major: -1, minor: -1, permissions: "rwm", allow: false },
    { type: 98, major: 8, minor: -1, permissions: "r", allow: true },
    rule,
  ]);
});

test("cgroupConfig() refuses a rule in runc's words", () => {
  const make = (rule: object) => () =>
    cgroupConfig({ linux: { resources: { devices: [{ access: "r" }, rule] } } }, "c1", []);
  expect(make({ allow: true })).toThrow("device access at 1 field cannot be empty");
  expect(make({ access: "r", type: "q" })).toThrow('invalid cgroup device type "q"');
});

test("cgroupConfig() leaves out limits that are 0, empty or null", () => {
  expect(
    limits({
      memory: { limit: 0, reservation: null, disableOOMKiller: false },
      cpu: { shares: 0, cpus: "", quota: null },
      pids: { limit: 0 },
      blockIO: { weight: null, weightDevice: [], throttleReadBpsDevice: [] },
      hugepageLimits: [],
      network: { classID: 0, priorities: [] },
      rdma: {},
      unified: {},
    }),
  ).toEqual({});
});

test("cgroupConfig() keeps a 0 where runc has a pointer", () => {
  expect(limits({ cpu: { burst: 0, idle: 0 }, memory: { swappiness: 0 } })).toEqual({
    cpu_burst: 0,
    cpu_idle: 0,
    memory_swappiness: 0,
  });
});

test("cgroupConfig() names every limit as libcontainer does", () => {
  const device = { major: 8, minor: 0 };
  expect(
    limits({
      memory: { limit: 5, reservation: 4, swap: -1, disableOOMKiller: true },
      cpu: { quota: 50000, period: 100000, realtimeRuntime: 1, realtimePeriod: 2, mems: "0" },
      pids: { limit: -1 },
      blockIO: {
        weight: 10,
        leafWeight: 20,
        weightDevice: [{ ...device, weight: 30 }],
        throttleWriteIOPSDevice: [{ ...device, rate: 40 }],
      },
      hugepageLimits: [{ pageSize: "2MB", limit: 6 }],
      network: { classID: 7, priorities: [{ name: "eth0", priority: 8 }] },
      rdma: { mlx: { hcaHandles: 3, hcaObjects: 4 }, other: {} },
      unified: { "memory.high": "1" },
    }),
  ).toEqual({
    memory: 5,
    memory_reservation: 4,
    memory_swap: -1,
    cpu_quota: 50000,
    cpu_period: 100000,
    cpu_rt_quota: 1,
    cpu_rt_period: 2,
    cpuset_mems: "0",
    pids_limit: -1,
    blkio_weight: 10,
    blkio_leaf_weight: 20,
    blkio_weight_device: [{ ...device, weight: 30, leafWeight: 0 }],
    blkio_throttle_write_iops_device: [{ ...device, rate: 40 }],
    hugetlb_limit: [{ page_size: "2MB", limit: 6 }],
    oom_kill_disable: true,
    net_prio_ifpriomap: [{ interface: "eth0", priority: 8 }],
    net_cls_classid_u: 7,
    rdma: { mlx: { hca_handles: 3, hca_objects: 4 }, other: {} },
    unified: { "memory.high": "1" },
  });
});

test.each([
  [1, 1],
  [2, 1],
  [512, 59],
  [1024, 100],
  [262144, 10000],
  [300000, 10000],
])("cgroupConfig() turns %d shares into weight %d", (shares, weight) => {
  expect(limits({ cpu: { shares } })).toEqual({ cpu_shares: shares, cpu_weight: weight });
});

test("cgroupConfig() refuses a type that is a name of Object's prototype", () => {
  const devices = [{ access: "r", type: "constructor" }];
  const make = () => cgroupConfig({ linux: { resources: { devices } } }, "c1", []);
  expect(make).toThrow('invalid cgroup device type "constructor"');
});

test("cgroupConfig() fills in what a limit leaves out", () => {
  expect(
    limits({
      memory: { checkBeforeUpdate: true },
      blockIO: { throttleReadIOPSDevice: [{}], weightDevice: [{ minor: 1 }] },
      hugepageLimits: [{}],
      network: { priorities: [{}] },
    }),
  ).toEqual({
    memory_check_before_update: true,
    blkio_throttle_read_iops_device: [{ major: 0, minor: 0, rate: 0 }],
    blkio_weight_device: [{ major: 0, minor: 1, weight: 0, leafWeight: 0 }],
    hugetlb_limit: [{ page_size: "", limit: 0 }],
    net_prio_ifpriomap: [{ interface: "", priority: 0 }],
  });
});
