/**
 * Checkpoints that fail, are interrupted, or lose thaw or CRIU on the way: the container goes on, and
 * nothing is left that could be taken for a checkpoint.
 *
 * @module
 */

import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startTime, tracerOf } from "../../internal/linux/process.ts";
import { type Behaviour, FakeCriu } from "../support/fake-criu.ts";
import {
  type Bundle,
  countsOn,
  Lab,
  must,
  networkNamespace,
  processesOf,
  run,
  THAW,
  traces,
  waitFor,
} from "../support/lab.ts";
import { steadyBundle, untilListening } from "../support/steady.ts";

let lab: Lab;
let next = 0;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab[Symbol.dispose]());

const fresh = (name: string) => join(lab.path, `${name}-${next++}`);

/** CRIU refuses: what the container does, the flags, and what thaw's line holds beside CRIU's own. */
const REFUSED: readonly (readonly [string, string, string[], string])[] = [
  [
    "an established connection",
    `sleep 100000 | nc -l -p 5555 >/tmp/got & ${untilListening(5555)}; (echo x; sleep 100000) | nc 127.0.0.1 5555 & until [ -s /tmp/got ]; do sleep 0.05; done;`,
    [],
    "a process has an established TCP connection; checkpoint with --tcp-established",
  ],
  [
    "a removed file with another name",
    "echo x >/tmp/a; exec 8</tmp/a; busybox ln /tmp/a /tmp/b; rm /tmp/a;",
    [],
    "/tmp/a was removed while it is open, and the file has another name still; checkpoint with --link-remap",
  ],
  [
    "a removed file that is large",
    "dd if=/dev/zero of=/tmp/a bs=1048576 count=3 2>/dev/null; exec 8</tmp/a; rm /tmp/a;",
    [],
    "/tmp/a was removed while it is open, and with 3145728 bytes is larger than what CRIU saves",
  ],
  [
    "a page server that is not there",
    "",
    ["--page-server", "127.0.0.1:9"],
    "no criu page-server answers on 127.0.0.1:9",
  ],
];

test.each(REFUSED)(
  "%s: status 1 as with runc, the reason, and the container goes on",
  (_, before, flags, reason) => {
    const bundle = steadyBundle(lab, undefined, before);
    const id = lab.id();
    lab.start(bundle, id);
    // Busybox's nc ends when CRIU has looked at it.
    const left = () => traces(lab).filter((line) => !/^process .*(nc|sleep) /.test(line));
    const clean = left();
    const [image, work, theirs] = [fresh("image"), fresh("work"), fresh("image")];
    const args = ["--work-path", work, ...flags, id];
    const own = lab.thaw(["checkpoint", "--image-path", image, ...args]);
    expect(lab.status(id)).toBe("running");
    expect(countsOn(bundle, bundle.count())).toBe(true);
    expect(existsSync(image)).toBe(false);
    expect(left()).toEqual(clean);
    const line = own.stderr.trim().split("\n").at(-1);
    expect(line).toContain('msg="criu failed: type DUMP errno 0: ');
    expect(line).toContain(reason);
    expect(line).toContain(`CRIU's log: ${work}/dump.log`);
    if (before.includes("nc ")) return;
    const runc = lab.runc(["checkpoint", "--image-path", theirs, ...args]);
    expect(own.status).toBe(runc.status);
    expect(runc.stderr).toContain('msg="criu failed: type DUMP errno 0"');
  },
);

test("standard output that is a file of the host: the file is named", () => {
  const bundle = steadyBundle(lab);
  const id = lab.id();
  const [out, image] = [fresh("out"), fresh("image")];
  const argv = ["runc", "--root", lab.root, "run", "-d", "--bundle", bundle.path, id];
  must(run(["sh", "-c", `exec "$@" </dev/null >${out} 2>/dev/null`, "sh", ...argv]));
  waitFor(() => bundle.count() > 0, "the container");
  const { status, stderr } = lab.thaw(["checkpoint", "--image-path", image, id]);
  expect(status).toBe(1);
  expect(stderr).toContain(`descriptor 1 of a process is ${out}, a file outside of the container;`);
  expect(readdirSync(image)).toEqual(["dump.log"]); // for whoever looks into it
  countsOn(bundle, bundle.count());
});

