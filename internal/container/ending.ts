/** How a CRIU that nobody waits for is ended. @module */

import { ThawError } from "../errors/errors.ts";
import type { HeldProcess } from "../linux/pidfd.ts";
import { SIGKILL } from "../linux/signal.ts";

/** How long a process that was killed may take to end, in milliseconds. */
export const DEATH_PATIENCE = 10_000;

/** Kills it and waits for its end. @throws ThawError when it does not end */
export function killCriu(criu: HeldProcess, pid: number): void {
  attempt(() => criu.signal(SIGKILL));
  if (!criu.ended(DEATH_PATIENCE))
    throw new ThawError(`criu (pid ${pid}) has been killed and does not end`, {
      hint: `see /proc/${pid}/stack`,
    });
}

/** Does what may be of no need any more: what has gone meanwhile need not be ended. */
export function attempt(action: () => void): void {
  try {
    action();
  } catch {
    // told by what is left
  }
}
