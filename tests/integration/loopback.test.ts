/** The loopback interface of a restored container's own network namespace. @module */

import { expect, test } from "bun:test";
import { chmodSync, chownSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { countsOn, type Json, Lab, must, networkNamespace, run, waitFor } from "../support/lab.ts";
import { untilListening } from "../support/steady.ts";

/** A client and a server that echoes, in one container over 127.0.0.1; a line every 100 ms. */
const CONNECTED = [
  "nc -l -p 7777 -e cat &",
  untilListening(7777),
  "i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done | nc 127.0.0.1 7777 > /tmp/n",
].join("\n");

const received = (rootfs: string) => statSync(join(rootfs, "tmp/n")).size;

/** What `ip` says of lo in the network namespace of a process. */
const loopback = (pid: number) =>
  must(run(["nsenter", `--net=/proc/${pid}/ns/net`, "ip", "addr", "show", "lo"])).stdout;

test("a TCP connection over 127.0.0.1 comes back and data goes on, which runc cannot", () => {
  using lab = new Lab();
  const bundle = lab.bundle(CONNECTED);
  const id = lab.id();
  lab.start(bundle, id);
  waitFor(() => received(bundle.rootfs) > 0, "data over the connection");
  const image = lab.checkpoint(id, ["--tcp-established"]);
  const args = ["restore", "-d", "--bundle", bundle.path, "--image-path", image];
  const runc = lab.runc([...args, "--tcp-established", id]);
  expect(runc.status).toBe(1);
  expect(runc.stderr).toContain("Can't connect inet socket back: Network is unreachable");

  let before = received(bundle.rootfs);
  must(lab.restore(bundle, image, id, ["--tcp-established"]));
  waitFor(() => received(bundle.rootfs) > before + 20, "data after the restore");
  // And once more, from a container that thaw restored.
  const again = lab.checkpoint(id, ["--tcp-established"]);
  before = received(bundle.rootfs);
  must(lab.restore(bundle, again, id, ["--tcp-established"]));
  waitFor(() => received(bundle.rootfs) > before + 20, "data after the second restore");
  lab.delete(id);
  // Nothing was lost or doubled on the way there and back.
  const lines = readFileSync(join(bundle.rootfs, "tmp/n"), "utf8").trim().split("\n");
  expect(lines).toEqual(lines.map((_, i) => String(i + 1)));
});

test("lo is up after a restore, with its addresses, also before hooks run", () => {
  using lab = new Lab();
  const bundle = lab.bundle();
  const id = lab.id();
  lab.start(bundle, id);
  const before = loopback(lab.state(id).init_process_pid);
  const image = lab.checkpoint(id);
  const seen = join(lab.path, "seen");
  const look = `pid=$(sed 's/.*"pid":\\([0-9]*\\).*/\\1/'); nsenter -t $pid -n ip addr show lo > ${seen}`;
  bundle.edit((config) => {
    const env = [`PATH=${process.env["PATH"]}`];
    config.hooks = { createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", look], env }] };
  });
  must(lab.restore(bundle, image, id));
  expect(before).toContain("<LOOPBACK,UP,LOWER_UP>");
  expect(loopback(lab.state(id).init_process_pid)).toBe(before);
  expect(readFileSync(seen, "utf8")).toBe(before);
  lab.delete(id);
});

test("lo is up in a network namespace that a user namespace of the container owns", () => {
  using lab = new Lab();
  chmodSync(lab.path, 0o755);
  const mapping = [{ containerID: 0, hostID: 100000, size: 65536 }];
  const bundle = lab.bundle(undefined, (config) => {
    config.linux.namespaces.push({ type: "user" });
    config.linux.uidMappings = mapping;
    config.linux.gidMappings = mapping;
  });
  chownSync(join(bundle.rootfs, "tmp"), 100000, 100000);
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const before = bundle.count();
  must(lab.restore(bundle, image, id));
  countsOn(bundle, before);
  expect(loopback(lab.state(id).init_process_pid)).toContain("<LOOPBACK,UP,LOWER_UP>");
  lab.delete(id);
});

test("lo of a network namespace with a path is left as its owner has it", () => {
  using lab = new Lab();
  using netns = networkNamespace(lab.id());
  const bundle = lab.bundle(undefined, (config) => {
    config.linux.namespaces.find((ns: Json) => ns.type === "network").path = netns.path;
  });
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  // runc run leaves it alone too.
  must(run(["ip", "-n", netns.name, "link", "set", "lo", "down"]));
  must(lab.restore(bundle, image, id));
  expect(loopback(lab.state(id).init_process_pid)).not.toContain("UP");
  lab.delete(id);
});