/** The number of accept(2), on x86-64 and on arm64. */
const ACCEPT = ["43", "202"];

/** A checkpoint under way. */
interface Started {
  readonly thaw: Bun.Subprocess<"ignore", "ignore", "pipe">;
  readonly fake: FakeCriu;
  readonly bundle: Bundle;
  readonly id: string;
  readonly image: string;
  /** CRIU's temporary directories that were there before. */
  readonly temporary: readonly string[];
}

/** A checkpoint that is held at a moment. */
interface Held extends Started {
  /** Host pid. */
  readonly criu: number;
}

/** The two files without which a directory is no checkpoint. */
const MARKS = ["descriptors.json", "inventory.img"];

/** What is particular about a checkpoint. */
interface Particulars {
  /** The image directory holds an older checkpoint. */
  readonly older?: boolean;
  readonly flags?: readonly string[];
  /** A line of CRIU's configuration. */
  readonly criu?: string;
}

function started(behaviour: Behaviour, particulars: Particulars = {}): Started {
  const { older = false, flags = [], criu } = particulars;
  const bundle = steadyBundle(lab, (config) => {
    if (criu === undefined) return;
    const file = fresh("criu.conf");
    writeFileSync(file, criu);
    config.annotations = { "org.criu.config": file };
  });
  const id = lab.id();
  lab.start(bundle, id);
  const fake = new FakeCriu(fresh("fake"), behaviour);
  const image = fresh("image");
  if (older) mkdirSync(image);
  for (const name of older ? MARKS : []) writeFileSync(join(image, name), "");
  const temporary = criuTemporaries();
  const argv = [THAW, "--root", lab.root, "checkpoint", "--image-path", image];
  const thaw = Bun.spawn([...argv, ...flags, id], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, ...fake.env },
  });
  return { thaw, fake, bundle, id, image, temporary };
}

/** Others use /tmp too. */
function criuTemporaries(): string[] {
  return readdirSync("/tmp").filter((name) => /^(\.criu|cr-tmpfs|crtools-)/.test(name));
}

function held(moment: string, particulars: Particulars = {}): Held {
  const it = started({ holds: moment }, particulars);
  it.fake.waitForMoment();
  const { pid } = it.thaw;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ");
  const comm = (child: string) => readFileSync(`/proc/${child}/comm`, "utf8").trim();
  const criu = Number(children.filter(Boolean).find((child) => comm(child) === "criu"));
  expect(criu).toBeGreaterThan(0);
  // Out of reach of a ^C, which would end it in the middle.
  expect(readFileSync(`/proc/${criu}/stat`, "utf8").split(") ")[1]?.split(" ")[3]).toBe(`${criu}`);
  return { ...it, criu };
}

/** CRIU has ended; whose child it was then, and who reaps it, does not matter. */
function waitForCriu({ criu }: Held): void {
  waitFor(() => startTime(criu) === undefined, `criu (pid ${criu}) to end`);
}

/** The container is as before, and can be checkpointed and come back. */
function expectUnharmed({ bundle, id, temporary }: Started): void {
  expect(criuTemporaries().filter((name) => !temporary.includes(name))).toEqual([]);
  expect(lab.status(id)).toBe("running");
  countsOn(bundle, bundle.count());
  const inNetwork = ["nsenter", "-t", String(lab.state(id).init_process_pid), "-n"];
  expect(must(run([...inNetwork, "iptables", "-S"])).stdout).not.toContain("CRIU");
  must(run([...inNetwork, "busybox", "ping", "-c", "1", "-W", "5", "127.0.0.1"])); // nor by nftables
  const image = lab.checkpoint(id, [], "thaw");
  must(lab.restore(bundle, image, id));
  countsOn(bundle, bundle.count());
}

const MOMENTS = ["version", "pre-dump", "network-lock", "query-ext-files", "post-dump"] as const;

