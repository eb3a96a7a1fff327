import { expect, test } from "bun:test";
import { describeOptions, manageCgroupsMode } from "../../../internal/criu/options.ts";

const line = (name: string, options: object) =>
  describeOptions({ imagesDirFd: 7, ...options }).find((one) =>
    one.startsWith(`CRIU option ${name} with value `),
  );

test.each([
  ["", 6],
  ["soft", 3],
  ["full", 4],
  ["strict", 5],
  ["ignore", 0],
])("manageCgroupsMode() turns %p into CRIU's %d", (word, mode) => {
  expect(manageCgroupsMode(word)).toBe(mode as never);
});

test.each(["bogus", "SOFT", "none", "props", "toString", "__proto__"])(
  "manageCgroupsMode() does not know %p",
  (word) => {
    expect(() => manageCgroupsMode(word)).toThrow("invalid manage-cgroups-mode value");
  },
);

test("describeOptions() prints unset options with CRIU's defaults, as runc does", () => {
  expect(line("LogLevel", {})).toEndWith("value 2");
  expect(line("CpuCap", {})).toEndWith("value 4294967295");
  expect(line("GhostLimit", {})).toEndWith("value 1048576");
  expect(line("Pid", {})).toEndWith("value 0");
  expect(line("Root", {})).toEndWith("value ");
  expect(line("Ps", {})).toEndWith("value <nil>");
  expect(line("Veths", {})).toEndWith("value []");
  expect(line("NetworkLock", {})).toEndWith("value IPTABLES");
});

test("describeOptions() prints an enum by name, lists in brackets, messages as text", () => {
  expect(line("ManageCgroupsMode", { manageCgroupsMode: 5 })).toEndWith("value STRICT");
  expect(line("ManageCgroupsMode", { manageCgroupsMode: 0 })).toEndWith("value IGNORE");
  expect(line("External", { external: ["a", "b"] })).toEndWith("value [a b]");
  const inheritFd = [
    { key: "pipe:[189288]", fd: 0 },
    { key: "pipe:[189289]", fd: 1 },
  ];
  expect(line("InheritFd", { inheritFd })).toBe(
    'CRIU option InheritFd with value [key:"pipe:[189288]" fd:0 key:"pipe:[189289]" fd:1]',
  );
  expect(line("JoinNs", { joinNs: [{ ns: "ipc", nsFile: "/p" }] })).toBe(
    'CRIU option JoinNs with value [ns:"ipc" ns_file:"/p"]',
  );
});
