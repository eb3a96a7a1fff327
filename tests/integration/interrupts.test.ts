/**
 * SIGTERM, SIGINT and SIGHUP at every moment of a restore: status 1, one line that names the
 * signal, and nothing left.
 *
 * @module
 */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Behaviour, FakeCriu } from "../support/fake-criu.ts";
import { type Bundle, Lab, processesOf, run, THAW, traces, waitFor } from "../support/lab.ts";
import { leftBehind, underNanny } from "../support/nanny.ts";
import { steadyBundle } from "../support/steady.ts";

let lab: Lab;
let bundle: Bundle;
let id: string;
let image: string;
let next = 0;

beforeAll(() => {
  lab = new Lab();
  bundle = steadyBundle(lab);
  id = lab.id();
  image = lab.checkpointed(bundle, id);
});

afterAll(() => lab[Symbol.dispose]());

function fresh(name: string): string {
  return join(lab.path, `${name}${next++}`);
}

/** A restore under way. */
interface Restore extends Disposable {
  readonly stderr: ReadableStream<Uint8Array>;
  /** What thaw left behind. */
  left(): string[];
  /** The exit status, or that there is none after half a minute. */
  status(): Promise<number | string>;
}

function start(flags: readonly string[], env: Record<string, string>, prefix: string[] = []) {
  const report = fresh("left");
  const argv = [THAW, "--root", lab.root, "restore", ...flags, "-b", bundle.path];
  const nanny = Bun.spawn(underNanny(report, [...prefix, ...argv, "--image-path", image, id]), {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    env: { ...process.env, ...env },
  });
  const restore: Restore = {
    stderr: nanny.stderr,
    left: () => leftBehind(report),
    status: () => Promise.race([nanny.exited, Bun.sleep(30_000).then(() => "thaw is still there")]),
    [Symbol.dispose]: () => {
      for (const pid of thaws()) process.kill(pid, "SIGKILL");
      nanny.kill("SIGKILL");
    },
  };
  return restore;
}

/** The thaws of this lab. */
function thaws(): number[] {
  return processesOf(lab)
    .filter((line) => line.split(" ")[1] === THAW)
    .map((line) => Number(line.split(" ")[0]));
}

function signalThaw(signal: NodeJS.Signals): void {
  const pids = thaws();
  expect(pids).toHaveLength(1);
  for (const pid of pids) process.kill(pid, signal);
}

interface Moment {
  readonly name: string;
  readonly flags: readonly string[];
  readonly behaviour?: Behaviour;
  /** A createRuntime hook that takes for ever. */
  readonly hook?: true;
}

const MOMENTS: readonly Moment[] = [
  {
    name: "criu hangs before it says its version",
    flags: ["-d"],
    behaviour: { at: "version", does: "hang" },
  },
  { name: "criu has the request", flags: ["-d"], behaviour: { at: "restore", does: "wait" } },
  ...[
    "pre-restore",
    "setup-namespaces",
    "post-setup-namespaces",
    "post-restore",
    "network-unlock",
    "pre-resume",
    "post-resume",
  ].map((holds) => ({ name: holds, flags: ["-d"], behaviour: { holds } })),
  { name: "criu's last answer", flags: ["-d"], behaviour: { holds: "restore" } },
  { name: "a hook that takes for ever", flags: ["-d"], hook: true },
  {
    name: "criu hangs before it says its version, in the foreground",
    flags: [],
    behaviour: { at: "version", does: "hang" },
  },
  ...["setup-namespaces", "post-restore", "post-resume"].map((holds) => ({
    name: `${holds} in the foreground`,
    flags: [],
    behaviour: { holds },
  })),
  { name: "a hook that takes for ever, in the foreground", flags: [], hook: true },
];

