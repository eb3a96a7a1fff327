/** A container's cgroup: made, joined, limited, and removed again. @module */

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { describe, ThawError } from "../errors/errors.ts";
import { EEXIST, ENOENT, hasErrno, wrapFs } from "../linux/libc.ts";
import { sendSignal } from "../linux/process.ts";
import { SIGKILL } from "../linux/signal.ts";
import type { Cgroup } from "../oci/config.ts";
import { deviceWrites } from "./v1/devices.ts";
import { limitWrites } from "./v1/limits.ts";

/** A joined cgroup; disposing ends what is in it and removes it. */
export interface JoinedCgroup extends Disposable {
  /** Controller to absolute directory. */
  readonly paths: ReadonlyMap<string, string>;
}

/**
 * Refuses a cgroup that is in use or frozen (runc: Container creation).
 *
 * @throws ThawError `container's cgroup is not empty: 2 process(es) found`
 */
export function refuseBusyCgroup(paths: ReadonlyMap<string, string>): void {
  const directory = paths.get("devices");
  const pids = directory === undefined ? [] : pidsBelow(directory);
  if (pids.length > 0)
    throw new ThawError(`container's cgroup is not empty: ${pids.length} process(es) found`, {
      hint: `another container uses ${directory}: end it, or change linux.cgroupsPath`,
    });
  const freezer = paths.get("freezer");
  if (freezer !== undefined && readOr(join(freezer, "freezer.state"), "").trim() === "FROZEN")
    throw new ThawError("container's cgroup unexpectedly frozen", {
      hint: `thaw it: echo THAWED > ${freezer}/freezer.state`,
    });
}

/**
 * Makes the cgroup in every hierarchy, moves a process into it and sets the limits.
 *
 * @param pid a process of ours, single-threaded or all of its threads are moved
 * @throws ThawError naming the file that could not be written; what was made is removed
 */
export function joinCgroup(
  paths: ReadonlyMap<string, string>,
  cgroup: Cgroup,
  pid: number,
): JoinedCgroup {
  using undo = new DisposableStack();
  const made: string[] = [];
  undo.defer(() => removeCgroups(paths, made));
  for (const [controller, directory] of paths) {
    makeDirectories(directory, made);
    if (controller === "cpuset") inheritCpuset(directory);
    write(directory, "cgroup.procs", String(pid));
  }
  setLimits(paths, cgroup);
  const done = undo.move();
  return { paths, [Symbol.dispose]: () => done.dispose() };
}

function makeDirectories(directory: string, made: string[]): void {
  if (existsSync(directory)) return;
  makeDirectories(dirname(directory), made);
  try {
    wrapFs(`mkdir ${directory}`, () => mkdirSync(directory, 0o755));
    made.push(directory);
  } catch (error) {
    if (!hasErrno(error, EEXIST)) throw error; // another container made the same parent
  }
}

// A new cpuset is empty and takes no process: it gets its parent's CPUs and memory nodes.
function inheritCpuset(directory: string): void {
  for (const file of ["cpuset.cpus", "cpuset.mems"]) {
    if (readOr(join(directory, file), "\n").trim() !== "") continue;
    const parent = dirname(directory);
    if (!existsSync(join(parent, file))) continue;
    if (readOr(join(parent, file), "").trim() === "") inheritCpuset(parent);
    write(directory, file, readOr(join(parent, file), "").trim());
  }
}

function setLimits(paths: ReadonlyMap<string, string>, cgroup: Cgroup): void {
  const devices = paths.get("devices");
  if (devices !== undefined) {
    const { first, exceptions, lines } = deviceWrites(cgroup.devices);
    write(devices, first, "a");
    for (const line of lines) write(devices, exceptions, line);
  }
  const writes = limitWrites(cgroup, {
    exists: (controller, file) => existsSync(join(paths.get(controller) ?? "/nonexistent", file)),
    memoryLimit: () =>
      Number(readOr(join(paths.get("memory") ?? "", "memory.limit_in_bytes"), "0")),
  });
  for (const { controller, file, value } of writes) {
    const directory = paths.get(controller);
    if (directory === undefined)
      throw new ThawError(
        `cannot set ${controller} limit: container could not join or create cgroup`,
        { hint: `the ${controller} controller is not mounted on this host` },
      );
    write(directory, file, value);
  }
}

function write(directory: string, file: string, value: string): void {
  const path = join(directory, file);
  wrapFs(`failed to write ${JSON.stringify(value)}: write ${path}`, () =>
    writeFileSync(path, value),
  );
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return otherwise;
  }
}

function pidsBelow(directory: string): number[] {
  const own = readOr(join(directory, "cgroup.procs"), "").split("\n").filter(Boolean).map(Number);
  return [...own, ...childCgroups(directory).flatMap(pidsBelow)];
}

function childCgroups(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(directory, entry.name));
  } catch {
    return [];
  }
}

// How long processes that were killed may take to leave, in milliseconds.
const PATIENCE = 5000;

/**
 * Ends what is left in the container's cgroups and removes them, with the parents in `made`.
 *
 * @throws ThawError naming the directories that stayed
 */
export function removeCgroups(
  paths: ReadonlyMap<string, string>,
  made: readonly string[] = [],
): void {
  const deadline = performance.now() + PATIENCE;
  const failures: string[] = [];
  for (;;) {
    failures.length = 0;
    for (const directory of new Set(paths.values())) {
      attempt(() => removeTree(directory), failures);
    }
    if (failures.length === 0) break;
    if (performance.now() > deadline)
      throw new ThawError(`unable to remove container's cgroup: ${failures.join("; ")}`);
    for (const directory of paths.values())
      for (const pid of pidsBelow(directory)) sendSignal(pid, SIGKILL);
    Bun.sleepSync(5);
  }
  // Parents are removed only while nobody else uses them.
  for (const directory of [...made].reverse()) attempt(() => removeDirectory(directory), []);
}

function attempt(action: () => void, failures: string[]): void {
  try {
    action();
  } catch (error) {
    failures.push(describe(error));
  }
}

function removeTree(directory: string): void {
  for (const child of childCgroups(directory)) removeTree(child);
  removeDirectory(directory);
}

function removeDirectory(directory: string): void {
  try {
    wrapFs(`rmdir ${directory}`, () => rmdirSync(directory));
  } catch (error) {
    if (!hasErrno(error, ENOENT)) throw error;
  }
}

/** Where a process is: controller (or `name=systemd`, or "" for unified) and path from the root. */
export function cgroupsOf(pid: number): { ctrl: string; path: string }[] {
  const text = wrapFs(`read /proc/${pid}/cgroup`, () =>
    readFileSync(`/proc/${pid}/cgroup`, "utf8"),
  );
  return text
    .split("\n")
    .map((line) => /^\d+:([^:]*):(.*)$/.exec(line))
    .filter((match) => match !== null)
    .flatMap((match) =>
      (match[1] ?? "").split(",").map((ctrl) => ({ ctrl, path: match[2] ?? "/" })),
    );
}
