/** A container that exists: what is recorded of it, and what has become of it. @module */

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { isFrozen } from "../cgroups/freezer.ts";
import { cgroupPaths, hierarchies } from "../cgroups/hierarchies.ts";
import { ThawError } from "../errors/errors.ts";
import { startTime } from "../linux/process.ts";
import { NoContainerError, readState, type StoredState } from "../state/load.ts";
import { validateId } from "../state/state.ts";
import { nearest } from "./nearest.ts";

/** A container made by thaw or by runc. */
export interface Container {
  readonly id: string;
  /** The `--root` it was found in. */
  readonly root: string;
  /** Its state directory. */
  readonly directory: string;
  readonly state: StoredState;
  /** Controller to absolute directory. */
  readonly cgroupPaths: ReadonlyMap<string, string>;
  readonly bundle: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** What a container can be (runc; the specification has no `paused`). */
export type Status = "created" | "running" | "paused" | "stopped";

/**
 * Loads a container.
 *
 * @throws NoContainerError `container does not exist`; ThawError for an id that cannot be one, and
 *   for a damaged state.json
 */
export function loadContainer(root: string, id: string): Container {
  validateId(id);
  try {
    return containerOf(root, id, readState(root, id));
  } catch (error) {
    if (!(error instanceof NoContainerError)) throw error;
    const [like, ...others] = nearest(id, idsIn(root));
    if (like === undefined) throw error;
    const names = [like, ...others].join(", ");
    throw new NoContainerError(error.message, {
      hint: `${error.hint}; did you mean ${others.length === 0 ? "" : "one of "}${names}?`,
    });
  }
}

function containerOf(root: string, id: string, state: StoredState): Container {
  let bundle = "";
  const annotations: Record<string, string> = {};
  for (const label of state.labels) {
    const equals = label.indexOf("=");
    if (equals === -1) continue;
    const name = label.slice(0, equals);
    if (name === "bundle") bundle = label.slice(equals + 1);
    else annotations[name] = label.slice(equals + 1);
  }
  const sorted = Object.entries(annotations).sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    id,
    root,
    directory: join(root, id),
    state,
    cgroupPaths: recordedPaths(state),
    bundle,
    annotations: Object.fromEntries(sorted),
  };
}

// runc: without recorded paths, those a new container of this configuration would get.
function recordedPaths(state: StoredState): ReadonlyMap<string, string> {
  if (state.cgroupPaths.size > 0) return state.cgroupPaths;
  return cgroupPaths(hierarchies(), state.cgroup.path ?? state.cgroup.name ?? state.id);
}

/**
 * What has become of a container (runc: refreshState).
 *
 * Frozen is paused, whatever else; without the init of that pid and start time it has stopped; a
 * created one has its `exec.fifo` still.
 */
export function statusOf(container: Container): Status {
  if (isFrozen(container.cgroupPaths)) return "paused";
  if (!hasInit(container)) return "stopped";
  const fifo = join(container.directory, "exec.fifo");
  return statSync(fifo, { throwIfNoEntry: false }) === undefined ? "running" : "created";
}

/** Whether the container's init lives: that process, not a later one with its pid. */
export function hasInit({ state: { init } }: Container): boolean {
  return startTime(init.pid) === init.startTime;
}

/** Whether the container has a PID namespace of its own, whose init takes all of it along. */
export function hasOwnPidNamespace({ state }: Container): boolean {
  return state.namespaces.some(({ type, path }) => type === "NEWPID" && path === "");
}

/** The directories in a root, sorted: containers, or what is left of some. */
export function idsIn(root: string): string[] {
  try {
    const entries = readdirSync(root, { withFileTypes: true });
    const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    return names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  } catch {
    return [];
  }
}

/** The container is not in the state a command needs; callers match the message. */
export function refuse(message: string, { id }: Container, status: Status): ThawError {
  return new ThawError(message, { hint: `${id} is ${status}` });
}
