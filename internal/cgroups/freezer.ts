/** Freezing a container's processes: v1's freezer controller, v2's cgroup.freeze. @module */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ThawError } from "../errors/errors.ts";
import { ENODEV, ENOENT, hasErrno, wrapFs } from "../linux/libc.ts";
import { write } from "./files.ts";
import { childCgroups, isV2, mainDirectory } from "./paths.ts";

// How long a cgroup may be neither frozen nor thawed, in milliseconds (runc: 10 s on v2).
const PATIENCE = 10_000;
// A v1 cgroup whose processes fork may stay FREEZING: thawing it now and then helps. runc found the
// numbers by trial.
const FREEZE_TRIES = 1000;
const THAW_EVERY = 50;

/**
 * Whether the container's cgroup is frozen, by itself and not with an ancestor. Waits while it is
 * being frozen.
 *
 * @returns false also when there is no such cgroup, or no freezer
 * @throws ThawError when it stays in between
 */
export function isFrozen(paths: ReadonlyMap<string, string>): boolean {
  if (isV2(paths)) {
    const directory = mainDirectory(paths);
    return readOptional(join(directory, "cgroup.freeze")) === "1" && waitFrozen(directory);
  }
  const directory = paths.get("freezer");
  if (directory === undefined) return false;
  const file = join(directory, "freezer.state");
  for (const start = performance.now(); ; Bun.sleepSync(1)) {
    const state = readOptional(file);
    if (state === undefined || state === "THAWED") return false;
    // Kernels before 3.8 do not tell apart whether it is frozen with an ancestor.
    if (state === "FROZEN")
      return (readOptional(join(directory, "freezer.self_freezing")) ?? "1") === "1";
    if (performance.now() - start > PATIENCE) throw new ThawError(`${file} stays ${state}`);
  }
}

/**
 * Freezes the container's processes and waits until all of them are.
 *
 * @throws ThawError `unable to freeze`; it is thawed again
 */
export function freeze(paths: ReadonlyMap<string, string>): void {
  const set = freezerFile(paths);
  try {
    if (isV2(paths)) {
      set("1");
      waitFrozen(mainDirectory(paths));
    } else freezeV1(join(paths.get("freezer") ?? "", "freezer.state"), set);
  } catch (error) {
    // A container half frozen would be worse.
    try {
      set(isV2(paths) ? "0" : "THAWED");
    } catch {
      // What failed first is told.
    }
    throw error;
  }
}

/** Lets the container's processes run again. @throws SyscallError when the cgroup is gone */
export function thaw(paths: ReadonlyMap<string, string>): void {
  freezerFile(paths)(isV2(paths) ? "0" : "THAWED");
}

/**
 * Lets run what is in the cgroup and in those below it, should somebody have frozen one, as far as
 * that is possible: on v1 a frozen process cannot be ended.
 */
export function thawBelow(paths: ReadonlyMap<string, string>): void {
  const directory = isV2(paths) ? mainDirectory(paths) : paths.get("freezer");
  if (directory === undefined) return;
  const below = (cgroup: string): void => {
    try {
      if (isV2(paths)) write(cgroup, "cgroup.freeze", "0");
      else write(cgroup, "freezer.state", "THAWED");
    } catch {
      // gone, or held by a parent's freezer
    }
    for (const child of childCgroups(cgroup)) below(child);
  };
  below(directory);
}

function freezeV1(file: string, set: (value: string) => void): void {
  for (let tries = 1; tries <= FREEZE_TRIES; tries++) {
    if (tries % THAW_EVERY === 0) {
      set("THAWED");
      Bun.sleepSync(10);
    }
    set("FROZEN");
    const state = readOptional(file);
    if (state === "FROZEN") return;
    if (state !== "FREEZING") throw new ThawError(`unexpected state ${state} while freezing`);
  }
  throw new ThawError("unable to freeze", { hint: `${file} stays FREEZING` });
}

/** Waits for a v2 cgroup that was told to freeze. */
function waitFrozen(directory: string): true {
  const events = join(directory, "cgroup.events");
  for (const start = performance.now(); ; Bun.sleepSync(1)) {
    if (/^frozen 1$/m.test(readOptional(events) ?? "")) return true;
    if (performance.now() - start > PATIENCE)
      throw new ThawError(
        `timeout of ${PATIENCE / 1000}s reached waiting for the cgroup to freeze`,
        { hint: `see ${events}` },
      );
  }
}

/** The directory through which the container is frozen; undefined where there is no freezer. */
export function freezerDirectory(paths: ReadonlyMap<string, string>): string | undefined {
  return isV2(paths) ? mainDirectory(paths) : paths.get("freezer");
}

function freezerFile(paths: ReadonlyMap<string, string>): (value: string) => void {
  const directory = freezerDirectory(paths);
  if (directory === undefined)
    throw new ThawError("cannot toggle freezer: cgroups not configured for container", {
      hint: "the v1 freezer controller is not mounted on this host",
    });
  return (value) => write(directory, isV2(paths) ? "cgroup.freeze" : "freezer.state", value);
}

/** A file without its newline; undefined when it, or what it belongs to, is not there. */
function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    if (hasErrno(error, ENOENT) || hasErrno(error, ENODEV)) return undefined;
    throw wrapped(error, path);
  }
}

function wrapped(error: unknown, path: string): unknown {
  try {
    return wrapFs(`read ${path}`, () => {
      throw error;
    });
  } catch (worded) {
    return worded;
  }
}
