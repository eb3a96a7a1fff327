/** Stage: file locks of the container that another process holds. @module */

import { ThawError } from "../errors/errors.ts";
import { type BlockedLock, openPath, readBlockedLocks } from "../linux/locks.ts";
import { descendsFrom, nameOf, sendSignal } from "../linux/process.ts";
import { type Interrupts, SIGKILL } from "../linux/signal.ts";
import type { RestorePlan } from "./plan.ts";

// Milliseconds between two looks, and how long a lock may be waited for: a backup may be passing.
const INTERVAL = 500;
const PATIENCE = 3000;

/** Whether CRIU is to restore file locks. */
export function restoresLocks({ options, fileLocks }: RestorePlan): boolean {
  // Locks in the images were asked for at the checkpoint. runc restores none without the flag, and
  // containerd never gives it: a second database server could then open the same files.
  return options.fileLocks || fileLocks;
}

/** A watch over file locks that processes being restored wait for. */
export interface LockWatch {
  /** For waits on CRIU: {@link Interrupts.check} also throws when a lock is not to be had. */
  readonly interrupts: Interrupts;
  /** Init exists, by its host pid: it and its descendants are watched. */
  watch(init: number): void;
}

/**
 * Makes a watch. CRIU takes the container's locks with calls that wait for ever (F_SETLKW, flock(2))
 * while another process has them, such as the same container, still running.
 */
export function watchLocks(plan: RestorePlan, interrupts: Interrupts): LockWatch {
  if (!restoresLocks(plan)) return { interrupts, watch: () => {} };
  let init = 0;
  let looked = performance.now();
  let since: number | undefined;
  const check = async (doing: string) => {
    await interrupts.check(doing);
    const now = performance.now();
    if (init === 0 || now - looked < INTERVAL) return;
    looked = now;
    const lock = readBlockedLocks().find(({ waiter }) => descendsFrom(waiter, init));
    if (lock === undefined) since = undefined;
    else since ??= now;
    if (lock !== undefined && since !== undefined && now - since >= PATIENCE) refuse(doing, lock);
  };
  return {
    interrupts: { ...interrupts, check },
    watch: (pid) => {
      init = pid;
    },
  };
}

/** Ends the process that waits, whereupon CRIU undoes its work. */
function refuse(doing: string, { waiter, holder, inode }: BlockedLock): never {
  const file = openPath(waiter, inode) ?? `inode ${inode}`;
  sendSignal(waiter, SIGKILL);
  const who = holder > 0 ? `process ${holder} (${nameOf(holder)})` : "another process";
  throw new ThawError(`${doing}: ${file}, which the container had locked, is locked by ${who}`, {
    hint: "end that process (is it the same container?), or give each its own copy of the files",
  });
}
