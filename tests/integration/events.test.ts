/** events and features: what they print is what runc prints of the same container. */

import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Json, Lab, must, run, THAW, waitFor } from "../support/lab.ts";
import { steadyBundle } from "../support/steady.ts";

/** `events` of a runtime while it runs. */
function follow(runtime: string, lab: Lab, id: string, interval: string) {
  const argv = [runtime, "--root", lab.root, "events", "--interval", interval, id];
  const process = Bun.spawn(argv, { stdout: "pipe", stderr: "pipe", timeout: 60_000 });
  const lines: Json[] = [];
  const done = (async () => {
    let rest = "";
    for await (const chunk of process.stdout.pipeThrough(new TextDecoderStream())) {
      const parts = `${rest}${chunk}`.split("\n");
      rest = parts.pop() ?? "";
      lines.push(...parts.map((line) => JSON.parse(line)));
    }
    return {
      status: await process.exited,
      stderr: await new Response(process.stderr).text(),
      rest,
    };
  })();
  return { lines, done };
}

const both = ["runc", THAW] as const;

/** Waits without keeping the streams from being read. */
async function until(condition: () => boolean, what: string): Promise<void> {
  const start = performance.now();
  while (!condition()) {
    if (performance.now() - start > 20_000) throw new Error(`waited in vain for ${what}`);
    await Bun.sleep(20);
  }
}

test("--stats prints runc's line, byte for byte, of a container that stands still", () => {
  using lab = new Lab();
  const id = lab.id();
  const bundle = steadyBundle(lab, (config) => {
    config.linux.resources = {
      memory: { limit: 209715200 },
      pids: { limit: 77 },
      cpu: { quota: 20000, period: 100000 },
    };
  });
  must(lab.restore(bundle, lab.checkpointed(bundle, id), id));
  must(lab.thaw(["pause", id]));
  const stats = (runtime: string) =>
    must(run([runtime, "--root", lab.root, "events", "--stats", id]));
  // The kernel settles its counters a moment later.
  waitFor(() => stats("runc").stdout === stats(THAW).stdout, "both to print the same");
  const line = stats(THAW).stdout;
  expect(line).toEndWith("}\n");
  const { type, id: named, data } = JSON.parse(line);
  expect({ type, named }).toEqual({ type: "stats", named: id });
  expect(data.memory.usage.limit).toBe(209715200);
  expect(data.pids).toEqual({ current: 1, limit: 77 });
  expect(data.cpu.usage.total).toBeGreaterThan(0);
});

test("the stream has figures and every OOM, until the cgroup is gone", async () => {
  using lab = new Lab();
  const id = lab.id();
  const eat = "dd if=/dev/zero of=/dev/null bs=64M count=1";
  const script = `echo 1 > /tmp/n; while :; do while [ ! -e /tmp/go ]; do sleep 0.05; done; rm /tmp/go; ${eat}; echo 1 > /tmp/eaten; done`;
  const bundle = lab.bundle(script, (config) => {
    config.linux.resources = { memory: { limit: 16777216, swap: 16777216 } };
  });
  lab.start(bundle, id);
  const streams = both.map((runtime) => follow(runtime, lab, id, "200ms"));
  await until(() => streams.every(({ lines }) => lines.length > 0), "figures");
  writeFileSync(join(bundle.rootfs, "tmp/go"), "");
  const ooms = (lines: Json[]) => lines.filter(({ type }) => type === "oom");
  await until(() => streams.every(({ lines }) => ooms(lines).length > 0), "an OOM");
  must(lab.thaw(["delete", "--force", id]));
  const [runc, thaw] = await Promise.all(streams.map(({ done }) => done));
  expect(thaw).toEqual({ status: 0, stderr: "", rest: "" });
  expect(thaw).toEqual(runc as Json);
  const [theirs, own] = streams.map(({ lines }) => lines);
  expect(ooms(own ?? [])[0]).toEqual({ type: "oom", id });
  expect(ooms(own ?? [])).toEqual(ooms(theirs ?? []));
  for (const { id: named, data, type } of own ?? []) {
    expect(named).toBe(id);
    if (type === "stats") expect(Object.keys(data)).toEqual(Object.keys(theirs?.[0].data));
  }
});

test("a reader that goes away, and a device that is full, end it with an error", () => {
  using lab = new Lab();
  const id = lab.id();
  lab.start(steadyBundle(lab), id);
  const shell = (line: string) => run(["sh", "-c", line, THAW, lab.root, id], { timeout: 20_000 });
  const events = '"$0" --root "$1" events';
  const gone = shell(`{ ${events} --interval 10ms "$2"; echo "status $?" >&2; } | head -n 1`);
  expect(gone.stderr).toContain("write /dev/stdout: broken pipe");
  expect(gone.stderr).toContain("status 1");
  for (const command of [
    "events --stats",
    "state",
    "ps",
    "features",
    "list",
    "--version",
    "--help",
  ]) {
    const of = ["events --stats", "state", "ps"].includes(command) ? ' "$2"' : "";
    const full = shell(`"$0" --root "$1" ${command}${of} > /dev/full`);
    expect(full).toMatchObject({ status: 1, stdout: "" });
    expect(full.stderr).toContain('msg="write /dev/stdout: no space left on device');
  }
});

test("features says what runc's says, but of what thaw does not do itself", () => {
  const [runc, thaw] = both.map((runtime) => JSON.parse(must(run([runtime, "features"])).stdout));
  const { annotations: theirs, ...known } = runc;
  const { annotations: own, ...said } = thaw;
  known.linux.cgroup.systemdUser = false;
  known.linux.intelRdt.enabled = false;
  expect(said).toEqual(known);
  expect(Object.keys(said)).toEqual(Object.keys(known));
  expect(Object.keys(said.linux)).toEqual(Object.keys(known.linux));
  const checkpoint = "org.opencontainers.runc.checkpoint.enabled";
  expect(own[checkpoint]).toBe(theirs[checkpoint]);
  expect(own["thaw.version"]).toMatch(/^\d+\.\d+\.\d+/);
});
