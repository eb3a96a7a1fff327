/** Numbers of 64 bits, hooks and ends: what other tools meet of a restored container. */

import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { countsOn, Lab, must, run, THAW } from "../support/lab.ts";

test("a limit of 63 bits is written in full, and runc reads it", () => {
  using lab = new Lab();
  const bundle = lab.bundle();
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const config = readFileSync(join(bundle.path, "config.json"), "utf8");
  const limit = '"resources": {"memory": {"limit": 9223372036854775807},';
  writeFileSync(join(bundle.path, "config.json"), config.replace(/"resources": \{/, limit));
  must(lab.restore(bundle, image, id));
  expect(readFileSync(join(lab.root, id, "state.json"), "utf8")).toContain(
    '"memory":9223372036854775807',
  );
  expect(lab.status(id)).toBe("running");
  lab.delete(id);
  expect(lab.status(id)).toBeUndefined();
});

test("a hook without env gets the caller's, one with an empty env none, and its daemon lives on", () => {
  using lab = new Lab();
  const out = join(lab.path, "out");
  mkdirSync(out);
  const bundle = lab.bundle();
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const script = (name: string) =>
    `env > ${out}/${name}; setsid sleep 30 >/dev/null 2>&1 </dev/null & echo $! > ${out}/${name}.pid; exit $1`;
  const hook = (name: string, status: number) => ({
    path: "/bin/sh",
    args: ["sh", "-c", script(name), "sh", String(status)],
  });
  bundle.edit((c) => {
    c.hooks = { createRuntime: [hook("inherits", 0), { ...hook("empty", 1), env: [] }] };
  });
  const ran = lab.restore(bundle, image, id, [], { env: { CALLERS: "own" } });
  expect(ran.status).toBe(1);
  expect(readFileSync(join(out, "inherits"), "utf8")).toContain("CALLERS=own");
  expect(readFileSync(join(out, "empty"), "utf8")).not.toContain("CALLERS");
  const daemon = Number(readFileSync(join(out, "inherits.pid"), "utf8"));
  expect(existsSync(`/proc/${daemon}`)).toBe(true);
  for (const name of ["inherits", "empty"])
    process.kill(Number(readFileSync(join(out, `${name}.pid`), "utf8")), "SIGKILL");
});

test("a poststop hook that fails does not replace the container's status", () => {
  using lab = new Lab();
  const bundle = lab.bundle("echo > /tmp/n; until [ -e /tmp/go ]; do sleep 0.05; done; exit 7");
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  bundle.edit((c) => {
    c.hooks = { poststop: [{ path: "/bin/false" }] };
  });
  writeFileSync(join(bundle.rootfs, "tmp/go"), "");
  const ran = lab.thaw(["restore", "--bundle", bundle.path, "--image-path", image, id]);
  expect(ran.status).toBe(7);
  expect(ran.stderr).toContain(
    'level=warning msg="unable to destroy container: error running poststop hook #0',
  );
});

test("a restore that fails leaves another container in the same cgroup alone", async () => {
  using lab = new Lab();
  const path = `/${lab.id()}`;
  const made = [0, 1].map(() => {
    const bundle = lab.bundle(undefined, (c) => {
      c.linux.cgroupsPath = path;
    });
    const id = lab.id();
    const image = lab.checkpointed(bundle, id);
    return { bundle, id, image };
  });
  made[0]?.bundle.edit((c) => {
    c.hooks = { createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", "sleep 1; exit 1"] }] };
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
  const statuses = await Promise.all(started.map((child) => child.exited));
  expect(statuses[0]).toBe(1);
  const other = made[1] as (typeof made)[number];
  const said = await new Response(started[1]?.stderr).text();
  if (statuses[1] === 0) {
    await Bun.sleep(500);
    countsOn(other.bundle, other.bundle.count());
  } else expect(said).toContain("container's cgroup is not empty");
  lab.delete(other.id);
  run(["rmdir", `/sys/fs/cgroup/pids${path}`]);
});

test("a foreign THAW_CALLERS_SIGNAL_MASK changes nothing for a detached restore", () => {
  using lab = new Lab();
  const bundle = lab.bundle();
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  must(lab.restore(bundle, image, id, [], { env: { THAW_CALLERS_SIGNAL_MASK: "zz" } }));
  countsOn(bundle, bundle.count());
});
