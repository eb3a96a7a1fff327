/**
 * SIGTERM, SIGINT and SIGHUP at every moment of a restore: status 1, one line that names the
 * signal, and nothing left.
 *
 * @module
 */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Behaviour, FakeCriu } from "../support/fake-criu.ts";
import { type Bundle, Lab, processesOf, THAW, traces, waitFor } from "../support/lab.ts";
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
  /** The exit status, or that there is none after ten seconds. */
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
    status: () => Promise.race([nanny.exited, Bun.sleep(10_000).then(() => "thaw is still there")]),
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
