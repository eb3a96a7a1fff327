import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { namespacePath, toHook } from "../../../internal/oci/config.ts";
import { hostId, toConfig } from "../../../internal/oci/convert.ts";
import type { Spec } from "../../../internal/oci/spec.ts";

const options = { id: "tf", bundle: "/srv/c1", noPivot: false, noNewKeyring: false };
const minimal: Spec = { root: { path: "rootfs" } };
const convert = (more: Spec, given: Partial<typeof options> = {}) =>
  toConfig({ ...minimal, ...more }, { ...options, ...given });
const config = (more: Spec) => convert(more).config;

/** A config.json and the `config` that runc 1.3.6 wrote into state.json for it. */
function fromRunc(name: string): { spec: Spec; config: Record<string, unknown> } {
  return JSON.parse(readFileSync(join(import.meta.dir, "runc", `${name}.json`), "utf8"));
}

test("toConfig() writes byte for byte what runc 1.3.6 writes for the same config.json", () => {
  const runc = fromRunc("full");
  expect(JSON.stringify(toConfig(runc.spec, options).config)).toBe(JSON.stringify(runc.config));
});

test("toConfig() maps a user namespace, time offsets and a joined network as runc does", () => {
  const runc = fromRunc("user-namespace");
  const made = toConfig(runc.spec, options).config;
  expect(made).toEqual(runc.config as never);
});

test("toConfig() makes of the smallest config.json what runc makes of it", () => {
  const { devices, cgroups, ...rest } = config({});
  expect(devices.length).toBe(6);
  expect(Object.keys(cgroups)).toEqual(["name", "devices"]);
  expect(rest).toEqual({
    no_pivot_root: false,
    parent_death_signal: 0,
    rootfs: "/srv/c1/rootfs",
    umask: null,
    readonlyfs: false,
    rootPropagation: 0,
    mounts: [],
    mount_label: "",
    hostname: "",
    domainname: "",
    namespaces: [],
    capabilities: null,
    networks: null,
    routes: null,
    uid_mappings: null,
    gid_mappings: null,
    mask_paths: null,
    readonly_paths: null,
    sysctl: null,
    seccomp: null,
    Hooks: {
      createContainer: null,
      createRuntime: null,
      poststart: null,
      poststop: null,
      prestart: null,
      startContainer: null,
    },
    version: "1.2.1",
    labels: ["bundle=/srv/c1"],
    no_new_keyring: false,
  });
});

test("toConfig() records --no-pivot and --no-new-keyring", () => {
  const made = convert({}, { noPivot: true, noNewKeyring: true }).config;
  expect([made.no_pivot_root, made.no_new_keyring]).toEqual([true, true]);
});

test("toConfig() takes an absolute root.path as it is and cleans a relative one", () => {
  expect(config({ root: { path: "/mnt/r" } }).rootfs).toBe("/mnt/r");
  expect(config({ root: { path: "../x/./r/" } }).rootfs).toBe("/srv/x/r");
});

test("toConfig() puts annotations before the bundle's label", () => {
  const { labels } = config({ annotations: { a: "1", "org.criu.config": "" } });
  expect(labels).toEqual(["a=1", "org.criu.config=", "bundle=/srv/c1"]);
});

test("toConfig() takes the source of a bind mount from the bundle, of others verbatim", () => {
  const { mounts } = config({
    mounts: [
      { destination: "/a", type: "none", source: "../vol", options: ["rbind"] },
      { destination: "/b", type: "bind", source: "vol" },
      { destination: "/c", type: "tmpfs", source: "tmpfs" },
    ],
  });
  expect(mounts.map(({ source, device }) => [source, device])).toEqual([
    ["/srv/vol", "bind"],
    ["vol", "bind"], // the type alone makes no bind mount, as in runc
    ["tmpfs", "tmpfs"],
  ]);
});

test("toConfig() warns of a relative destination in runc's words", () => {
  const { warnings } = convert({ mounts: [{ destination: "foo", type: "tmpfs" }] });
  expect(warnings).toEqual([
    "mount destination foo is not absolute. Support for non-absolute mount destinations will be removed in a future release.",
  ]);
});

test("toConfig() warns of kernel memory limits and drops them", () => {
  const { config: made, warnings } = convert({
    linux: { resources: { memory: { kernel: 1, limit: 5 } } },
  });
  expect(warnings).toEqual(["Kernel memory settings are ignored and will be removed"]);
  expect(made.cgroups.memory).toBe(5);
});

