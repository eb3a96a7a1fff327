/**
 * `--systemd-cgroup` on a host that only looks like one with systemd: a stand-in for busctl makes
 * the scope's cgroup, or fails as it is told. What systemd itself does is tested in systemd.test.ts;
 * here it is what no VM has (cgroup v1 with systemd), and what systemd seldom does.
 */

import { expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { attempt, expectOneLine } from "../support/attempt.ts";
import { countsOn, Lab, must, run, THAW, traces } from "../support/lab.ts";

const isV2 = existsSync("/sys/fs/cgroup/cgroup.controllers");
const SYSTEMD = isV2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/systemd";

// sd_booted(3) looks for this directory.
const through = [
  ...["unshare", "-m", "--propagation", "private", "sh", "-c"],
  'mount -t tmpfs none /run && mkdir -p /run/systemd/system && exec "$@"',
  "sh",
];

type Failure = "none" | "start" | "exists once" | "job" | "set" | "stop" | "bus";

/** A busctl on PATH that does for one unit in `thaw.slice` what systemd does, and writes down each call. */
class StandIn {
  readonly env: { readonly PATH: string };
  readonly #directory: string;

  constructor(lab: Lab, unit: string, fails: Failure) {
    this.#directory = join(lab.path, `busctl${Math.random()}`);
    mkdirSync(this.#directory);
    this.env = { PATH: `${this.#directory}:${process.env["PATH"]}` };
    const scope = `${SYSTEMD}/thaw.slice/${unit}`;
    const script = `#!/bin/sh
cd ${this.#directory}
echo "$*" >> calls
fail() { echo "Call failed: $*" >&2; exit 1; }
case "$*" in
*Version)
  [ "${fails}" != bus ] || { echo "Failed to connect to system scope bus: No such file" >&2; exit 1; }
  echo 's "252.39-1"' ;;
*ActiveState) if [ -e active ]; then echo 's "active"'; else echo 's "inactive"'; fi ;;
*StartTransientUnit*)
  [ "${fails}" != start ] || fail "Cannot set property X, or unknown property."
  [ "${fails}" != "exists once" ] || [ -e reset ] || fail "Unit ${unit} was already loaded or has a fragment file."
  [ "${fails}" != job ] || exit 0
  pid=$(echo "$*" | sed 's/.* PIDs au 1 \\([0-9]*\\) .*/\\1/')
  mkdir -p ${scope} && echo $pid > ${scope}/cgroup.procs && : > active ;;
*SetUnitProperties*) [ "${fails}" != set ] || fail "Cannot set property MemoryMax" ;;
*StopUnit*)
  [ "${fails}" != stop ] || fail "Connection timed out"
  [ -e active ] || fail "Unit ${unit} not loaded."
  rm active ;;
*ResetFailedUnit*) : > reset ;;
*) fail "what? $*" ;;
esac
`;
    writeFileSync(join(this.#directory, "busctl"), script);
    chmodSync(join(this.#directory, "busctl"), 0o755);
  }

  /** The methods called and properties asked for, in order. */
  calls(): string[] {
    const lines = readFileSync(join(this.#directory, "calls"), "utf8").trim().split("\n");
    return lines.map((line) => line.split(" ")[7] ?? "");
  }

  /** The words of a call. */
  words(method: string): string {
    const lines = readFileSync(join(this.#directory, "calls"), "utf8").split("\n");
    return lines.find((line) => line.includes(method)) ?? "";
  }
}

function checkpoint(lab: Lab, id: string) {
  const bundle = lab.bundle();
  const image = lab.checkpointed(bundle, id);
  bundle.edit((config) => {
    config.linux.cgroupsPath = `thaw.slice:lab:${id}`;
    config.linux.resources.memory = { limit: 209715200 };
  });
  return { bundle, image, unit: `lab-${id}.scope` };
}

test("the process joins the unit's path in every hierarchy, and systemd is told the limits", () => {
  using lab = new Lab();
  const id = lab.id();
  const { bundle, image, unit } = checkpoint(lab, id);
  const before = traces(lab);
  const systemd = new StandIn(lab, unit, "none");
  const globals = ["--root", lab.root, "--systemd-cgroup"];
  const args = ["restore", "-d", "--bundle", bundle.path, "--image-path", image, id];
  must(run([...through, THAW, ...globals, ...args], { env: systemd.env }));
  countsOn(bundle, bundle.count());
  const { cgroup_paths: paths, config, init_process_pid: pid } = lab.state(id);
  expect(Object.keys(paths).sort()).toEqual(
    isV2 ? [""] : expect.arrayContaining(["devices", "memory", "name=systemd"]),
  );
  for (const path of Object.values(paths)) expect(path).toEndWith(`/thaw.slice/${unit}`);
  expect(config.cgroups).toMatchObject({
    name: id,
    parent: "thaw.slice",
    scope_prefix: "lab",
    Systemd: true,
  });
  const mine = readFileSync(`/proc/${pid}/cgroup`, "utf8");
  for (const controller of isV2 ? [":"] : ["memory", "devices", "name=systemd", "cpuset"])
    expect(mine).toMatch(new RegExp(`${controller}:/thaw.slice/${unit}$`, "m"));
  expect(
    readFileSync(
      join(paths[isV2 ? "" : "memory"], isV2 ? "memory.max" : "memory.limit_in_bytes"),
      "utf8",
    ).trim(),
  ).toBe("209715200");
  expect(systemd.calls()).toEqual(["Version", "StartTransientUnit", "SetUnitProperties"]);
  expect(systemd.words("StartTransientUnit")).toMatch(
    new RegExp(
      `ssa\\(sv\\)a\\(sa\\(sv\\)\\) ${unit} replace 9 Description s libcontainer container ${id} Slice s thaw.slice Delegate b true PIDs au 1 \\d+ MemoryAccounting b true CPUAccounting b true ${isV2 ? "IO" : "BlockIO"}Accounting b true TasksAccounting b true DefaultDependencies b false 0$`,
    ),
  );
  expect(systemd.words("SetUnitProperties")).toContain(
    `sba(sv) ${unit} true 4 DevicePolicy s strict DeviceAllow a(ss) 0 DeviceAllow a(ss) 11 block-* m char-* m /dev/char/1:3 rwm`,
  );
  expect(systemd.words("SetUnitProperties")).toEndWith(
    isV2 ? "MemoryMax t 209715200" : "MemoryLimit t 209715200",
  );
  deleteThrough(lab, id);
  expect(traces(lab)).toEqual(before);
});

/** `runc delete` where runc, too, believes that there is systemd; it goes on without an answer. */
function deleteThrough(lab: Lab, id: string): void {
  must(run([...through, "runc", "--root", lab.root, "delete", "--force", id]));
  rmSliceOfTest();
}

// runc leaves slices, as they may be others' too.
function rmSliceOfTest(): void {
  run(["sh", "-c", "rmdir /sys/fs/cgroup/thaw.slice /sys/fs/cgroup/*/thaw.slice"]);
}

const CASES: readonly (readonly [Failure, RegExp, readonly string[]])[] = [
  ["bus", /unable to ask systemd for its version: Failed to connect.*dbus\.socket/, ["Version"]],
  [
    "start",
    /unable to start unit "lab-.*": Cannot set property X.*org\.systemd\.property/,
    ["Version", "StartTransientUnit"],
  ],
  [
    "job",
    /error creating systemd unit `lab-.*`: it is inactive; see "journalctl -u lab-/,
    ["Version", "StartTransientUnit", "ActiveState", "StopUnit", "ActiveState"],
  ],
  [
    "set",
    /unable to set unit properties: Cannot set property MemoryMax/,
    ["Version", "StartTransientUnit", "SetUnitProperties", "StopUnit", "ActiveState"],
  ],
];

test.each(CASES)(
  "systemd that fails at %p makes the restore fail in one line, and nothing is left",
  (fails, says, calls) => {
    using lab = new Lab();
    const id = lab.id();
    const { bundle, image, unit } = checkpoint(lab, id);
    const before = traces(lab);
    const systemd = new StandIn(lab, unit, fails);
    const tried = attempt(lab, {
      ...{ bundle, image, id, through, env: systemd.env },
      globals: ["--systemd-cgroup"],
    });
    expect(expectOneLine(tried, tried.log)).toMatch(says);
    expect(systemd.calls()).toEqual([...calls]);
    rmSync(tried.work, { recursive: true });
    rmSliceOfTest();
    expect(traces(lab)).toEqual(before);
  },
);

test("a unit of that name that failed is forgotten first", () => {
  using lab = new Lab();
  const id = lab.id();
  const { bundle, image, unit } = checkpoint(lab, id);
  const systemd = new StandIn(lab, unit, "exists once");
  const globals = ["--systemd-cgroup"];
  const tried = attempt(lab, { bundle, image, id, through, env: systemd.env, globals });
  expect(tried.stderr).toBe("");
  expect(systemd.calls().slice(1, 4)).toEqual([
    "StartTransientUnit",
    "ResetFailedUnit",
    "StartTransientUnit",
  ]);
  deleteThrough(lab, id);
});

test("a unit that cannot be stopped is told with its name, after the reason", () => {
  using lab = new Lab();
  const id = lab.id();
  const { bundle, image, unit } = checkpoint(lab, id);
  const systemd = new StandIn(lab, unit, "stop");
  const tried = attempt(lab, {
    ...{ bundle, image, id, through, env: systemd.env },
    globals: ["--systemd-cgroup"],
    flags: ["--manage-cgroups-mode", "strict"],
  });
  const line = expectOneLine(tried, tried.log);
  expect(line).toStartWith("criu failed: type RESTORE errno 0");
  expect(line).toContain(`then, cleaning up: unable to stop unit ${unit}: Connection timed out`);
  expect(line).toContain(`systemctl stop ${unit}; systemctl reset-failed ${unit}`);
  expect(existsSync(`${SYSTEMD}/thaw.slice/${unit}`)).toBe(false);
  rmSliceOfTest();
});
