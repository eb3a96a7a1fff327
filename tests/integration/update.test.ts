/**
 * update: the same sequence by runc and by thaw, on containers made alike, leaves the same values in
 * every file of their cgroups and the same limits in state.json, and says the same.
 */

import { expect, test } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import { type Json, Lab, must, run, THAW, waitFor } from "../support/lab.ts";
import { limitsOf, updateBoth } from "../support/limits.ts";
import { Twins } from "../support/side-by-side.ts";
import { steadyBundle } from "../support/steady.ts";

test("each flag, and what is refused", () => {
  using twins = new Twins((lab, id) => lab.start(steadyBundle(lab), id));
  const both = (...lines: string[]) => {
    for (const line of lines) updateBoth(twins, line);
  };
  both(
    "",
    "--memory 64m",
    "--memory 64M --memory-swap 128m",
    "--memory 200m",
    "--memory-swap 300m",
  );
  both("--memory 250MiB", "--memory -1", "--memory 100000000", "--memory 0", "--memory 12");
  both(
    "--memory 70_000_000",
    "--memory 1e999x",
    "--memory 1.5g",
    "--memory-swap -1",
    "--memory 60m --memory-swap 80m",
    "--memory 30m",
  );
  both(
    "--memory 64x",
    "--memory -5",
    "--memory m",
    "--memory 1e8",
    "--memory 5kbb",
    "--memory +64m",
  );
  both("--memory-reservation 20m", "--memory-reservation -1", "--memory-swap 1", "--memory-swap x");
  both(
    "--cpu-share 512",
    "--cpu-share 1",
    "--cpu-share 512",
    "--cpu-share 999999999",
    "--cpu-share 512",
    "--cpu-share x",
    "--cpu-share 0",
  );
  both("--cpu-quota 50000", "--cpu-period 200000", "--cpu-quota -1", "--cpu-period 5");
  both("--cpu-quota 9000 --cpu-period 20000", "--cpu-burst 1000", "--cpu-burst 99999999");
  both("--cpu-rt-period 900000", "--cpu-quota 1x", "--cpu-idle 1", "--cpu-idle 2", "--cpu-idle 0");
  both(
    "--cpuset-cpus 0",
    "--cpuset-cpus 0-1 --cpuset-mems 0",
    "--cpuset-cpus 99",
    "--cpuset-cpus x",
  );
  both(
    "--pids-limit 50",
    "--pids-limit -1",
    "--pids-limit 0x20",
    "--pids-limit 010",
    "--pids-limit 1_000",
    "--pids-limit 0",
  );
  both("--blkio-weight 500", "--blkio-weight 70000", "--blkio-weight 0", "--kernel-memory 5m");
  both("--l3-cache-schema L3:0=f", "--mem-bw-schema MB:0=20", "-r /nonexistent", "-r /tmp");
  both("--memory-swap 18446744073709551616", "--memory 9223372036854771712");
});

test("each key of a document, and what is refused", () => {
  using twins = new Twins((lab, id) => lab.start(steadyBundle(lab), id));
  const both = (...documents: (Json | string)[]) => {
    for (const one of documents)
      updateBoth(twins, "", typeof one === "string" ? one : JSON.stringify(one));
  };
  const memory = { limit: 33554432, swap: 67108864, reservation: 20971520 };
  const cpu = { shares: 500, quota: 10000, period: 50000, burst: 0, cpus: "0", mems: "0" };
  both({ memory, cpu, pids: { limit: 33 }, blockIO: { weight: 500 } }, {}, { memory });
  both(
    { cpu: { quota: 10000, burst: 20000 } },
    { cpu: { quota: 30000, period: 40000, burst: 20000 } },
  );
  both({ cpu: { quota: 20000, period: 20000, burst: 3 } }, { cpu: { idle: 1, shares: 7 } });
  both({ cpu: { shares: 0 } }, { cpu: { idle: 1 } }, { cpu: { idle: 0 } }, { pids: { limit: 0 } });
  both({ memory: { limit: 99999999, checkBeforeUpdate: true } }, { memory: { limit: 99999998 } });
  both(
    { memory: { kernel: 5, swappiness: 5, disableOOMKiller: true } },
    { unified: { "a.b": "1" } },
  );
  const device = { major: 253, minor: 0 };
  both(
    { blockIO: { throttleReadBpsDevice: [{ ...device, rate: 1e6 }] } },
    { blockIO: { throttleReadBpsDevice: [{ ...device, rate: 2e6 }] } },
    { blockIO: { throttleWriteIOPSDevice: [{ ...device, rate: 5 }] } },
    { blockIO: { throttleReadBpsDevice: [{ ...device, rate: 0 }], leafWeight: 0 } },
  );
  both('{"MEMORY":{"Limit":44040192}}', '{"memory":{"limit":45000000}} trailing', "null");
  both(
    '{"memory":{"limit":"9"}}',
    '{"memory":{"limit":1.5}}',
    '{"cpu":{"shares":-1}}',
    "[]",
    '"x"',
  );
  both('{"blockIO":{"weight":70000}}', "", "  ", '{"memory":{"limit":67108864}', '{"memory":');
  both('{"memory":{"limit":9223372036854771712}}', '{"hugepageLimits":[],"network":{"classID":5}}');
});

