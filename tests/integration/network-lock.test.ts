/**
 * A checkpoint drops every packet in its network namespace until the restore. When that fails,
 * whoever shares the namespace is not left cut off, as runc leaves them.
 *
 * @module
 */

import { expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FakeCriu } from "../support/fake-criu.ts";
import {
  type Bundle,
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

const POD = "10.213.77.2";

/** A container in a pod's network namespace, checkpointed; a neighbour of the pod looks at it. */
class Locked implements Disposable {
  readonly lab = new Lab();
  readonly pod = networkNamespace(this.lab.id());
  readonly peer = networkNamespace(this.lab.id());
  readonly id = this.lab.id();
  readonly bundle: Bundle;
  readonly image: string;

  /** @param method what CRIU's configuration file says of the network lock */
  constructor(method: "iptables" | "nftables") {
    const inPeer = ["ip", "-n", this.peer.name];
    const inPod = ["ip", "-n", this.pod.name];
    const veth = ["link", "add", "v0", "type", "veth", "peer", "name", "eth0"];
    must(run([...inPeer, ...veth, "netns", this.pod.name]));
    must(run([...inPeer, "addr", "add", "10.213.77.1/24", "dev", "v0"]));
    must(run([...inPod, "addr", "add", `${POD}/24`, "dev", "eth0"]));
    must(run([...inPeer, "link", "set", "v0", "up"]));
    must(run([...inPod, "link", "set", "eth0", "up"]));
    // A rule of the pod's own, which must stay.
    must(this.inPod("iptables", "-A", "INPUT", "-p", "icmp", "-j", "ACCEPT"));
    const config = join(this.lab.path, "criu.conf");
    writeFileSync(config, `network-lock ${method}\n`);
    this.bundle = steadyBundle(this.lab, (spec) => {
      spec.annotations = { "org.criu.config": config };
      spec.linux.namespaces.find((ns: Json) => ns.type === "network").path = this.pod.path;
    });
    this.image = this.lab.checkpointed(this.bundle, this.id);
  }

  inPod(...argv: string[]): Ran {
    return run(["ip", "netns", "exec", this.pod.name, ...argv]);
  }

  /** Whether the pod answers its neighbour: nothing it drops is answered, but an answer may be late. */
  answers(tries = 1): boolean {
    const ping = ["busybox", "ping", "-c", "1", "-W", "1", POD];
    const answered = run(["ip", "netns", "exec", this.peer.name, ...ping]).status === 0;
    return answered || (tries > 1 && this.answers(tries - 1));
  }

  /** The rules of the pod that name CRIU. */
  rules(): string[] {
    const saved = ["iptables-save", "ip6tables-save"].map((tool) => must(this.inPod(tool)).stdout);
    return saved.flatMap((text) => text.split("\n")).filter((line) => line.includes("CRIU"));
  }

  /** Takes the container's program away, so that CRIU fails; disposing brings it back. */
  broken(): Disposable {
    const [file, hidden] = ["bin/busybox", "bin/hidden"].map((f) => join(this.bundle.rootfs, f));
    renameSync(file as string, hidden as string);
    return { [Symbol.dispose]: () => renameSync(hidden as string, file as string) };
  }

  restore(runtime = THAW, options: { flags?: string[]; env?: Record<string, string> } = {}): Ran {
    const argv = [runtime, "--root", this.lab.root, "restore", "-d", "-b", this.bundle.path];
    const env = options.env ?? {};
    return run([...argv, "--image-path", this.image, ...(options.flags ?? []), this.id], { env });
  }

  [Symbol.dispose](): void {
    this.lab[Symbol.dispose]();
    this.pod[Symbol.dispose]();
    this.peer[Symbol.dispose]();
  }
}

const warning = /level=warning msg="the checkpoint had cut off network namespace .*; removed (.*),/;

test("after a failed restore the pod answers again, with iptables, and thaw says so", () => {
  using locked = new Locked("iptables");
  expect(locked.answers()).toBe(false);
  {
    using _broken = locked.broken();
    // runc leaves it so; with each attempt there are more jumps.
    expect(locked.restore("runc").status).toBe(1);
    expect(locked.answers()).toBe(false);
    expect(locked.rules().length).toBeGreaterThan(8);

    const failed = locked.restore();
    expect(failed.status).toBe(1);
    expect(failed.stderr.trim().split("\n").at(-1)).toContain("/bin/busybox is missing");
    expect(warning.exec(failed.stderr)?.[1]).toBe(
      "chain CRIU of iptables and chain CRIU of ip6tables",
    );
    expect(locked.rules()).toEqual([]);
    expect(must(locked.inPod("iptables", "-S", "INPUT")).stdout).toContain("-p icmp -j ACCEPT");
    expect(locked.answers(10)).toBe(true);
  }
  must(locked.restore());
  expect(locked.rules()).toEqual([]);
  expect(locked.answers(10)).toBe(true);
});

test("after a failed restore the pod answers again, with nftables", () => {
  using locked = new Locked("nftables");
  expect(locked.answers()).toBe(false);
  {
    using _broken = locked.broken();
    expect(locked.restore("runc").status).toBe(1);
    expect(locked.answers()).toBe(false);
    const failed = locked.restore();
    expect(failed.status).toBe(1);
    expect(warning.exec(failed.stderr)?.[1]).toMatch(/^table CRIU-[0-9a-f-]+ of nftables$/);
    expect(locked.answers(10)).toBe(true);
  }
  must(locked.restore());
  expect(locked.answers(10)).toBe(true);
});

test("a failing hook and an interrupt count as a failed restore", async () => {
  using locked = new Locked("iptables");
  locked.bundle.edit((config) => {
    config.hooks = { prestart: [{ path: "/bin/false" }] };
  });
  expect(locked.restore().stderr).toContain("error running prestart hook #0");
  expect(locked.answers(10)).toBe(true);
  locked.bundle.edit((config) => {
    config.hooks = {};
  });

  const fake = new FakeCriu(join(locked.lab.path, "fake"), { holds: "post-restore" });
  const thaw = start(locked, fake);
  fake.waitForMoment();
  thaw.kill("SIGTERM");
  expect(await thaw.exited).toBe(1);
  expect(locked.rules()).toEqual([]);
  expect(locked.answers(10)).toBe(true);
});

function start(locked: Locked, fake: FakeCriu) {
  const argv = [THAW, "--root", locked.lab.root, "restore", "-d", "-b", locked.bundle.path];
  return Bun.spawn([...argv, "--image-path", locked.image, locked.id], {
    stdio: ["ignore", "ignore", "ignore"],
    env: { ...process.env, ...fake.env },
  });
}

test("a restore that is refused before CRIU is asked leaves the lock for the next try", () => {
  using locked = new Locked("iptables");
  const before = locked.rules();
  expect(locked.restore(THAW, { flags: ["--manage-cgroups-mode", "bogus"] }).status).toBe(1);
  expect(locked.restore(THAW, { flags: ["--pid-file", "/proc/none/p"] }).status).toBe(1);
  expect(locked.rules()).toEqual(before);
  expect(before.length).toBe(10);
});

test("a killed thaw leaves the lock as a killed runc does, and delete -f removes it", async () => {
  using locked = new Locked("iptables");
  const fake = new FakeCriu(join(locked.lab.path, "fake"), { holds: "setup-namespaces" });
  const thaw = start(locked, fake);
  fake.waitForMoment();
  thaw.kill("SIGKILL");
  await thaw.exited;
  expect(locked.answers()).toBe(false);
  const record = readFileSync(join(locked.lab.root, locked.id, "thaw.json"), "utf8");
  expect(JSON.parse(record)).toMatchObject({
    networkNamespace: locked.pod.path,
    imagePath: locked.image,
  });
  const deleted = locked.lab.thaw(["delete", "-f", locked.id]);
  expect(deleted.status).toBe(0);
  expect(deleted.stderr).toMatch(
    /removed chain CRIU of iptables.*, since the restore was killed"$/m,
  );
  expect(locked.answers(10)).toBe(true);
  expect(locked.lab.thaw(["delete", "-f", locked.id])).toEqual({
    status: 0,
    stdout: "",
    stderr: "",
  });
});

test("without iptables-save thaw says that it could not look", () => {
  using locked = new Locked("iptables");
  const bin = join(locked.lab.path, "bin");
  mkdirSync(bin);
  for (const tool of ["criu", "iptables-restore", "ip6tables-restore", "tar", "gzip", "sh"]) {
    const script = `#!/bin/sh\nPATH=${process.env["PATH"]} exec ${Bun.which(tool)} "$@"\n`;
    writeFileSync(join(bin, tool), script);
    chmodSync(join(bin, tool), 0o755);
  }
  using _broken = locked.broken();
  const failed = locked.restore(THAW, { env: { PATH: bin } });
  expect(failed.status).toBe(1);
  expect(failed.stderr).toContain(
    `network namespace ${locked.pod.path} may still be cut off by the checkpoint: exec: \\"iptables-save\\": executable file not found in $PATH`,
  );
  expect(failed.stderr.trim().split("\n").at(-1)).toContain("/bin/busybox is missing");
});

test("a restore that works starts no program for the lock, nor does the end of its container", async () => {
  using locked = new Locked("iptables");
  const bin = join(locked.lab.path, "bin");
  const called = join(locked.lab.path, "called");
  mkdirSync(bin);
  for (const tool of ["iptables-save", "ip6tables-save"]) {
    writeFileSync(join(bin, tool), `#!/bin/sh\necho "$0" >> ${called}\n`);
    chmodSync(join(bin, tool), 0o755);
  }
  const pidFile = join(locked.lab.path, "pid");
  const argv = [THAW, "--root", locked.lab.root, "restore", "-b", locked.bundle.path];
  const flags = ["--image-path", locked.image, "--pid-file", pidFile];
  const thaw = Bun.spawn([...argv, ...flags, locked.id], {
    stdio: ["ignore", "ignore", "ignore"],
    env: { ...process.env, PATH: `${bin}:${process.env["PATH"]}` },
  });
  waitFor(() => existsSync(pidFile), "the container"); // written when CRIU has done all it does
  expect(locked.answers(10)).toBe(true);
  must(locked.lab.runc(["kill", locked.id, "KILL"]));
  expect(await thaw.exited).toBe(137);
  expect(existsSync(called)).toBe(false);
});
