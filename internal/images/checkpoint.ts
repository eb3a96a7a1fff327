/**
 * Whether a checkpoint is whole, decided before CRIU is started: CRIU spins for ever on a
 * truncated pages image and crashes on a missing one.
 *
 * @module
 */

import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { ThawError } from "../errors/errors.ts";
import { readRegularFile } from "../linux/file.ts";
import { ENOENT, hasErrno, wrapFs } from "../linux/libc.ts";
import {
  fields,
  IMG_COMMON_MAGIC,
  INVENTORY_MAGIC,
  MAGICS,
  messageField,
  records,
  varintField,
  varintFields,
} from "./wire.ts";

const PAGE_SIZE = 4096;
// All images but the pages; a terabyte of memory in single pages has a pagemap of this order.
const MAX_BYTES = 1024 * 1024 * 1024;
// pagemap entry flags (CRIU include/pagemap.h)
const PE_PARENT = 1;
const PE_PRESENT = 4;
// task_state in core images (CRIU images/core.proto): a dead task has no memory.
const TASK_DEAD = 2;

const COPY_AGAIN = "copy the checkpoint again from where it was made, or check --image-path";

/** What a restore needs to know of a checkpoint. */
export interface Checkpoint {
  /** What the descriptors 0, 1 and 2 of init were, such as `pipe:[123]`. */
  readonly descriptors: readonly string[];
  /** Pages are counted in 64 bits, as by CRIU 4.2 and newer: an older one finds none at all. */
  readonly wideCounts: boolean;
  /** Processes held locks on files. */
  readonly fileLocks: boolean;
  /** Processes had TCP connections, and they are in the checkpoint. */
  readonly tcpConnections: boolean;
}

/**
 * Reads descriptors.json and checks the images CRIU cannot do without.
 *
 * @param directory the image directory
 * @throws ThawError naming the image that is missing, cut short or of another kind
 */
export function readCheckpoint(directory: string): Checkpoint {
  const descriptors = readDescriptors(directory);
  checkInventory(directory);
  const tasks = image(directory, "pstree").map((entry) => ({
    pid: varintField(entry, 1, 0),
    threads: varintFields(entry, 5),
  }));
  if (tasks.length === 0) throw damaged(directory, "pstree.img", "holds no process");
  image(directory, "files");
  let wideCounts = false;
  for (const { pid, threads } of tasks) {
    // Of a zombie CRIU writes a core alone, and whatever was in memory as its thread.
    if (!isAlive(directory, pid)) continue;
    for (const thread of threads) image(directory, `core-${thread}`);
    wideCounts = checkTask(directory, pid) || wideCounts;
  }
  return {
    descriptors,
    wideCounts,
    fileLocks: hasFileLocks(directory),
    tcpConnections: hasTcpStreams(directory),
  };
}

function readDescriptors(directory: string): string[] {
  const path = join(directory, "descriptors.json");
  const text = open(path).toString();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ThawError("unexpected end of JSON input", {
      hint: `${path} is damaged: ${COPY_AGAIN}`,
    });
  }
  if (value === null) return [];
  if (Array.isArray(value) && value.every((entry) => typeof entry === "string")) return value;
  const wrong = Array.isArray(value) ? value.find((entry) => typeof entry !== "string") : value;
  const kind = Array.isArray(wrong) ? "array" : typeof wrong === "boolean" ? "bool" : typeof wrong;
  const target = Array.isArray(value) ? "string" : "[]string";
  throw new ThawError(`json: cannot unmarshal ${kind} into Go value of type ${target}`, {
    hint: `${path} is damaged: ${COPY_AGAIN}`,
  });
}

function open(path: string): Buffer {
  try {
    return readRegularFile(path, MAX_BYTES);
  } catch (error) {
    const hint = hasErrno(error, ENOENT) ? `is this a checkpoint? ${COPY_AGAIN}` : COPY_AGAIN;
    throw new ThawError((error as Error).message, { hint });
  }
}

function checkInventory(directory: string): void {
  const bytes = open(join(directory, "inventory.img"));
  if (bytes.length < 4 || bytes.readUInt32LE(0) !== INVENTORY_MAGIC)
    throw damaged(directory, "inventory.img", "is no CRIU inventory");
  const [entry] = records(bytes, 4) ?? [];
  if (entry === undefined) throw damaged(directory, "inventory.img", "is cut short");
  const version = whole(directory, "inventory.img", () => varintField(entry, 1, 0));
  if (version > 2)
    throw new ThawError(
      `${join(directory, "inventory.img")}: not supported images version ${version}`,
      {
        hint: "install a CRIU at least as new as the one that made the checkpoint",
      },
    );
}

