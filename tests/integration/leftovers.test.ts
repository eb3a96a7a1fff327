/** Every stage made to fail from outside: one line says why, and nothing is left. @module */

import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type Behaviour, FakeCriu } from "../support/fake-criu.ts";
import { type Bundle, countsOn, type Json, Lab, must, run, THAW, traces } from "../support/lab.ts";
import { leftBehind, underNanny } from "../support/nanny.ts";
import { steadyBundle } from "../support/steady.ts";

let lab: Lab;
let bundle: Bundle;
let id: string;
let image: string;
let volume: string;
let config: Json;
let next = 0;

beforeAll(() => {
  lab = new Lab();
  volume = join(lab.path, "volume");
  mkdirSync(volume);
  bundle = steadyBundle(lab, (c) => {
    c.mounts.push({ destination: "/data", source: volume, type: "bind", options: ["rbind"] });
  });
  id = lab.id();
  image = lab.checkpointed(bundle, id);
  config = bundle.config();
});

afterAll(() => lab[Symbol.dispose]());

/** A new path in the lab. */
function fresh(name: string): string {
  return join(lab.path, `${name}${next++}`);
}

function directory(name: string): string {
  const path = fresh(name);
  mkdirSync(path);
  return path;
}

/** What makes a stage fail, and how to undo it. */
interface Trouble {
  readonly flags?: readonly string[];
  readonly root?: string;
  readonly image?: string;
  readonly env?: Record<string, string>;
  undo?(): void;
}

interface Failed {
  readonly status: number;
  readonly stderr: string;
}

/** Restores with trouble, and expects that nothing is left of it. */
function fail(trouble: Trouble): Failed {
  const before = traces(lab);
  const report = fresh("left");
  const argv = [THAW, "--root", trouble.root ?? lab.root, "restore", "-d", "-b", bundle.path];
  const flags = ["--image-path", trouble.image ?? image, ...(trouble.flags ?? [])];
  const ran = run(underNanny(report, [...argv, ...flags, id]), { env: trouble.env ?? {} });
  const after = traces(lab);
  expect(after.filter((line) => !before.includes(line))).toEqual([]);
  expect(before.filter((line) => !after.includes(line))).toEqual([]);
  expect(leftBehind(report)).toEqual([]);
  const images = run(["find", trouble.image ?? image, "-maxdepth", "1", "-name", ".criu*"]);
  expect(images.stdout).toBe("");
  const { root } = trouble;
  if (root !== undefined && existsSync(root)) expect(readdirSync(root)).toEqual([]);
  expect(ran.stdout).toBe("");
  return ran;
}

function fake(behaviour: Behaviour): Trouble {
  return { env: new FakeCriu(fresh("fake"), behaviour).env };
}

/** Edits config.json until undone. */
function edited(change: (config: Json) => void): Trouble {
  bundle.edit(change);
  return { undo: () => bundle.edit((now) => Object.assign(now, structuredClone(config))) };
}

function script(...lines: readonly string[]): string {
  const path = fresh("hook");
  writeFileSync(path, ["#!/bin/sh", ...lines, ""].join("\n"));
  chmodSync(path, 0o755);
  return path;
}

function hooks(hooks: Json): Trouble {
  const trouble = edited((c) => {
    c.hooks = hooks;
  });
  return {
    undo: () => {
      trouble.undo?.();
      bundle.edit((now) => {
        delete now.hooks;
      });
    },
  };
}

/** A directory that is a read-only mount of itself. */
function readOnly(path: string): void {
  must(run(["mount", "--bind", path, path]));
  must(run(["mount", "-o", "remount,bind,ro", path]));
}

function unmount(path: string): void {
  must(run(["umount", path]));
}

