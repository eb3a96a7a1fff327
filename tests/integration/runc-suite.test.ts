/**
 * runc's own integration tests, from its source in Debian, with thaw in runc's place: they drive
 * checkpoint, restore and what comes after, and know nothing of thaw.
 *
 * A test that fails with thaw counts when it succeeds with runc on the same machine.
 *
 * @module
 */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { must, run, THAW } from "../support/lab.ts";

/** Those that use a command which thaw answers. */
const FILES = [
  "capabilities",
  "checkpoint",
  "cpu_affinity",
  "cwd",
  "delete",
  "events",
  "exec",
  "kill",
  "list",
  "pause",
  "ps",
  "state",
  "tty",
  "update",
];

let suite: string;
const counts = { passed: 0, skipped: 0, alsoWithRunc: 0 };

beforeAll(() => {
  const prepared = run([join(import.meta.dir, "../support/runc-suite.sh")], { timeout: 300_000 });
  suite = must(prepared).stdout.trim();
}, 300_000);

afterAll(() => console.log("runc's tests:", counts));

// One of them writes to /etc/criu and leaves it; orphans must be reaped at once, which the shell as
// pid 1 does; terminals need one that controls them.
const SETTING = `
  mount -t tmpfs none /tmp
  cp -a /etc /tmp/etc
  mount --bind /tmp/etc /etc
  cd "$1/runc/tests/integration"
  export RUNC="$2" PATH="$1/bin:$PATH"
  script -qec "bats --filter-tags '!hangs' --tap '$3.bats'" /dev/null || :
`;

/** The names of the tests of a file by how they went, and what was printed. */
function results(file: string, runtime: string) {
  const own = [
    ...[
      "unshare",
      "-m",
      "-p",
      "--propagation",
      "private",
      "--mount-proc",
      "--fork",
      "--kill-child",
    ],
    ...["sh", "-ec", SETTING, "sh"],
  ];
  const { stdout } = run([...own, suite, runtime, file], { timeout: 110_000 });
  const all = [...stdout.matchAll(/^(ok|not ok) \d+ (.*?)(?: # (skip).*)?\r?$/gm)];
  const names = (how: string) => all.filter((t) => (t[3] ?? t[1]) === how).map((t) => t[2] ?? "");
  const planned = Number(/^1\.\.(\d+)/m.exec(stdout)?.[1] ?? 0);
  const whole = all.length === planned && planned > 0;
  return { passed: names("ok"), failed: names("not ok"), skipped: names("skip"), whole, stdout };
}

for (const file of FILES) {
  test(`runc's tests of ${file}`, () => {
    const own = results(file, THAW);
    expect(own).toMatchObject({ whole: true, stdout: expect.any(String) });
    counts.passed += own.passed.length;
    counts.skipped += own.skipped.length;
    if (own.failed.length === 0) return;
    const theirs = results(file, Bun.which("runc") as string);
    counts.alsoWithRunc += own.failed.length;
    const worse = own.failed.filter((name) => !theirs.failed.includes(name));
    if (worse.length > 0) console.log(own.stdout);
    expect(worse).toEqual([]);
  });
}
