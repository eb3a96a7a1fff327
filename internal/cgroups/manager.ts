/** A container's cgroup: made, joined, limited, and removed again. @module */

import { existsSync, mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, ThawError } from "../errors/errors.ts";
import { EEXIST, ENOENT, hasErrno, wrapFs } from "../linux/libc.ts";
import { sendSignal } from "../linux/process.ts";
import { SIGKILL } from "../linux/signal.ts";
import type { Cgroup } from "../oci/config.ts";
import { readOr, write } from "./files.ts";
import { thawBelow } from "./freezer.ts";
import { setLimits } from "./limits.ts";
import { childCgroups, isV2, mainDirectory, pidsBelow } from "./paths.ts";

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

// How long processes that were killed may take to leave, in milliseconds.
const PATIENCE = 5000;
// The same for our own criu in a cgroup that turned out to be somebody else's.
const OTHERS_PATIENCE = 500;

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
    if (ours) thawBelow(paths);
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
