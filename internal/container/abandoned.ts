/**
 * The CRIU of a runc that was killed. It undoes its own work, but not when it has gone mad (as on a
 * truncated image), and runc keeps no record of it: it is known by what it restores into.
 *
 * @module
 */

import { readdirSync, realpathSync, rmdirSync } from "node:fs";
import { basename, join } from "node:path";
import { thaw } from "../cgroups/freezer.ts";
import { cgroupPaths, hierarchies } from "../cgroups/hierarchies.ts";
import { cgroupsOf, removeTree } from "../cgroups/manager.ts";
import { temporariesIn } from "../criu/temporaries.ts";
import { mounts, parseMountInfo, unmountTree } from "../linux/mount.ts";
import { holdProcess } from "../linux/pidfd.ts";
import { procLink, procText } from "../linux/proc.ts";
import { startTime } from "../linux/process.ts";
import { attempt, killCriu } from "./ending.ts";

/** One that has something to do with it. */
interface Task {
  readonly pid: number;
  readonly start: number;
  /** Its root directory is what is bound to `criu-root`. */
  readonly isInside: boolean;
  /** It is CRIU, or one that CRIU has made and not let go. */
  readonly isCriu: boolean;
  /** /proc/PID/cgroup. */
  readonly place: string;
}

/**
 * Ends such a CRIU with what it has made, and removes its directories and cgroups.
 *
 * Only what is in the cgroups of a half-made task is looked at: other containers of the same root
 * filesystem are in others, and are no CRIU any more.
 *
 * @param directory the state directory, with `criu-root` bound in it
 * @throws ThawError when something does not end
 */
export function endAbandoned(directory: string): void {
  const found = tasksOf(directory);
  const place = found.find(({ isInside, isCriu }) => isInside && isCriu)?.place;
  const tasks = found
    .filter((task) => task.place === place)
    .sort((a, b) => a.start - b.start || a.pid - b.pid);
  const service = tasks.find(({ isCriu, isInside }) => isCriu && !isInside);
  if (service === undefined || hasRuntime(service.pid)) return;
  const work = procLink(service.pid, "cwd");
  const paths = cgroupsOfTask(service.pid);
  attempt(() => thaw(paths));
  for (const { pid, start } of tasks) {
    using task = holdProcess(pid, start);
    if (task !== undefined) killCriu(task, pid);
  }
  for (const path of temporariesIn(work, "restore.log", 0)) {
    attempt(() => unmountTree(path));
    attempt(() => rmdirSync(path));
  }
  for (const path of new Set(paths.values())) attempt(() => removeTree(path));
}

function tasksOf(directory: string): Task[] {
  const at = join(resolved(directory), "criu-root");
  const bound = mounts().find(({ mountpoint }) => mountpoint === at);
  if (bound === undefined) return [];
  return readdirSync("/proc").flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) return [];
    const isCriu = basename(procLink(pid, "exe").replace(/ \(deleted\)$/, "")) === "criu";
    const root = parseMountInfo(procText(pid, "mountinfo")).find((one) => one.mountpoint === "/");
    const isInside = root?.device === bound.device && root.root === bound.root;
    const start = startTime(pid);
    if (start === undefined || !(isCriu || isInside)) return [];
    return [{ pid, start, isInside, isCriu, place: procText(pid, "cgroup") }];
  });
}

/** Whether the runtime that started it is there: then it is no one's to end. */
function hasRuntime(pid: number): boolean {
  const parent = Number(/^PPid:\s*(\d+)/m.exec(procText(pid, "status"))?.[1] ?? 0);
  return procText(parent, "cmdline").split("\0").includes("restore");
}

/**
 * Where it is, but for cgroups that are not the container's: the root's, thaw's own, and those of a
 * hierarchy that runc did not join, which have another name.
 */
function cgroupsOfTask(pid: number): Map<string, string> {
  const paths = new Map<string, string>();
  const found = hierarchies();
  const places = cgroupsOf(pid);
  const main = places.find(({ ctrl }) => ctrl === "devices") ?? places[0];
  for (const { ctrl, path } of places) {
    const hierarchy = found.find(({ controllers }) => controllers.includes(ctrl));
    if (hierarchy === undefined || path === "/" || path === hierarchy.own) continue;
    if (basename(path) !== basename(main?.path ?? "/")) continue;
    const inside = cgroupPaths(found, path).get(ctrl);
    if (inside !== undefined) paths.set(ctrl, inside);
  }
  return paths;
}

function resolved(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
