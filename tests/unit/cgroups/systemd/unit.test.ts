import { expect, test } from "bun:test";
import type { Hierarchy } from "../../../../internal/cgroups/hierarchies.ts";
import {
  expandSlice,
  placeByUnit,
  refuseUnitName,
  unitName,
  unitObject,
  unitPaths,
} from "../../../../internal/cgroups/systemd/unit.ts";

const place = (cgroupsPath: string) => placeByUnit({ linux: { cgroupsPath } }, "c1");

test("placeByUnit() reads slice:prefix:name", () => {
  expect(place("a-b.slice:docker:1234")).toEqual({
    name: "1234",
    parent: "a-b.slice",
    scope_prefix: "docker",
  });
  expect(place("::x")).toEqual({ name: "x" });
  expect(place("")).toEqual({ name: "c1", scope_prefix: "runc" });
  expect(placeByUnit({}, "c1")).toEqual({ name: "c1", scope_prefix: "runc" });
});

test.each(["/x", "a", "a:b", "a:b:c:d"])("placeByUnit() refuses %p in runc's words", (path) => {
  expect(() => place(path)).toThrow(
    `expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, got "${path}" instead`,
  );
});

test("unitName() is a scope, unless the name is a slice's", () => {
  expect(unitName({ devices: [], ...place("") })).toBe("runc-c1.scope");
  expect(unitName({ devices: [], ...place("x.slice::n") })).toBe("-n.scope");
  expect(unitName({ devices: [], ...place("x.slice:p:n.slice") })).toBe("n.slice");
});

test.each([
  ["system.slice", "/system.slice"],
  ["a-b.slice", "/a.slice/a-b.slice"],
  ["a-b-c.slice", "/a.slice/a-b.slice/a-b-c.slice"],
  ["-.slice", "/"],
])("expandSlice() finds %p at %p", (slice, path) => {
  expect(expandSlice(slice)).toBe(path);
});

test.each(["x", "", ".slice", "-a.slice", "a-.slice", "a--b.slice", "a/b.slice", "x.scope"])(
  "expandSlice() refuses %p in runc's words",
  (slice) => {
    expect(() => expandSlice(slice)).toThrow(`invalid slice name: ${slice}`);
  },
);

const hierarchy = (mountpoint: string, ...controllers: string[]): Hierarchy => ({
  controllers,
  mountpoint,
  root: "/",
  own: "/own",
});

test("unitPaths() has the one directory of a v2 host", () => {
  const paths = unitPaths([hierarchy("/sys/fs/cgroup", "")], {
    devices: [],
    ...place("a-b.slice:p:n"),
  });
  expect([...paths]).toEqual([["", "/sys/fs/cgroup/a.slice/a-b.slice/p-n.scope"]]);
});

test("unitPaths() has a directory of each v1 hierarchy, wherever thaw itself is", () => {
  const cgroup = { devices: [], ...place("") };
  const found = [
    hierarchy("/sys/fs/cgroup/cpu,cpuacct", "cpu", "cpuacct"),
    hierarchy("/sys/fs/cgroup/devices", "devices"),
    hierarchy("/sys/fs/cgroup/systemd", "name=systemd"),
    hierarchy("/sys/fs/cgroup/unified", ""),
  ];
  expect(Object.fromEntries(unitPaths(found, cgroup))).toEqual({
    cpu: "/sys/fs/cgroup/cpu,cpuacct/system.slice/runc-c1.scope",
    cpuacct: "/sys/fs/cgroup/cpu,cpuacct/system.slice/runc-c1.scope",
    devices: "/sys/fs/cgroup/devices/system.slice/runc-c1.scope",
    "name=systemd": "/sys/fs/cgroup/systemd/system.slice/runc-c1.scope",
    "": "/sys/fs/cgroup/unified/system.slice/runc-c1.scope",
  });
  expect(() => unitPaths(found.slice(2), cgroup)).toThrow("devices controller not mounted");
});

test.each([
  "runc-a b.scope",
  "pre-a/b.scope",
  "n.slice",
  `-${"x".repeat(250)}.scope`,
  "runc-é.scope",
])("refuseUnitName() refuses %p", (unit) => {
  expect(() => refuseUnitName(unit)).toThrow(`unable to start unit ${JSON.stringify(unit)}`);
});

test("refuseUnitName() takes what containerd, CRI-O and Docker name", () => {
  refuseUnitName("cri-containerd-0123abc.scope");
  refuseUnitName("crio-0123abc.scope");
  refuseUnitName("docker-0123abc.scope");
  refuseUnitName("libpod-a_b:c.d@e\\x2d.scope");
});

test("unitObject() escapes all but letters and digits, and a digit that comes first", () => {
  expect(unitObject("xx-1.scope")).toBe("/org/freedesktop/systemd1/unit/xx_2d1_2escope");
  expect(unitObject("1_a.scope")).toBe("/org/freedesktop/systemd1/unit/_31_5fa_2escope");
});
