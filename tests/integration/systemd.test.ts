/**
 * `--systemd-cgroup`. Needs systemd as pid 1 and cgroup v2, so the suite runs this file in a VM
 * (tests/support/vm.sh --systemd) and nowhere else.
 */

import { expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import {
  type Bundle,
  countsOn,
  type Json,
  Lab,
  must,
  type Ran,
  run,
  THAW,
  traces,
  waitFor,
} from "../support/lab.ts";
import { updateBoth } from "../support/limits.ts";
import { type Twin, Twins } from "../support/side-by-side.ts";
import { steadyBundle } from "../support/steady.ts";

// Milliseconds; an emulated machine on a busy one is slow.
const PATIENCE = 120_000;

const systemdLab = () => new Lab(["--systemd-cgroup"]);

test("the host this runs on has systemd and cgroup v2 alone", () => {
  expect(existsSync("/run/systemd/system")).toBe(true);
  expect(existsSync("/sys/fs/cgroup/cgroup.controllers")).toBe(true);
});

// What a moment decides, not the restore.
const VOLATILE =
  /Timestamp|InvocationID|ControlGroupId|Current|Peak|UsageNSec|MemoryAvailable|(Read|Write)(Bytes|Operations)/;

/** What systemd says of a unit, without what changes from moment to moment. */
function show(unit: string): string[] {
  const lines = must(run(["systemctl", "show", unit])).stdout.split("\n");
  return lines.filter((line) => !VOLATILE.test(line.split("=")[0] ?? "")).sort();
}

/** Units and drop-ins of a lab that systemd knows of. */
function units(lab: Lab): string[] {
  const name = lab.path.slice(5);
  const listed = run(["systemctl", "list-units", "--all", "--no-legend", "--plain"]).stdout;
  const files = run(["find", "/run/systemd/transient", "/run/systemd/system.control"]).stdout;
  return [...listed.split("\n"), ...files.split("\n")].filter((line) => line.includes(name));
}

const FILES = [
  "cgroup.subtree_control",
  "cgroup.controllers",
  "cpu.max",
  "cpu.weight",
  "cpuset.cpus",
  "cpuset.mems",
  "io.max",
  "memory.high",
  "memory.low",
  "memory.max",
  "memory.swap.max",
  "pids.max",
];

/** Everything that thaw and runc have to agree on. */
function look(lab: Lab, id: string, unit: string) {
  const { cgroup_paths, config } = lab.state(id);
  const directory = cgroup_paths[""];
  return {
    cgroup_paths,
    cgroups: config.cgroups,
    text: JSON.stringify(config.cgroups), // the order of names too
    labels: config.labels.toSorted(),
    unit: show(unit),
    files: FILES.map((file) => `${file}: ${readFileSync(`${directory}/${file}`, "utf8").trim()}`),
    parent: readFileSync(join(directory, "../cgroup.subtree_control"), "utf8"),
  };
}

const runcRestore = (lab: Lab, bundle: Bundle, image: string, id: string) =>
  lab.runc(["restore", "-d", "--bundle", bundle.path, "--image-path", image, id]);

test("unit, files and state are those of a container that runc restored", () => {
  using lab = systemdLab();
  const id = lab.id();
  const bundle = lab.bundle(undefined, (config: Json) => {
    config.linux.cgroupsPath = `thaw-tests.slice:lab:${id}`;
    config.annotations = {
      "org.systemd.property.TimeoutStopSec": "1.5",
      "org.systemd.property.CollectMode": "'inactive-or-failed'",
      "org.systemd.property.Documentation": "['man:one(1)', \"man:two(2)\"]",
    };
    config.linux.resources = {
      devices: [
        { allow: false, access: "rwm" },
        { allow: true, type: "b", major: 7, access: "r" },
        { allow: true, type: "b", minor: 1, access: "r" },
        { allow: true, type: "c", major: 10, minor: 229, access: "rw" },
      ],
      memory: { limit: 209715200, reservation: 104857600, swap: 314572800 },
      pids: { limit: 77 },
      cpu: { shares: 512, quota: 150500, period: 100000, cpus: "0-1", mems: "0" },
      blockIO: { throttleReadBpsDevice: [{ major: 254, minor: 0, rate: 1048576 }] },
      unified: { "memory.high": "199229440" },
    };
  });
  const image = lab.checkpointed(bundle, id);
  expect(units(lab)).toEqual([]);
  const before = traces(lab);
  const count = bundle.count();
  const unit = `lab-${id}.scope`;

  const ran = must(lab.restore(bundle, image, id));
  expect(ran.stderr).toContain("systemd doesn't support '*:n' device rules");
  countsOn(bundle, count);
  const thaw = look(lab, id, unit);
  must(lab.runc(["pause", id]));
  expect(lab.status(id)).toBe("paused");
  must(lab.runc(["resume", id]));
  expect(lab.runc(["exec", id, "cat", "/proc/1/cgroup"]).stdout).toBe("0::/\n");
  lab.delete(id);
  expect(units(lab)).toEqual([]);
  expect(traces(lab)).toEqual(before);

  must(runcRestore(lab, bundle, image, id));
  expect(thaw).toEqual(look(lab, id, unit));
  expect(thaw.cgroup_paths).toEqual({
    "": `/sys/fs/cgroup/thaw.slice/thaw-tests.slice/${unit}`,
  });
  expect(thaw.cgroups.cpu_quota).toBe(151000);
  expect(thaw.unit).toContain("DeviceAllow=/dev/char/10:229 rw");
});

test("without cgroupsPath and limits it is runc-ID.scope in system.slice, again and again", () => {
  using lab = systemdLab();
  const id = lab.id();
  const bundle = lab.bundle(undefined, (config: Json) => {
    config.linux.resources = {};
  });
  const unit = `runc-${id}.scope`;
  let image = lab.checkpointed(bundle, id);
  must(lab.restore(bundle, image, id));
  const thaw = look(lab, id, unit);
  image = lab.checkpoint(id);
  must(runcRestore(lab, bundle, image, id));
  expect(thaw).toEqual(look(lab, id, unit));
  expect(thaw.cgroup_paths[""]).toBe(`/sys/fs/cgroup/system.slice/${unit}`);
});

test("update sets the properties and files that runc's sets", () => {
  const make = (lab: Lab, id: string) => {
    const bundle = lab.bundle(undefined, (config: Json) => {
      config.linux.resources = { memory: { limit: 209715200 }, cpu: { quota: 150500 } };
    });
    lab.start(bundle, id);
  };
  using twins = new Twins(make, ["--systemd-cgroup"]);
  const unit = ({ lab, id }: Twin) => ({
    unit: show(`runc-${id}.scope`).map((line) =>
      line.replaceAll(id, "ID").replaceAll(lab.path, "/"),
    ),
  });
  const update = (line: string, document?: string) => updateBoth(twins, line, document, unit);
  for (const line of [
    "--memory 64m --memory-swap 128m --cpu-share 300 --cpuset-cpus 0 --pids-limit 50",
    ...["--memory -1 --cpu-quota 123456", "--cpuset-cpus x", "--cpu-idle 1"],
  ])
    update(line);
  update("", JSON.stringify({ unified: { "memory.high": "50003968", "cpu.max": "5000 10000" } }));
  update("", JSON.stringify({ memory: { limit: 4096, checkBeforeUpdate: true } }));
});

test("in the foreground the unit ends with the container", () => {
  using lab = systemdLab();
  const id = lab.id();
  const bundle = lab.bundle("echo > /tmp/n; while [ ! -e /tmp/stop ]; do sleep 0.1; done; exit 7");
  const image = lab.checkpointed(bundle, id);
  const before = traces(lab);
  mkdirSync(join(bundle.rootfs, "tmp/stop"));
  const args = ["restore", "--bundle", bundle.path, "--image-path", image, id];
  expect(lab.thaw(args)).toMatchObject({ status: 7, stderr: "" });
  expect(units(lab)).toEqual([]);
  expect(traces(lab)).toEqual(before);
});

/** A restore is under way: its prestart hook runs for ever. */
function underWay(lab: Lab, bundle: Bundle, image: string, id: string) {
  const ready = join(lab.path, "hook");
  bundle.edit((config) => {
    config.hooks = {
      prestart: [{ path: "/bin/sh", args: ["sh", "-c", `echo > ${ready}; exec sleep 60`] }],
    };
  });
  const globals = ["--root", lab.root, "--systemd-cgroup"];
  const args = ["restore", "-d", "--bundle", bundle.path, "--image-path", image, id];
  const thaw = Bun.spawn([THAW, ...globals, ...args], { stderr: "pipe", stdout: "ignore" });
  waitFor(() => existsSync(ready), "the hook", PATIENCE);
  bundle.edit((config) => {
    delete config.hooks;
  });
  return thaw;
}

test("a failed and an interrupted restore leave no unit, and a killed one does not stand in the way", async () => {
  using lab = systemdLab();
  const id = lab.id();
  const bundle = lab.bundle();
  const image = lab.checkpointed(bundle, id);
  const before = traces(lab);
  const failed = lab.restore(bundle, image, id, ["--manage-cgroups-mode", "strict"]);
  expect(failed.status).toBe(1);
  expect(units(lab)).toEqual([]);
  expect(traces(lab)).toEqual(before);

  const interrupted = underWay(lab, bundle, image, id);
  expect(units(lab).join()).toContain(`runc-${id}.scope`);
  interrupted.kill("SIGTERM");
  expect(await interrupted.exited).toBe(1);
  expect(await new Response(interrupted.stderr).text()).toContain("interrupted by SIGTERM");
  expect(units(lab)).toEqual([]);
  expect(traces(lab)).toEqual(before);

  const killed = underWay(lab, bundle, image, id);
  killed.kill("SIGKILL");
  await killed.exited;
  lab.delete(id);
  must(lab.restore(bundle, image, id));
  countsOn(bundle, bundle.count());
});

test("a unit of that name that failed is replaced, and one that runs is left alone", () => {
  using lab = systemdLab();
  const id = lab.id();
  const bundle = lab.bundle();
  const image = lab.checkpointed(bundle, id);
  const unit = `runc-${id}.scope`;
  const state = () => run(["systemctl", "is-active", unit]).stdout.trim();
  const other = (...properties: string[]) =>
    Bun.spawn(["systemd-run", "--scope", `--unit=${unit}`, ...properties, "sleep", "60"], {
      stderr: "ignore",
    });
  const failing = other("-p", "RuntimeMaxSec=100ms");
  waitFor(() => state() === "failed", "the unit to fail", PATIENCE);
  failing.kill("SIGKILL");
  must(lab.restore(bundle, image, id));
  lab.delete(id);

  const busy = other("--slice=thaw-other.slice");
  waitFor(() => state() === "active", "the unit to start", PATIENCE);
  const before = traces(lab);
  const ran = lab.restore(bundle, image, id);
  expect(ran.status).toBe(1);
  expect(ran.stderr).toContain(`unable to start unit \\"${unit}\\"`);
  expect(ran.stderr).toContain(`systemctl status ${unit}`);
  expect(state()).toBe("active");
  expect(traces(lab)).toEqual(before);
  busy.kill("SIGKILL");
  run(["systemctl", "stop", unit]);
});

test("what systemd cannot do is refused in one line, and nothing is left", () => {
  using lab = systemdLab();
  const id = lab.id();
  const bundle = lab.bundle();
  const image = lab.checkpointed(bundle, id);
  const before = traces(lab);
  const refused = (
    cgroupsPath: string | undefined,
    annotation: string | undefined,
    env: Record<string, string> = {},
  ): Ran => {
    bundle.edit((config) => {
      config.linux.cgroupsPath = cgroupsPath;
      config.annotations =
        annotation === undefined ? {} : { "org.systemd.property.ThawTest": annotation };
    });
    const ran = lab.restore(bundle, image, id, [], { env });
    expect(ran.status).toBe(1);
    expect(ran.stderr.split("\n")).toHaveLength(2);
    expect(units(lab)).toEqual([]);
    expect(traces(lab)).toEqual(before);
    return ran;
  };
  expect(refused("/x", undefined).stderr).toContain(
    'expected cgroupsPath to be of format \\"slice:prefix:name\\" for systemd cgroups, got \\"/x\\" instead',
  );
  expect(refused("x:lab:y", undefined).stderr).toContain("invalid slice name: x");
  expect(refused("x.slice:lab:y.slice", undefined).stderr).toContain(
    "a slice holds no processes of its own",
  );
  expect(refused(undefined, "uint64 x").stderr).toContain("value parse error");
  expect(refused(undefined, "uint64 5").stderr).toMatch(/Cannot set property ThawTest/);
  const path = join(lab.path, "path");
  mkdirSync(path);
  symlinkSync(Bun.which("criu") ?? "", join(path, "criu"));
  const { stderr } = refused(undefined, undefined, { PATH: path });
  expect(stderr).toContain("systemd cgroups need busctl");
  expect(stderr).toContain("put its directory on PATH");
});

test("examples/thaw-restore@.service keeps a restored container until it is stopped", () => {
  using lab = systemdLab();
  using undo = new DisposableStack();
  const bundle = steadyBundle(lab, undefined, "trap 'exit 7' TERM; ");
  const id = lab.id();
  // The unit's containers are in the usual root directory.
  const runc = (...args: string[]) => run(["runc", "--systemd-cgroup", ...args]);
  undo.defer(() => runc("delete", "--force", id));
  const start = `exec runc --systemd-cgroup run -d --bundle ${bundle.path} ${id} >/dev/null 2>&1`;
  must(run(["sh", "-c", start]));
  waitFor(() => bundle.count() > 0, "the counter", PATIENCE);
  must(runc("checkpoint", "--image-path", join(bundle.path, "images"), id));
  undo.defer(() => run(["rm", "-f", `/srv/${id}`, "/usr/local/bin/thaw"]));
  symlinkSync(bundle.path, `/srv/${id}`);
  symlinkSync(THAW, "/usr/local/bin/thaw");
  const example = join(import.meta.dir, "../../examples/thaw-restore@.service");
  must(run(["systemd-analyze", "verify", example]));
  copyFileSync(example, "/run/systemd/system/thaw-restore@.service");
  undo.defer(() => run(["rm", "/run/systemd/system/thaw-restore@.service"]));
  must(run(["systemctl", "daemon-reload"]));

  const unit = `thaw-restore@${id}`;
  must(run(["systemctl", "start", unit], { timeout: PATIENCE }));
  const status = () => JSON.parse(must(runc("state", id)).stdout).status;
  const reached = bundle.count();
  waitFor(() => bundle.count() > reached, "the counter to go on", PATIENCE);
  expect(status()).toBe("running");
  expect(run(["systemctl", "is-active", unit]).stdout).toBe("active\n");
  must(run(["systemctl", "stop", unit], { timeout: PATIENCE }));
  expect(runc("state", id).stderr).toContain("container does not exist");
  // The container got the signal, and the unit its status.
  expect(run(["systemctl", "show", "-P", "ExecMainStatus", unit]).stdout).toBe("7\n");
  expect(units(lab).filter((line) => line.includes(".scope"))).toEqual([]);
});
