/** A container's cgroup: made, joined, limited, and removed again. @module */

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, ThawError } from "../errors/errors.ts";
import { attachDeviceProgram } from "../linux/bpf.ts";
import { AT_FDCWD, O_DIRECTORY, O_RDONLY, openAt } from "../linux/fd.ts";
import { EEXIST, ENOENT, hasErrno, wrapFs } from "../linux/libc.ts";
import { sendSignal } from "../linux/process.ts";
import { SIGKILL } from "../linux/signal.ts";
import type { Cgroup } from "../oci/config.ts";
import { UNIFIED } from "./hierarchies.ts";
import { deviceWrites } from "./v1/devices.ts";
import { limitWrites } from "./v1/limits.ts";
import { deviceProgram } from "./v2/devices.ts";
import * as v2 from "./v2/limits.ts";

const ROOT = "/sys/fs/cgroup";

/**
 * Refuses a cgroup that is in use or frozen (runc: Container creation).
 *
 * @throws ThawError `container's cgroup is not empty: 2 process(es) found`
 */
export function refuseBusyCgroup(paths: ReadonlyMap<string, string>): void {
  const directory = mainDirectory(paths);
  const pids = pidsBelow(directory);
  if (pids.length > 0) throw busy(directory, pids.length);
  const [file, frozen, thawed] = paths.has("freezer")
    ? [`${paths.get("freezer")}/freezer.state`, "FROZEN", "THAWED"]
    : [`${directory}/cgroup.freeze`, "1", "0"];
  if (readOr(file, "").trim() === frozen)
    throw new ThawError("container's cgroup unexpectedly frozen", {
      hint: `thaw it: echo ${thawed} > ${file}`,
    });
}

function busy(directory: string, count: number): ThawError {
  return new ThawError(`container's cgroup is not empty: ${count} process(es) found`, {
    hint: `another container uses ${directory}: end it, or change linux.cgroupsPath`,
  });
}

/**
 * Refuses limits that this kind of host cannot have, without side effects.
 *
 * @throws ThawError such as `cannot use unified on cgroup v1`
 */
export function refuseLimits(paths: ReadonlyMap<string, string>, cgroup: Cgroup): void {
  if (isV2(paths)) v2.limitWrites(cgroup, () => false);
  else limitWrites(cgroup, { exists: () => false, memoryLimit: () => 0 });
}

/** The directory all of the container's processes are in: that of v1's devices, or v2's only one. */
export function mainDirectory(paths: ReadonlyMap<string, string>): string {
  return paths.get("devices") ?? paths.get(UNIFIED) ?? "/nonexistent";
}

/** Whether these are the paths of a host with cgroup v2 alone. */
export function isV2(paths: ReadonlyMap<string, string>): boolean {
  return !paths.has("devices");
}

/**
 * Makes the cgroup in every hierarchy, moves a process into it and sets the limits.
 *
 * @param pid a process of ours, single-threaded or all of its threads are moved
 * @returns disposing ends what is in the cgroup and removes it
 * @throws ThawError naming the file that could not be written; what was made is removed
 */
export function joinCgroup(
  paths: ReadonlyMap<string, string>,
  cgroup: Cgroup,
  pid: number,
): Disposable {
  using undo = new DisposableStack();
  const made: string[] = [];
  let ours = false;
  undo.defer(() => {
    if (!ours) sendSignal(pid, SIGKILL);
    removeCgroups(paths, made, ours);
  });
  for (const [controller, directory] of paths) {
    if (isV2(paths)) {
      makeDirectories(directory, made);
      enableControllers(directory);
    }
    enterHierarchy(controller, directory, pid, made);
  }
  // Two at once may both have found it empty: now each sees the other, and neither may kill.
  const others = pidsBelow(mainDirectory(paths)).filter((other) => other !== pid);
  if (others.length > 0) throw busy(mainDirectory(paths), others.length);
  ours = true;
  setLimits(paths, cgroup);
  const done = undo.move();
  return { [Symbol.dispose]: () => done.dispose() };
}

/** Lets run what is in a cgroup, should somebody have frozen it: on v1 a frozen process cannot be ended. */
export function unfreeze(paths: ReadonlyMap<string, string>): void {
  const freezer = paths.get("freezer");
  if (freezer !== undefined) writeBelow(freezer, "freezer.state", "THAWED");
  else if (isV2(paths)) writeBelow(mainDirectory(paths), "cgroup.freeze", "0");
}

