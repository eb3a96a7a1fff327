/**
 * The state directory `<root>/<id>` as runc keeps it.
 *
 * Directory 0711, state.json 0600, written beside and renamed; see runc's
 * libcontainer/factory_linux.go and container_linux.go.
 *
 * @module
 */

import { mkdirSync, readFileSync, rmdirSync, statSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, ThawError } from "../errors/errors.ts";
import { makeDirectories, writeAtomically } from "../linux/file.ts";
import { EEXIST, ENOENT, ENOTDIR, hasErrno, wrapFs } from "../linux/libc.ts";
import { startTime } from "../linux/process.ts";
import { goJson } from "../log/log.ts";
import type { Config } from "../oci/config.ts";

/** The whole of state.json, in runc's order. */
export interface State {
  readonly id: string;
  readonly init_process_pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks since boot. */
  readonly init_process_start: number;
  /** UTC, RFC 3339 with up to nine decimals. */
  readonly created: string;
  readonly config: Config;
  readonly rootless: false;
  /** Controller to absolute directory; "" is the unified hierarchy. */
  readonly cgroup_paths: Readonly<Record<string, string>>;
  readonly namespace_paths: Readonly<Record<string, string>>;
  /** What the descriptors 0, 1 and 2 were when the container was made. */
  readonly external_descriptors: readonly string[];
  readonly intel_rdt_path: "";
}

/** What thaw notes beside state.json while a restore is under way, for whoever comes after a kill. */
export interface RestoreRecord {
  readonly version: 1;
  /** The thaw that restores. */
  readonly thaw: ProcessId;
  /** The CRIU it started; undefined before that. */
  readonly criu: ProcessId | undefined;
  readonly bundle: string;
  readonly imagePath: string;
  /** The network namespace with a path, which the checkpoint may have cut off. */
  readonly networkNamespace: string | undefined;
  readonly cgroupPaths: Readonly<Record<string, string>>;
}

/** A process told from a later one with the same pid. */
export interface ProcessId {
  readonly pid: number;
  /** Clock ticks since boot. */
  readonly startTime: number;
}

/** This or another process as a {@link ProcessId}; its start time is 0 when it is gone. */
export function processId(pid: number): ProcessId {
  return { pid, startTime: startTime(pid) ?? 0 };
}

const RECORD = "thaw.json";
const LAZY_PAGES = "lazy-pages.json";
// Everything that thaw, CRIU or a checkpoint that left the container running may have put there, and
// nothing else, is removed.
const FILES = [
  ...["state.json", RECORD, LAZY_PAGES].flatMap((name) => [name, `.${name}.new`]),
  "checkpoint",
];
const DIRECTORIES = ["criu-root", "notify"];

/** A claimed id; disposing removes the directory, never following a mount. */
export interface ClaimedState extends Disposable {
  /** Absolute path of `<root>/<id>`. */
  readonly path: string;
  /** Writes the record of the restore under way. */
  note(record: RestoreRecord): void;
  /**
   * Notes that memory is still to arrive, and who sees to that.
   *
   * @returns absolute path of the file, for the guardian to remove
   */
  noteLazyPages(guardian: ProcessId): string;
  /** Writes state.json. */
  save(state: State): void;
  /** The restore is complete: removes the record and the empty `criu-root`. */
  settle(): void;
}

/**
 * Checks an id as runc does.
 *
 * @throws ThawError `invalid container ID format`, `container id cannot be empty`
 */
export function validateId(id: string): void {
  if (id === "") throw new ThawError("container id cannot be empty");
  const valid = /^[A-Za-z0-9_+.-]+$/.test(id) && id !== "." && id !== "..";
  if (!valid)
    throw new ThawError("invalid container ID format", {
      hint: "an id is made of letters, digits and _ + . -",
    });
}

/**
 * Refuses an id that is taken, without side effects.
 *
 * @throws ThawError `container with given ID already exists`, and what an earlier thaw left there
 */
export function refuseTakenId(root: string, id: string): void {
  const path = join(root, id);
  try {
    wrapFs(`lstat ${path}`, () => statSync(path));
  } catch (error) {
    if (hasErrno(error, ENOENT) || hasErrno(error, ENOTDIR)) return;
    throw error;
  }
  throw taken(path, id);
}

