import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { startTime } from "../../../internal/linux/process.ts";
import type { Config } from "../../../internal/oci/config.ts";
import { toConfig } from "../../../internal/oci/convert.ts";
import { restoredState } from "../../../internal/restore/record.ts";

function config(namespaces: { type: string; path?: string }[] = [{ type: "pid" }]): Config {
  const options = { id: "c1", bundle: "/srv/c1", noPivot: false, noNewKeyring: false };
  return toConfig({ root: { path: "rootfs" }, linux: { namespaces } }, options).config;
}

const state = (now: string, made = config()) =>
  restoredState({
    id: "c1",
    pid: process.pid,
    config: made,
    cgroupPaths: new Map([
      ["cpuset", "/sys/fs/cgroup/cpuset/c1"],
      ["", "/sys/fs/cgroup/unified/c1"],
      ["name=systemd", "/sys/fs/cgroup/systemd/c1"],
      ["cpu", "/sys/fs/cgroup/cpu/c1"],
    ]),
    externalDescriptors: ["/dev/null", "pipe:[1]", ""],
    now: new Date(now),
  });

test("restoredState() has runc's keys in runc's order", () => {
  const made = state("2026-11-24T13:15:52Z");
  expect(Object.keys(made)).toEqual([
    "id",
    "init_process_pid",
    "init_process_start",
    "created",
    "config",
    "rootless",
    "cgroup_paths",
    "namespace_paths",
    "external_descriptors",
    "intel_rdt_path",
  ]);
  expect(made).toMatchObject({
    id: "c1",
    init_process_pid: process.pid,
    init_process_start: startTime(process.pid) as number,
    rootless: false,
    external_descriptors: ["/dev/null", "pipe:[1]", ""],
    intel_rdt_path: "",
  });
});

test("restoredState() sorts cgroup and namespace paths as Go sorts a map", () => {
  const { cgroup_paths, namespace_paths } = state("2026-11-24T13:15:52Z");
  expect(Object.keys(cgroup_paths)).toEqual(["", "cpu", "cpuset", "name=systemd"]);
  const types = Object.keys(namespace_paths);
  expect(types).toEqual([...types].sort());
  expect(namespace_paths["NEWNS"]).toBe(`/proc/${process.pid}/ns/mnt`);
  expect(namespace_paths["NEWNET"]).toBe(`/proc/${process.pid}/ns/net`);
  for (const path of Object.values(namespace_paths)) expect(existsSync(path)).toBe(true);
});

test.each([
  ["2026-11-24T13:15:52.535Z", "2026-11-24T13:15:52.535Z"],
  ["2026-11-24T13:15:52.530Z", "2026-11-24T13:15:52.53Z"],
  ["2026-11-24T13:15:52.500Z", "2026-11-24T13:15:52.5Z"],
  ["2026-11-24T13:15:52.005Z", "2026-11-24T13:15:52.005Z"],
  ["2026-11-24T13:15:52.000Z", "2026-11-24T13:15:52Z"],
])("restoredState() writes created like Go's RFC3339Nano: %s", (now, created) => {
  expect(state(now).created).toBe(created);
});

test.each([
  ["2026-11-24T13:15:50.000Z", "2026-11-24T13:15:50Z"],
  ["2026-11-24T13:00:00.000Z", "2026-11-24T13:00:00Z"],
])("restoredState() keeps the zeros of the seconds: %s", (now, created) => {
  expect(state(now).created).toBe(created);
});

test.skipIf(!existsSync("/proc/self/ns/time"))(
  "restoredState() adds the time namespace CRIU makes, once",
  () => {
    const types = (made: Config) => made.namespaces.map(({ type }) => type);
    const now = "2026-11-24T13:15:52Z";
    const plain = config();
    expect(types(state(now, plain).config)).toEqual(["NEWPID", "NEWTIME"]);
    expect(types(plain)).toEqual(["NEWPID"]);
    expect(types(state(now, config([{ type: "time" }, { type: "pid" }])).config)).toEqual([
      "NEWTIME",
      "NEWPID",
    ]);
    expect(state(now, plain).config.namespaces.at(-1)).toEqual({ type: "NEWTIME", path: "" });
  },
);
