/**
 * What a killed restore leaves of an id, cleared away: the CRIU that goes on, an init half made,
 * cgroups, CRIU's temporary directories and network lock, mounts, the state directory; in that order, so that a
 * clearing that is killed can be repeated. And the CRIU of a checkpoint that holds a container.
 *
 * @module
 */

import { rmdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { containerProcesses, destroyCgroups } from "../cgroups/end.ts";
import { thaw } from "../cgroups/freezer.ts";
import { ThawError } from "../errors/errors.ts";
import { parseMountInfo } from "../linux/mount.ts";
import { holdProcess } from "../linux/pidfd.ts";
import { procLink, procText } from "../linux/proc.ts";
import { nameOf, startTime, tracerOf } from "../linux/process.ts";
import { SIGKILL } from "../linux/signal.ts";
import type { Log } from "../log/log.ts";
import { readState, removeState } from "../state/load.ts";
import { type RestoreRecord, readRecord } from "../state/state.ts";
import { type Container, idsIn } from "./container.ts";
import { attempt, DEATH_PATIENCE, killCriu } from "./ending.ts";

// A CRIU whose client is gone undoes its own work; one that no longer talks must be killed. Milliseconds.
const CRIU_PATIENCE = 3000;
// The moment between making the directory and noting in it whose it is.
const CLAIM_PATIENCE = 100;

/**
 * Refuses to touch what a thaw is restoring at this moment.
 *
 * @param directory the state directory
 * @returns the record of a restore that was killed, if there is one
 * @throws ThawError `thaw (pid 7) is restoring c1 now`
 */
export function interruptedRestore(directory: string, id: string): RestoreRecord | undefined {
  const record = readRecord(directory);
  if (record === undefined) return undefined;
  if (startTime(record.thaw.pid) === record.thaw.startTime)
    throw new ThawError(`thaw (pid ${record.thaw.pid}) is restoring ${id} now`, {
      hint: `to give that up, end it first: kill ${record.thaw.pid}`,
    });
  return record;
}

/** Ends the CRIU of a restore whose thaw was killed. @throws ThawError when it does not end */
export function endCriu({ criu: recorded }: RestoreRecord): void {
  if (recorded === undefined) return;
  using criu = holdProcess(recorded.pid, recorded.startTime);
  if (criu === undefined) return;
  if (criu.ended(CRIU_PATIENCE)) return;
  const directories = temporaryDirectories(recorded.pid);
  killCriu(criu, recorded.pid);
  for (const directory of directories) attempt(() => rmdirSync(directory));
}

/** The directories in /tmp that a CRIU has mounted something on, as its own namespace shows. */
function temporaryDirectories(pid: number): string[] {
  return parseMountInfo(procText(pid, "mountinfo"))
    .map(({ mountpoint }) => mountpoint)
    .filter((mountpoint) => /^\/tmp\/\.criu\.mntns\.[A-Za-z0-9]+$/.test(mountpoint));
}

/** Lets others in the container's network namespace be reached again, whom the checkpoint cut off. */
export async function lift(record: RestoreRecord, log: Log): Promise<void> {
  const { networkNamespace: path, imagePath: by } = record;
  if (path === undefined || record.criu === undefined) return;
  const { liftNetworkLock } = await import("../criu/network-lock.ts");
  const since = "the restore was killed";
  await liftNetworkLock({ path, by, since }, (message) => log.warn(message));
}

/**
 * Ends a CRIU that dumps a container which has been killed. It serves memory that nobody will fetch, or
 * waits for a process that cannot end before it lets go: only its own end brings that of init.
 *
 * @returns what lifts the network lock that it leaves; undefined when no CRIU holds the container
 */
export function endDump({ state }: Container): ((log: Log) => Promise<void>) | undefined {
  const { pid: init } = state.init;
  const tracer = tracerOf(init);
  using criu = holdProcess(tracer, startTime(tracer) ?? 0);
  if (criu === undefined || !/^criu/.test(nameOf(tracer))) return undefined;
  const dump = { init, log: join(procLink(tracer, "cwd"), "dump.log") }; // CRIU works beside its log
  attempt(() => criu.signal(SIGKILL));
  return async (log) => {
    const path = state.namespaces.find(({ type }) => type === "NEWNET")?.path ?? "";
    if (path === "") return; // it goes with the container
    const { liftNetworkLock } = await import("../criu/network-lock.ts");
    const since = "the checkpoint was given up";
    await liftNetworkLock({ path, by: dump, since }, (message) => log.warn(message));
  };
}

/**
 * Clears away what is left of an id that has no state.json.
 *
 * @returns whether there was anything
 * @throws ThawError naming what stays
 */
export async function removeLeftovers(root: string, id: string, log: Log): Promise<boolean> {
  const directory = join(root, id);
  const isThere = () => statSync(directory, { throwIfNoEntry: false }) !== undefined;
  for (let left = CLAIM_PATIENCE; left > 0 && isThere(); left -= 5) {
    if (readRecord(directory) !== undefined) break;
    Bun.sleepSync(5);
  }
  if (!isThere()) return false;
  const record = interruptedRestore(directory, id);
  if (record !== undefined) endCriu(record);
  else (await import("./abandoned.ts")).endAbandoned(directory);
  if (record?.criu !== undefined) endTasks(root, id, record, record.criu.startTime);
  if (record !== undefined) await lift(record, log);
  removeState(directory);
  return true;
}

/** Ends what CRIU had made, and removes the cgroups it was in. */
function endTasks(root: string, id: string, record: RestoreRecord, since: number): void {
  const paths = new Map(Object.entries(record.cgroupPaths));
  // They were empty before CRIU joined them. Whoever came later is not ours to end.
  if (isUsedByOther(root, id, paths)) return;
  attempt(() => thaw(paths));
  for (const pid of containerProcesses(paths)) {
    const started = startTime(pid);
    if (started === undefined || started < since) continue;
    using task = holdProcess(pid, started);
    attempt(() => task?.signal(SIGKILL));
    task?.ended(DEATH_PATIENCE);
  }
  destroyCgroups(paths, { devices: [] });
}

function isUsedByOther(root: string, id: string, paths: ReadonlyMap<string, string>): boolean {
  const ours = new Set(paths.values());
  return idsIn(root)
    .filter((other) => other !== id)
    .some((other) => {
      try {
        return [...readState(root, other).cgroupPaths.values()].some((path) => ours.has(path));
      } catch {
        return false;
      }
    });
}
