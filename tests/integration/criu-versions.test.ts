/**
 * An older CRIU, for real (Debian trixie's 4.1.1), and what is said of one that is too old.
 *
 * CRIU 4.1 hangs where hardware breakpoints do not work, as in some VMs; CRIU_FAULT=130 keeps it from
 * using them. 4.2 finds out by itself.
 *
 * @module
 */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FakeCriu } from "../support/fake-criu.ts";
import {
  type Bundle,
  countsOn,
  type Json,
  Lab,
  must,
  run,
  THAW,
  traces,
  waitFor,
} from "../support/lab.ts";
import { leftBehind, underNanny } from "../support/nanny.ts";
import { steadyBundle } from "../support/steady.ts";

/** Makes thaw, runc and criu work with the older CRIU. */
const OLD: Record<string, string> = { CRIU_FAULT: "130" };
let lab: Lab;
let bundle: Bundle;
let id: string;
/** The older criu. */
let old: string;
/** A checkpoint of each. */
let images: { old: string; new: string };

function checkpoint(name: string, of: string, env = {}): string {
  const path = join(lab.path, name);
  mkdirSync(path);
  must(lab.runc(["checkpoint", "--image-path", path, of], { env }));
  return path;
}

beforeAll(() => {
  lab = new Lab();
  const fetch = join(import.meta.dir, "../support/criu-of.sh");
  old = must(run([fetch, "trixie"], { timeout: 300_000 })).stdout.trim();
  const path = join(lab.path, "old");
  mkdirSync(path);
  symlinkSync(old, join(path, "criu"));
  OLD["PATH"] = `${path}:${process.env["PATH"]}`;
  bundle = steadyBundle(lab);
  id = lab.id();
  images = { new: lab.checkpointed(bundle, id), old: "" };
  lab.start(bundle, id);
  images.old = checkpoint("old-image", id, OLD);
}, 400_000);

afterAll(() => lab[Symbol.dispose]());

test("the two are those of Debian trixie and of a newer one", () => {
  expect(must(run([THAW, "--criu", old, "--version"])).stdout).toContain("criu: 4.1.1 (");
  expect(must(run([THAW, "--version"])).stdout).toMatch(/criu: 4\.[2-9]/);
});

for (const criu of ["old", "new"] as const) {
  const flags = () => (criu === "old" ? ["--criu", old] : []);
  const env = criu === "old" ? { CRIU_FAULT: "130" } : {};
  test(`a checkpoint of the old one comes back by the ${criu} one`, () => {
    rmSync(join(bundle.rootfs, "tmp/n"), { force: true });
    const args = [...flags(), "restore", "-d", "-b", bundle.path, "--image-path", images.old, id];
    expect(lab.thaw(args, { env })).toEqual({ status: 0, stdout: "", stderr: "" });
    countsOn(bundle, bundle.count());
    expect(lab.status(id)).toBe("running");
    lab.delete(id);
  });

  test(`in the foreground, by the ${criu} one`, async () => {
    const argv = [THAW, "--root", lab.root, ...flags(), "restore", "-b", bundle.path];
    const thaw = Bun.spawn([...argv, "--image-path", images.old, id], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "ignore", "ignore"],
    });
    const running = () => lab.status(id) === "running" && !restoring();
    waitFor(running, "the container", 30_000);
    must(lab.runc(["kill", id, "KILL"]));
    expect(await thaw.exited).toBe(137);
    expect(lab.status(id)).toBeUndefined();
  });

  test(`with a terminal, by the ${criu} one`, async () => {
    const terminal = steadyBundle(lab, (c: Json) => {
      c.process.terminal = true;
    });
    const name = lab.id();
    const onTerminal = (...argv: string[]) =>
      Bun.spawn(["script", "-qec", argv.join(" "), "/dev/null"], {
        env: { ...process.env, ...(criu === "old" ? OLD : {}) },
        stdin: "pipe",
        stdout: "ignore",
        stderr: "ignore",
      });
    const first = onTerminal("runc", "--root", lab.root, "run", "-b", terminal.path, name);
    // It counts before runc says that it runs.
    waitFor(() => terminal.count() > 0 && lab.status(name) === "running", "the container");
    const image = checkpoint(`terminal-${criu}`, name, criu === "old" ? OLD : {});
    await first.exited;
    const before = terminal.count();
    const restore = [THAW, "--root", lab.root, ...flags(), "restore", "-b", terminal.path];
    const second = onTerminal(...restore, "--image-path", image, name);
    countsOn(terminal, before);
    waitFor(() => !restoring(name), "the end of the restore");
    must(lab.runc(["kill", name, "KILL"]));
    expect(await second.exited).toBe(137);
  });
}