function taken(path: string, id: string): ThawError {
  const message = "container with given ID already exists";
  const record = readRecord(path);
  if (record === undefined)
    return new ThawError(message, { hint: `delete it ("thaw delete ${id}") or take another id` });
  const alive = ({ pid, startTime: start }: ProcessId) => startTime(pid) === start;
  if (alive(record.thaw))
    return new ThawError(message, { hint: `thaw (pid ${record.thaw.pid}) is restoring it now` });
  const finished = statOrUndefined(join(path, "state.json")) !== undefined;
  const what = finished
    ? "thaw was killed just after it had restored this container, which may be running"
    : "an earlier thaw was killed while it restored this container";
  const criu =
    record.criu !== undefined && alive(record.criu)
      ? `; its criu (pid ${record.criu.pid}) still runs`
      : "";
  const remedy = finished
    ? `see "thaw state ${id}"`
    : `remove what it left with "thaw delete -f ${id}"`;
  return new ThawError(`${message}: ${what}${criu}`, { hint: remedy });
}

function statOrUndefined(path: string) {
  return statSync(path, { throwIfNoEntry: false });
}

/** Reads the record of an interrupted restore; undefined when there is none that can be read. */
export function readRecord(path: string): RestoreRecord | undefined {
  try {
    const record = JSON.parse(readFileSync(join(path, RECORD), "utf8")) as RestoreRecord;
    return record.version === 1 ? record : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Who sees to it that a container's memory arrives; undefined when all of it is there.
 *
 * @param path the state directory
 */
export function readLazyPages(path: string): ProcessId | undefined {
  try {
    const { version, guardian } = JSON.parse(readFileSync(join(path, LAZY_PAGES), "utf8"));
    return version === 1 ? guardian : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Makes `<root>/<id>`. Of two at once, one gets it.
 *
 * @throws ThawError when the id is taken or the root cannot be made; nothing is left
 */
export function claimState(root: string, id: string): ClaimedState {
  makeDirectories(root, 0o700);
  const path = join(root, id);
  try {
    wrapFs(`mkdir ${path}`, () => mkdirSync(path, 0o711));
  } catch (error) {
    if (hasErrno(error, EEXIST)) throw taken(path, id);
    throw error;
  }
  const { dev, ino, birthtimeMs } = statSync(path); // an inode number alone is used again
  // Whoever deleted it meanwhile, and claimed the id again, keeps what is there now.
  const isOurs = () => {
    const now = statOrUndefined(path);
    return (
      now !== undefined && now.birthtimeMs === birthtimeMs && now.dev === dev && now.ino === ino
    );
  };
  return {
    path,
    note: (record) => writeAtomically(path, RECORD, JSON.stringify(record)),
    noteLazyPages: (guardian) => {
      writeAtomically(path, LAZY_PAGES, JSON.stringify({ version: 1, guardian }));
      return join(path, LAZY_PAGES);
    },
    save: (state) => writeAtomically(path, "state.json", goJson(state)),
    settle: () => {
      const root = join(path, "criu-root");
      wrapFs(`rmdir ${root}`, () => rmdirSync(root));
      removeFile(join(path, RECORD));
    },
    [Symbol.dispose]: () => {
      if (isOurs()) removeStateDirectory(path);
    },
  };
}

function removeFile(path: string): void {
  try {
    wrapFs(`remove ${path}`, () => unlinkSync(path));
  } catch (error) {
    if (!hasErrno(error, ENOENT)) throw error;
  }
}

// By known names, never recursively: a directory may still be a mount of the rootfs.
function removeStateDirectory(path: string): void {
  const errors: unknown[] = [];
  const attempt = (action: () => void) => {
    try {
      action();
    } catch (error) {
      if (!hasErrno(error, ENOENT)) errors.push(error);
    }
  };
  for (const name of FILES) attempt(() => removeFile(join(path, name)));
  for (const name of DIRECTORIES) {
    const directory = join(path, name);
    attempt(() => wrapFs(`rmdir ${directory}`, () => rmdirSync(directory)));
  }
  attempt(() => wrapFs(`rmdir ${path}`, () => rmdirSync(path)));
  if (errors.length > 0) throw new ThawError(errors.map(describe).join("; "));
}
