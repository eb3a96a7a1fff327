/** Reading a state.json that thaw or runc wrote, of any version, and removing what belongs to it. @module */

import { realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { describe, ThawError } from "../errors/errors.ts";
import { lockDirectory, readRegularFile, writeAtomically } from "../linux/file.ts";
import { ENOENT, hasErrno } from "../linux/libc.ts";
import { unmountTree } from "../linux/mount.ts";
import { removeTree } from "../linux/tree.ts";
import { goJson, goQuote } from "../log/log.ts";
import type { Cgroup, Hook, Mount, Namespace } from "../oci/config.ts";
import { parseExact } from "../oci/exact-json.ts";
import { Fields } from "./fields.ts";
import { type ProcessId, readRecord } from "./state.ts";

/** What of state.json the commands use, with what runc 1.4 leaves out put back. */
export interface StoredState {
  readonly id: string;
  readonly init: ProcessId;
  /** UTC, RFC 3339. */
  readonly created: string;
  /** Version of the specification, as the container's `ociVersion`. */
  readonly version: string;
  readonly rootfs: string;
  /** Annotations as `key=value`, and the bundle as `bundle=PATH`. */
  readonly labels: readonly string[];
  readonly namespaces: readonly Namespace[];
  readonly mounts: readonly Pick<Mount, "device" | "destination" | "source">[];
  readonly maskPaths: readonly string[];
  /** Paths of the device nodes. */
  readonly devices: readonly string[];
  /** What the descriptors 0, 1 and 2 were when the container was made. */
  readonly externalDescriptors: readonly string[];
  readonly poststop: readonly Hook[];
  readonly cgroup: Cgroup;
  /** Controller to absolute directory; may be empty. */
  readonly cgroupPaths: ReadonlyMap<string, string>;
  /** Whether the configuration asks for Intel RDT. */
  readonly intelRdt: boolean;
  /** The directory in resctrl; "" for none. */
  readonly intelRdtPath: string;
  /** All of `config`; nobody has checked more of it than the fields above. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** There is no container of that name. */
export class NoContainerError extends ThawError {
  override name = "NoContainerError";
}

/** Far more than any container's: 10 MB. */
const MAX_STATE = 10_000_000;

/**
 * Reads `<root>/<id>/state.json`.
 *
 * @throws NoContainerError `container does not exist`; ThawError in Go's words for a damaged file
 */
export function readState(root: string, id: string): StoredState {
  const path = join(root, id, "state.json");
  return interpret(readDocument(root, id), path);
}

/**
 * Waits for those who change a container's state.json, and keeps others waiting.
 *
 * @returns disposing lets them go on
 * @throws NoContainerError, SyscallError
 */
export function lockState(root: string, id: string): Disposable {
  try {
    return lockDirectory(join(root, id));
  } catch (error) {
    throw hasErrno(error, ENOENT) ? missing(root, id) : error;
  }
}

/**
 * Records other limits, and whatever else `config.cgroups` says, in state.json; all else in it stays,
 * and whoever reads it sees the old or the new.
 *
 * @throws NoContainerError, SyscallError `write PATH: …`; state.json is as it was
 */
export function saveCgroup(root: string, id: string, cgroup: Cgroup): void {
  const state = readDocument(root, id);
  state.config.cgroups = cgroup;
  writeAtomically(join(root, id), "state.json", goJson(state));
}

function readDocument(root: string, id: string): Json {
  const path = join(root, id, "state.json");
  let text: string;
  try {
    text = readRegularFile(path, MAX_STATE).toString();
  } catch (error) {
    if (hasErrno(error, ENOENT)) throw missing(root, id);
    throw error;
  }
  return parse(text, path);
}

function missing(root: string, id: string): NoContainerError {
  const record = readRecord(join(root, id));
  const hint =
    record === undefined
      ? `there is no ${id} in ${root}`
      : `thaw was killed while it restored ${id}: remove what it left with "thaw delete -f ${id}"`;
  return new NoContainerError("container does not exist", { hint });
}

/** JSON, or an error that begins as Go's encoding/json words it. */
function parse(text: string, path: string): unknown {
  try {
    return parseExact(text);
  } catch (error) {
    throw damaged(goReason(text, describe(error)), path);
  }
}

function goReason(text: string, reason: string): string {
  const first = text.trimStart().charAt(0);
  if (first === "") return "EOF";
  if (!/["{[tfn0-9-]/.test(first))
    return `invalid character '${goQuote(first).slice(1, -1)}' looking for beginning of value`;
  return /EOF|Unterminated|Expected '}'/.test(reason) ? "unexpected EOF" : reason;
}

function damaged(message: string, path: string): ThawError {
  return new ThawError(message, {
    hint: `${path} is damaged: when the container's processes have ended, remove its directory`,
  });
}

// biome-ignore lint/suspicious/noExplicitAny: a document nobody has checked
type Json = any;

function interpret(document: Json, path: string): StoredState {
  try {
    return storedState(document);
  } catch (error) {
    throw damaged(`state.json has ${describe(error)}`, path);
  }
}

/** @throws ThawError `no NAME`, `a wrong NAME` */
function storedState(document: Json): StoredState {
  const state = new Fields(document ?? {});
  for (const name of ["id", "init_process_pid", "init_process_start", "config"])
    if (!state.has(name)) throw new ThawError(`no ${name}`);
  const config = state.object("config");
  if (!config.has("cgroups")) throw new ThawError("no config.cgroups");
  const namespaces = config.objects("namespaces").map((one) => ({
    type: one.text("type"),
    path: one.text("path"),
  }));
  return {
    id: state.text("id"),
    init: {
      pid: state.integer("init_process_pid"),
      startTime: state.integer("init_process_start"),
    },
    created: state.text("created", "0001-01-01T00:00:00Z"), // Go's zero time
    version: config.text("version"),
    rootfs: config.text("rootfs"),
    labels: config.texts("labels"),
    namespaces,
    mounts: config.objects("mounts").map((one) => ({
      device: one.text("device"),
      destination: one.text("destination"),
      source: one.text("source"),
    })),
    maskPaths: config.texts("mask_paths"),
    devices: config.objects("devices").map((one) => one.text("path")),
    externalDescriptors: state.texts("external_descriptors"),
    poststop: config.object("Hooks").objects("poststop").map(toHook),
    cgroup: config.object("cgroups").values as unknown as Cgroup,
    intelRdt: config.has("intel_rdt"),
    intelRdtPath: state.text("intel_rdt_path"),
    config: { ...config.values, namespaces },
    cgroupPaths: cgroupPathsOf(state),
  };
}

// What is relative would be looked for, and removed, where thaw happens to be started.
function cgroupPathsOf(state: Fields): Map<string, string> {
  const paths = state.table("cgroup_paths");
  if ([...paths.values()].every((path) => path.startsWith("/"))) return paths;
  throw new ThawError("a wrong cgroup_paths");
}

function toHook(hook: Fields): Hook {
  return {
    path: hook.text("path"),
    args: hook.optionalTexts("args"),
    env: hook.optionalTexts("env"),
    dir: "",
    timeout: hook.number("timeout"),
  };
}

/**
 * Removes a container's directory with all in it, state.json last: until then the container is
 * known, and a delete that was killed can be repeated. What is mounted in it, as a killed runc leaves
 * `criu-root`, is unmounted before; nothing is removed through a mount.
 *
 * @param path absolute
 * @returns whether this call removed state.json; of two at once, one does
 * @throws ThawError `unable to remove container state dir: …`
 */
export function removeState(path: string): boolean {
  try {
    // The directory itself may be no link: what lies behind one is not the container's.
    unmountTree(join(realpathSync(dirname(path)), basename(path)));
    return removeTree(path, "state.json");
  } catch (cause) {
    if (hasErrno(cause, ENOENT)) return false;
    throw new ThawError("unable to remove container state dir", { cause });
  }
}