function restoring(name = id): boolean {
  return existsSync(join(lab.root, name, "thaw.json"));
}

/** Restores, expects a refusal, and that nothing was done. */
function refused(flags: readonly string[], env: Record<string, string>, globals: string[] = []) {
  const before = traces(lab);
  const report = join(lab.path, "left");
  const work = join(lab.path, "work");
  const argv = [THAW, "--root", lab.root, ...globals, "restore", "-d", "-b", bundle.path];
  const paths = ["--image-path", images.new, "--work-path", work];
  const ran = run(underNanny(report, [...argv, ...paths, ...flags, id]), { env });
  expect([ran.status, ran.stdout]).toEqual([1, ""]);
  expect(ran.stderr).toMatch(/^time="[^"]*" level=error msg="[^\n]*"\n$/);
  expect(leftBehind(report)).toEqual([]);
  expect(traces(lab)).toEqual(before);
  expect(existsSync(work)).toBe(false);
  return ran.stderr;
}

test("a checkpoint of the new one is refused by the old one, before anything is done", () => {
  const said = refused([], { CRIU_FAULT: "130" }, ["--criu", old]);
  expect(said).toContain("the checkpoint, made by CRIU 4.2 or newer, requires at least CRIU 4.2; ");
  expect(said).toContain("this is CRIU 4.1.1: install CRIU 4.2 or newer, or name one with --criu");
});

type Version = readonly [number, number, number];
const TOO_OLD: readonly (readonly [Version, readonly string[], string])[] = [
  [[2, 12, 1], [], "CRIU version 21201 must be 30000 or higher; install CRIU 3.0 or newer"],
  [[3, 14, 0], [], "criu lacks support for external pid namespace"],
  [[3, 15, 0], ["--lsm-profile", "apparmor:x"], "--lsm-profile requires at least CRIU 3.16"],
  [[3, 15, 2], ["--lsm-mount-context", "x"], "--lsm-mount-context requires at least CRIU 3.16"],
];
const WITHOUT_PIDS: typeof TOO_OLD = [
  [[3, 11, 0], ["--tcp-close"], "--tcp-close requires at least CRIU 3.12"],
];

for (const [rows, pids] of [
  [TOO_OLD, true],
  [WITHOUT_PIDS, false],
] as const) {
  test.each(rows)("CRIU %p with %p is too old", (version, flags, says) => {
    const marker = join(lab.path, "hook-ran");
    const fake = new FakeCriu(join(lab.path, `fake${version.join(".")}`), {
      at: "restore",
      does: "die",
      version,
    });
    const { linux } = bundle.config();
    const hook = join(lab.path, "hook");
    writeFileSync(hook, `#!/bin/sh\necho > ${marker}\n`, { mode: 0o755 });
    bundle.edit((config) => {
      config.hooks = { prestart: [{ path: hook }], createRuntime: [{ path: hook }] };
      if (!pids) config.linux.namespaces = linux.namespaces.filter((n: Json) => n.type !== "pid");
    });
    try {
      const said = refused(flags, fake.env);
      expect(said).toContain(says);
      expect(said).toContain("or name one with --criu");
      expect(existsSync(marker)).toBe(false);
      expect(existsSync(join(fake.directory, "moment"))).toBe(false);
    } finally {
      bundle.edit((config) => Object.assign(config, { linux, hooks: {} }));
    }
  });
}
