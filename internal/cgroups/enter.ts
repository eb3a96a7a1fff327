/** Moving a process into the cgroups of a container that runs. @module */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, posix } from "node:path";
import { ThawError } from "../errors/errors.ts";
import { EINVAL, hasErrno, wrapFs } from "../linux/libc.ts";
import { parseOwn, UNIFIED } from "./hierarchies.ts";
import { isV2 } from "./paths.ts";

const ROOT = "/sys/fs/cgroup";
// A process may not be moved just after it was made (EINVAL); runc tries five times.
const TRIES = 5;
const PAUSE = 30; // milliseconds

/** Where to put a process. */
export interface Entrance {
  /** Controller to absolute directory. */
  readonly paths: ReadonlyMap<string, string>;
  /** On a v2 host, where the way is barred (EBUSY: it has cgroups below it): that of this process. */
  readonly otherwise: number | undefined;
  /** Where the way is barred, the process stays where it is (runc: RootlessCgroups). */
  readonly lenient: boolean;
}

/**
 * The cgroups of a container, or sub-cgroups of them.
 *
 * @param words as of `--cgroup`: `PATH`, or `CONTROLLER[,CONTROLLER…]:PATH`
 * @param init pid of the container's init
 * @param lenient as of {@link Entrance}
 * @throws ThawError in runc's words
 */
export function entranceOf(
  container: ReadonlyMap<string, string>,
  words: ReadonlyMap<string, string>,
  init: number,
  lenient: boolean,
): Entrance {
  if (words.size === 0) return { paths: container, otherwise: init, lenient };
  const paths = new Map(container);
  const everywhere = words.get(UNIFIED);
  const wanted =
    everywhere === undefined ? words : new Map([...paths.keys()].map((c) => [c, everywhere]));
  for (const [controller, path] of wanted) {
    const above = paths.get(controller);
    if (above === undefined)
      throw new ThawError(`unknown controller ${controller} in SubCgroupPaths`, {
        hint: `the container has ${[...paths.keys()].filter(Boolean).join(", ")}`,
      });
    const below = posix.join(above, path).replace(/(?<=.)\/$/, "");
    if (below !== above && !below.startsWith(`${above}/`))
      throw new ThawError(`${path} is not a sub cgroup path`);
    paths.set(controller, below);
  }
  return { paths, otherwise: everywhere === undefined ? init : undefined, lenient };
}

/**
 * Reads `--cgroup`.
 *
 * @returns controller to path; "" for all of them
 * @throws ThawError in runc's words
 */
export function parseSubCgroups(words: readonly string[]): Map<string, string> {
  const paths = new Map<string, string>();
  for (const word of words) {
    const colon = word.indexOf(":");
    if (colon === -1) {
      if (words.length !== 1)
        throw new ThawError(`invalid --cgroup argument: ${word} (missing <controller>: prefix)`);
      paths.set(UNIFIED, word);
      continue;
    }
    for (const controller of word.slice(0, colon).split(",")) {
      if (controller === "")
        throw new ThawError(`invalid --cgroup argument: ${word} (empty <controller> prefix)`);
      if (paths.has(controller))
        throw new ThawError(
          `invalid --cgroup argument(s): controller ${controller} specified multiple times`,
        );
      paths.set(controller, word.slice(colon + 1));
    }
  }
  return paths;
}

/**
 * Moves a process.
 *
 * @throws ThawError `error adding pid 7 to cgroups: …`
 */
export function enterCgroups({ paths, otherwise, lenient }: Entrance, pid: number): void {
  for (const directory of new Set(paths.values())) {
    try {
      enter(directory, pid);
    } catch (cause) {
      if (lenient) continue;
      const init = isV2(paths) && otherwise !== undefined ? unifiedOf(otherwise) : undefined;
      if (init === undefined || !tryEnter(init, pid))
        throw new ThawError(`error adding pid ${pid} to cgroups`, { cause });
    }
  }
}

function enter(directory: string, pid: number): void {
  const file = join(directory, "cgroup.procs");
  for (let tries = 1; ; tries++) {
    try {
      wrapFs(`failed to write ${pid}: open ${file}`, () =>
        writeFileSync(file, String(pid), { flag: "r+" }),
      );
      return;
    } catch (error) {
      if (!hasErrno(error, EINVAL) || tries === TRIES) throw error;
      Bun.sleepSync(PAUSE);
    }
  }
}

function tryEnter(directory: string, pid: number): boolean {
  try {
    enter(directory, pid);
    return true;
  } catch {
    return false; // what failed first is told
  }
}

function unifiedOf(pid: number): string | undefined {
  try {
    const path = parseOwn(readFileSync(`/proc/${pid}/cgroup`, "utf8")).get(UNIFIED);
    return path === undefined ? undefined : join(ROOT, path);
  } catch {
    return undefined;
  }
}

/**
 * Puts a process into the container's group of Intel RDT, if it has one.
 *
 * @param group absolute path in resctrl, or ""
 */
export function enterResctrl(group: string, pid: number): void {
  if (group === "" || !existsSync(group)) return;
  const file = join(group, "tasks");
  wrapFs(`error adding pid ${pid} to Intel RDT: write ${file}`, () =>
    writeFileSync(file, String(pid)),
  );
}
