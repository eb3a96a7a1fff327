/**
 * delete, beyond what the sequences of life-commands show: poststop hooks, containers without a PID
 * namespace of their own, cgroups in use, pids used again, mounts, and what killed restores leave.
 */

import { expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { FakeCriu } from "../support/fake-criu.ts";
import {
  type Bundle,
  type Json,
  Lab,
  must,
  processesOf,
  run,
  THAW,
  traces,
  waitFor,
} from "../support/lab.ts";
import { type Twin, Twins } from "../support/side-by-side.ts";
import { steadyBundle } from "../support/steady.ts";

const ended = (ran: object) => expect(ran).toEqual({ status: 0, stdout: "", stderr: "" });
const pidsIn = ({ id }: Twin) =>
  readFileSync(`/sys/fs/cgroup/pids/${id}/cgroup.procs`, "utf8").split("\n").filter(Boolean);

/** A container whose processes are in the host's PID namespace: init, and a child that outlives it. */
function withoutPidNamespace(lab: Lab, id: string): void {
  const bundle = lab.bundle("sleep 1000 & echo > /tmp/n; while :; do sleep 0.1; done", (config) => {
    config.linux.namespaces = config.linux.namespaces.filter((n: Json) => n.type !== "pid");
    config.linux.maskedPaths = [];
    config.linux.readonlyPaths = [];
  });
  lab.start(bundle, id);
}

test("without a PID namespace of its own, SIGKILL ends every process of a container", () => {
  using twins = new Twins(withoutPidNamespace);
  for (const line of ["kill ID 0", "kill ID KILL"]) twins.same(line);
  for (const twin of twins.both) waitFor(() => pidsIn(twin).length === 0, "all to end");
  for (const line of ["state ID", "kill ID KILL", "kill -a ID KILL", "delete ID", "kill ID KILL"])
    twins.same(line);
});

test("what outlives init without a PID namespace of its own is ended by delete", () => {
  for (const how of ["delete ID", "delete -f ID", "kill ID 9"]) {
    using twins = new Twins(withoutPidNamespace);
    for (const twin of twins.both) {
      process.kill(twin.lab.state(twin.id).init_process_pid, "SIGKILL");
      waitFor(() => twin.lab.status(twin.id) === "stopped", "init to end");
      expect(pidsIn(twin).length).toBeGreaterThan(0);
    }
    for (const line of [how, "delete -f ID"]) twins.same(line);
    for (const { lab } of twins.both) expect(processesOf(lab)).toEqual([]);
  }
});

test("poststop hooks run after all is removed, with the state that runc's get", () => {
  const made = (lab: Lab, id: string) => {
    const script = `echo hook; cat > ${lab.path}/hook; ls ${lab.root} >> ${lab.path}/hook`;
    const bundle = steadyBundle(lab, (config) => {
      config.annotations = { key: "value" };
      config.hooks = {
        poststop: [
          { path: "/bin/sh", args: ["sh", "-c", script], env: ["PATH=/bin:/usr/bin"], timeout: 5 },
        ],
      };
    });
    lab.start(bundle, id);
  };
  using twins = new Twins(made);
  twins.same("delete -f ID");
  const [byRunc, byThaw] = twins.both.map(({ lab, id }) =>
    readFileSync(join(lab.path, "hook"), "utf8").replaceAll(lab.path, "LAB").replaceAll(id, "ID"),
  );
  expect(byThaw).toBe(byRunc as string);
  expect(byThaw).toContain('"status":"stopped"');
});

test("a poststop hook that fails is an error, and the container is deleted all the same", () => {
  using twins = new Twins((lab, id) => {
    const bundle = steadyBundle(lab, (config) => {
      const args = ["sh", "-c", "echo out; echo err >&2; exit 3"];
      config.hooks = { poststop: [{ path: "/bin/sh", args }] };
    });
    lab.start(bundle, id);
  });
  expect(twins.same("delete -f ID").status).toBe(1);
  for (const line of ["state ID", "list", "delete -f ID"]) twins.same(line);
});

test("a cgroup somebody else is in is left, and the container can be deleted later", async () => {
  using lab = new Lab();
  const id = lab.id();
  lab.start(steadyBundle(lab), id);
  must(lab.thaw(["kill", id, "KILL"]));
  waitFor(() => lab.status(id) === "stopped", "the container to stop");
  await using stranger = Bun.spawn(["sleep", "100"]);
  for (const controller of ["devices", "pids"])
    writeFileSync(`/sys/fs/cgroup/${controller}/${id}/cgroup.procs`, String(stranger.pid));
  const below = `/sys/fs/cgroup/devices/${id}/below`;
  mkdirSync(below);
  const { status, stderr } = lab.thaw(["delete", id]);
  expect(status).toBe(1);
  expect(existsSync(below)).toBe(true); // nothing of it is removed, were it a hierarchy's root
  expect(stderr).toContain("unable to remove container's cgroup: ");
  expect(stderr).toContain(`these processes are in it: ${stranger.pid}`);
  expect(stranger.exitCode).toBeNull();
  expect(lab.status(id)).toBe("stopped");
  stranger.kill();
  ended(lab.thaw(["delete", id]));
});

test("a pid that another process has now is not signalled", async () => {
  using lab = new Lab();
  const id = lab.id();
  lab.start(steadyBundle(lab), id);
  const file = join(lab.root, id, "state.json");
  const { init_process_pid: pid } = lab.state(id);
  await using stranger = Bun.spawn(["sleep", "100"]);
  writeFileSync(file, JSON.stringify({ ...lab.state(id), init_process_pid: stranger.pid }));
  expect(JSON.parse(lab.thaw(["state", id]).stdout)).toMatchObject({ status: "stopped", pid: 0 });
  for (const words of [
    ["kill", id, "9"],
    ["kill", id],
    ["pause", id],
  ])
    expect(lab.thaw(words).stderr).toContain('msg="container not running; ');
  process.kill(pid, "SIGKILL");
  waitFor(() => !existsSync(`/proc/${pid}/root/bin`), "init to end");
  ended(lab.thaw(["delete", "-f", id]));
  expect(stranger.exitCode).toBeNull();
  stranger.kill();
});

/** Everything in the rootfs, by name, size and hash. */
const files = (bundle: Bundle) =>
  run(["sh", "-c", "find . -type f -exec sha256sum {} + | sort"], { cwd: bundle.rootfs }).stdout;

test("what a killed runc leaves bound to the rootfs is unmounted, not emptied", () => {
  using lab = new Lab();
  const bundle = steadyBundle(lab);
  const before = [files(bundle), traces(lab)];
  // As on a systemd host: the rootfs is a shared mount, and what is below it too.
  const sub = join(bundle.rootfs, "mnt");
  mkdirSync(sub);
  must(run(["mount", "--bind", bundle.rootfs, bundle.rootfs]));
  must(run(["mount", "--make-shared", bundle.rootfs]));
  must(run(["mount", "-t", "tmpfs", "none", sub]));
  writeFileSync(join(sub, "file"), "kept");
  for (const [force, status] of [
    ["--force", 0],
    ["--force=false", 1],
  ] as const) {
    const id = lab.id();
    const root = join(lab.root, id, "criu-root");
    mkdirSync(root, { recursive: true });
    must(run(["mount", "--rbind", bundle.rootfs, root]));
    expect(existsSync(join(root, "mnt/file"))).toBe(true);
    expect(lab.thaw(["delete", force, id]).status).toBe(status);
    expect(existsSync(join(lab.root, id))).toBe(false);
    expect(readFileSync(join(sub, "file"), "utf8")).toBe("kept");
  }
  must(run(["umount", sub, bundle.rootfs]));
  rmdirSync(sub);
  expect([files(bundle), traces(lab)]).toEqual(before);
});

test("mounts on top of each other are all unmounted", () => {
  using lab = new Lab();
  const bundle = steadyBundle(lab);
  const before = [files(bundle), traces(lab)];
  const id = lab.id();
  const root = join(lab.root, id, "criu-root");
  mkdirSync(root, { recursive: true });
  for (const _ of [1, 2, 3]) must(run(["mount", "--bind", bundle.rootfs, root]));
  ended(lab.thaw(["delete", "-f", id]));
  expect([files(bundle), traces(lab)]).toEqual(before);
});

test("whatever a killed restore and its mad criu leave is ended and removed", async () => {
  using lab = new Lab();
  const bundle = steadyBundle(lab);
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const before = [files(bundle), traces(lab)];
  const fake = new FakeCriu(join(lab.path, "fake"), { at: "restore", does: "hang" });
  const argv = ["restore", "-d", "-b", bundle.path, "--image-path", image, id];
  await using thaw = Bun.spawn([THAW, "--root", lab.root, ...argv], {
    stdio: ["ignore", "ignore", "ignore"],
    env: { ...process.env, ...fake.env },
  });
  fake.waitForMoment();
  // While that thaw lives, nobody takes the container from under it.
  for (const words of [
    ["delete", "-f", id],
    ["delete", id],
  ]) {
    const { status, stderr } = lab.thaw(words);
    expect(status).toBe(1);
    expect(stderr).toContain(`thaw (pid ${thaw.pid}) is restoring ${id} now; to give that up, `);
  }
  thaw.kill("SIGKILL");
  await thaw.exited;
  expect(lab.thaw(["state", id]).stderr).toContain(`thaw delete -f ${id}`);
  // CRIU cannot be told by its cgroup alone.
  const { criu } = JSON.parse(readFileSync(join(lab.root, id, "thaw.json"), "utf8"));
  writeFileSync("/sys/fs/cgroup/devices/cgroup.procs", String(criu.pid));
  // An init half made: in the container's cgroup, and started after criu.
  const procs = `/sys/fs/cgroup/devices/${id}/cgroup.procs`;
  await using init = Bun.spawn(["sh", "-c", `echo $$ > ${procs}; exec sleep 1000`]);
  waitFor(() => readFileSync(procs, "utf8").includes(`${init.pid}`), "init to be there");
  ended(lab.thaw(["delete", "-f", id]));
  await init.exited;
  expect(init.signalCode).toBe("SIGKILL");
  run(["rm", "-r", fake.directory]);
  expect([files(bundle), traces(lab)]).toEqual(before);
  ended(lab.restore(bundle, image, id));
  ended(lab.thaw(["delete", "-f", id]));
});

test("the mad criu of a killed runc is ended, with all that it has made", async () => {
  using lab = new Lab();
  const bundle = steadyBundle(lab);
  const [id, other] = [lab.id(), lab.id()];
  const image = lab.checkpointed(bundle, id);
  // Another one in the same root filesystem is nobody's to end.
  const beside = lab.bundle(undefined, (config) => {
    config.root.path = bundle.rootfs;
    config.process.args = ["/bin/busybox", "sleep", "100000"];
  });
  lab.start(beside, other, "bin/busybox");
  const sleeps = () => processesOf(lab).some((line) => line.endsWith(" sleep 100000"));
  waitFor(sleeps, "the other to be what it will be");
  const before = [files(bundle), traces(lab)];
  const pages = join(image, "pages-1.img");
  const whole = readFileSync(pages);
  truncateSync(pages, 4096);
  const work = join(lab.path, "work");
  const paths = ["--image-path", image, "--work-path", work];
  const argv = ["runc", "--root", lab.root, "restore", "-d", "-b", bundle.path, ...paths, id];
  await using runc = Bun.spawn(argv, { stdio: ["ignore", "ignore", "ignore"] });
  const isAt = (text: string) => readFileSync(join(work, "restore.log"), "utf8").includes(text);
  waitFor(() => existsSync(join(work, "restore.log")) && isAt("returned 0\n"), "criu to go mad");
  runc.kill("SIGKILL");
  await runc.exited;
  ended(lab.thaw(["delete", "-f", id]));
  expect([files(bundle), traces(lab)]).toEqual(before);
  expect(lab.status(other)).toBe("running");
  expect(readdirSync(work)).toEqual(["restore.log"]);
  writeFileSync(pages, whole);
  ended(lab.restore(bundle, image, id));
});

test("a cgroup that belongs to another container by now is not touched", async () => {
  using lab = new Lab();
  const id = lab.id();
  const bundle = steadyBundle(lab, (config) => {
    config.linux.cgroupsPath = `/${id}`;
  });
  const image = lab.checkpointed(bundle, id);
  const fake = new FakeCriu(join(lab.path, "fake"), { at: "restore", does: "die" });
  const argv = ["restore", "-d", "-b", bundle.path, "--image-path", image, id];
  await using held = Bun.spawn([THAW, "--root", lab.root, ...argv], {
    stdio: ["ignore", "ignore", "ignore"],
    env: { ...process.env, ...fake.env },
  });
  await held.exited;
  // As a thaw leaves it that was killed after its criu had ended.
  mkdirSync(join(lab.root, id));
  const other = lab.id();
  lab.start(bundle, other);
  const paths = lab.state(other).cgroup_paths;
  const gone = { pid: 2 ** 22 - 1, startTime: 1 };
  const record = { version: 1, thaw: gone, criu: gone, bundle: "", imagePath: "" };
  const text = JSON.stringify({ ...record, cgroupPaths: paths });
  writeFileSync(join(lab.root, id, "thaw.json"), text);
  ended(lab.thaw(["delete", "-f", id]));
  expect(readdirSync(lab.root)).toEqual([other]);
  expect(lab.status(other)).toBe("running");
});

test("of two deletes at once one does it, and the other says that there is none", async () => {
  using lab = new Lab();
  for (let round = 0; round < 5; round++) {
    const id = lab.id();
    lab.start(steadyBundle(lab), id);
    must(lab.thaw(["kill", id, "KILL"]));
    waitFor(() => lab.status(id) === "stopped", "the container to stop");
    const two = [1, 2].map(() =>
      Bun.spawn([THAW, "--root", lab.root, "delete", id], { stderr: "pipe" }),
    );
    const texts = await Promise.all(two.map(({ stderr }) => new Response(stderr).text()));
    const statuses = await Promise.all(two.map(({ exited }) => exited));
    expect(statuses.sort()).toEqual([0, 1]);
    expect(texts.join("")).toContain("container does not exist");
    expect(existsSync(join(lab.root, id))).toBe(false);
  }
});

test("a link in the root is not followed: nothing behind it is unmounted or removed", () => {
  using lab = new Lab();
  const id = lab.id();
  const elsewhere = join(lab.path, "elsewhere");
  mkdirSync(join(elsewhere, "mnt"), { recursive: true });
  must(run(["mount", "-t", "tmpfs", "none", join(elsewhere, "mnt")]));
  writeFileSync(join(elsewhere, "mnt/file"), "kept");
  mkdirSync(lab.root);
  symlinkSync(elsewhere, join(lab.root, id));
  const { status, stderr } = lab.thaw(["delete", "-f", id]);
  expect(status).toBe(1);
  expect(stderr).toContain(`unable to remove container state dir: open ${lab.root}/${id}: `);
  expect(readFileSync(join(elsewhere, "mnt/file"), "utf8")).toBe("kept");
  rmSync(join(lab.root, id));
  must(run(["umount", join(elsewhere, "mnt")]));
});