function setHook(hooked: string | undefined): void {
  if (hooked !== undefined) {
    writeFileSync(`${hooked}.sh`, `#!/bin/sh\necho > ${hooked}\nsleep 1000\ntrue\n`);
    chmodSync(`${hooked}.sh`, 0o755);
  }
  bundle.edit((config) => {
    config.hooks = hooked === undefined ? {} : { createRuntime: [{ path: `${hooked}.sh` }] };
  });
}

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
  for (const moment of MOMENTS) {
    test(`${signal} when ${moment.name} undoes everything`, async () => {
      const hooked = fresh("hooked");
      setHook(moment.hook ? hooked : undefined);
      const fake = moment.behaviour && new FakeCriu(fresh("fake"), moment.behaviour);
      const before = traces(lab);
      using restore = start(moment.flags, fake?.env ?? {});
      if (fake !== undefined) fake.waitForMoment();
      else waitFor(() => existsSync(hooked), "the hook");
      signalThaw(signal);
      expect(await restore.status()).toBe(1);
      const said = await new Response(restore.stderr).text();
      expect(said).toMatch(/^time="[^"]*" level=error msg="[^\n]*"\n$/);
      expect(said).toContain(`interrupted by ${signal}`);
      expect(traces(lab).filter((line) => !line.includes("fake-criu.ts"))).toEqual(before);
      // The relay of a held criu ends by itself.
      expect(restore.left().filter((name) => !name.startsWith("bun"))).toEqual([]);
      waitFor(() => !processesOf(lab).some((line) => line.includes("relay")), "the relay");
    });
  }
}

for (const flags of [["-d"], []]) {
  const how = flags.length > 0 ? "detached" : "in the foreground";
  test(`a second signal ends a poststop hook that takes for ever, ${how}`, async () => {
    const hooked = fresh("hooked");
    const fails = fresh("fails");
    writeFileSync(fails, "#!/bin/sh\nexit 1\n");
    chmodSync(fails, 0o755);
    setHook(hooked);
    bundle.edit(({ hooks }) => {
      hooks.poststop = hooks.createRuntime;
      hooks.createRuntime = [{ path: fails }];
    });
    const before = traces(lab);
    using restore = start(flags, {});
    waitFor(() => existsSync(hooked), "the hook");
    signalThaw("SIGINT");
    expect(await restore.status()).toBe(1);
    const said = await new Response(restore.stderr).text();
    expect(said).toMatch(
      /level=error msg="error running createRuntime hook #0: exit status 1[^\n]*"\n$/,
    );
    expect(said).toContain("then, cleaning up: error running poststop hook #0");
    expect(said).toContain("interrupted by SIGINT");
    expect(traces(lab)).toEqual(before);
    // Killed with its hook, which may be reaped before it has ended.
    expect(restore.left().filter((name) => name !== "sleep Z")).toEqual([]);
  });
}

test("the signal that began the clean-up does not end the poststop hook", async () => {
  const [created, stopped] = [fresh("created"), fresh("stopped")];
  setHook(created);
  const slow = fresh("slow");
  writeFileSync(slow, `#!/bin/sh\nsleep 0.3\necho > ${stopped}\n`);
  chmodSync(slow, 0o755);
  bundle.edit(({ hooks }) => {
    hooks.poststop = [{ path: slow }];
  });
  using restore = start(["-d"], {});
  waitFor(() => existsSync(created), "the hook");
  signalThaw("SIGTERM");
  expect(await restore.status()).toBe(1);
  expect(existsSync(stopped)).toBe(true);
});

test("the end of a container that ended by itself: a signal ends its poststop hook", async () => {
  const hooked = fresh("hooked");
  setHook(hooked);
  bundle.edit(({ hooks }) => {
    hooks.poststop = hooks.createRuntime;
    hooks.createRuntime = [];
  });
  const before = traces(lab);
  using restore = start([], {});
  waitFor(() => existsSync(join(lab.root, id, "state.json")), "the container");
  waitFor(() => !existsSync(join(lab.root, id, "thaw.json")), "the end of the restore");
  lab.runc(["kill", id, "KILL"]);
  waitFor(() => existsSync(hooked), "the hook");
  signalThaw("SIGHUP");
  expect(await restore.status()).toBe(137);
  const said = await new Response(restore.stderr).text();
  expect(said).toContain("level=warning");
  expect(said).toContain("error running poststop hook #0: run a hook: interrupted by SIGHUP");
  expect(traces(lab)).toEqual(before);
});

