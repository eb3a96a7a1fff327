/**
 * Volumes, mount points and propagation. Run as the machine is, and again where `/` is a shared
 * mount, as systemd makes it.
 *
 * @module
 */

import { expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { FakeCriu } from "../support/fake-criu.ts";
import { type Bundle, countsOn, Lab, must, run, THAW } from "../support/lab.ts";
import { steadyBundle } from "../support/steady.ts";

const OK = { status: 0, stdout: "", stderr: "" };

/** Adds mounts to config.json. */
function withMounts(
  lab: Lab,
  mounts: readonly { destination: string; source?: string; type?: string; options?: string[] }[],
  before = "",
): Bundle {
  const add = mounts.map((mount) => ({ type: "bind", options: ["rbind"], ...mount }));
  return steadyBundle(lab, (config) => config.mounts.push(...add), before);
}

/** A directory of the lab with one file in it. */
function volume(lab: Lab, name: string): string {
  const path = join(lab.path, name);
  mkdirSync(path);
  writeFileSync(join(path, "file"), `of ${name}\n`);
  return path;
}

/** Reads a file as the container sees it. */
function readInside(lab: Lab, id: string, path: string): string {
  return readFileSync(`/proc/${lab.state(id).init_process_pid}/root${path}`, "utf8");
}

function mountinfo(): string {
  return readFileSync("/proc/self/mountinfo", "utf8");
}

function script(lab: Lab, name: string, lines: readonly string[]): string {
  const path = join(lab.path, name);
  writeFileSync(path, ["#!/bin/sh", ...lines, ""].join("\n"));
  chmodSync(path, 0o755);
  return path;
}

test("a bind volume comes back with its data", () => {
  using lab = new Lab();
  const source = volume(lab, "volume");
  const bundle = withMounts(lab, [{ destination: "/vol", source }], "echo out > /vol/out; ");
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const before = mountinfo();
  writeFileSync(join(source, "later"), "written after the checkpoint\n");
  expect(lab.restore(bundle, image, id)).toEqual(OK);
  countsOn(bundle, bundle.count());
  expect(readInside(lab, id, "/vol/file")).toBe("of volume\n");
  expect(readInside(lab, id, "/vol/out")).toBe("out\n");
  expect(readInside(lab, id, "/vol/later")).toBe("written after the checkpoint\n");
  expect(mountinfo()).toBe(before);
});

test("a bind inside a bind comes back, with both mount points missing", () => {
  using lab = new Lab();
  const [outer, inner] = [volume(lab, "outer"), volume(lab, "inner")];
  const bundle = withMounts(lab, [
    { destination: "/data", source: outer },
    { destination: "/data/nested", source: inner },
  ]);
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const before = mountinfo();
  rmdirSync(join(outer, "nested"));
  rmdirSync(join(bundle.rootfs, "data"));
  expect(lab.restore(bundle, image, id)).toEqual(OK);
  expect(readInside(lab, id, "/data/file")).toBe("of outer\n");
  expect(readInside(lab, id, "/data/nested/file")).toBe("of inner\n");
  expect(readdirSync(join(bundle.rootfs, "data"))).toEqual([]);
  expect(readdirSync(outer).sort()).toEqual(["file", "nested"]);
  expect(mountinfo()).toBe(before);
});

test("missing mount points are made: directories 0755, files 0644", () => {
  using lab = new Lab();
  const source = volume(lab, "volume");
  const file = join(source, "file");
  const bundle = withMounts(lab, [
    { destination: "/srv/deep/er", source },
    { destination: "/srv/conf/app.conf", source: file },
    { destination: "/scratch", source: "tmpfs", type: "tmpfs", options: [] },
  ]);
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const inRootfs = (path: string) => join(bundle.rootfs, path);
  unlinkSync(inRootfs("srv/conf/app.conf"));
  for (const path of ["srv/deep/er", "srv/deep", "srv/conf", "srv", "scratch"])
    rmdirSync(inRootfs(path));
  expect(lab.restore(bundle, image, id)).toEqual(OK);
  expect(readInside(lab, id, "/srv/deep/er/file")).toBe("of volume\n");
  expect(readInside(lab, id, "/srv/conf/app.conf")).toBe("of volume\n");
  const modes = ["srv", "srv/deep", "srv/deep/er", "srv/conf", "srv/conf/app.conf", "scratch"].map(
    (path) => `${path} ${(statSync(inRootfs(path)).mode & 0o7777).toString(8)}`,
  );
  expect(modes).toEqual([
    "srv 755",
    "srv/deep 755",
    "srv/deep/er 755",
    "srv/conf 755",
    "srv/conf/app.conf 644",
    "scratch 755",
  ]);
  expect(statSync(inRootfs("srv/conf/app.conf")).size).toBe(0);
});

test("a tmpfs comes back with its data, and a bind on it", () => {
  using lab = new Lab();
  const source = volume(lab, "volume");
  const bundle = withMounts(
    lab,
    [
      { destination: "/scratch", source: "tmpfs", type: "tmpfs", options: ["size=1m", "mode=700"] },
      { destination: "/scratch/in", source },
    ],
    "echo kept > /scratch/file; ",
  );
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  expect(lab.restore(bundle, image, id)).toEqual(OK);
  expect(readInside(lab, id, "/scratch/file")).toBe("kept\n");
  expect(readInside(lab, id, "/scratch/in/file")).toBe("of volume\n");
  const root = `/proc/${lab.state(id).init_process_pid}/root/scratch`;
  expect((statSync(root).mode & 0o7777).toString(8)).toBe("700");
  expect(readdirSync(join(bundle.rootfs, "scratch"))).toEqual([]);
});

test("what the host mounts later in a shared volume appears in the container", () => {
  using lab = new Lab();
  const source = join(lab.path, "shared");
  mkdirSync(source);
  must(run(["mount", "-t", "tmpfs", "none", source]));
  must(run(["mount", "--make-shared", source]));
  const bundle = withMounts(lab, [
    { destination: "/vol", source, options: ["rbind", "rshared"] },
    { destination: "/sl", source, options: ["rbind", "rslave"] },
    { destination: "/plain", source },
  ]);
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const before = mountinfo();
  expect(lab.restore(bundle, image, id)).toEqual(OK);
  countsOn(bundle, bundle.count());
  expect(mountinfo()).toBe(before);

  const later = join(source, "later");
  mkdirSync(later);
  must(run(["mount", "-t", "tmpfs", "none", later]));
  writeFileSync(join(later, "file"), "from the host\n");
  expect(readInside(lab, id, "/vol/later/file")).toBe("from the host\n");
  expect(readInside(lab, id, "/sl/later/file")).toBe("from the host\n");
});

test("what a createRuntime hook mounts is seen on the host", () => {
  using lab = new Lab();
  const target = join(lab.path, "hooked");
  mkdirSync(target);
  const bundle = steadyBundle(lab);
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const hook = script(lab, "hook", [`mount -t tmpfs none ${target}`, `echo x > ${target}/made`]);
  bundle.edit((config) => {
    config.hooks = { createRuntime: [{ path: hook }] };
  });
  expect(lab.restore(bundle, image, id)).toEqual(OK);
  expect(readFileSync(join(target, "made"), "utf8")).toBe("x\n");
});

test("a hook sees the host's mounts: nothing of thaw's, never criu-root", () => {
  using lab = new Lab();
  const source = volume(lab, "volume");
  const bundle = withMounts(lab, [{ destination: "/vol", source }]);
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const copy = join(lab.path, "mountinfo");
  const hook = script(lab, "hook", [`cat /proc/self/mountinfo > ${copy}`]);
  bundle.edit((config) => {
    config.hooks = { createRuntime: [{ path: hook }] };
  });
  const before = mountinfo();
  expect(lab.restore(bundle, image, id)).toEqual(OK);
  expect(readFileSync(copy, "utf8")).toBe(before);
});

for (const moment of ["version", "pre-restore", "post-setup-namespaces", "post-restore"]) {
  test(`the host sees no mount of a restore at ${moment}`, async () => {
    using lab = new Lab();
    const source = volume(lab, "volume");
    const bundle = withMounts(lab, [{ destination: "/vol", source }]);
    const id = lab.id();
    const image = lab.checkpointed(bundle, id);
    const before = mountinfo();
    const fake = new FakeCriu(join(lab.path, "fake"), { holds: moment });
    await using thaw = Bun.spawn(
      [THAW, "--root", lab.root, "restore", "-d", "-b", bundle.path, "--image-path", image, id],
      { stdio: ["ignore", "ignore", "ignore"], env: { ...process.env, ...fake.env } },
    );
    fake.waitForMoment();
    expect(mountinfo()).toBe(before);
    // Nor does thaw itself, once criu has its own copy.
    const own = readFileSync(`/proc/${thaw.pid}/mountinfo`, "utf8");
    if (moment !== "version") expect(own).toBe(before);
    thaw.kill("SIGTERM");
    await thaw.exited;
    expect(mountinfo()).toBe(before);
  });
}

test("links in the rootfs are resolved inside it", () => {
  using lab = new Lab();
  const source = volume(lab, "volume");
  const bundle = steadyBundle(lab, (config) => {
    config.mounts.push({
      destination: "/var/link/x",
      source,
      type: "bind",
      options: ["rbind"],
    });
  });
  mkdirSync(join(bundle.rootfs, "var"));
  symlinkSync("/../../opt/./real", join(bundle.rootfs, "var/link"));
  mkdirSync(join(bundle.rootfs, "opt/real"), { recursive: true });
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  rmdirSync(join(bundle.rootfs, "opt/real/x"));
  expect(lab.restore(bundle, image, id)).toEqual(OK);
  expect(readInside(lab, id, "/opt/real/x/file")).toBe("of volume\n");
});

/** What a mount destination in the rootfs may turn into. */
const HOSTILE: readonly (readonly [string, (rootfs: string, outside: string) => void])[] = [
  [
    "an absolute link to an existing directory",
    (rootfs, outside) => symlinkSync(outside, join(rootfs, "trap")),
  ],
  [
    "an absolute link to what does not exist",
    (rootfs, outside) => symlinkSync(join(outside, "new"), join(rootfs, "trap")),
  ],
  [
    "a link with many ..",
    (rootfs, outside) =>
      symlinkSync(`${"../".repeat(40)}${outside.slice(1)}`, join(rootfs, "trap")),
  ],
  [
    "a link that goes up from a directory that exists",
    (rootfs, outside) =>
      symlinkSync(
        `bin/../../../${outside.split("/").slice(-1)[0]}/through-relative`,
        join(rootfs, "trap"),
      ),
  ],
  [
    "links to links",
    (rootfs, outside) => {
      symlinkSync(outside, join(rootfs, "second"));
      symlinkSync("second", join(rootfs, "trap"));
    },
  ],
  ["a dangling link", (rootfs) => symlinkSync("nowhere/at/all", join(rootfs, "trap"))],
  [
    "a loop",
    (rootfs) => {
      symlinkSync("second", join(rootfs, "trap"));
      symlinkSync("trap", join(rootfs, "second"));
    },
  ],
  ["a file", (rootfs) => writeFileSync(join(rootfs, "trap"), "")],
  [
    "a directory whose entries are links",
    (rootfs, outside) => {
      mkdirSync(join(rootfs, "trap"));
      symlinkSync(join(outside, "dir"), join(rootfs, "trap/dir"));
      symlinkSync(join(outside, "made-file"), join(rootfs, "trap/file"));
    },
  ],
];

test("a hostile rootfs makes nothing outside of it", () => {
  using lab = new Lab();
  const source = volume(lab, "volume");
  const bundle = withMounts(lab, [
    { destination: "/trap/dir/deep", source },
    { destination: "/trap/file", source: join(source, "file") },
    { destination: "/trap/scratch", source: "tmpfs", type: "tmpfs", options: [] },
  ]);
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  renameSync(join(bundle.rootfs, "trap"), join(lab.path, "good"));
  // Beside the bundle, so that `..` can reach it too.
  const outside = join(lab.path, "outside");
  mkdirSync(outside);
  writeFileSync(join(outside, "file"), "precious\n");
  const files = () =>
    run(["sh", "-c", "find . -printf '%p %M %s %T@\\n' | sort"], {
      cwd: outside,
    }).stdout;
  const etc = () => run(["find", "/etc", "/trap", "-newer", join(bundle.path, "config.json")]);
  const before = { files: files(), mounts: mountinfo(), etc: etc().stdout };

  for (const [what, set] of HOSTILE) {
    set(bundle.rootfs, outside);
    const ran = lab.restore(bundle, image, id);
    // Whether CRIU can work with it or not, it stays inside.
    expect([what, files()]).toEqual([what, before.files]);
    expect([what, etc().stdout]).toEqual([what, before.etc]);
    expect([what, mountinfo()]).toEqual([what, before.mounts]);
    if (what === "a loop") expect(ran.stderr).toContain("too many levels of symbolic links");
    if (ran.status === 0) lab.delete(id);
    expect(existsSync(join(lab.root, id))).toBe(false);
    for (const name of ["trap", "second"]) run(["busybox", "rm", "-rf", join(bundle.rootfs, name)]);
  }
  renameSync(join(lab.path, "good"), join(bundle.rootfs, "trap"));
  expect(lab.restore(bundle, image, id)).toEqual(OK);
});