test.each(MOMENTS)(
  "thaw killed at %s: the container goes on, and there is no checkpoint",
  async (moment) => {
    const it = held(moment, { older: true });
    it.thaw.kill("SIGKILL");
    await it.thaw.exited;
    waitForCriu(it);
    const marks = MARKS.filter((name) => existsSync(join(it.image, name)));
    if (moment === "version")
      expect(marks).toEqual(MARKS); // nothing has been touched yet
    else {
      expect(marks).not.toContain("descriptors.json");
      for (const by of [lab.thaw.bind(lab), lab.runc.bind(lab)]) {
        const restore = ["restore", "-d", "-b", it.bundle.path, "--image-path", it.image, lab.id()];
        expect(by(restore).stderr).toContain("descriptors.json: no such file or directory");
      }
    }
    expectUnharmed(it);
  },
);

test("thaw killed when the dump is complete: the checkpoint is one, and delete clears up", async () => {
  const it = held("dump");
  const { thaw, bundle, id, image } = it;
  thaw.kill("SIGKILL");
  await thaw.exited;
  waitForCriu(it);
  expect(lab.status(id)).toBe("stopped");
  must(lab.thaw(["delete", id]));
  must(lab.restore(bundle, image, id));
  countsOn(bundle, bundle.count());
});

test.each(MOMENTS)(
  "SIGTERM at %s: status 1, the container goes on, nothing is left",
  async (moment) => {
    const it = held(moment);
    it.thaw.kill("SIGTERM");
    expect(await it.thaw.exited).toBe(1);
    expect(await new Response(it.thaw.stderr).text()).toMatch(
      /: interrupted by SIGTERM; container \S+"\n$/,
    );
    waitForCriu(it);
    // What is left in the image directory is CRIU's log.
    if (existsSync(it.image)) expect(readdirSync(it.image)).toEqual(["dump.log"]);
    expectUnharmed(it);
  },
);

test("SIGTERM when the dump is complete: it is too late to give up", async () => {
  const { thaw, bundle, id, image } = held("dump");
  thaw.kill("SIGTERM");
  expect(await thaw.exited).toBe(0);
  expect(lab.status(id)).toBeUndefined();
  must(lab.restore(bundle, image, id));
  countsOn(bundle, bundle.count());
});

test.each([
  ["network-lock", "iptables"],
  ["query-ext-files", "iptables"],
  ["query-ext-files", "nftables"],
  ["post-dump", "iptables"],
  ["post-dump", "nftables"],
] as const)(
  "criu killed at %s, locking with %s: the container goes on, not frozen and not cut off",
  async (moment, method) => {
    const it = started({ killedAt: moment }, { criu: `network-lock ${method}\n` });
    expect(await it.thaw.exited).toBe(1);
    const text = await new Response(it.thaw.stderr).text();
    expect(text).toContain("criu ended before it answered: signal: killed");
    expectUnharmed(it);
  },
);

test("SIGTERM when CRIU is about to serve memory, at which it forgets the network lock", async () => {
  const flags = ["--lazy-pages", "--page-server", `127.0.0.1:${20000 + (process.pid % 10000)}`];
  const it = held("status-ready", { flags });
  it.thaw.kill("SIGTERM");
  expect(await it.thaw.exited).toBe(1);
  expect(readdirSync(it.image)).toEqual(["dump.log"]);
  expectUnharmed(it);
});

test("thaw killed while CRIU serves memory: delete -f ends CRIU, the container and the network lock", async () => {
  using netns = networkNamespace(`${lab.id()}-net`);
  const rules = () => must(run(["ip", "netns", "exec", netns.name, "iptables", "-S"])).stdout;
  const bundle = steadyBundle(
    lab,
    (config) => {
      for (const one of config.linux.namespaces) if (one.type === "network") one.path = netns.path;
    },
    "(exec 8<>/tmp/wait; read x <&8) & ", // init cannot end before it does
  );
  const id = lab.id();
  lab.start(bundle, id);
  const [image, status] = [fresh("image"), fresh("status")];
  must(run(["mkfifo", status]));
  const server = `127.0.0.1:${20000 + (process.pid % 10000)}`;
  const flags = ["--lazy-pages", "--page-server", server, "--status-fd", "5"];
  const argv = [THAW, "--root", lab.root, "checkpoint", "--image-path", image, ...flags, id];
  const thaw = Bun.spawn(["sh", "-c", `exec 5>${status}; exec "$@"`, "sh", ...argv]);
  expect(run(["timeout", "30", "od", "-c", status]).stdout).toContain("\\0");
  const criu = tracerOf(lab.state(id).init_process_pid);
  // It is told before CRIU is, which then waits for a connection.
  const call = () => readFileSync(`/proc/${criu}/syscall`, "utf8").split(" ")[0] ?? "";
  waitFor(() => ACCEPT.includes(call()), `criu (pid ${criu}) to serve`);
  thaw.kill("SIGKILL");
  await thaw.exited;
  await Bun.sleep(300);
  expect(startTime(criu)).toBeGreaterThan(0); // it goes on
  expect(rules()).toContain("CRIU");
  const deleted = lab.thaw(["delete", "-f", id]);
  expect(deleted.status).toBe(0);
  expect(deleted.stderr).toMatch(
    /removed chain CRIU of iptables.*, since the checkpoint was given/,
  );
  expect(processesOf(lab)).toEqual([]);
  expect(rules()).not.toContain("CRIU");
  expect(existsSync(join(lab.root, id))).toBe(false);
});