/** The records of an image, after checking magic and framing. */
function image(directory: string, name: string): Uint8Array[] {
  const file = `${name}.img`;
  const bytes = open(join(directory, file));
  const kind = /^[a-z]+/.exec(name)?.[0] ?? "";
  if (bytes.length < 8) throw damaged(directory, file, "is cut short");
  if (bytes.readUInt32LE(0) !== IMG_COMMON_MAGIC || bytes.readUInt32LE(4) !== MAGICS[kind])
    throw damaged(directory, file, `is no CRIU ${kind} image`);
  const found = records(bytes, 8);
  if (found === null) throw damaged(directory, file, "is cut short");
  whole(directory, file, () => {
    for (const record of found) for (const _ of fields(record)) void _;
  });
  return found;
}

/** Reads from a record; a broken one is told with its file. */
function whole<T>(directory: string, file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw damaged(directory, file, "holds a broken record");
  }
}

/** CRIU writes the image only when there is a lock, and only with --file-locks is there one. */
function hasFileLocks(directory: string): boolean {
  return existsSync(join(directory, "filelocks.img")) && image(directory, "filelocks").length > 0;
}

/** CRIU writes what is in a connection's queues to an image of its own, also when that is nothing. */
function hasTcpStreams(directory: string): boolean {
  return readdirSync(directory).some((name) => /^tcp-stream-[0-9a-f]+\.img$/.test(name));
}

function isAlive(directory: string, pid: number): boolean {
  const [core] = image(directory, `core-${pid}`);
  if (core === undefined) throw damaged(directory, `core-${pid}.img`, "is empty");
  return whole(directory, `core-${pid}.img`, () => {
    const tc = messageField(core, 3);
    return tc === undefined || varintField(tc, 1, 1) !== TASK_DEAD;
  });
}

/** @returns whether pages are counted in 64 bits */
function checkTask(directory: string, pid: number): boolean {
  for (const name of [`ids-${pid}`, `fs-${pid}`, `mm-${pid}`]) {
    if (image(directory, name).length === 0) throw damaged(directory, `${name}.img`, "is empty");
  }
  const [ids] = image(directory, `ids-${pid}`);
  // Without it CRIU restores a task that has no descriptors at all, and says nothing.
  const descriptors = ids === undefined ? 0 : varintField(ids, 2, 0);
  if (descriptors !== 0) image(directory, `fdinfo-${descriptors}`);
  const mountNamespace = ids === undefined ? 0 : varintField(ids, 9, 0);
  if (mountNamespace !== 0) image(directory, `mountpoints-${mountNamespace}`);
  return checkPages(directory, pid);
}

function checkPages(directory: string, pid: number): boolean {
  const [head, ...entries] = image(directory, `pagemap-${pid}`);
  if (head === undefined) throw damaged(directory, `pagemap-${pid}.img`, "is empty");
  const pages = entries.reduce((sum, entry) => sum + storedPages(entry), 0);
  const wide = entries.some((entry) => varintField(entry, 2, 0) === 0 && pageCount(entry) > 0);
  if (pages === 0) return wide;
  const file = `pages-${varintField(head, 1, 0)}.img`;
  const size = pagesSize(join(directory, file));
  if (size < pages * PAGE_SIZE)
    throw damaged(directory, file, `is cut short: ${size} of ${pages * PAGE_SIZE} bytes`);
  return wide;
}

/** Pages of an entry that are in this directory's pages image, not in a parent's. */
function storedPages(entry: Uint8Array): number {
  const flags = varintField(entry, 4, -1);
  // Before CRIU 2.12 there were no flags, only in_parent.
  const stored = flags === -1 ? varintField(entry, 3, 0) === 0 : (flags & PE_PRESENT) !== 0;
  if (!stored || (flags !== -1 && (flags & PE_PARENT) !== 0)) return 0;
  return pageCount(entry);
}

function pageCount(entry: Uint8Array): number {
  return varintField(entry, 5, 0) || varintField(entry, 2, 0); // nr_pages64, or the older 32-bit field
}

function pagesSize(path: string): number {
  try {
    return wrapFs(`open ${path}`, () => statSync(path)).size;
  } catch (error) {
    if (!hasErrno(error, ENOENT)) throw error;
    throw new ThawError((error as Error).message, { hint: COPY_AGAIN });
  }
}

function damaged(directory: string, file: string, what: string): ThawError {
  return new ThawError(`${join(directory, file)} ${what}`, { hint: COPY_AGAIN });
}

/**
 * Names a mount of the checkpoint by CRIU's id of it.
 *
 * @returns its mount point in the container; undefined when the images do not tell
 */
export function mountpointOf(directory: string, mountId: number): string | undefined {
  const names = readdirSync(directory).filter((name) => /^mountpoints-\d+\.img$/.test(name));
  for (const name of names) {
    for (const entry of image(directory, name.replace(".img", ""))) {
      const path = messageField(entry, 7); // mnt_entry: 2 mnt_id, 7 mountpoint
      if (varintField(entry, 2, 0) === mountId && path !== undefined)
        return Buffer.from(path).toString();
    }
  }
  return undefined;
}
