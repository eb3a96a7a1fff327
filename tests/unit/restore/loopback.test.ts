import { expect, test } from "bun:test";
import { readlinkSync } from "node:fs";
import { raiseLoopback } from "../../../internal/linux/network.ts";
import { raiseContainerLoopback } from "../../../internal/restore/loopback.ts";
import type { RestorePlan } from "../../../internal/restore/plan.ts";

/** A plan of nothing but its network namespace, and the warnings it gets. */
function planned(path: string | undefined) {
  const warnings: string[] = [];
  const namespaces = path === undefined ? [] : [{ type: "NEWNET", path }];
  const log = { debug: () => {}, warn: (text: string) => warnings.push(text) };
  return { plan: { config: { namespaces }, options: { log } } as unknown as RestorePlan, warnings };
}

const GONE = 2 ** 22 + 1; // no pid: larger than pid_max can be

test("a loopback interface that cannot be raised is a warning, not an error", () => {
  const { plan, warnings } = planned("");
  raiseContainerLoopback(plan, GONE);
  expect(warnings).toEqual([
    `cannot raise lo in the container's network namespace: readlink /proc/${GONE}/ns/net: no such file or directory`,
  ]);
});

test("the namespace that config.json names is not entered", () => {
  const { plan, warnings } = planned("/proc/self/ns/net");
  raiseContainerLoopback(plan, process.pid);
  expect(warnings).toEqual([]);
});

test("our own network namespace is left alone, and the thread comes back from another", () => {
  const before = readlinkSync("/proc/thread-self/ns/net");
  expect(raiseLoopback(process.pid)).toBe(false);
  const other = Bun.spawn(["unshare", "-n", "sleep", "60"]);
  try {
    const link = () => readlinkSync(`/proc/${other.pid}/ns/net`);
    while (link() === before) Bun.sleepSync(5);
    expect(raiseLoopback(other.pid)).toBe(true);
  } finally {
    other.kill("SIGKILL");
  }
  expect(readlinkSync("/proc/thread-self/ns/net")).toBe(before);
});