/** The container's directory in the hierarchy that freezes, and the file and words that do it. */
function freezer(path: string) {
  const v1 = existsSync(join("/sys/fs/cgroup/freezer", path));
  const directory = join(v1 ? "/sys/fs/cgroup/freezer" : "/sys/fs/cgroup", path);
  const file = join(directory, v1 ? "freezer.state" : "cgroup.freeze");
  const [frozen, thawed] = v1 ? ["FROZEN", "THAWED"] : ["1", "0"];
  return {
    v1,
    freeze: () => writeFileSync(file, frozen),
    thaw: () => writeFileSync(file, thawed),
    isFrozen: () => readFileSync(file, "utf8").trim() === frozen,
  };
}

for (const holds of ["setup-namespaces", "post-restore", "post-resume"]) {
  test(`a container frozen at ${holds} is ended all the same`, async () => {
    setHook(undefined);
    const fake = new FakeCriu(fresh("fake"), { holds });
    const before = traces(lab);
    using restore = start(["-d"], fake.env);
    fake.waitForMoment();
    const cgroup = freezer(id);
    cgroup.freeze();
    waitFor(cgroup.isFrozen, "the freezer");
    signalThaw("SIGTERM");
    expect(await restore.status()).toBe(1);
    const said = await new Response(restore.stderr).text();
    expect(said).toMatch(/^time="[^"]*" level=error msg="[^\n]*interrupted by SIGTERM[^\n]*"\n$/);
    waitFor(() => !processesOf(lab).some((line) => line.includes("relay")), "the relay");
    expect(traces(lab).filter((line) => !line.includes("fake-criu.ts"))).toEqual(before);
  });
}

test("a container that cannot be ended is named, and thaw does not hang", async () => {
  const parent = `${id}-frozen`;
  bundle.edit((config) => {
    config.linux.cgroupsPath = `/${parent}/c`;
  });
  setHook(undefined);
  const fake = new FakeCriu(fresh("fake"), { holds: "post-restore" });
  const before = traces(lab);
  using restore = start(["-d"], fake.env);
  fake.waitForMoment();
  const cgroup = freezer(parent);
  if (!cgroup.v1) return; // a frozen process of v2 can be killed
  cgroup.freeze();
  waitFor(cgroup.isFrozen, "the freezer");
  signalThaw("SIGTERM");
  const start_ = performance.now();
  const said = new Response(restore.stderr).text();
  while (thaws().length > 0 && performance.now() - start_ < 40_000) await Bun.sleep(100);
  expect(thaws()).toEqual([]);
  cgroup.thaw();
  expect(await said).toMatch(/process \d+ \(state D \(disk sleep\)\) does not end after SIGKILL/);
  expect(await said).toContain("thaw the cgroup it is frozen in");
  expect((await said).split("\n")).toHaveLength(2);
  waitFor(() => !processesOf(lab).some((line) => /relay|criu|sh -c/.test(line)), "the rest");
  bundle.edit((config) => {
    delete config.linux.cgroupsPath;
  });
  const left = ["find", "/sys/fs/cgroup", "-depth", "-type", "d", "-path", `*${parent}*`];
  run([...left, "-exec", "rmdir", "{}", "+"]);
  expect(readdirSync(lab.root)).toEqual([]);
  // CRIU's own directory stays, as it had to be killed.
  const ours = traces(lab).filter((line) => !/fake-criu\.ts|\/tmp\/\.criu/.test(line));
  expect(ours).toEqual(before);
}, 120_000);

test("signals that the caller ignores stay ignored", async () => {
  setHook(undefined);
  const fake = new FakeCriu(fresh("fake"), { holds: "pre-restore" });
  const before = traces(lab);
  const ignoring = ["sh", "-c", `trap "" HUP INT; exec "$@"`, "sh"];
  using restore = start(["-d"], fake.env, ignoring);
  fake.waitForMoment();
  signalThaw("SIGHUP");
  signalThaw("SIGINT");
  await Bun.sleep(500);
  signalThaw("SIGTERM");
  expect(await restore.status()).toBe(1);
  expect(await new Response(restore.stderr).text()).toContain("interrupted by SIGTERM");
  waitFor(() => traces(lab).join() === before.join(), "everything to be gone");
});
