import { expect, test } from "bun:test";
import {
  existsSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { AT_FDCWD, O_DIRECTORY, O_PATH, openAt } from "../../../internal/linux/fd.ts";
import { type Missing, resolveInRoot } from "../../../internal/linux/path.ts";

/** A root directory with a secret beside it that no path inside may reach. */
function tree(): Disposable & {
  root: string;
  resolve(path: string, missing?: Missing): { path: string; existed: boolean; ino?: number };
} {
  const directory = mkdtempSync("/tmp/thaw-path-");
  const root = join(directory, "root");
  mkdirSync(join(root, "var/real"), { recursive: true });
  mkdirSync(join(directory, "secret"));
  writeFileSync(join(root, "file"), "x");
  const fd = openAt(AT_FDCWD, root, O_PATH | O_DIRECTORY);
  return {
    root,
    resolve: (path, missing = "nothing") => {
      using found = resolveInRoot(fd.fd, path, missing);
      const { path: inside, existed } = found;
      return {
        path: inside,
        existed,
        ...(found.fd === undefined ? {} : { ino: fstatSync(found.fd).ino }),
      };
    },
    [Symbol.dispose]: () => {
      fd.close();
      rmSync(directory, { recursive: true });
    },
  };
}

const ino = (path: string) => statSync(path).ino;

test.each(["/var/real", "var/real", "//var/./real/", "/var/real/.", "/var/../var/real"])(
  "resolveInRoot() finds %p",
  (path) => {
    using t = tree();
    const real = ino(join(t.root, "var/real"));
    expect(t.resolve(path)).toEqual({ path: "/var/real", existed: true, ino: real });
  },
);

test("resolveInRoot() gives the root itself for / and for what leads above it", () => {
  using t = tree();
  for (const path of ["/", "", ".", "..", "/../../..", "var/..", "var/../../.."])
    expect(t.resolve(path)).toEqual({ path: "/", existed: true, ino: ino(t.root) });
});

test.each([
  ["relative", "real", "/var/link/x"],
  ["absolute", "/var/real", "/var/link/x"],
  ["climbing", "../../../../../var/real", "/var/link/x"],
  ["through itself", "../var/./real/", "/var/link/x"],
])("resolveInRoot() follows a %s link inside the root", (_, target, path) => {
  using t = tree();
  symlinkSync(target, join(t.root, "var/link"));
  writeFileSync(join(t.root, "var/real/x"), "");
  const real = ino(join(t.root, "var/real/x"));
  expect(t.resolve(path)).toEqual({ path: "/var/real/x", existed: true, ino: real });
});

test("resolveInRoot() never leaves the root by links to the host", () => {
  using t = tree();
  symlinkSync("/", join(t.root, "to-root"));
  symlinkSync("../secret", join(t.root, "up"));
  symlinkSync(join(t.root, "../secret"), join(t.root, "host"));
  symlinkSync("/etc/passwd", join(t.root, "passwd"));
  expect(t.resolve("/to-root/var")).toMatchObject({ path: "/var", existed: true });
  expect(t.resolve("/up")).toEqual({ path: "/secret", existed: false });
  expect(t.resolve("/passwd")).toEqual({ path: "/etc/passwd", existed: false });
  expect(t.resolve("/host").existed).toBe(false);
  expect(t.resolve("/host").ino).toBeUndefined();
});

test("resolveInRoot() makes what a link to the host names inside the root", () => {
  using t = tree();
  symlinkSync("/thaw-only-here/d", join(t.root, "out"));
  symlinkSync("../../secret/f", join(t.root, "var/up"));
  expect(t.resolve("/out", "directory")).toMatchObject({ path: "/thaw-only-here/d" });
  expect(t.resolve("/var/up", "file")).toMatchObject({ path: "/secret/f", existed: false });
  expect(existsSync("/thaw-only-here")).toBe(false);
  expect(readdirSync(join(t.root, "../secret"))).toEqual([]);
  expect(statSync(join(t.root, "thaw-only-here/d")).isDirectory()).toBe(true);
  expect(statSync(join(t.root, "secret/f")).isFile()).toBe(true);
});

test("resolveInRoot() gives up on a loop of links", () => {
  using t = tree();
  symlinkSync("b", join(t.root, "a"));
  symlinkSync("a", join(t.root, "b"));
  symlinkSync("self/x", join(t.root, "self"));
  for (const path of ["/a", "/b/c", "/self"])
    expect(() => t.resolve(path)).toThrow(`resolve ${path}: too many levels of symbolic links`);
});

test("resolveInRoot() follows a chain of 255 links and no more", () => {
  using t = tree();
  symlinkSync("/var", join(t.root, "l0"));
  for (let i = 1; i < 256; i++) symlinkSync(`l${i - 1}`, join(t.root, `l${i}`));
  expect(t.resolve("/l254")).toMatchObject({ path: "/var", existed: true });
  expect(() => t.resolve("/l255")).toThrow("too many levels of symbolic links");
});

test("resolveInRoot() makes nothing when nothing is to be made", () => {
  using t = tree();
  symlinkSync("gone", join(t.root, "dangling"));
  expect(t.resolve("/a/b/c")).toEqual({ path: "/a/b/c", existed: false });
  expect(t.resolve("/dangling/x")).toEqual({ path: "/gone/x", existed: false });
  expect(readdirSync(t.root).sort()).toEqual(["dangling", "file", "var"]);
});

test("resolveInRoot() makes missing directories on the way to a directory", () => {
  using t = tree();
  const made = t.resolve("/a/b/c", "directory");
  expect(made).toEqual({ path: "/a/b/c", existed: false, ino: ino(join(t.root, "a/b/c")) });
  expect(t.resolve("/a/b/c", "directory")).toEqual({ ...made, existed: true });
});

test("resolveInRoot() makes a file, empty, in missing directories", () => {
  using t = tree();
  const made = t.resolve("/etc/hosts", "file");
  expect(made).toEqual({ path: "/etc/hosts", existed: false, ino: ino(join(t.root, "etc/hosts")) });
  const { size, mode } = statSync(join(t.root, "etc/hosts"));
  expect([size, mode & 0o7133]).toEqual([0, 0]);
  expect(t.resolve("/etc/hosts", "file")).toEqual({ ...made, existed: true });
});

test("resolveInRoot() leaves what exists as it is, whatever was asked for", () => {
  using t = tree();
  expect(t.resolve("/file", "directory")).toEqual({
    path: "/file",
    existed: true,
    ino: ino(join(t.root, "file")),
  });
  expect(t.resolve("/var", "file")).toMatchObject({ path: "/var", existed: true });
});

test("resolveInRoot() refuses a path through a file", () => {
  using t = tree();
  for (const missing of ["nothing", "directory", "file"] as const)
    expect(() => t.resolve("/file/x", missing)).toThrow("not a directory");
});

test("resolveInRoot() takes .. below a missing directory back by name", () => {
  using t = tree();
  expect(t.resolve("/missing/../new").path).toBe("/new");
  expect(t.resolve("/a/b/../../../../x/y").path).toBe("/x/y");
  expect(t.resolve("/missing/../var/real").path).toBe("/var/real");
});

test("resolveInRoot() refuses a NUL in a name", () => {
  using t = tree();
  expect(() => t.resolve("/var\0x", "directory")).toThrow("contains a NUL byte");
});

test("resolveInRoot() leaves no descriptor open, also when it fails", () => {
  using t = tree();
  symlinkSync("loop", join(t.root, "loop"));
  t.resolve("/var/real");
  const before = readdirSync("/proc/self/fd").length;
  for (let i = 0; i < 50; i++) {
    t.resolve("/var/real");
    t.resolve("/var/real/../../a/b", "directory");
    expect(() => t.resolve("/var/real/../../loop/x")).toThrow();
    expect(() => t.resolve("/file/x")).toThrow();
  }
  expect(readdirSync("/proc/self/fd").length).toBe(before);
});

test("resolveInRoot() says that a path existed also when .. led through a missing name", () => {
  using t = tree();
  expect(t.resolve("/missing/../var/real")).toMatchObject({ path: "/var/real", existed: true });
});
