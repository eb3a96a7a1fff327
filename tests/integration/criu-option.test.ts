/** `--criu PATH`: which criu is used, and what is said when it cannot be. @module */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { type Bundle, Lab, must, run, THAW, traces } from "../support/lab.ts";
import { steadyBundle } from "../support/steady.ts";

let lab: Lab;
let bundle: Bundle;
let id: string;
let image: string;
/** A directory with a criu that says when it was used. */
let other: string;
/** PATH with everything but a criu. */
let withoutCriu: string;

const used = () => join(lab.path, "used");

beforeAll(() => {
  lab = new Lab();
  bundle = steadyBundle(lab);
  id = lab.id();
  image = lab.checkpointed(bundle, id);
  other = join(lab.path, "other");
  mkdirSync(other);
  const script = `#!/bin/sh\necho "$0" >> ${used()}\nexec ${Bun.which("criu")} "$@"\n`;
  writeFileSync(join(other, "criu-4"), script);
  chmodSync(join(other, "criu-4"), 0o755);
  writeFileSync(join(other, "text"), "no program");
  withoutCriu = join(lab.path, "path");
  mkdirSync(withoutCriu);
  for (const name of ["tar", "gzip", "sh", "iptables", "iptables-restore", "ip6tables-restore"])
    symlinkSync(Bun.which(name) as string, join(withoutCriu, name));
});

afterAll(() => lab[Symbol.dispose]());

function restore(criu: string, options: { cwd?: string; path?: string } = {}) {
  const argv = [THAW, "--root", lab.root, "--criu", criu, "restore", "-d", "-b", bundle.path];
  const env = options.path === undefined ? {} : { PATH: options.path };
  return run([...argv, "--image-path", image, id], { cwd: options.cwd ?? "/", env });
}

const WAYS: readonly (readonly [string, () => ReturnType<typeof restore>])[] = [
  ["an absolute path", () => restore(join(other, "criu-4"), { path: withoutCriu })],
  ["a path relative to the caller", () => restore("./criu-4", { cwd: other, path: withoutCriu })],
  [
    "a path that goes up",
    () => restore(relative(lab.root, join(other, "criu-4")), { cwd: lab.root, path: withoutCriu }),
  ],
  ["a name on PATH", () => restore("criu-4", { path: `${other}:${withoutCriu}` })],
];

test.each(WAYS)("--criu takes %s", (_, act) => {
  run(["rm", "-f", used()]);
  expect(act()).toEqual({ status: 0, stdout: "", stderr: "" });
  expect(lab.status(id)).toBe("running");
  expect(existsSync(used())).toBe(true);
  lab.delete(id);
});

test("an empty --criu is one that was not given", () => {
  run(["rm", "-f", used()]);
  must(restore(""));
  expect(existsSync(used())).toBe(false);
  lab.delete(id);
});

const REMEDY = "give --criu the path of a criu, or leave it out to use the one on PATH";
const BAD: readonly (readonly [string, () => string, RegExp])[] = [
  ["is not there", () => join(other, "nope"), /--criu \S*\/other\/nope: no such file or directory/],
  ["is a directory", () => other, /--criu \S*\/other: not a file/],
  ["cannot be executed", () => join(other, "text"), /--criu \S*\/other\/text: permission denied/],
  ["is below a file", () => join(other, "text/x"), /--criu \S*\/text\/x: not a directory/],
  [
    "is not on PATH",
    () => "no-such-criu",
    /--criu no-such-criu: exec: \\"no-such-criu\\": executable file not found in \$PATH/,
  ],
];

test.each(BAD)("a --criu that %s is refused, and nothing is left", (_, criu, says) => {
  const before = traces(lab);
  const { status, stdout, stderr } = restore(criu());
  expect([status, stdout]).toEqual([1, ""]);
  expect(stderr).toMatch(/^time="[^"]*" level=error msg="[^\n]*"\n$/);
  expect(stderr).toMatch(says);
  expect(stderr).toContain(REMEDY);
  expect(traces(lab)).toEqual(before);
});

test("--version tells of the criu that is used", () => {
  const line = (...argv: string[]) => {
    const { stdout } = must(run([THAW, ...argv, "--version"]));
    return stdout.split("\n").find((text) => text.startsWith("criu: "));
  };
  expect(line("--criu", join(other, "criu-4"))).toMatch(/^criu: 4\.\S+ \(\S+\/other\/criu-4\)$/);
  expect(line("--criu", "/nope")).toBe("criu: not found (/nope)");
  expect(line("--criu", "")).toMatch(/^criu: \d\S+ \(\//);
});
