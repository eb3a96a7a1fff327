/**
 * Namespaces, LSM and RDT of config.json beside those of the checkpoint: thaw does what runc does
 * with the same input, and says more.
 *
 * @module
 */

import { expect, test } from "bun:test";
import { existsSync, readlinkSync } from "node:fs";
import {
  type Bundle,
  countsOn,
  type Json,
  Lab,
  must,
  networkNamespace,
  type Ran,
  run,
  THAW,
  waitFor,
} from "../support/lab.ts";
import { steadyBundle } from "../support/steady.ts";

/** Sets a namespace of config.json: a path, "" for a new one, undefined for the host's. */
const setNamespace = (bundle: Bundle, type: string, path: string | undefined) =>
  bundle.edit((config) => {
    config.linux.namespaces = config.linux.namespaces.filter((ns: Json) => ns.type !== type);
    if (path !== undefined) config.linux.namespaces.push({ type, ...(path ? { path } : {}) });
  });

/** One restore; what runc and thaw left in state.json, and what thaw said. */
function attempt(lab: Lab, runtime: string, bundle: Bundle, image: string, flags: string[] = []) {
  const id = lab.id();
  const argv = [runtime, "--root", lab.root, "restore", "-d", "-b", bundle.path];
  const ran: Ran = run([...argv, "--image-path", image, ...flags, id]);
  const state = ran.status === 0 ? lab.state(id) : undefined;
  const link = (type: string) =>
    state && readlinkSync(`/proc/${state.init_process_pid}/ns/${type}`);
  const found = { ...ran, config: state?.config, net: link("net") };
  lab.delete(id);
  return found;
}

const warnings = ({ stderr }: Ran) =>
  [...stderr.matchAll(/level=warning msg="([a-z]+ namespace: [^"]*)"/g)].map(([, text]) => text);

test("a network namespace that differs from the checkpoint's is told, and done as by runc", () => {
  using lab = new Lab();
  using netns = networkNamespace(lab.id());
  const bundle = lab.bundle();
  const is: Record<string, string | undefined> = { none: undefined, new: "", path: netns.path };
  const dump = (kind: string) => {
    setNamespace(bundle, "network", is[kind]);
    return lab.checkpointed(bundle, lab.id());
  };
  const host = readlinkSync("/proc/self/ns/net");
  const own = "the container has one of its own, as at the checkpoint";
  const shared = "the container shares the host's, as at the checkpoint";
  const said = (asks: string, has: string) => [
    `network namespace: config.json ${asks}, but ${has}`,
  ];
  const expected: Record<string, Record<string, unknown>> = {
    none: {
      none: [],
      new: said("asks for a new one", shared),
      path: said(`names ${netns.path}`, shared),
    },
    new: { none: said("shares the host's", own), new: [], path: said(`names ${netns.path}`, own) },
    path: { none: "gives none", new: "gives none", path: [] },
  };
  for (const [dumped, row] of Object.entries(expected)) {
    const image = dump(dumped);
    for (const [restored, outcome] of Object.entries(row)) {
      setNamespace(bundle, "network", is[restored]);
      const runc = attempt(lab, "runc", bundle, image);
      const thaw = attempt(lab, THAW, bundle, image);
      expect([dumped, restored, thaw.status]).toEqual([dumped, restored, runc.status]);
      expect(thaw.net === host).toBe(runc.net === host);
      if (typeof outcome === "string") expect(thaw.stderr).toContain(outcome);
      else expect(warnings(thaw)).toEqual(outcome as never);
    }
  }
});

test("a pid namespace with a path is joined; without the path the reason is told", () => {
  using lab = new Lab();
  // Its init reaps by ignoring SIGCHLD.
  const reaper = ["env", "--ignore-signal=CHLD", "sleep", "300"];
  const holder = Bun.spawn(["unshare", "-p", "--fork", "--kill-child", ...reaper]);
  try {
    const path = `/proc/${holder.pid}/ns/pid_for_children`;
    waitFor(() => run(["readlink", path]).stdout.startsWith("pid:"), "the namespace");
    const bundle = lab.bundle();
    setNamespace(bundle, "pid", path);
    const id = lab.id();
    lab.start(bundle, id);
    const old = lab.state(id).init_process_pid;
    const image = lab.checkpoint(id);
    // A zombie holds its pid until whoever adopted it reaps it.
    const gone = () => run(["test", "-e", `/proc/${old}`]).status !== 0;
    waitFor(gone, "the old init to be reaped", 30_000);
    const before = bundle.count();
    must(lab.restore(bundle, image, id));
    countsOn(bundle, before);
    const pid = lab.state(id).init_process_pid;
    expect(readlinkSync(`/proc/${pid}/ns/pid`)).toBe(readlinkSync(path));
    lab.delete(id);
    setNamespace(bundle, "pid", "");
    expect(attempt(lab, THAW, bundle, image).stderr).toContain(
      "checkpointed in a pid namespace with a path, and config.json gives none",
    );
  } finally {
    holder.kill("SIGKILL");
  }
});

