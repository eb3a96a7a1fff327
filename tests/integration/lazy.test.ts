/** Memory that arrives later: restore --lazy-pages, CRIU's daemon and its guardian. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { startTime } from "../../internal/linux/process.ts";
import { Lab, run, THAW, traces, waitFor } from "../support/lab.ts";
import { type FullOfMemory, fullOfMemory } from "../support/memory.ts";

const MEGABYTE = 1024 * 1024;
let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab[Symbol.dispose]());

/** Pids of processes that have a word in their command line which names this lab. */
function processesWith(word: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
        return (
          command.includes(word) && (command.some((w) => w.startsWith(lab.path)) || guards(pid))
        );
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** A guardian is known by its daemon. */
function guards(pid: string): boolean {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ");
  return children
    .filter(Boolean)
    .some((child) => readFileSync(`/proc/${child}/cmdline`, "utf8").includes(lab.path));
}

/** Waits for a guardian's end; without its daemon it is found no more. */
function ended(guardian: number): void {
  expect(guardian).toBeGreaterThan(0);
  waitFor(() => startTime(guardian) === undefined, "the guardian to end");
}

const daemons = () => processesWith("lazy-pages");
const guardians = () => processesWith("lazy-pages-guardian");

test("the container runs before its memory is there, and every byte arrives", () => {
  const size = 512 * MEGABYTE; // takes longer than to look for whoever brings it
  const { bundle, image, go, done, written } = fullOfMemory(lab, size);
  const [work, log, status] = ["work", "log", "status"].map((name) => join(lab.path, name)) as [
    string,
    string,
    string,
  ];
  const id = lab.id();
  const restored = run([
    "sh",
    "-c",
    `exec 5>${status}; exec "$@" </dev/null >/dev/null 2>/dev/null`,
    "sh",
    ...[THAW, "--root", lab.root],
    ...["--log", log, "restore", "-d", "--bundle", bundle.path, "--image-path", image],
    ...["--work-path", work, "--lazy-pages", "--status-fd", "5", id],
  ]);
  expect(`${restored.status} ${readFileSync(log)}`).toBe("0 ");
  const [guardian = 0, ...others] = guardians();
  expect(others).toEqual([]);
  expect(daemons()).toHaveLength(1);
  expect(existsSync(join(lab.root, id, "lazy-pages.json"))).toBe(true);
  renameSync(image, `${image}.gone`); // the daemon has what it needs
  go();
  done();
  expect(written()).toEqual({ same: size, length: size });
  ended(guardian);
  expect(daemons()).toEqual([]);
  expect(readFileSync(status)).toEqual(Buffer.from("\0"));
  expect(readFileSync(log, "utf8")).toContain(`all memory of ${id} has arrived`);
  expect(existsSync(join(lab.root, id, "lazy-pages.json"))).toBe(false);
  expect(existsSync(join(work, "lazy-pages.socket"))).toBe(false);
  expect(lab.status(id)).toBe("running");
});

/** Restores with lazy pages; returns the log. */
function restoreLazily(memory: FullOfMemory, id: string, ...flags: string[]): string {
  const log = join(lab.path, "log");
  const { bundle, image } = memory;
  const args = ["--log", log, "restore", "-d", "--bundle", bundle.path, "--image-path", image];
  const { status, stderr } = lab.thaw([...args, "--lazy-pages", ...flags, id]);
  expect(`${status} ${stderr}`).toBe("0 ");
  return log;
}

test("a daemon that dies in the middle takes the container with it, and no wrong byte gets out", () => {
  const size = 1024 * MEGABYTE;
  const memory = fullOfMemory(lab, size);
  const id = lab.id();
  const log = restoreLazily(memory, id, "--work-path", join(lab.path, "work"));
  const [daemon = 0] = daemons();
  const [guardian = 0] = guardians();
  process.kill(guardian, "SIGSTOP"); // slow on purpose: what it holds must do until it wakes
  memory.go();
  const out = join(memory.bundle.rootfs, "out");
  waitFor(() => existsSync(out) && statSync(out).size > 0, "the first byte");
  process.kill(daemon, "SIGKILL");
  Bun.sleepSync(1500);
  expect(lab.status(id)).toBe("running");
  process.kill(guardian, "SIGCONT");
  waitFor(() => lab.status(id) === "stopped", "the container to be stopped");
  ended(guardian);
  const { same, length } = memory.written();
  expect(same).toBe(length); // what got out is right
  expect(length).toBeLessThan(size); // and it was in the middle
  expect(readFileSync(log, "utf8")).toMatch(
    new RegExp(
      `level=error msg="criu lazy-pages ended before all memory of ${id} had arrived: signal: killed.*killed`,
    ),
  );
});

test("a container that ends first takes daemon and guardian with it", () => {
  const memory = fullOfMemory(lab, 256 * MEGABYTE);
  const id = lab.id();
  restoreLazily(memory, id);
  const [guardian = 0] = guardians();
  lab.delete(id);
  ended(guardian);
  expect(daemons()).toEqual([]);
  expect(existsSync(join(memory.image, "lazy-pages.socket"))).toBe(false);
});

test("in the foreground the exit status is the container's, and nothing outlives it", async () => {
  const memory = fullOfMemory(lab, 64 * MEGABYTE);
  const id = lab.id();
  await using thaw = Bun.spawn(
    [
      ...[THAW, "--root", lab.root, "restore", "--bundle", memory.bundle.path],
      ...["--image-path", memory.image, "--lazy-pages", id],
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  const mark = join(lab.root, id, "lazy-pages.json");
  waitFor(() => existsSync(mark), "the memory to begin to arrive");
  memory.go();
  memory.done();
  waitFor(() => !existsSync(mark), "the rest of it"); // or the end of the container comes first
  memory.go();
  expect(await thaw.exited).toBe(0);
  expect(guardians().length + daemons().length).toBe(0);
  expect(memory.written()).toEqual({ same: 64 * MEGABYTE, length: 64 * MEGABYTE });
  expect(await new Response(thaw.stderr).text()).toContain("has arrived");
});

test("a daemon that listens already is used, and is its owner's", async () => {
  const memory = fullOfMemory(lab, 64 * MEGABYTE);
  const id = lab.id();
  const words = ["criu", "lazy-pages", "-D", memory.image, "-W", memory.image];
  await using mine = Bun.spawn(words, { stdio: ["ignore", "ignore", "ignore"] });
  waitFor(() => existsSync(join(memory.image, "lazy-pages.socket")), "the daemon");
  restoreLazily(memory, id);
  expect(guardians()).toEqual([]);
  memory.go();
  memory.done();
  expect(memory.written().same).toBe(64 * MEGABYTE);
  expect(await mine.exited).toBe(0);
});

test("a socket that nobody listens on any more is replaced", () => {
  const memory = fullOfMemory(lab, 16 * MEGABYTE);
  const id = lab.id();
  const words = ["criu", "lazy-pages", "-D", memory.image, "-W", memory.image];
  const stale = Bun.spawn(words, { stdio: ["ignore", "ignore", "ignore"] });
  waitFor(() => existsSync(join(memory.image, "lazy-pages.socket")), "the daemon");
  stale.kill("SIGKILL");
  waitFor(
    () => stale.signalCode !== null || stale.exitCode !== null || !isAlive(stale.pid),
    "its end",
  );
  restoreLazily(memory, id);
  memory.go();
  memory.done();
  expect(memory.written().same).toBe(16 * MEGABYTE);
});

const isAlive = (pid: number) =>
  !/^\d+ \(.*\) Z/.test(run(["cat", `/proc/${pid}/stat`]).stdout || "0 () Z");

interface Case {
  readonly name: string;
  readonly change?: (memory: FullOfMemory) => void;
  readonly flags?: readonly string[];
  readonly says: string;
}

describe("a restore that fails leaves neither daemon nor guardian", () => {
  const cases: readonly Case[] = [
    {
      name: "CRIU fails",
      change: ({ bundle }) => rmSync(join(bundle.rootfs, "data")),
      says: "data is missing",
    },
    {
      name: "a hook fails",
      change: ({ bundle }) =>
        bundle.edit((config) => {
          config.hooks = { prestart: [{ path: "/bin/false" }] };
        }),
      says: "prestart hook #0",
    },
    {
      name: "the daemon cannot start",
      change: ({ image }) => mkdirSync(join(image, "lazy-pages.log")),
      says: "criu lazy-pages: exit status 1",
    },
    { name: "a closed --status-fd", flags: ["--status-fd", "77"], says: "77: no such descriptor" },
    { name: "a wrong --status-fd", flags: ["--status-fd", "x"], says: "for flag -status-fd" },
  ];
  for (const { name, change, flags = [], says } of cases) {
    test(name, () => {
      const memory = fullOfMemory(lab, 16 * MEGABYTE);
      change?.(memory);
      const before = traces(lab);
      const ran = lab.restore(memory.bundle, memory.image, lab.id(), ["--lazy-pages", ...flags]);
      expect(ran.status).toBe(1);
      expect(ran.stderr).toContain(says);
      expect(traces(lab)).toEqual(before);
      expect(existsSync(join(memory.image, "lazy-pages.socket"))).toBe(false);
    });
  }
});

test("--status-fd without --lazy-pages, and the guardian by hand, are refused", () => {
  const bundle = lab.bundle();
  const status = lab.restore(bundle, lab.path, lab.id(), ["--status-fd", "2"]);
  expect(`${status.status} ${status.stderr}`).toContain(
    "--status-fd is of use with --lazy-pages only",
  );
  const guardian = lab.thaw(["lazy-pages-guardian"]);
  expect(guardian.status).toBe(1);
  expect(guardian.stderr).toContain("this command is part of restore --lazy-pages");
  expect(lab.thaw(["--help"]).stdout).not.toContain("guardian");
});
