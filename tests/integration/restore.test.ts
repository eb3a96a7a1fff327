/** The main job: a runc checkpoint restored by thaw, and what runc then makes of it. @module */

import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { countsOn, Lab, must, run, THAW, traces, waitFor } from "../support/lab.ts";

test("restore brings a counter back that goes on counting", () => {
  using lab = new Lab();
  const bundle = lab.bundle();
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const before = bundle.count();
  const ran = lab.restore(bundle, image, id);
  expect(ran).toEqual({ status: 0, stdout: "", stderr: "" });
  countsOn(bundle, before);
  expect(lab.status(id)).toBe("running");
  expect(readdirSync(join(lab.root, id))).toEqual(["state.json"]);
});

test("restore takes the command line of containerd's shim", () => {
  using lab = new Lab();
  const bundle = lab.bundle();
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const before = bundle.count();
  const work = join(lab.path, "work");
  const pidFile = join(lab.path, "init.pid");
  const log = join(lab.path, "log.json");
  const argv = ["--root", lab.root, "--log", log, "--log-format", "json", "restore"];
  const flags = ["--image-path", image, "--work-path", work, "--detach", "--pid-file", pidFile];
  const ran = run([THAW, ...argv, ...flags, "-no-subreaper", "--bundle", bundle.path, id]);
  expect(ran).toEqual({ status: 0, stdout: "", stderr: "" });
  countsOn(bundle, before);
  expect(readFileSync(pidFile, "utf8")).toBe(String(lab.state(id).init_process_pid));
  expect(readdirSync(work).sort()).toEqual(["restore.log", "stats-restore"]);
  expect(readFileSync(log, "utf8")).toBe("");
  lab.delete(id);
});

test("restore takes the command line of p.haul, in the bundle", () => {
  using lab = new Lab();
  const bundle = lab.bundle();
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const before = bundle.count();
  const work = join(lab.path, "w");
  const log = join(lab.path, "l");
  const globals = ["--root", lab.root, "--log", log, "--log-format", "json"];
  const flags = ["--image-path", image, "--work-path", work, "--tcp-established", "--ext-unix-sk"];
  const more = ["--empty-ns", "network", "--pid-file", join(lab.path, "p"), id];
  const ran = run([THAW, ...globals, "restore", "-d", ...flags, ...more], { cwd: bundle.path });
  expect(ran).toEqual({ status: 0, stdout: "", stderr: "" });
  countsOn(bundle, before);
  lab.delete(id);
});

test("runc state, list, exec, pause, kill and delete work on what thaw restored", () => {
  using lab = new Lab();
  const bundle = lab.bundle();
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  must(lab.restore(bundle, image, id));
  const pid = lab.state(id).init_process_pid;
  expect(JSON.parse(lab.runc(["state", id]).stdout)).toMatchObject({
    id,
    pid,
    status: "running",
    bundle: bundle.path,
  });
  expect(lab.runc(["list", "-q"]).stdout).toBe(`${id}\n`);
  const cgroups = (of: string) => lab.runc(["exec", id, "cat", `/proc/${of}/cgroup`]).stdout;
  expect(cgroups("self")).toBe(cgroups("1"));
  // exec joins the restored time namespace only when state.json lists it.
  const time = lab.runc(["exec", id, "ls", "-l", "/proc/self/ns/time"]).stdout.split("-> ")[1];
  expect(time).toBe(run(["readlink", `/proc/${pid}/ns/time`]).stdout);
  must(lab.runc(["pause", id]));
  expect(lab.status(id)).toBe("paused");
  must(lab.runc(["resume", id]));
  must(lab.runc(["kill", id, "KILL"]));
  waitFor(() => lab.status(id) === "stopped", "the container to stop");
  must(lab.runc(["delete", id]));
  expect(lab.status(id)).toBeUndefined();
});

test("what thaw restored can be checkpointed and restored again", () => {
  using lab = new Lab();
  const bundle = lab.bundle();
  const id = lab.id();
  let image = lab.checkpointed(bundle, id);
  for (let round = 0; round < 3; round++) {
    const before = bundle.count();
    must(lab.restore(bundle, image, id));
    countsOn(bundle, before);
    image = lab.checkpoint(id);
  }
  const other = lab.id();
  must(lab.runc(["restore", "-d", "--bundle", bundle.path, "--image-path", image, other]));
  countsOn(bundle, bundle.count());
  lab.delete(other);
});

