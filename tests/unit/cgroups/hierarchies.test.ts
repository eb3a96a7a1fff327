import { expect, test } from "bun:test";
import {
  cgroupPaths,
  findHierarchies,
  ownDirectory,
  parseOwn,
} from "../../../internal/cgroups/hierarchies.ts";
import { parseMountInfo } from "../../../internal/linux/mount.ts";

/** The hierarchies of a host by its mountinfo and thaw's /proc/PID/cgroup. */
const host = (mountinfo: string, cgroup: string) =>
  findHierarchies(parseMountInfo(mountinfo), parseOwn(cgroup));

// A v1 hybrid host, each controller in a hierarchy of its own.
const HYBRID = `22 1 254:0 / / rw,relatime - ext4 /dev/root rw
30 22 0:27 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
31 30 0:28 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
32 30 0:29 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct
33 30 0:30 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
34 30 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
35 30 0:32 / /sys/fs/cgroup/devices rw,relatime - cgroup cgroup rw,devices
36 30 0:33 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
37 30 0:34 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio
38 30 0:35 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
39 30 0:36 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
40 30 0:37 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`;
const HYBRID_OWN = `9:name=systemd:/
8:pids:/
7:blkio:/
6:freezer:/
5:devices:/
4:memory:/process_api/20d52e
3:cpuset:/
2:cpuacct:/
1:cpu:/
0::/
`;

// What systemd mounts on a v1 host: cpu and cpuacct together, and links beside.
const COMOUNTED = `25 20 0:21 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,mode=755
26 25 0:22 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw,nsdelegate
27 25 0:23 / /sys/fs/cgroup/systemd rw,nosuid shared:11 - cgroup cgroup rw,xattr,name=systemd
31 25 0:27 / /sys/fs/cgroup/net_cls,net_prio rw,nosuid shared:15 - cgroup cgroup rw,net_cls,net_prio
32 25 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:16 - cgroup cgroup rw,cpu,cpuacct
33 25 0:29 / /sys/fs/cgroup/devices rw,nosuid shared:17 - cgroup cgroup rw,devices
34 25 0:30 / /sys/fs/cgroup/memory rw,nosuid shared:18 - cgroup cgroup rw,memory
`;
const COMOUNTED_OWN = `12:cpu,cpuacct:/user.slice
11:devices:/user.slice
10:net_cls,net_prio:/
9:memory:/user.slice/user-0.slice/session-1.scope
1:name=systemd:/user.slice/user-0.slice/session-1.scope
0::/user.slice/user-0.slice/session-1.scope
`;

test("parseOwn() maps every controller to its path", () => {
  expect([...parseOwn(COMOUNTED_OWN)].slice(0, 3)).toEqual([
    ["cpu", "/user.slice"],
    ["cpuacct", "/user.slice"],
    ["devices", "/user.slice"],
  ]);
  expect(parseOwn(COMOUNTED_OWN).get("")).toBe("/user.slice/user-0.slice/session-1.scope");
  expect(parseOwn("3:cpuset:/a:b/c\n").get("cpuset")).toBe("/a:b/c");
  expect([...parseOwn("")]).toEqual([]);
});

test("findHierarchies() finds every hierarchy of a hybrid host, in mount order", () => {
  const found = host(HYBRID, HYBRID_OWN);
  expect(found.map(({ controllers }) => controllers)).toEqual([
    ["cpu"],
    ["cpuacct"],
    ["cpuset"],
    ["memory"],
    ["devices"],
    ["freezer"],
    ["blkio"],
    ["pids"],
    ["name=systemd"],
    [""],
  ]);
  expect(found[3]).toEqual({
    controllers: ["memory"],
    mountpoint: "/sys/fs/cgroup/memory",
    root: "/",
    own: "/process_api/20d52e",
  });
});

test("findHierarchies() keeps controllers that are mounted together", () => {
  const found = host(COMOUNTED, COMOUNTED_OWN);
  expect(found.map(({ controllers, mountpoint }) => [controllers, mountpoint])).toEqual([
    [[""], "/sys/fs/cgroup/unified"],
    [["name=systemd"], "/sys/fs/cgroup/systemd"],
    [["net_cls", "net_prio"], "/sys/fs/cgroup/net_cls,net_prio"],
    [["cpu", "cpuacct"], "/sys/fs/cgroup/cpu,cpuacct"],
    [["devices"], "/sys/fs/cgroup/devices"],
    [["memory"], "/sys/fs/cgroup/memory"],
  ]);
});

