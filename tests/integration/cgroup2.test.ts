/**
 * A host with cgroup v2 alone. The runner gives this file such a view of the machine: a mount
 * namespace with cgroup2 on /sys/fs/cgroup.
 */

import { expect, test } from "bun:test";
import { readFileSync, statfsSync } from "node:fs";
import { countsOn, type Json, Lab, must, THAW, traces, waitFor } from "../support/lab.ts";
import { updateBoth } from "../support/limits.ts";
import { Twins } from "../support/side-by-side.ts";

test("the host this runs on has cgroup v2 alone", () => {
  expect(statfsSync("/sys/fs/cgroup").type).toBe(0x63677270);
});

const unifiedOf = (pid: number) =>
  /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, "utf8"))?.[1];

test("a container comes back into its cgroup, and nothing is left of it afterwards", () => {
  using lab = new Lab();
  const bundle = lab.bundle();
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const before = traces(lab);
  const count = bundle.count();
  must(lab.restore(bundle, image, id));
  countsOn(bundle, count);
  const state = lab.state(id);
  expect(state.cgroup_paths).toEqual({ "": `/sys/fs/cgroup${unifiedOf(state.init_process_pid)}` });
  must(lab.runc(["pause", id]));
  expect(lab.status(id)).toBe("paused");
  must(lab.runc(["resume", id]));
  lab.delete(id);
  expect(traces(lab)).toEqual(before);
});

test("an absolute cgroupsPath counts from the root, and is checkpointed and restored again", () => {
  using lab = new Lab();
  const id = lab.id();
  const bundle = lab.bundle(undefined, (config: Json) => {
    config.linux.cgroupsPath = `/${id}/inner`;
  });
  let image = lab.checkpointed(bundle, id);
  for (let round = 0; round < 2; round++) {
    must(lab.restore(bundle, image, id));
    expect(unifiedOf(lab.state(id).init_process_pid)).toBe(`/${id}/inner`);
    countsOn(bundle, bundle.count());
    image = lab.checkpoint(id);
  }
  must(lab.runc(["restore", "-d", "--bundle", bundle.path, "--image-path", image, id]));
  lab.delete(id);
  Bun.spawnSync(["rmdir", `/sys/fs/cgroup/${id}`]);
});

test("the device filter allows and denies what runc's does", () => {
  using lab = new Lab();
  const bundle = lab.bundle();
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  // A node may be made, but not opened; /dev/zero may.
  const script =
    "/bin/busybox mknod /tmp/v b 254 0; /bin/busybox head -c 1 /tmp/v; echo $?; rm /tmp/v; /bin/busybox head -c 1 /dev/zero | /bin/busybox wc -c";
  const probe = () => lab.runc(["exec", "--cap", "CAP_MKNOD", id, "sh", "-c", script]);
  must(lab.restore(bundle, image, id));
  const thaw = probe();
  lab.delete(id);
  must(lab.runc(["restore", "-d", "--bundle", bundle.path, "--image-path", image, id]));
  expect(thaw).toEqual(probe());
  expect(thaw.stdout).toBe("1\n1\n");
  expect(thaw.stderr).toContain("Operation not permitted");
});