test("without a pid namespace a taken pid is told, and a free one is taken again", () => {
  using lab = new Lab();
  const bundle = steadyBundle(lab);
  setNamespace(bundle, "pid", undefined);
  const id = lab.id();
  lab.start(bundle, id);
  const { init_process_pid: pid } = lab.state(id);
  const image = lab.checkpoint(id, ["--leave-running"]);
  const taken = attempt(lab, THAW, bundle, image);
  expect(taken.status).toBe(1);
  expect(taken.stderr).toContain(`pid ${pid} is taken: the container has no pid namespace`);
  lab.delete(id);
  waitFor(() => run(["test", "-e", `/proc/${pid}`]).status !== 0, "init to be reaped", 30_000);
  must(lab.restore(bundle, image, id));
  expect(lab.state(id).init_process_pid).toBe(pid);
  lab.delete(id);
});

test("LSM labels, RDT and time offsets give runc's state and runc's refusals", () => {
  using lab = new Lab();
  const bundle = lab.bundle(undefined, (config) => {
    config.linux.namespaces.push({ type: "time" });
    config.linux.timeOffsets = { monotonic: { secs: 1000 }, boottime: { secs: 5, nanosecs: 7 } };
  });
  const image = lab.checkpointed(bundle, lab.id());
  const clean = JSON.stringify(bundle.config());
  const changes: ((config: Json) => void)[] = [
    () => {},
    (config) => Object.assign(config.process, { apparmorProfile: "x" }),
    (config) => Object.assign(config.process, { selinuxLabel: "a_u:b:c:s0" }),
    (config) => Object.assign(config.linux, { mountLabel: "system_u:object_r:x" }),
    (config) => Object.assign(config.linux, { intelRdt: { closID: "x", enableCMT: true } }),
    (config) => Object.assign(config.linux, { intelRdt: { closID: "a/b" } }),
    (config) => Object.assign(config.linux, { intelRdt: { l3CacheSchema: "L3:0=f" } }),
    (config) => Object.assign(config.linux, { intelRdt: { memBwSchema: "MB:0=20" } }),
    (config) => Object.assign(config.linux, { timeOffsets: { monotonic: { secs: 5 } } }),
  ];
  for (const change of changes) {
    bundle.edit((config) => Object.assign(config, JSON.parse(clean)));
    bundle.edit(change);
    const runc = attempt(lab, "runc", bundle, image);
    const thaw = attempt(lab, THAW, bundle, image);
    expect([change.toString(), thaw.status]).toEqual([change.toString(), runc.status]);
    const fields = (config: Json) =>
      JSON.stringify([
        config?.apparmor_profile,
        config?.process_label,
        config?.mount_label,
        config?.intel_rdt,
        config?.time_offsets,
      ]);
    expect(fields(thaw.config)).toBe(fields(runc.config));
    const reason = ({ stderr }: Ran) => /level=error msg=("[^;"]*)/.exec(stderr)?.[0];
    expect(reason(thaw)).toBe(reason(runc));
  }
});

test("an LSM that this kernel does not run is refused, and CRIU's reason explained", () => {
  using lab = new Lab();
  const runs = { apparmor: "/sys/kernel/security/apparmor", selinux: "/sys/fs/selinux/enforce" };
  const absent = Object.entries(runs).flatMap(([name, file]) => (existsSync(file) ? [] : [name]));
  const bundle = lab.bundle();
  const image = lab.checkpointed(bundle, lab.id());
  for (const name of absent) {
    const flags = ["--lsm-profile", `${name}:a_u:b:c:s0`];
    expect(attempt(lab, "runc", bundle, image, flags).status).toBe(1);
    const thaw = attempt(lab, THAW, bundle, image, flags);
    expect(thaw.status).toBe(1);
    expect(thaw.stderr).toContain(`this host's kernel does not run ${name}`);
  }
  const wrong = attempt(lab, THAW, bundle, image, ["--lsm-profile", "bogus"]);
  expect(wrong.stderr).toContain("bogus is no LSM profile");
  const context = ["--lsm-mount-context", "system_u:object_r:x"];
  for (const runtime of ["runc", THAW])
    expect(attempt(lab, runtime, bundle, image, context).status).toBe(0);
});