test("a foreground restore copies output, waits, and returns the container's status", () => {
  using lab = new Lab();
  const script =
    'trap "echo bye; echo err >&2; exit 7" TERM; echo up > /tmp/n; while :; do sleep 0.05; done';
  const bundle = lab.bundle(script);
  const id = lab.id();
  // Run in the foreground, so that the container has pipes.
  const first = Bun.spawn(["runc", "--root", lab.root, "run", "--bundle", bundle.path, id], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  waitFor(
    () => existsSync(join(bundle.rootfs, "tmp/n")) && lab.status(id) === "running",
    "the container",
  );
  const image = lab.checkpoint(id);
  first.kill("SIGKILL");
  const killer = Bun.spawn([
    "sh",
    "-c",
    `until runc --root ${lab.root} kill ${id} TERM 2>/dev/null; do sleep 0.1; done`,
  ]);
  const ran = lab.thaw(["restore", "--bundle", bundle.path, "--image-path", image, id]);
  killer.kill();
  expect(ran).toEqual({ status: 7, stdout: "bye\n", stderr: "err\n" });
  expect(existsSync(join(lab.root, id))).toBe(false);
});

test("ten restores at once of ten ids all work", async () => {
  using lab = new Lab();
  const made = Array.from({ length: 10 }, () => {
    const bundle = lab.bundle();
    const id = lab.id();
    return { bundle, id, image: lab.checkpointed(bundle, id) };
  });
  const started = made.map(({ bundle, id, image }) =>
    Bun.spawn(
      [
        THAW,
        "--root",
        lab.root,
        "restore",
        "-d",
        "--bundle",
        bundle.path,
        "--image-path",
        image,
        id,
      ],
      { stdin: "ignore", stdout: "ignore", stderr: "pipe" },
    ),
  );
  expect(await Promise.all(started.map((child) => child.exited))).toEqual(Array(10).fill(0));
  for (const { bundle, id } of made) {
    countsOn(bundle, bundle.count());
    lab.delete(id);
  }
});

test("of two restores of one id, one wins and the other harms nothing", async () => {
  using lab = new Lab();
  const bundle = lab.bundle();
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  for (let round = 0; round < 3; round++) {
    const argv = [THAW, "--root", lab.root, "restore", "-d", "--bundle", bundle.path];
    const started = [0, 1].map((n) => {
      const work = join(lab.path, `work${round}${n}`);
      mkdirSync(work);
      return Bun.spawn([...argv, "--image-path", image, "--work-path", work, id], {
        stdin: "ignore",
        stdout: "ignore",
        stderr: "pipe",
      });
    });
    const statuses = await Promise.all(started.map((child) => child.exited));
    const said = await Promise.all(started.map((child) => new Response(child.stderr).text()));
    expect([...statuses.sort(), said.join("")]).toEqual([0, 1, expect.any(String)]);
    expect(said.join("")).toMatch(
      /container with given ID already exists|container's cgroup is not empty/,
    );
    expect(lab.status(id)).toBe("running");
    countsOn(bundle, bundle.count());
    lab.delete(id);
  }
});

test("limits, state.json and directory modes are runc's", () => {
  using lab = new Lab();
  const bundle = lab.bundle(undefined, (config) => {
    config.linux.resources.memory = { limit: 209715200 };
    config.linux.resources.pids = { limit: 77 };
    config.linux.resources.cpu = { shares: 512, quota: 50000, period: 100000, cpus: "0" };
  });
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  must(lab.restore(bundle, image, id));
  const paths = lab.state(id).cgroup_paths;
  const isV2 = paths["devices"] === undefined;
  const cgroup = (controller: string, file: string) =>
    readFileSync(join(paths[isV2 ? "" : controller], file), "utf8").trim();
  expect(cgroup("memory", isV2 ? "memory.max" : "memory.limit_in_bytes")).toBe("209715200");
  expect(cgroup("pids", "pids.max")).toBe("77");
  expect(cgroup("cpu", isV2 ? "cpu.weight" : "cpu.shares")).toBe(isV2 ? "59" : "512");
  expect(cgroup("cpu", isV2 ? "cpu.max" : "cpu.cfs_quota_us")).toBe(
    isV2 ? "50000 100000" : "50000",
  );
  expect(cgroup("cpuset", "cpuset.cpus")).toBe("0");
  if (!isV2) expect(cgroup("devices", "devices.list")).not.toContain("a *:* rwm");
  expect((statSync(join(lab.root, id)).mode & 0o777).toString(8)).toBe("711");
  expect((statSync(join(lab.root, id, "state.json")).mode & 0o777).toString(8)).toBe("600");
  lab.delete(id);
});

test("nothing is left after a container was restored and deleted", () => {
  using lab = new Lab();
  const bundle = lab.bundle();
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const before = traces(lab);
  must(lab.restore(bundle, image, id));
  lab.delete(id);
  expect(traces(lab)).toEqual(before);
});