test("a cgroup in use is refused and left as it is", () => {
  using lab = new Lab();
  const first = lab.id();
  const second = lab.id();
  const bundle = lab.bundle(undefined, (config: Json) => {
    config.linux.cgroupsPath = `/${first}`;
  });
  const image = lab.checkpointed(bundle, first);
  must(lab.restore(bundle, image, first));
  const ran = lab.restore(bundle, image, second);
  expect(ran.status).toBe(1);
  expect(ran.stderr).toMatch(/container's cgroup is not empty: \d+ process\(es\) found/);
  expect(lab.status(first)).toBe("running");
  countsOn(bundle, bundle.count());
});

const V2_UPDATES = [
  "--memory 64M --memory-swap 128m --cpu-share 512 --cpu-quota 50000 --pids-limit 50",
  ...["--memory 200m", "--memory-swap 300m --cpu-period 200000", "--memory -1 --pids-limit -1"],
  ...["--memory 100m --memory-swap -1 --memory-reservation 20m", "--memory-swap 10m"],
  ...["--memory 0 --memory-reservation -1 --blkio-weight 500", "--cpu-period 5"],
  ...["--cpu-quota 9000 --cpu-period 20000", "--cpu-burst 1000", "--cpu-burst 99999999"],
  ...["--cpu-idle 1", "--cpu-share 300", "--cpu-idle 0 --cpuset-cpus 0", "--cpuset-cpus x"],
];
const V2_DOCUMENTS = [
  { memory: { limit: 99999744, swap: 99999744 } },
  { memory: { limit: 4096, checkBeforeUpdate: true } },
  { unified: { "memory.high": "50003968", "pids.max": "31" } },
  { unified: { "no.such": "1" } },
  { unified: { "memory.such": "1" } },
  { unified: { "memory/high": "1" } },
  { unified: { memory: "1" } },
  { blockIO: { throttleReadBpsDevice: [{ major: 254, minor: 0, rate: 2000000 }] } },
  // The last: what runc leaves of it is refused with every later one.
  { cpu: { idle: 1, shares: 7 } },
];

// A view of a hybrid machine has no controllers to speak of; the VM of the suite has them all.
const available = readFileSync("/sys/fs/cgroup/cgroup.controllers", "utf8").split(/\s+/);
const hasControllers = ["memory", "pids", "cpu", "cpuset", "io"].every((c) =>
  available.includes(c),
);

test.skipIf(!hasControllers)("every limit ends up as with runc", () => {
  using lab = new Lab();
  const bundle = lab.bundle(undefined, (config: Json) => {
    config.linux.resources = {
      devices: [{ allow: false, access: "rwm" }],
      memory: { limit: 209715200, reservation: 104857600, swap: 314572800 },
      pids: { limit: 77 },
      cpu: { shares: 512, quota: 50000, period: 100000, burst: 1000, cpus: "0", mems: "0" },
      blockIO: { throttleReadBpsDevice: [{ major: 254, minor: 0, rate: 1048576 }] },
      unified: { "memory.high": "199229440" },
    };
  });
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const files = [
    "memory.max",
    "memory.low",
    "memory.high",
    "memory.swap.max",
    "pids.max",
    "cpu.weight",
    "cpu.max",
    "cpu.max.burst",
    "cpuset.cpus",
    "cpuset.mems",
    "io.max",
  ];
  const look = () => {
    const directory = lab.state(id).cgroup_paths[""];
    return files.map((file) => `${file}: ${readFileSync(`${directory}/${file}`, "utf8").trim()}`);
  };
  must(lab.restore(bundle, image, id));
  const thaw = look();
  lab.delete(id);
  must(lab.runc(["restore", "-d", "--bundle", bundle.path, "--image-path", image, id]));
  expect(thaw).toEqual(look());
  expect(thaw.slice(0, 5)).toEqual([
    "memory.max: 209715200",
    "memory.low: 104857600",
    "memory.high: 199229440",
    "memory.swap.max: 104857600",
    "pids.max: 77",
  ]);
});

test("events --stats prints runc's line of a container that stands still", () => {
  using lab = new Lab();
  const bundle = lab.bundle();
  const id = lab.id();
  must(lab.restore(bundle, lab.checkpointed(bundle, id), id));
  must(lab.thaw(["pause", id]));
  // Pressure goes on while it stands still.
  const stats = ({ stdout }: { stdout: string }) =>
    stdout.replaceAll(/("avg\d+":)[\d.]+/g, "$1N").replaceAll(/(N,"total":)\d+/g, "$1N");
  const both = () => [lab.runc(["events", "--stats", id]), lab.thaw(["events", "--stats", id])];
  waitFor(() => {
    const [runc, thaw] = both().map((ran) => stats(must(ran)));
    return runc === thaw;
  }, "both to print the same");
});

test.skipIf(!hasControllers)("update leaves what runc's leaves", () => {
  using twins = new Twins((lab, id) => lab.start(lab.bundle(), id));
  for (const line of V2_UPDATES) updateBoth(twins, line);
  for (const document of V2_DOCUMENTS) updateBoth(twins, "", JSON.stringify(document));
});

test.skipIf(!hasControllers)(
  "events end when the last process ends, though the cgroup stays",
  async () => {
    using lab = new Lab();
    const id = lab.id();
    lab.start(lab.bundle(), id);
    const follow = ["runc", THAW].map((runtime) =>
      Bun.spawn([runtime, "--root", lab.root, "events", "--interval", "100ms", id], {
        stdout: "pipe",
        stderr: "inherit",
        timeout: 60_000,
      }),
    );
    const readers = follow.map(({ stdout }) => stdout.getReader());
    await Promise.all(readers.map((reader) => reader.read())); // both have begun
    const rest = readers.map(async (reader) => {
      for (;;) if ((await reader.read()).done) return;
    });
    must(lab.thaw(["kill", id, "KILL"]));
    expect(await Promise.all(follow.map(({ exited }) => exited))).toEqual([0, 0]);
    await Promise.all(rest);
  },
);

test("ps, pause, resume, kill and delete do what runc's do", () => {
  using twins = new Twins((lab, id) => {
    const bundle = lab.bundle();
    must(lab.restore(bundle, lab.checkpointed(bundle, id), id));
  });
  const { lab, id } = twins.thaw;
  const frozen = () =>
    /^frozen (\d)$/m.exec(
      readFileSync(`${lab.state(id).cgroup_paths[""]}/cgroup.events`, "utf8"),
    )?.[1];
  for (const line of ["state ID", "pause ID"]) twins.same(line);
  expect(frozen()).toBe("1");
  for (const line of ["state ID", "pause ID", "delete ID", "resume ID", "resume ID", "state ID"])
    twins.same(line);
  expect(frozen()).toBe("0");
  for (const line of ["pause ID", "kill ID KILL"]) twins.same(line);
  waitFor(() => twins.both.every((twin) => twin.lab.status(twin.id) === "stopped"), "both to stop");
  for (const line of ["list", "ps --format json ID", "kill ID", "delete ID", "state ID"])
    twins.same(line);
});
