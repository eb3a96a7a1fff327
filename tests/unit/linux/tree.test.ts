import { expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { bindMount, detach, unmountTree } from "../../../internal/linux/mount.ts";
import { removeTree } from "../../../internal/linux/tree.ts";

/** A directory with files, directories and links out of it. */
function tree(): { path: string; outside: string } {
  const base = mkdtempSync("/tmp/thaw-tree-");
  const outside = join(base, "outside");
  const path = join(base, "tree");
  for (const name of [outside, path, join(path, "a"), join(path, "a/b")]) mkdirSync(name);
  writeFileSync(join(outside, "kept"), "kept");
  for (const name of ["state.json", "x", "a/y", "a/b/z"]) writeFileSync(join(path, name), "");
  symlinkSync(outside, join(path, "link"));
  symlinkSync(outside, join(path, "a/link"));
  return { path, outside };
}

function clear({ path, outside }: { path: string; outside: string }): void {
  expect(readFileSync(join(outside, "kept"), "utf8")).toBe("kept");
  unlinkSync(join(outside, "kept"));
  rmdirSync(outside);
  rmdirSync(join(path, ".."));
}

test("removeTree() removes all, follows no link, and says who removed the last", () => {
  const made = tree();
  expect(removeTree(made.path, "state.json")).toBe(true);
  expect(existsSync(made.path)).toBe(false);
  expect(removeTree(made.path, "state.json")).toBe(false);
  clear(made);
});

test("removeTree() refuses what is mounted, also from the same file system", () => {
  const made = tree();
  const mounted = join(made.path, "a/b");
  bindMount(made.outside, mounted);
  expect(() => removeTree(made.path, "state.json")).toThrow(
    `${mounted} is a mount: nothing is removed through it`,
  );
  expect(existsSync(join(made.path, "state.json"))).toBe(true);
  detach(mounted);
  expect(removeTree(made.path, "state.json")).toBe(true);
  clear(made);
});

test("unmountTree() takes away what is on a directory and below it", () => {
  const made = tree();
  const mounted = join(made.path, "a/b");
  bindMount(made.outside, mounted);
  bindMount(made.outside, mounted);
  bindMount(made.path, made.path);
  unmountTree(made.path);
  expect(existsSync(join(mounted, "z"))).toBe(true);
  expect(removeTree(made.path, "state.json")).toBe(true);
  clear(made);
});
