import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readState } from "../../../internal/state/load.ts";

const root = mkdtempSync("/tmp/thaw-state-");
mkdirSync(join(root, "c1"));
afterAll(() => rmSync(root, { recursive: true }));

// biome-ignore lint/suspicious/noExplicitAny: a document to damage
type Json = any;

/** What is read of a state.json, as runc writes it but for a change. */
function read(change: (state: Json) => void = () => {}) {
  const state = {
    id: "c1",
    init_process_pid: 7,
    init_process_start: 8,
    created: "2026-11-24T13:15:43.2Z",
    config: {
      rootfs: "/r",
      version: "1.2.1",
      labels: ["bundle=/b"],
      namespaces: [{ type: "NEWPID", path: "" }],
      mounts: [{ device: "proc", destination: "/proc", source: "proc", flags: 0 }],
      mask_paths: null,
      devices: [{ path: "/dev/null", major: 1 }],
      cgroups: { name: "c1", devices: [] },
      Hooks: { poststop: [{ path: "/h", args: null, timeout: null }], prestart: null },
    },
    cgroup_paths: { devices: "/sys/fs/cgroup/devices/c1" },
    external_descriptors: ["/dev/null", "", "/dev/null"],
    intel_rdt_path: "",
  };
  change(state);
  writeFileSync(join(root, "c1/state.json"), JSON.stringify(state));
  return readState(root, "c1");
}

test("readState() reads what runc writes, null for nothing", () => {
  const state = read();
  expect(state).toMatchObject({ id: "c1", init: { pid: 7, startTime: 8 }, labels: ["bundle=/b"] });
  expect(state.maskPaths).toEqual([]);
  expect(state.poststop).toEqual([{ path: "/h", args: null, env: null, dir: "", timeout: null }]);
  const bare = read((s) => {
    const { rootfs, cgroups } = s.config;
    s.config = { rootfs, cgroups, namespaces: [null, { type: "NEWNET" }] };
    for (const name of ["created", "cgroup_paths", "external_descriptors"]) delete s[name];
  });
  expect(bare.namespaces).toEqual([
    { type: "", path: "" },
    { type: "NEWNET", path: "" },
  ]);
  expect(bare.config["namespaces"]).toEqual([...bare.namespaces]);
  expect(bare).toMatchObject({
    created: "0001-01-01T00:00:00Z",
    mounts: [],
    cgroupPaths: new Map(),
  });
});

const WRONG: readonly (readonly [string, (state: Json) => void])[] = [
  ["no id", (s) => delete s.id],
  ["no init_process_pid", (s) => (s.init_process_pid = 1.5)],
  ["no init_process_start", (s) => (s.init_process_start = "8")],
  ["no config.cgroups", (s) => (s.config.cgroups = null)],
  ["a wrong id", (s) => (s.id = 5)],
  ["a wrong created", (s) => (s.created = 5)],
  ["a wrong config", (s) => (s.config = [])],
  ["a wrong config.cgroups", (s) => (s.config.cgroups = [])],
  ["a wrong config.namespaces", (s) => (s.config.namespaces = "x")],
  ["a wrong config.namespaces", (s) => (s.config.namespaces = ["x"])],
  ["a wrong config.namespaces.type", (s) => (s.config.namespaces = [{ type: 5 }])],
  ["a wrong config.mounts", (s) => (s.config.mounts = [5])],
  ["a wrong config.labels", (s) => (s.config.labels = [5])],
  ["a wrong config.devices.path", (s) => (s.config.devices = [{ path: {} }])],
  ["a wrong config.Hooks", (s) => (s.config.Hooks = "x")],
  ["a wrong config.Hooks.poststop", (s) => (s.config.Hooks.poststop = [5])],
  ["a wrong config.Hooks.poststop.timeout", (s) => (s.config.Hooks.poststop[0].timeout = "1")],
  ["a wrong cgroup_paths", (s) => (s.cgroup_paths = ["/x"])],
  ["a wrong cgroup_paths", (s) => (s.cgroup_paths = { devices: 5 })],
  ["a wrong cgroup_paths", (s) => (s.cgroup_paths = { devices: "" })],
  ["a wrong cgroup_paths", (s) => (s.cgroup_paths = { devices: "relative" })],
  ["a wrong external_descriptors", (s) => (s.external_descriptors = 5)],
];

test.each([...WRONG])("a state.json that has %s is refused", (says, change) => {
  expect(() => read((state) => void change(state))).toThrow(`state.json has ${says}`);
});