const TROUBLE: readonly (readonly [string, RegExp, () => Trouble])[] = [
  [
    "criu is not on PATH",
    /CRIU version check failed: exec: \\"criu\\": executable file not found in \$PATH/,
    () => ({ env: { PATH: directory("empty") } }),
  ],
  [
    "criu is no program",
    /CRIU version check failed: exec .*\/criu: exec format error/,
    () => {
      const path = directory("bin");
      writeFileSync(join(path, "criu"), "\0\0\0\0");
      chmodSync(join(path, "criu"), 0o755);
      return { env: { PATH: `${path}:${process.env["PATH"]}` } };
    },
  ],
  [
    "criu dies at VERSION",
    /CRIU version check failed: criu ended before it answered: exit status 7/,
    () => fake({ at: "version", does: "die" }),
  ],
  [
    "criu answers VERSION with garbage",
    /CRIU version check failed: unable to parse the response of criu/,
    () => fake({ at: "version", does: "garbage" }),
  ],
  [
    "criu refuses VERSION",
    /CRIU version check failed: criu did not say its version/,
    () => fake({ at: "version", does: "fail" }),
  ],
  [
    "criu answers VERSION with another type",
    /CRIU version check failed: criu did not say its version/,
    () => fake({ at: "version", does: "answer something else" }),
  ],
  [
    "criu closes the socket at VERSION and lives on",
    /CRIU version check failed: criu ended before it answered: it hangs/,
    () => fake({ at: "version", does: "close" }),
  ],
  [
    "criu dies at RESTORE",
    /criu ended before it answered: exit status 7/,
    () => fake({ at: "restore", does: "die" }),
  ],
  [
    "criu answers RESTORE with garbage",
    /unable to parse the response of criu/,
    () => fake({ at: "restore", does: "garbage" }),
  ],
  [
    "criu answers RESTORE with another type",
    /unable to parse the response of criu: unexpected type 1/,
    () => fake({ at: "restore", does: "answer something else" }),
  ],
  [
    "criu says that RESTORE failed",
    /criu failed: type RESTORE errno 3/,
    () => fake({ at: "restore", does: "fail" }),
  ],
  [
    "criu closes the socket at RESTORE and lives on",
    /criu ended before it answered: it hangs/,
    () => fake({ at: "restore", does: "close" }),
  ],
  [
    "criu claims success in a packet larger than any buffer, with descriptors nobody asked for",
    /criu reported success/,
    () => fake({ at: "restore", does: "lie at length" }),
  ],
  ["criu claims success", /criu reported success/, () => fake({ at: "restore", does: "lie" })],
  [
    "criu claims success with somebody else's pid",
    /criu reported success/,
    () => fake({ at: "restore", does: "lie", pid: process.pid }),
  ],
  [
    "criu dies at a notification",
    /criu ended before it answered: exit status 7/,
    () => fake({ at: "notify", does: "die" }),
  ],
  ...[
    "pre-restore",
    "setup-namespaces",
    "post-setup-namespaces",
    "post-restore",
    "network-unlock",
    "pre-resume",
    "post-resume",
  ].map(
    (killedAt) =>
      [
        `criu is killed at ${killedAt}`,
        /criu ended before it answered: signal: killed; out of memory\?/,
        () => fake({ killedAt }),
      ] as const,
  ),
  [
    "criu sends garbage after a notification",
    /unable to parse the response of criu/,
    () => fake({ at: "notify", does: "garbage" }),
  ],
  [
    "criu fails after a notification",
    /criu failed: type RESTORE errno 3/,
    () => fake({ at: "notify", does: "fail" }),
  ],
  [
    "criu claims success after one notification",
    /criu reported success/,
    () => fake({ at: "notify", does: "lie" }),
  ],
  [
    "the real criu fails with a task already made",
    /has bad size/,
    () => {
      const file = join(bundle.rootfs, "bin/busybox");
      const { size } = statSync(file);
      appendFileSync(file, "x");
      return { undo: () => truncateSync(file, size) };
    },
  ],
  [
    "the parent of the work path is missing",
    /mkdir \S+\/none\/work: no such file or directory/,
    () => ({ flags: ["--work-path", join(lab.path, "none/work")] }),
  ],
  [
    "the work path cannot be made",
    /mkdir \S+\/work: read-only file system/,
    () => {
      const path = directory("ro");
      readOnly(path);
      return { flags: ["--work-path", join(path, "work")], undo: () => unmount(path) };
    },
  ],
  [
    "the work path is read-only",
    /open \S+\/restore\.log: read-only file system/,
    () => {
      const path = directory("ro");
      readOnly(path);
      return { flags: ["--work-path", path], undo: () => unmount(path) };
    },
  ],
  [
    "the work path is a file",
    /not a directory/,
    () => {
      const path = fresh("file");
      writeFileSync(path, "");
      return { flags: ["--work-path", path] };
    },
  ],
  [
    "the image path is a file",
    /not a directory/,
    () => {
      const path = fresh("file");
      writeFileSync(path, "");
      return { image: path };
    },
  ],
  [
    "the image path is a loop of links",
    /too many levels of symbolic links/,
    () => {
      const path = fresh("loop");
      symlinkSync(path, path);
      return { image: path };
    },
  ],
  [
    "the state root is read-only",
    /mkdir \S+: read-only file system/,
    () => {
      const path = directory("ro");
      readOnly(path);
      return { root: join(path, "root"), undo: () => unmount(path) };
    },
  ],
  [
    "the state root has no room for anything",
    /write \S+\/thaw\.json: no space left on device/,
    () => {
      const path = directory("full");
      must(run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", path]));
      writeFileSync(join(path, "filler"), Buffer.alloc(4096));
      mkdirSync(join(path, "root"));
      return { root: join(path, "root"), undo: () => unmount(path) };
    },
  ],
  [
    "the state root has no room for state.json, when the tasks are there already",
    /write \S+\/state\.json: no space left on device/,
    () => {
      const path = directory("full");
      must(run(["mount", "-t", "tmpfs", "-o", "size=8k", "none", path]));
      return { root: path, undo: () => unmount(path) };
    },
  ],
  [
    "the rootfs is read-only and a mount point missing",
    /create criu restore mountpoint for \/data mount: mkdir data: read-only file system/,
    () => {
      rmdirSync(join(bundle.rootfs, "data"));
      readOnly(bundle.rootfs);
      return {
        undo: () => {
          unmount(bundle.rootfs);
          mkdirSync(join(bundle.rootfs, "data"));
        },
      };
    },
  ],
  [
    "the source of a bind has vanished",
    /for \/data mount: stat \S+: no such file or directory/,
    () => {
      renameSync(volume, `${volume}.gone`);
      return { undo: () => renameSync(`${volume}.gone`, volume) };
    },
  ],
  [
    "a cpuset names a CPU that is not there",
    /failed to write \\"99\\": write \S+\/cpuset\.cpus: /,
    () =>
      edited((c) => {
        c.linux.resources.cpu = { cpus: "99" };
      }),
  ],
  [
    "a memory limit is below what is used",
    /signal: killed|memory\.limit_in_bytes: /,
    () =>
      edited((c) => {
        c.linux.resources.memory = { limit: 4096 };
      }),
  ],
  [
    "a prestart hook fails",
    /error running prestart hook #0: exit status 3, stdout: said , stderr: complained/,
    () => hooks({ prestart: [{ path: script("echo said", "echo complained >&2", "exit 3") }] }),
  ],
  [
    "a prestart hook takes too long, with a child",
    /error running prestart hook #1: hook ran past specified timeout of 1\.0s/,
    () =>
      hooks({
        prestart: [{ path: "/bin/true" }, { path: script("sleep 100", "true"), timeout: 1 }],
      }),
  ],
  [
    "a prestart hook does not exist",
    /error running prestart hook #0: exec \/none\/hook: no such file or directory/,
    () => hooks({ prestart: [{ path: "/none/hook" }] }),
  ],
  [
    "a createRuntime hook fails",
    /error running createRuntime hook #0: exit status 4/,
    () => hooks({ createRuntime: [{ path: script("exit 4") }] }),
  ],
  [
    "a createRuntime hook kills itself",
    /error running createRuntime hook #0: signal: killed/,
    () => hooks({ createRuntime: [{ path: script("kill -9 $$") }] }),
  ],
  [
    "the pid file has no room, when the container runs already",
    /pid\S*: no space left on device/,
    () => {
      const path = directory("full");
      must(run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", path]));
      writeFileSync(join(path, "filler"), Buffer.alloc(4096));
      return { flags: ["--pid-file", join(path, "pid")], undo: () => unmount(path) };
    },
  ],
];

for (const [what, says, cause] of TROUBLE) {
  test(`nothing is left when ${what}`, () => {
    const trouble = cause();
    try {
      const ran = fail(trouble);
      expect(ran.status).toBe(1);
      expect(ran.stderr).toMatch(says);
      expect(ran.stderr.split("\n").filter((line) => line.includes("level=error"))).toHaveLength(1);
    } finally {
      trouble.undo?.();
    }
  });
}

test("nothing is left of the pid file that could not be written", () => {
  const path = directory("full");
  must(run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", path]));
  writeFileSync(join(path, "filler"), Buffer.alloc(4096));
  try {
    fail({ flags: ["--pid-file", join(path, "pid")] });
    expect(readdirSync(path)).toEqual(["filler"]);
  } finally {
    unmount(path);
  }
});

test("poststop hooks run once after a failed restore, without a pid", () => {
  const record = fresh("poststop");
  const trouble = hooks({
    prestart: [{ path: script("exit 3") }],
    poststop: [{ path: script(`cat >> ${record}`, `echo >> ${record}`) }],
  });
  try {
    expect(fail(trouble).stderr).toContain("prestart hook #0");
    const states = readFileSync(record, "utf8").trim().split("\n");
    expect(states).toHaveLength(1);
    const state = JSON.parse(states[0] ?? "");
    expect(state).toMatchObject({ id, bundle: bundle.path, status: "stopped" });
    expect(state.pid).toBeUndefined();
  } finally {
    trouble.undo?.();
  }
});

test("a failing poststop hook is told after what made the restore fail", () => {
  const trouble = hooks({
    prestart: [{ path: script("exit 3") }],
    poststop: [{ path: script("exit 4") }],
  });
  try {
    expect(fail(trouble).stderr).toMatch(/prestart hook #0: exit status 3.*poststop hook #0/);
  } finally {
    trouble.undo?.();
  }
});

test("after all of this the checkpoint still restores, with 0, 1 and 2 closed too", () => {
  const argv = [THAW, "--root", lab.root, "restore", "-d", "-b", bundle.path];
  const closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"];
  must(run([...closed, ...argv, "--image-path", image, id]));
  expect(lab.status(id)).toBe("running");
  countsOn(bundle, bundle.count());
  lab.delete(id);
  expect(existsSync(join(lab.root, id))).toBe(false);
});