test("findHierarchies() passes over other mounts, and mounts of the same twice", () => {
  const more = `${HYBRID}50 22 0:31 / /mnt/memory rw - cgroup cgroup rw,memory
51 30 0:31 / /sys/fs/cgroup/memory2 rw - cgroup cgroup rw,memory
52 30 0:37 / /sys/fs/cgroup/other rw - cgroup2 cgroup2 rw
53 30 0:40 / /sys/fs/cgroup/x rw - tmpfs tmpfs rw
54 30 0:41 / /sys/fs/cgroup/elogind rw - cgroup cgroup rw,name=elogind
`;
  expect(host(more, HYBRID_OWN)).toEqual(host(HYBRID, HYBRID_OWN));
});

test("cgroupPaths() puts a container without cgroupsPath below thaw's own cgroup", () => {
  const paths = cgroupPaths(host(HYBRID, HYBRID_OWN), "c1");
  expect(Object.fromEntries(paths)).toEqual({
    cpuset: "/sys/fs/cgroup/cpuset/c1",
    devices: "/sys/fs/cgroup/devices/c1",
    memory: "/sys/fs/cgroup/memory/process_api/20d52e/c1",
    cpu: "/sys/fs/cgroup/cpu/c1",
    cpuacct: "/sys/fs/cgroup/cpuacct/c1",
    pids: "/sys/fs/cgroup/pids/c1",
    blkio: "/sys/fs/cgroup/blkio/c1",
    freezer: "/sys/fs/cgroup/freezer/c1",
    "name=systemd": "/sys/fs/cgroup/systemd/c1",
    "": "/sys/fs/cgroup/unified/c1",
  });
  expect([...paths.keys()].slice(0, 4)).toEqual(["cpuset", "devices", "memory", "cpu"]);
});

test("cgroupPaths() counts an absolute path from the root of every hierarchy", () => {
  const paths = cgroupPaths(host(HYBRID, HYBRID_OWN), "/rrcg/one");
  expect(paths.get("memory")).toBe("/sys/fs/cgroup/memory/rrcg/one");
  expect(paths.get("name=systemd")).toBe("/sys/fs/cgroup/systemd/rrcg/one");
  expect(paths.get("")).toBe("/sys/fs/cgroup/unified/rrcg/one");
});

test("cgroupPaths() gives controllers that are mounted together the same directory", () => {
  const paths = cgroupPaths(host(COMOUNTED, COMOUNTED_OWN), "a/b");
  expect(paths.get("cpu")).toBe("/sys/fs/cgroup/cpu,cpuacct/user.slice/a/b");
  expect(paths.get("cpuacct")).toBe("/sys/fs/cgroup/cpu,cpuacct/user.slice/a/b");
  expect(paths.get("net_prio")).toBe("/sys/fs/cgroup/net_cls,net_prio/a/b");
  expect(paths.has("pids")).toBe(false);
});

test("cgroupPaths() refuses a host without the devices controller", () => {
  const without = COMOUNTED.replace(/^33 .*\n/m, "");
  expect(() => cgroupPaths(host(without, COMOUNTED_OWN), "c1")).toThrow(
    "cgroup: devices controller not mounted",
  );
});

test("ownDirectory() counts from what of the hierarchy is mounted", () => {
  const at = (root: string, own: string) =>
    ownDirectory({ controllers: ["cpu"], mountpoint: "/sys/fs/cgroup/cpu", root, own });
  expect(at("/", "/")).toBe("/sys/fs/cgroup/cpu");
  expect(at("/", "/a/b")).toBe("/sys/fs/cgroup/cpu/a/b");
  expect(at("/docker/x", "/docker/x/y")).toBe("/sys/fs/cgroup/cpu/y");
  expect(at("/docker/x", "/docker/x")).toBe("/sys/fs/cgroup/cpu");
  expect(at("/docker/x", "/")).toBe("/sys/fs/cgroup/cpu");
  expect(at("/docker/x", "/docker/xy")).toBe("/sys/fs/cgroup/cpu");
});
