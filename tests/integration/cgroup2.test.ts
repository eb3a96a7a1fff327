/**
 * A host with cgroup v2 alone. The runner gives this file such a view of the machine: a mount
 * namespace with cgroup2 on /sys/fs/cgroup.
 */

import { expect, test } from "bun:test";
import { readFileSync, statfsSync } from "node:fs";
import { countsOn, type Json, Lab, must, traces } from "../support/lab.ts";

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