function writeBelow(directory: string, file: string, value: string): void {
  attempt(() => write(directory, file, value), []); // gone, or held by a parent's freezer
  for (const child of childCgroups(directory)) writeBelow(child, file, value);
}

/**
 * Makes the cgroup in one hierarchy and moves a process into it.
 *
 * @param made what was made is appended
 * @throws SyscallError naming the file
 */
export function enterHierarchy(
  controller: string,
  directory: string,
  pid: number,
  made: string[],
): void {
  makeDirectories(directory, made);
  if (controller === "cpuset") inheritCpuset(directory);
  write(directory, "cgroup.procs", String(pid));
}

/**
 * Writes the limits, and on v2 attaches the device filter.
 *
 * @throws ThawError naming the file that could not be written
 */
export function setLimits(paths: ReadonlyMap<string, string>, cgroup: Cgroup): void {
  if (isV2(paths)) setUnifiedLimits(mainDirectory(paths), cgroup);
  else setLegacyLimits(paths, cgroup);
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

/** Hands every controller down from the root to the cgroup's parent (cgroup-v2, subtree_control). */
export function enableControllers(directory: string): void {
  const names = relative(ROOT, directory).split("/");
  for (let depth = 0; depth < names.length; depth++) {
    const parent = join(ROOT, ...names.slice(0, depth));
    const available = readOr(join(parent, "cgroup.controllers"), "").split(/\s+/).filter(Boolean);
    const enabled = readOr(join(parent, "cgroup.subtree_control"), "").split(/\s+/);
    for (const controller of available) {
      if (enabled.includes(controller)) continue;
      // One that cannot be enabled (EBUSY, a real-time task) is missed only if a limit needs it.
      attempt(() => write(parent, "cgroup.subtree_control", `+${controller}`), []);
    }
  }
}

function setUnifiedLimits(directory: string, cgroup: Cgroup): void {
  const exists = (file: string) => existsSync(join(directory, file));
  for (const { file, value } of v2.limitWrites(cgroup, exists)) write(directory, file, value);
  using opened = openAt(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  attachDeviceProgram(opened.fd, deviceProgram(cgroup.devices));
}

function setLegacyLimits(paths: ReadonlyMap<string, string>, cgroup: Cgroup): void {
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

/** Every process in a cgroup and those below it; none when there is no such cgroup. */
export function pidsBelow(directory: string): number[] {
  const own = readOr(join(directory, "cgroup.procs"), "").split("\n").filter(Boolean).map(Number);
  return [...own, ...childCgroups(directory).flatMap(pidsBelow)];
}

function childCgroups(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(directory, entry.name))
      .sort();
  } catch {
    return [];
  }
}

// How long processes that were killed may take to leave, in milliseconds.
const PATIENCE = 5000;
// The same for our own criu in a cgroup that turned out to be somebody else's.
const OTHERS_PATIENCE = 500;

/** Kills every process of the container's cgroup, and waits (five seconds at most) until they have gone. */
export function endProcesses(paths: ReadonlyMap<string, string>): void {
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    const pids = pidsBelow(mainDirectory(paths));
    if (pids.length === 0 || performance.now() > deadline) return;
    for (const pid of pids) sendSignal(pid, SIGKILL);
    Bun.sleepSync(5);
  }
}

/**
 * Removes the container's cgroups, with the parents in `made`.
 *
 * @param ours whether nobody else was there when we joined: then what is left in them is ended
 * @throws ThawError naming the directories that stayed
 */
export function removeCgroups(
  paths: ReadonlyMap<string, string>,
  made: readonly string[],
  ours: boolean,
): void {
  const deadline = performance.now() + (ours ? PATIENCE : OTHERS_PATIENCE);
  const failures: string[] = [];
  for (;;) {
    failures.length = 0;
    for (const directory of new Set(paths.values())) {
      attempt(() => removeTree(directory), failures);
    }
    if (failures.length === 0) break;
    if (performance.now() > deadline && !ours) break; // its user removes it
    if (performance.now() > deadline)
      throw new ThawError(`unable to remove container's cgroup: ${failures.join("; ")}`);
    if (ours) unfreeze(paths);
    if (ours) for (const pid of pidsBelow(mainDirectory(paths))) sendSignal(pid, SIGKILL);
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

/** Removes a cgroup that has no processes, with those below it; one that is gone is not missed. */
export function removeTree(directory: string): void {
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
