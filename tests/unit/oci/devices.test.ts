import { expect, test } from "bun:test";
import { createDevices } from "../../../internal/oci/devices.ts";

const shown = (rule: { type: number; major: number; minor: number; permissions: string }) =>
  `${String.fromCharCode(rule.type)} ${rule.major}:${rule.minor} ${rule.permissions}`;

test("createDevices() has runc's six nodes, in runc's order", () => {
  const { nodes } = createDevices([]);
  expect(JSON.stringify(nodes[0])).toBe(
    '{"type":99,"major":1,"minor":3,"permissions":"rwm","allow":true,"path":"/dev/null","file_mode":438}',
  );
  expect(nodes.map(({ path, major, minor }) => `${path} ${major}:${minor}`)).toEqual([
    "/dev/null 1:3",
    "/dev/random 1:8",
    "/dev/full 1:7",
    "/dev/tty 5:0",
    "/dev/zero 1:5",
    "/dev/urandom 1:9",
  ]);
});

test("createDevices() appends the rules every container gets", () => {
  const { rules } = createDevices([]);
  expect(rules.map(shown)).toEqual([
    "c -1:-1 m",
    "b -1:-1 m",
    "c 1:3 rwm",
    "c 1:8 rwm",
    "c 1:7 rwm",
    "c 5:0 rwm",
    "c 1:5 rwm",
    "c 1:9 rwm",
    "c 136:-1 rwm",
    "c 5:2 rwm",
    "c 10:200 rwm",
  ]);
  expect(rules.every(({ allow }) => allow)).toBe(true);
  expect(JSON.stringify(rules[0])).toBe(
    '{"type":99,"major":-1,"minor":-1,"permissions":"m","allow":true}',
  );
});

test("createDevices() records a device of config.json as runc does, without permissions", () => {
  const extra = [
    { path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 0o660, uid: 5, gid: 6 },
  ];
  const { nodes, rules } = createDevices(extra);
  expect(JSON.stringify(nodes.at(-1))).toBe(
    '{"type":99,"major":10,"minor":229,"permissions":"","allow":false,"path":"/dev/fuse","file_mode":432,"uid":5,"gid":6}',
  );
  expect(rules.length).toBe(11);
});

test("createDevices() lets a device of config.json take the place of a default one", () => {
  const { nodes, rules } = createDevices([{ path: "/dev/null", type: "c", major: 1, minor: 3 }]);
  expect(nodes.map(({ path }) => path)).toEqual([
    "/dev/random",
    "/dev/full",
    "/dev/tty",
    "/dev/zero",
    "/dev/urandom",
    "/dev/null",
  ]);
  expect(rules.map(shown)).not.toContain("c 1:3 rwm");
});

test("createDevices() gives a node mode 0666 when none is given", () => {
  const { nodes } = createDevices([{ path: "/dev/p", type: "p", fileMode: null }]);
  expect(nodes.at(-1)).toMatchObject({ type: 112, file_mode: 0o666, major: 0, minor: 0 });
});

test.each(["q", "", "cc"])("createDevices() refuses the type %j", (type) => {
  const message = `invalid device type ${JSON.stringify(type)}`;
  expect(() => createDevices([{ path: "/dev/x", type }])).toThrow(message);
});

test("createDevices() refuses a type that is a name of Object's prototype", () => {
  const make = () => createDevices([{ path: "/dev/x", type: "toString" }]);
  expect(make).toThrow('invalid device type "toString"');
});
