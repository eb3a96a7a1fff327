/** Namespaces with a path, user namespaces, hooks, and CRIU's configuration file. @module */

import { expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Host } from "../support/host.ts";
import { countsOn, type Json, Lab, must, networkNamespace, run, THAW } from "../support/lab.ts";

const setPath = (config: Json, type: string, path: string) => {
  const found = config.linux.namespaces.find((ns: Json) => ns.type === type);
  if (found) found.path = path;
  else config.linux.namespaces.push({ type, path });
};

test("a network namespace with a path is the container's again", () => {
  using lab = new Lab();
  using netns = networkNamespace(lab.id());
  const bundle = lab.bundle(undefined, (config) => setPath(config, "network", netns.path));
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const before = bundle.count();
  must(lab.restore(bundle, image, id));
  countsOn(bundle, before);
  const inode = must(run(["stat", "-L", "-c", "%i", netns.path])).stdout.trim();
  expect(readlinkSync(`/proc/${lab.state(id).init_process_pid}/ns/net`)).toBe(`net:[${inode}]`);
  // CRIU takes away the rules it locked the network with at the checkpoint.
  const rules = run(["ip", "netns", "exec", netns.name, "iptables", "-S"]).stdout;
  expect(rules).not.toContain("CRIU");
  lab.delete(id);
});

test("an ipc namespace with a path is joined", () => {
  using lab = new Lab();
  const holder = Bun.spawn(["unshare", "-i", "sleep", "60"]);
  try {
    Bun.sleepSync(200);
    const path = `/proc/${holder.pid}/ns/ipc`;
    const bundle = lab.bundle(undefined, (config) => setPath(config, "ipc", path));
    const id = lab.id();
    const image = lab.checkpointed(bundle, id);
    must(lab.restore(bundle, image, id));
    expect(readlinkSync(`/proc/${lab.state(id).init_process_pid}/ns/ipc`)).toBe(readlinkSync(path));
    lab.delete(id);
  } finally {
    holder.kill("SIGKILL");
  }
});

test("a container with a user namespace comes back with its mappings", () => {
  using lab = new Lab();
  for (const path of [lab.path]) chmodSync(path, 0o755);
  const bundle = lab.bundle(undefined, (config) => {
    config.linux.namespaces.push({ type: "user" });
    config.linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
    config.linux.gidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
  });
  chownSync(join(bundle.rootfs, "tmp"), 100000, 100000);
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const before = bundle.count();
  must(lab.restore(bundle, image, id));
  countsOn(bundle, before);
  const { init_process_pid: pid, config } = lab.state(id);
  expect(readFileSync(`/proc/${pid}/uid_map`, "utf8").trim().split(/\s+/)).toEqual([
    "0",
    "100000",
    "65536",
  ]);
  expect(config.uid_mappings).toEqual([{ container_id: 0, host_id: 100000, size: 65536 }]);
  expect(must(lab.runc(["exec", id, "cat", "/proc/self/uid_map"])).stdout).toContain("100000");
  lab.delete(id);
});

/** A hook that writes down what it sees; `ready` is made at the end. */
const witness = (directory: string, name: string) => ({
  path: "/bin/sh",
  args: [
    "sh",
    "-c",
    `{ cat; echo; pwd; echo "$A"; readlink /proc/self/ns/net; } > ${directory}/${name}`,
  ],
  env: ["A=b", "PATH=/bin:/usr/bin"],
});

