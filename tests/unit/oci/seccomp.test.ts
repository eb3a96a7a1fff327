import { expect, test } from "bun:test";
import { seccompConfig } from "../../../internal/oci/seccomp.ts";

test("seccompConfig() has nothing for no section and for an empty one", () => {
  for (const value of [undefined, null, {}, { syscalls: [] }, { defaultAction: "" }])
    expect(seccompConfig(value)).toBeNull();
});

test("seccompConfig() writes what runc 1.3.6 writes into state.json", () => {
  const spec = {
    defaultAction: "SCMP_ACT_ALLOW",
    architectures: ["SCMP_ARCH_X86_64"],
    syscalls: [
      {
        names: ["mkdirx", "chmod"],
        action: "SCMP_ACT_ERRNO",
        errnoRet: 1,
        args: [{ index: 1, value: 7, valueTwo: 0, op: "SCMP_CMP_EQ" }],
      },
    ],
  };
  const call = (name: string) =>
    `{"name":"${name}","action":2,"errnoRet":1,"args":[{"index":1,"value":7,"value_two":0,"op":1}]}`;
  expect(JSON.stringify(seccompConfig(spec))).toBe(
    `{"default_action":4,"architectures":["amd64"],"flags":["SECCOMP_FILTER_FLAG_SPEC_ALLOW"],"syscalls":[${call("mkdirx")},${call("chmod")}],"default_errno_ret":null}`,
  );
});

test.each([
  ["SCMP_ACT_KILL", 1],
  ["SCMP_ACT_ERRNO", 2],
  ["SCMP_ACT_TRAP", 3],
  ["SCMP_ACT_ALLOW", 4],
  ["SCMP_ACT_TRACE", 5],
  ["SCMP_ACT_LOG", 6],
  ["SCMP_ACT_NOTIFY", 7],
  ["SCMP_ACT_KILL_THREAD", 8],
  ["SCMP_ACT_KILL_PROCESS", 9],
])("seccompConfig() numbers %s as libcontainer does", (defaultAction, number) => {
  expect(seccompConfig({ defaultAction })).toMatchObject({ default_action: number });
});

test.each([
  [{ defaultAction: "X" }, "string X is not a valid action for seccomp"],
  [{ defaultAction: "ALLOW" }, "string ALLOW is not a valid action for seccomp"],
  [{ syscalls: [{ names: ["read"] }] }, "string  is not a valid action for seccomp"],
  [
    { defaultAction: "SCMP_ACT_ALLOW", architectures: ["X"] },
    "string X is not a valid arch for seccomp",
  ],
  [
    { defaultAction: "SCMP_ACT_ALLOW", architectures: ["X86_64"] },
    "string X86_64 is not a valid arch for seccomp",
  ],
  [
    { defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_toString"] },
    "string SCMP_ARCH_toString is not a valid arch for seccomp",
  ],
  [
    {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: ["read"], action: "SCMP_ACT_ERRNO", args: [{ op: "X" }] }],
    },
    "string X is not a valid operator for seccomp",
  ],
])("seccompConfig() refuses %j in runc's words", (value, message) => {
  expect(() => seccompConfig(value)).toThrow(message);
});

test("seccompConfig() fills in what is left out, and keeps a listener", () => {
  const spec = {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 38,
    flags: [],
    listenerPath: "/l",
    listenerMetadata: "m",
    syscalls: [{ names: ["a"], action: "SCMP_ACT_ALLOW", args: [{ op: "SCMP_CMP_MASKED_EQ" }] }],
  };
  expect(seccompConfig(spec)).toEqual({
    default_action: 2,
    architectures: null,
    flags: [],
    syscalls: [
      { name: "a", action: 4, errnoRet: null, args: [{ index: 0, value: 0, value_two: 0, op: 7 }] },
    ],
    default_errno_ret: 38,
    listener_path: "/l",
    listener_metadata: "m",
  });
});

test("seccompConfig() keeps both values of a masked comparison", () => {
  const args = [{ index: 2, value: 5, valueTwo: 6, op: "SCMP_CMP_NE" }];
  const syscalls = [{ names: ["a"], action: "SCMP_ACT_LOG", args }];
  expect(seccompConfig({ defaultAction: "SCMP_ACT_ALLOW", syscalls })).toMatchObject({
    syscalls: [{ args: [{ index: 2, value: 5, value_two: 6, op: 2 }] }],
  });
});
