import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describeOptions } from "../../../internal/criu/options.ts";
import type { RestoreOptions } from "../../../internal/restore/options.ts";
import type { RestorePlan } from "../../../internal/restore/plan.ts";
import { type RequestParts, restoreRequest } from "../../../internal/restore/request.ts";

const bare = {
  shellJob: false,
  extUnixSk: false,
  tcpEstablished: false,
  tcpClose: false,
  fileLocks: false,
  autoDedup: false,
  lazyPages: false,
  lsmProfile: undefined,
  lsmMountContext: undefined,
};
const parts: RequestParts = {
  images: 7,
  work: undefined,
  root: "/run/runc/c1/criu-root",
  externalMounts: [],
  inheritFd: [],
  joinNs: [],
  cgroups: [],
};

interface Change {
  readonly options?: Partial<RestoreOptions>;
  readonly plan?: Partial<RestorePlan>;
  readonly parts?: Partial<RequestParts>;
}

function request(change: Change = {}) {
  const options = { ...bare, ...change.options } as RestoreOptions;
  const plan = {
    options,
    cgroupsMode: 6,
    descriptors: [],
    fileLocks: false,
    criuConfig: undefined,
    ...change.plan,
  };
  return restoreRequest(plan as unknown as RestorePlan, { ...parts, ...change.parts });
}

test("restoreRequest() asks for what runc 1.3.6 asks for, option by option", () => {
  const made = request({
    options: { tcpEstablished: true },
    plan: { criuConfig: "/etc/criu/runc.conf" },
    parts: {
      work: 9,
      externalMounts: [
        { key: "/sys/fs/cgroup/cpu", val: "/sys/fs/cgroup/cpu" },
        { key: "/data", val: "/tmp/vol" },
        { key: "/dev/null", val: "/dev/null" },
      ],
      cgroups: [
        { ctrl: "memory", path: "/own/c1" },
        { ctrl: "name=systemd", path: "/c1" },
        { ctrl: "", path: "/c1" },
      ],
    },
  });
  // runc restore -d --debug --work-path W --tcp-established; it knows no later options than these.
  const runc = readFileSync(join(import.meta.dir, "runc-options.txt"), "utf8")
    .trimEnd()
    .split("\n");
  expect(describeOptions(made).slice(0, runc.length)).toEqual(runc);
  expect(describeOptions(made).slice(runc.length)).toEqual([
    "CRIU option AllowUprobes with value false",
  ]);
});

test("restoreRequest() sends every flag, also when it is false", () => {
  const flags = ["shellJob", "extUnixSk", "tcpEstablished", "fileLocks", "autoDedup", "lazyPages"];
  for (const name of flags) {
    expect(request()).toHaveProperty(name, false);
    expect(request({ options: { [name]: true } })).toHaveProperty(name, true);
  }
});

test("restoreRequest() asks for file locks when the checkpoint has some", () => {
  expect(request({ plan: { fileLocks: true } })).toHaveProperty("fileLocks", true);
});

test("restoreRequest() leaves out what was not asked for", () => {
  const absent = ["workDirFd", "tcpClose", "lsmProfile", "lsmMountContext", "configFile", "veths"];
  const never = ["networkLock", "statusFd", "external", "extMasters", "freezeCgroup", "timeout"];
  for (const name of [...absent, ...never]) expect(request()).not.toHaveProperty(name);
});

test("restoreRequest() passes on what was asked for", () => {
  const made = request({
    options: { tcpClose: true, lsmProfile: "apparmor:x", lsmMountContext: "c" },
    plan: { criuConfig: "/my.conf", cgroupsMode: 0 },
    parts: { work: 0 },
  });
  expect(made).toMatchObject({
    tcpClose: true,
    lsmProfile: "apparmor:x",
    lsmMountContext: "c",
    configFile: "/my.conf",
    manageCgroupsMode: 0,
    workDirFd: 0,
  });
});

test("restoreRequest() always restores an empty network namespace, and leaves veths out", () => {
  expect(request().emptyNs).toBe(0x40000000);
});

test("restoreRequest() maps dumped pipes by position, after the namespaces", () => {
  const made = request({
    plan: { descriptors: ["pipe:[1]", "/dev/null", "pipe:[3]"] },
    parts: { inheritFd: [{ key: "extRootNetNS", fd: 4 }] },
  });
  expect(made.inheritFd).toEqual([
    { key: "extRootNetNS", fd: 4 },
    { key: "pipe:[1]", fd: 0 },
    { key: "pipe:[3]", fd: 2 },
  ]);
});

test("restoreRequest() inherits nothing for files, terminals and entries that could not be read", () => {
  const plan = { descriptors: ["/dev/null", "/dev/pts/0", ""] };
  expect(request({ plan }).inheritFd).toEqual([]);
});

test("restoreRequest() joins namespaces by path", () => {
  const joinNs = [{ ns: "ipc", nsFile: "/proc/1/ns/ipc" }];
  expect(request({ parts: { joinNs } }).joinNs).toEqual(joinNs);
});
