import { expect, test } from "bun:test";
import { ThawError } from "../../../internal/errors/errors.ts";
import { checkSpecShape } from "../../../internal/oci/schema.ts";

test("checkSpecShape() takes what `runc spec` writes", () => {
  const spec = {
    ociVersion: "1.2.1",
    process: {
      terminal: true,
      user: { uid: 0, gid: 0, additionalGids: [1] },
      args: ["sh"],
      env: ["PATH=/bin"],
      cwd: "/",
      capabilities: { bounding: ["CAP_KILL"] },
      rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: "rootfs", readonly: true },
    hostname: "runc",
    mounts: [{ destination: "/proc", type: "proc", source: "proc" }],
    linux: {
      resources: { devices: [{ allow: false, access: "rwm" }] },
      namespaces: [{ type: "pid" }],
      maskedPaths: ["/proc/acpi"],
    },
  };
  expect(() => checkSpecShape(spec)).not.toThrow();
});

test.each<[string, unknown]>([
  ["an empty object", {}],
  ["null wherever it stands", { process: null, mounts: null, linux: { resources: null } }],
  ["null in a list", { mounts: [null], process: { args: [null] } }],
  ["fields it does not know", { vm: { kernel: 1 }, linux: { unknown: 7, netDevices: [] } }],
  ["names of Object's prototype", { constructor: 1, toString: [], linux: { valueOf: {} } }],
  ["the ends of uint32", { process: { user: { uid: 0, gid: 4294967295 } } }],
  ["large int64", { linux: { resources: { memory: { limit: 2 ** 62, swap: -1 } } } }],
])("checkSpecShape() accepts %s", (_, value) => {
  expect(() => checkSpecShape(value)).not.toThrow();
});

const number = "json: cannot unmarshal number into Go struct field Spec";
test.each<[string, unknown]>([
  [`${number}.ociVersion of type string`, { ociVersion: 1 }],
  [`${number}.hostname of type string`, { hostname: 1.5 }],
  [
    "json: cannot unmarshal bool into Go struct field Spec.hostname of type string",
    { hostname: true },
  ],
  [
    "json: cannot unmarshal array into Go struct field Spec.domainname of type string",
    { domainname: [] },
  ],
  [
    "json: cannot unmarshal object into Go struct field Spec.ociVersion of type string",
    { ociVersion: {} },
  ],
])("checkSpecShape() refuses with %p, as Go words it", (message, value) => {
  expect(() => checkSpecShape(value)).toThrow(
    expect.objectContaining({ name: "ThawError", message }) as never,
  );
});

// The field and what is wrong with it; Go names the type of the struct, too.
test.each<[string, string, unknown]>([
  ["process.args", "string", { process: { args: "sh" } }],
  ["process.args", "number", { process: { args: ["a", 1] } }],
  ["process.terminal", "number", { process: { terminal: 1 } }],
  ["process.user.uid", "number -1", { process: { user: { uid: -1 } } }],
  ["process.user.uid", "number 4294967296", { process: { user: { uid: 2 ** 32 } } }],
  ["process.user.gid", "number 1.5", { process: { user: { gid: 1.5 } } }],
  ["process.oomScoreAdj", "string", { process: { oomScoreAdj: "x" } }],
  ["process.capabilities", "string", { process: { capabilities: { bounding: "x" } } }],
  ["root", "string", { root: "x" }],
  ["mounts", "object", { mounts: {} }],
  ["mounts.destination", "number", { mounts: [{}, { destination: 1 }] }],
  ["mounts.options", "number", { mounts: [{ options: [2] }] }],
  ["annotations", "number", { annotations: { a: 1 } }],
  ["hooks.prestart", "number", { hooks: { prestart: [{ path: 1 }] } }],
  ["linux", "array", { linux: [] }],
  ["linux.namespaces.type", "number", { linux: { namespaces: [{ type: 1 }] } }],
  ["linux.resources.memory.limit", "string", { linux: { resources: { memory: { limit: "1" } } } }],
  [
    "linux.resources.devices.major",
    "string",
    { linux: { resources: { devices: [{ major: "x" }] } } },
  ],
  ["linux.sysctl", "bool", { linux: { sysctl: { "net.x": true } } }],
  ["linux.resources.rdma", "string", { linux: { resources: { rdma: { mlx: "x" } } } }],
])("checkSpecShape() names %s and what is there (%s)", (field, kind, value) => {
  expect(() => checkSpecShape(value)).toThrow(ThawError);
  const escaped = field.replaceAll(".", "\\.");
  const words = `^json: cannot unmarshal ${kind} into Go struct field \\w+\\.${escaped}\\b`;
  expect(() => checkSpecShape(value)).toThrow(new RegExp(words));
});

test.each<[string, unknown]>([
  ["array", []],
  ["string", "x"],
  ["number", 7],
  ["bool", false],
])("checkSpecShape() refuses a document that is a %s", (kind, value) => {
  expect(() => checkSpecShape(value)).toThrow(`json: cannot unmarshal ${kind} into Go value`);
});

test("checkSpecShape() leaves out what is null, and makes it a zero value in lists and maps", () => {
  const value = {
    hostname: null,
    annotations: { a: null },
    mounts: [null, { source: null, destination: "/x" }],
    process: { args: [null, "x"] },
  };
  expect(checkSpecShape(value)).toEqual({
    annotations: { a: "" },
    mounts: [{}, { destination: "/x" }],
    process: { args: ["", "x"] },
  });
});

test("checkSpecShape() names the Go struct around a field, as encoding/json does", () => {
  const refused = (value: unknown, message: string) =>
    expect(() => checkSpecShape(value)).toThrow(`json: cannot unmarshal ${message}`);
  refused(
    { process: { args: 1 } },
    "number into Go struct field Process.process.args of type []string",
  );
  refused(
    { process: { user: { uid: "x" } } },
    "string into Go struct field User.process.user.uid of type uint32",
  );
  refused({ linux: 1 }, "number into Go struct field Spec.linux of type specs.Linux");
  refused({ annotations: { a: 1 } }, "number into Go struct field Spec.annotations of type string");
  refused(
    { linux: { resources: { cpu: { shares: -1 } } } },
    "number -1 into Go struct field LinuxCPU.linux.resources.cpu.shares of type uint64",
  );
});