test("toConfig() gives a private network namespace a loopback, a joined one nothing", () => {
  const network = (path?: string) =>
    config({ linux: { namespaces: [{ type: "network", ...(path ? { path } : {}) }] } }).networks;
  expect(network()).toEqual([expect.objectContaining({ type: "loopback", mtu: 0 })]);
  expect(network("/proc/1/ns/net")).toBeNull();
});

test.each<[string, Spec]>([
  ["root must be specified", { root: null }],
  [
    'malformed spec file: duplicated ns {"network" ""}',
    { linux: { namespaces: [{ type: "network" }, { type: "network" }] } },
  ],
  ['namespace {"blah" ""} does not exist', { linux: { namespaces: [{ type: "blah" }] } }],
  [
    'namespace {"toString" "/x"} does not exist',
    { linux: { namespaces: [{ type: "toString", path: "/x" }] } },
  ],
  ["rootfsPropagation=X is not supported", { linux: { rootfsPropagation: "X" } }],
  ["invalid personality domain X", { linux: { personality: { domain: "X" } } }],
  ['invalid device type "q"', { linux: { devices: [{ path: "/dev/x", type: "q" }] } }],
  [
    "device access at 0 field cannot be empty",
    { linux: { resources: { devices: [{ allow: true }] } } },
  ],
  ["mount field contains null byte", { mounts: [{ destination: "/a\0", type: "tmpfs" }] }],
  [
    "no mapping found for uid 0",
    {
      linux: {
        namespaces: [{ type: "user" }],
        uidMappings: [{ containerID: 1, hostID: 1000, size: 1 }],
        gidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
      },
    },
  ],
])("toConfig() refuses with %p", (message, more) => {
  expect(() => convert(more)).toThrow(message);
});

test("hostId() maps within the ranges and leaves ids alone without mappings", () => {
  const maps = [
    { container_id: 0, host_id: 1000, size: 10 },
    { container_id: 10, host_id: 5000, size: 1 },
  ];
  expect([0, 9, 10].map((id) => hostId(maps, id))).toEqual([1000, 1009, 5000]);
  expect(() => hostId(maps, 11)).toThrow("no mapping found for uid 11");
  expect(hostId(null, 7)).toBe(7);
});

test("toHook() keeps the timeout in nanoseconds and lists as null when they are not given", () => {
  expect(toHook({ path: "/bin/true", timeout: 5 })).toEqual({
    path: "/bin/true",
    args: null,
    env: null,
    dir: "",
    timeout: 5e9,
  });
  expect(toHook({ path: "/x", args: [], env: ["A=b"] })).toMatchObject({ args: [], timeout: null });
});

test("namespacePath() tells none, a new one and one to join apart", () => {
  const made = config({ linux: { namespaces: [{ type: "pid" }, { type: "ipc", path: "/i" }] } });
  expect(["NEWNET", "NEWPID", "NEWIPC"].map((type) => namespacePath(made, type))).toEqual([
    undefined,
    "",
    "/i",
  ]);
});

test("toConfig() keeps the id mapping of a mount", () => {
  const maps = (options: string[], more = {}) =>
    config({
      mounts: [{ destination: "/d", source: "/s", options: ["bind", ...options], ...more }],
    }).mounts[0]?.id_mapping;
  const uidMappings = [{ containerID: 1, hostID: 2, size: 3 }];
  const uids = [{ container_id: 1, host_id: 2, size: 3 }];
  expect(maps([])).toBeUndefined();
  expect(maps(["idmap"])).toEqual({ recursive: false, uid_mappings: null, gid_mappings: null });
  expect(maps(["ridmap"], { uidMappings })).toEqual({
    recursive: true,
    uid_mappings: uids,
    gid_mappings: null,
  });
  expect(maps([], { gidMappings: uidMappings })).toEqual({
    recursive: false,
    uid_mappings: null,
    gid_mappings: uids,
  });
});

test("toConfig() knows both personalities", () => {
  const domain = (name: string) => config({ linux: { personality: { domain: name } } }).personality;
  expect([domain("LINUX"), domain("LINUX32")]).toEqual([{ domain: 0 }, { domain: 8 }]);
});
