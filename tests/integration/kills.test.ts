/**
 * SIGKILL of thaw at every moment of a restore: nothing is left that could harm, the next restore
 * says what happened, and `thaw delete -f` cleans up without touching the root filesystem.
 *
 * @module
 */

import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Behaviour, FakeCriu } from "../support/fake-criu.ts";
import { type Bundle, countsOn, Lab, processesOf, run, THAW, waitFor } from "../support/lab.ts";
import { steadyBundle } from "../support/steady.ts";

/** When thaw is killed, and whether the container may run then. */
const MOMENTS: readonly (readonly [string, Behaviour, boolean])[] = [
  ["criu has not said its version", { holds: "version" }, false],
  ["criu has the request and has not answered", { at: "restore", does: "wait" }, false],
  ["pre-restore", { holds: "pre-restore" }, false],
  ["setup-namespaces", { holds: "setup-namespaces" }, false],
  ["post-setup-namespaces", { holds: "post-setup-namespaces" }, false],
  ["post-restore", { holds: "post-restore" }, false],
  ["network-unlock", { holds: "network-unlock" }, true],
  ["pre-resume", { holds: "pre-resume" }, true],
  ["post-resume", { holds: "post-resume" }, true],
  ["criu's last answer", { holds: "restore" }, true],
];

/** Everything in the rootfs with mode, size and hash, except what the counter writes. */
function listing(bundle: Bundle): string {
  const script =
    "find . -path ./tmp -prune -o -printf '%M %p %l\\n' | sort; " +
    "find . -path ./tmp -prune -o -type f -exec sha256sum {} + | sort";
  return run(["sh", "-c", script], { cwd: bundle.rootfs }).stdout;
}

function hostMounts(): string {
  return readFileSync("/proc/self/mountinfo", "utf8");
}

function criuTemporaries(): string[] {
  return readdirSync("/tmp").filter((name) => name.startsWith(".criu"));
}

for (const [moment, behaviour, mayRun] of MOMENTS) {
  test(`thaw killed at ${moment} leaves nothing that harms`, async () => {
    using lab = new Lab();
    const bundle = steadyBundle(lab);
    const id = lab.id();
    const image = lab.checkpointed(bundle, id);
    const files = listing(bundle);
    const mounts = hostMounts();
    const temporaries = criuTemporaries();
    const fake = new FakeCriu(join(lab.path, "fake"), behaviour);

    await using thaw = Bun.spawn(
      [THAW, "--root", lab.root, "restore", "-d", "-b", bundle.path, "--image-path", image, id],
      { stdio: ["ignore", "ignore", "ignore"], env: { ...process.env, ...fake.env } },
    );
    fake.waitForMoment();
    thaw.kill("SIGKILL");
    await thaw.exited;

    expect(hostMounts()).toBe(mounts);
    const others = () => processesOf(lab).filter((line) => !/^\d+ (sh|sleep) /.test(line));
    waitFor(() => others().length === 0, `criu to end: ${others()}`);
    const gone = () => criuTemporaries().every((name) => temporaries.includes(name));
    waitFor(gone, "criu's temporary directory to go");
    expect(hostMounts()).toBe(mounts);
    const state = join(lab.root, id);
    const known = ["criu-root", "state.json", "thaw.json"];
    expect(readdirSync(state).filter((name) => !known.includes(name))).toEqual([]);
    if (existsSync(join(state, "criu-root")))
      expect(readdirSync(join(state, "criu-root"))).toEqual([]);
    const running = processesOf(lab).length > 0;
    if (!mayRun) expect(processesOf(lab)).toEqual([]);
    if (running) {
      expect(lab.status(id)).toBe("running");
      countsOn(bundle, bundle.count());
    }

    const second = lab.restore(bundle, image, id);
    expect(second.status).toBe(1);
    expect(second.stderr).toMatch(/container with given ID already exists: .*thaw was killed/);
    const finished = existsSync(join(state, "state.json"));
    if (running) expect(finished).toBe(true);
    expect(second.stderr).toContain(finished ? `thaw state ${id}` : `thaw delete -f ${id}`);
    if (running) countsOn(bundle, bundle.count());

    expect(lab.thaw(["delete", "--force", id])).toEqual({ status: 0, stdout: "", stderr: "" });
    expect(existsSync(state)).toBe(false);
    expect(processesOf(lab)).toEqual([]);
    expect(listing(bundle)).toBe(files);
    // The way is free again.
    expect(lab.restore(bundle, image, id)).toEqual({ status: 0, stdout: "", stderr: "" });
    countsOn(bundle, bundle.count());
  });
}

test("a criu that outlives a killed thaw is named by the next restore", async () => {
  using lab = new Lab();
  const bundle = steadyBundle(lab);
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const fake = new FakeCriu(join(lab.path, "fake"), { at: "restore", does: "hang" });
  await using thaw = Bun.spawn(
    [THAW, "--root", lab.root, "restore", "-d", "-b", bundle.path, "--image-path", image, id],
    { stdio: ["ignore", "ignore", "ignore"], env: { ...process.env, ...fake.env } },
  );
  fake.waitForMoment();
  const during = lab.restore(bundle, image, id);
  expect(during.status).toBe(1);
  expect(during.stderr).toContain(`thaw (pid ${thaw.pid}) is restoring it now`);
  thaw.kill("SIGKILL");
  await thaw.exited;
  const criu = JSON.parse(readFileSync(join(lab.root, id, "thaw.json"), "utf8")).criu.pid;
  const after = lab.restore(bundle, image, id);
  expect(after.status).toBe(1);
  expect(after.stderr).toContain(`its criu (pid ${criu}) still runs`);
  process.kill(criu, "SIGKILL");
  waitFor(() => processesOf(lab).length === 0, "the fake criu to end");
  expect(lab.thaw(["delete", "--force", id])).toEqual({ status: 0, stdout: "", stderr: "" });
  expect(lab.restore(bundle, image, id)).toEqual({ status: 0, stdout: "", stderr: "" });
});
