/** Stage: the image and work directories of a dump, and what is in them when it fails. @module */

import {
  accessSync,
  constants,
  existsSync,
  readdirSync,
  rmdirSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type CriuDirectories, openDirectories } from "../criu/directories.ts";
import { makeDirectories, writeAtomically } from "../linux/file.ts";
import { ENOENT, hasErrno, wrapFs } from "../linux/libc.ts";
import { goJson } from "../log/log.ts";
import type { CheckpointPlan } from "./plan.ts";

/** Without these two no restore, runc's or thaw's, takes a directory for a checkpoint. */
const MARKS = ["inventory.img", "descriptors.json"];

/** Opened directories; disposing removes what the dump made, unless it is kept. */
export interface DumpImages extends CriuDirectories {
  /** The dump begins: an older checkpoint in the same directory is none from now on. */
  takeOver(): void;
  /** All images are written: makes them a checkpoint. */
  finish(): void;
  /** They are one. */
  readonly complete: boolean;
  /** The dump is done: nothing is removed. */
  keep(): void;
}

/**
 * Makes the image directory, 0600 as runc does, and the work directory, and opens both.
 *
 * @throws SyscallError `mkdir P: not a directory`
 */
export function openImages(plan: CheckpointPlan): DumpImages {
  const { imagePath: path, workPath: work, container } = plan;
  using undo = new DisposableStack();
  const made = !existsSync(path);
  makeDirectories(path, 0o600);
  if (made) undo.defer(() => quietly(() => rmdirSync(path))); // with CRIU's log in it, it stays
  wrapFs(`open ${path}`, () => accessSync(path, constants.W_OK));
  const before = new Set(readdirSync(path));
  const opened = openDirectories({ images: path, work, log: "dump.log" });
  undo.use(opened);
  let taken = false;
  undo.defer(() => {
    if (taken) removeImages(path, before);
  });
  const done = undo.move();
  let complete = false;
  let kept = false;
  return {
    ...opened,
    takeOver: () => {
      taken = true;
      for (const name of MARKS) remove(join(path, name));
    },
    get complete() {
      return complete;
    },
    finish: () => {
      writeAtomically(path, "descriptors.json", goJson(container.state.externalDescriptors));
      const note = join(container.directory, "checkpoint");
      wrapFs(`open ${note}`, () => writeFileSync(note, "", { mode: 0o644 }));
      complete = true;
    },
    keep: () => {
      kept = true;
    },
    [Symbol.dispose]: () => (kept ? opened[Symbol.dispose]() : done.dispose()),
  };
}

/** Half a checkpoint is of use to nobody; files that were there before are their owner's. */
function removeImages(path: string, before: ReadonlySet<string>): void {
  for (const name of readdirSync(path)) {
    const ours = !before.has(name) && (name.endsWith(".img") || name === "parent");
    if (ours || MARKS.includes(name)) quietly(() => remove(join(path, name)));
  }
}

function remove(path: string): void {
  try {
    wrapFs(`remove ${path}`, () => unlinkSync(path));
  } catch (error) {
    if (!hasErrno(error, ENOENT)) throw error;
  }
}

// What failed before is what is reported.
function quietly(action: () => void): void {
  try {
    action();
  } catch {
    // told by what is left
  }
}