test("containers that are paused, created, stopped, restored, or not there", () => {
  using twins = new Twins((lab, id) => {
    const bundle = steadyBundle(lab);
    must(lab.restore(bundle, lab.checkpointed(bundle, id), id));
  });
  updateBoth(twins, "--memory 64m --pids-limit 20 --cpu-share 300");
  twins.same("pause ID");
  updateBoth(twins, "--memory 65m");
  twins.same("state ID");
  twins.same("kill ID KILL");
  waitFor(() => twins.both.every(({ lab, id }) => lab.status(id) === "stopped"), "both to stop");
  for (const line of ["update --memory 5m ID", "update -r /nonexistent ID", "update nosuch"])
    twins.same(line);
  for (const line of ["events --stats ID", "events ID", "events nosuch", "events --stats a/b"])
    twins.same(line);
});

test("a limit that is refused leaves none changed, where runc leaves the first ones", () => {
  using lab = new Lab();
  const id = lab.id();
  lab.start(steadyBundle(lab), id);
  must(lab.thaw(["update", "--memory", "64m", "--cpu-share", "300", id]));
  const before = limitsOf({ lab, id });
  const words = [
    "--memory",
    "32m",
    "--memory-swap",
    "48m",
    "--cpuset-cpus",
    "0",
    "--cpu-share",
    "1",
  ];
  const { status, stderr } = lab.thaw(["update", ...words, id]);
  expect(status).toBe(1);
  expect(stderr).toContain("the minimum allowed cpu-shares is 2");
  expect(limitsOf({ lab, id })).toEqual(before);
  // state.json cannot be written: no limit may stay without a record.
  const hindrance = join(lab.root, id, ".state.json.new");
  must(run(["mkdir", hindrance]));
  const failed = lab.thaw(["update", "--memory", "32m", "--pids-limit", "5", id]);
  expect(failed.status).toBe(1);
  expect(failed.stderr).toContain("state.json: is a directory");
  expect(limitsOf({ lab, id })).toEqual(before);
  must(run(["rmdir", hindrance]));
});

test("a document from a pipe that stays open is read no further than its end", async () => {
  using lab = new Lab();
  const id = lab.id();
  lab.start(steadyBundle(lab), id);
  const thaw = Bun.spawn([THAW, "--root", lab.root, "update", "-r", "-", id], {
    stdin: "pipe",
    stderr: "inherit",
    timeout: 20_000,
  });
  thaw.stdin.write('{"pids":{"limit"');
  await thaw.stdin.flush();
  await Bun.sleep(50);
  thaw.stdin.write(":77}}");
  await thaw.stdin.flush();
  expect(await thaw.exited).toBe(0);
  thaw.stdin.end();
  expect(lab.state(id).config.cgroups.pids_limit).toBe(77);
  expect(statSync(join(lab.root, id, "state.json")).mode & 0o777).toBe(0o600);
});

test("a document of megabytes is read at once, and one without end is given up", () => {
  using lab = new Lab();
  const id = lab.id();
  lab.start(steadyBundle(lab), id);
  const update = (writer: string) =>
    run(["sh", "-c", `${writer} | "$0" --root "$1" update -r - "$2"`, THAW, lab.root, id], {
      timeout: 20_000,
    });
  const letters = "head -c 3000000 /dev/zero | tr '\\0' a";
  must(update(`{ printf '{"pids":{"limit":77},"x":"'; ${letters}; printf '"}'; }`));
  expect(lab.state(id).config.cgroups.pids_limit).toBe(77);
  for (const [writer, says] of [
    ["yes '['", "invalid character '[' exceeded max depth"],
    [`{ printf '{"x":"'; yes; }`, "read descriptor 0: more than 10 MB"],
    ["cat /dev/zero", "read descriptor 0: more than 10 MB"],
  ] as const)
    expect(update(writer)).toMatchObject({ status: 1, stderr: expect.stringContaining(says) });
});

test("of updates at once none undoes another, and nobody reads half a state.json", async () => {
  using lab = new Lab();
  const id = lab.id();
  lab.start(steadyBundle(lab), id);
  const update = async (...words: string[]) => {
    const argv = [THAW, "--root", lab.root, "update", ...words, id];
    const thaw = Bun.spawn(argv, { stderr: "pipe", timeout: 20_000 });
    return [await thaw.exited, await new Response(thaw.stderr).text()];
  };
  for (let round = 0; round < 10; round++) {
    const wanted = {
      memory: (64 + round) << 20,
      cpu_shares: 200 + round,
      blkio_weight: 10 + round,
    };
    const all = Promise.all([
      update("--memory", String(wanted.memory)),
      update("--cpu-share", String(wanted.cpu_shares)),
      update("--blkio-weight", String(wanted.blkio_weight)),
    ]);
    let done = false;
    void all.then(() => {
      done = true;
    });
    while (!done) {
      expect(lab.state(id).id).toBe(id);
      await Bun.sleep(1);
    }
    for (const ended of await all) expect(ended).toEqual([0, ""]);
    expect(lab.state(id).config.cgroups).toMatchObject(wanted);
  }
});
