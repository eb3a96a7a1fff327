import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmdirSync, symlinkSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { toConfig } from "../../../internal/oci/convert.ts";
import type { Spec } from "../../../internal/oci/spec.ts";
import { validateConfig, validateNamespacePaths } from "../../../internal/oci/validate.ts";

const types = ["pid", "network", "ipc", "uts", "mount"];
const without = (type: string) => ({
  namespaces: types.filter((one) => one !== type).map((one) => ({ type: one })),
});
const everything = without("");
const timeNamespace = { type: "time", path: "/proc/self/ns/time" };

function check(spec: Spec, path = "/proc"): void {
  const full = { root: { path }, linux: everything, ...spec };
  const options = { id: "c1", bundle: "/", noPivot: false, noNewKeyring: false };
  const { config } = toConfig(full, options);
  validateConfig(config);
}

test.each<[string, Spec]>([
  [
    "all namespaces",
    { hostname: "a", domainname: "b", linux: { ...everything, maskedPaths: ["/x"] } },
  ],
  ["no namespaces and nothing that needs them", { linux: {} }],
  ["sysctls of its namespaces", sysctls(everything, "net.a.b", "kernel.msgmax", "fs.mqueue.x")],
  ["sysctls with slashes", sysctls(everything, "net/ipv4/ip_forward", "kernel/shmall")],
  ["the name sysctls of a UTS namespace", sysctls(everything, "kernel.domainname")],
  ["mappings without a user namespace", { linux: { ...everything, uidMappings: [{ size: 1 }] } }],
  ["a user namespace with mappings", userNamespace({ hostID: 1000, size: 1 })],
  ["a time namespace to join without offsets", { linux: { namespaces: [timeNamespace] } }],
  [
    "a bind mount without data, and data for others",
    {
      mounts: [
        { destination: "/x", source: "/tmp", options: ["bind", "ro"] },
        { destination: "/y", type: "tmpfs", options: ["size=1m"] },
      ],
    },
  ],
  ["ociVersion of any kind", { ociVersion: "abc" }],
])("validateConfig() accepts %s", (_, spec) => {
  expect(() => check(spec)).not.toThrow();
});

function userNamespace(mapping: object | undefined, path = ""): Spec {
  const mappings = mapping === undefined ? {} : { uidMappings: [mapping], gidMappings: [mapping] };
  return { linux: { namespaces: [{ type: "user", path }], ...mappings } };
}

function sysctls(linux: object, ...names: string[]): Spec {
  return { linux: { ...linux, sysctl: Object.fromEntries(names.map((name) => [name, "1"])) } };
}

test.each<[string, Spec]>([
  [
    "unable to set hostname without a private UTS namespace",
    { hostname: "x", linux: without("uts") },
  ],
  [
    "unable to set domainname without a private UTS namespace",
    { domainname: "x", linux: without("uts") },
  ],
  [
    "unable to restrict sys entries without a private MNT namespace",
    { linux: { ...without("mount"), maskedPaths: ["/proc/acpi"] } },
  ],
  [
    "unable to restrict sys entries without a private MNT namespace",
    { linux: { ...without("mount"), readonlyPaths: ["/proc/bus"] } },
  ],
  [
    "time namespace offsets specified, but time namespace isn't enabled in the config",
    { linux: { ...everything, timeOffsets: { boottime: { secs: 1 } } } },
  ],
  [
    "time namespace enabled, but both namespace path and time offsets specified -- you may only provide one",
    {
      linux: {
        namespaces: [timeNamespace],
        timeOffsets: { boottime: { secs: 1 } },
      },
    },
  ],
  [
    'sysctl "kernel.msgmax" is not allowed in the hosts ipc namespace',
    sysctls(without("ipc"), "kernel.msgmax"),
  ],
  [
    'sysctl "fs.mqueue.queues_max" is not allowed in the hosts ipc namespace',
    sysctls(without("ipc"), "fs.mqueue.queues_max"),
  ],
  [
    'sysctl "net.ipv4.ip_forward" not allowed in host network namespace',
    sysctls(without("network"), "net.ipv4.ip_forward"),
  ],
  [
    'sysctl "kernel.domainname" is not in a separate kernel namespace',
    sysctls(without("uts"), "kernel.domainname"),
  ],
  ["user namespaces enabled, but no ", userNamespace(undefined)],
  ['sysctl "vm.x" is not in a separate kernel namespace', sysctls(everything, "vm.x")],
  [
    "bind mounts cannot have any filesystem-specific options applied",
    { mounts: [{ destination: "/x", source: "/tmp", options: ["bind", "foo=1"] }] },
  ],
])("validateConfig() refuses with %p", (message, spec) => {
  expect(() => check(spec)).toThrow(message);
});

test("validateConfig() refuses a rootfs in runc's words", () => {
  const directory = realpathSync(mkdtempSync("/tmp/thaw-rootfs-"));
  const [real, link] = [join(directory, "real"), join(directory, "link")];
  mkdirSync(real);
  symlinkSync("real", link);
  expect(() => check({}, real)).not.toThrow();
  expect(() => check({}, link)).toThrow("invalid rootfs: not an absolute path, or a symlink");
  expect(() => check({}, join(directory, "no"))).toThrow(
    `invalid rootfs: stat ${directory}/no: no such file or directory`,
  );
  expect(() => check({}, "/proc/self/exe/x")).toThrow("not a directory");
  expect(() => check({}, "/dev/null")).toThrow("invalid rootfs: /dev/null is not a directory");
  unlinkSync(link);
  rmdirSync(real);
  rmdirSync(directory);
});

function joinNamespace(type: string, path: string) {
  const spec = { root: { path: "/proc" }, linux: { namespaces: [{ type, path }] } };
  const options = { id: "c1", bundle: "/", noPivot: false, noNewKeyring: false };
  validateNamespacePaths(toConfig(spec, options).config);
}

test("validateNamespacePaths() takes namespaces that exist and new ones", () => {
  expect(() => joinNamespace("network", "/proc/self/ns/net")).not.toThrow();
  expect(() => joinNamespace("pid", "")).not.toThrow();
});

test("validateNamespacePaths() refuses in runc's words", () => {
  const refusal = (type: string) => () => joinNamespace(type, "/nonexistent/ns");
  expect(refusal("network")).toThrow("Requested network namespace /nonexistent/ns does not exist");
  expect(refusal("pid")).toThrow("Requested pid namespace /nonexistent/ns does not exist");
  expect(refusal("ipc")).toThrow("Requested ipc namespace /nonexistent/ns does not exist");
  expect(() => joinNamespace("cgroup", "/proc/self/ns/cgroup")).toThrow(
    "Do not know how to handle namespace NEWCGROUP",
  );
});