test("prestart, createRuntime and poststop hooks run as with runc, the others do not", () => {
  using lab = new Lab();
  const out = join(lab.path, "hooks");
  mkdirSync(out);
  const names = [
    "prestart",
    "createRuntime",
    "createContainer",
    "startContainer",
    "poststart",
    "poststop",
  ];
  const bundle = lab.bundle();
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  bundle.edit((config) => {
    config.annotations = { "org.foo": "bar" };
    config.hooks = Object.fromEntries(names.map((name) => [name, [witness(out, name)]]));
  });
  must(lab.restore(bundle, image, id));
  const pid = lab.state(id).init_process_pid;
  for (const name of ["prestart", "createRuntime"]) {
    const [state = "", cwd, variable, net] = readFileSync(join(out, name), "utf8").split("\n");
    expect(JSON.parse(state)).toEqual({
      ociVersion: "1.2.1",
      id,
      status: "stopped",
      pid,
      bundle: bundle.path,
      annotations: { "org.foo": "bar" },
    });
    expect([cwd, variable, net]).toEqual([bundle.path, "b", readlinkSync("/proc/self/ns/net")]);
  }
  for (const name of names.slice(2)) expect(existsSync(join(out, name))).toBe(false);
  lab.delete(id);
  expect(JSON.parse(readFileSync(join(out, "poststop"), "utf8").split("\n")[0] ?? "")).toEqual({
    ociVersion: "1.2.1",
    id,
    status: "stopped",
    bundle: bundle.path,
    annotations: { "org.foo": "bar" },
  });
});

test("the annotation org.criu.config names CRIU's configuration file", () => {
  using lab = new Lab();
  const bundle = lab.bundle();
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const file = join(lab.path, "criu.conf");
  writeFileSync(file, "tcp-established\n");
  bundle.edit((config) => {
    config.annotations = { "org.criu.config": file };
  });
  must(lab.restore(bundle, image, id));
  expect(readFileSync(join(image, "restore.log"), "utf8")).toContain(
    "Will dump/restore TCP connections",
  );
  lab.delete(id);
});

test("without the annotation CRIU reads /etc/criu/runc.conf, and with an empty one nothing", () => {
  using lab = new Lab();
  using host = new Host();
  host.write("/etc/criu/runc.conf", "tcp-established\n");
  const bundle = lab.bundle();
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const reads = () => {
    const argv = ["restore", "-d", "--bundle", bundle.path, "--image-path", image, id];
    must(host.run([THAW, "--root", lab.root, ...argv]));
    must(host.run([THAW, "--root", lab.root, "delete", "--force", id]));
    const log = readFileSync(join(image, "restore.log"), "utf8");
    return log.includes("Will dump/restore TCP connections");
  };
  expect(reads()).toBe(true);
  bundle.edit((config) => {
    config.annotations = { "org.criu.config": "" };
  });
  expect(reads()).toBe(false);
});

test("a container run with NOTIFY_SOCKET is restored with NOTIFY_SOCKET", () => {
  using lab = new Lab();
  const env = { NOTIFY_SOCKET: "/nonexistent" };
  const bundle = lab.bundle();
  mkdirSync(join(bundle.rootfs, "run"));
  const id = lab.id();
  const argv = ["runc", "--root", lab.root, "run", "-d", "--bundle", bundle.path, id];
  const ran = Bun.spawnSync(argv, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "ignore", "ignore"],
  });
  expect(ran.exitCode).toBe(0);
  countsOn(bundle, 1);
  const image = lab.checkpoint(id);
  must(lab.restore(bundle, image, id, [], { env }));
  countsOn(bundle, bundle.count());
  expect(existsSync(join(lab.root, id, "notify"))).toBe(true);
  lab.delete(id);
});

test("CRIU, by its own debug log, is asked its version and restores in one process", () => {
  using lab = new Lab();
  const bundle = lab.bundle();
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const ran = lab.thaw([
    "--debug",
    "restore",
    "-d",
    "--bundle",
    bundle.path,
    "--image-path",
    image,
    id,
  ]);
  expect(ran.status).toBe(0);
  const messages = [...ran.stderr.matchAll(/msg="(notify: [a-z-]+)/g)].map(
    ([, message]) => message,
  );
  expect(messages).toEqual(
    [
      "pre-restore",
      "setup-namespaces",
      "post-setup-namespaces",
      "post-restore",
      "network-unlock",
      "pre-resume",
      "post-resume",
    ].map((name) => `notify: ${name}`),
  );
  expect(ran.stderr).toContain('msg="Using CRIU 4');
  lab.delete(id);
});
