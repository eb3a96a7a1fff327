import { expect, test } from "bun:test";
import {
  MS_BIND,
  MS_REC,
  MS_SLAVE,
  mounts,
  parseMountInfo,
} from "../../../internal/linux/mount.ts";

test("parseMountInfo() reads root, mount point, type and super options", () => {
  const text = [
    "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue",
    "25 20 0:22 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct",
    "",
  ].join("\n");
  expect(parseMountInfo(text)).toEqual([
    {
      device: "98:0",
      root: "/mnt1",
      mountpoint: "/mnt2",
      fstype: "ext3",
      superOptions: ["rw", "errors=continue"],
    },
    {
      device: "0:22",
      root: "/",
      mountpoint: "/sys/fs/cgroup/cpu,cpuacct",
      fstype: "cgroup",
      superOptions: ["rw", "cpu", "cpuacct"],
    },
  ]);
});

test("parseMountInfo() takes any number of optional fields, none too", () => {
  const line = (optional: string) => `1 2 0:3 / /x rw ${optional}- tmpfs none rw`;
  for (const optional of ["", "shared:1 ", "shared:1 master:2 propagate_from:3 unbindable "])
    expect(parseMountInfo(line(optional))[0]).toMatchObject({ mountpoint: "/x", fstype: "tmpfs" });
});

test("parseMountInfo() decodes octal escapes in paths", () => {
  const line = "1 2 0:3 /a\\040b /c\\011d\\012e\\134f\\043 rw - tmpfs none rw";
  expect(parseMountInfo(line)).toEqual([
    {
      device: "0:3",
      root: "/a b",
      mountpoint: "/c\td\ne\\f#",
      fstype: "tmpfs",
      superOptions: ["rw"],
    },
  ]);
});

test("parseMountInfo() gives nothing for nothing", () => {
  expect(parseMountInfo("")).toEqual([]);
});

test("mounts() sees /proc of this machine", () => {
  expect(mounts().find(({ mountpoint }) => mountpoint === "/proc")?.fstype).toBe("proc");
});

test("flags of mount(2) are the kernel's", () => {
  expect([MS_BIND, MS_REC, MS_SLAVE]).toEqual([4096, 16384, 1 << 19]);
});