test("criu killed when it has ended the container: its images are all there is of it, and stay", async () => {
  const { thaw, bundle, id, image } = started({ killedAt: "dump" });
  expect(await thaw.exited).toBe(1);
  const text = await new Response(thaw.stderr).text();
  // It may have ended by itself just before, with nothing left to do.
  expect(text).toMatch(/criu ended before it answered: (signal: killed|exit status 0)/);
  expect(text).toContain(`the checkpoint of ${id} in ${image} is whole, and stays`);
  expect(lab.status(id)).toBe("stopped");
  must(lab.thaw(["delete", id]));
  must(lab.restore(bundle, image, id));
  countsOn(bundle, bundle.count());
});

test("a criu that never answers: the second signal leaves it alone", async () => {
  const { thaw, fake, bundle, image } = started({ at: "restore", does: "hang" });
  fake.waitForMoment();
  thaw.kill("SIGINT");
  await Bun.sleep(500);
  expect(thaw.exitCode).toBe(null);
  // Two that come before thaw has looked are one.
  while ((await Promise.race([thaw.exited, Bun.sleep(500)])) === undefined) thaw.kill("SIGINT");
  expect(await thaw.exited).toBe(1);
  const text = await new Response(thaw.stderr).text();
  expect(text).toMatch(/criu \(pid \d+\) still works, and will let \S+ go on by itself/);
  expect(text).toContain("interrupted by SIGINT");
  const pid = Number(/criu \(pid (\d+)\)/.exec(text)?.[1]);
  process.kill(pid, "SIGKILL");
  countsOn(bundle, bundle.count());
  expect(existsSync(image)).toBe(false);
});

test("a full disk: said so, and the container goes on", () => {
  const bundle = steadyBundle(lab);
  const id = lab.id();
  lab.start(bundle, id);
  const small = fresh("small");
  must(run(["mkdir", small]));
  must(run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", small]));
  writeFileSync(join(small, "kept"), "x");
  const work = fresh("work");
  const args = ["checkpoint", "--image-path", join(small, "image"), "--work-path", work, id];
  const { status, stderr } = lab.thaw(args);
  expect(status).toBe(1);
  expect(`${stderr}${readFileSync(join(work, "dump.log"), "utf8")}`).toContain("No space left");
  expect(stderr).toContain("the file system of the image path, or of the work path, is full");
  expect(readdirSync(small)).toEqual(["kept"]);
  countsOn(bundle, bundle.count());
  must(run(["umount", small]));
});

test("lazy pages that nobody could fetch are refused: runc would wait for ever, with the container", () => {
  const bundle = steadyBundle(lab);
  const id = lab.id();
  lab.start(bundle, id);
  const image = fresh("image");
  for (const [flags, reason] of [
    [["--lazy-pages"], "--lazy-pages needs --page-server"],
    [
      ["--lazy-pages", "--page-server", "127.0.0.1:9", "--pre-dump"],
      "--lazy-pages and --pre-dump cannot go together",
    ],
  ] as const) {
    const { status, stderr } = lab.thaw(["checkpoint", "--image-path", image, ...flags, id]);
    expect(status).toBe(1);
    expect(stderr).toContain(reason);
  }
  expect(existsSync(image)).toBe(false);
  countsOn(bundle, bundle.count());
});
