/** The end of a process that was sent SIGKILL, which may not come. @module */

import { readFileSync } from "node:fs";
import { ThawError } from "../errors/errors.ts";
import { POLLIN, poll } from "./signal.ts";

// How long a process may take to end after SIGKILL, in milliseconds.
const PATIENCE = 5000;

/**
 * Waits a few seconds for a process to end. One in a frozen cgroup (v1) or in state D does not, and
 * waitpid(2) would block for ever.
 *
 * @param pidfd of the process
 * @throws ThawError naming the process
 */
export function expectEnd(pid: number, pidfd: number): void {
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    const left = Math.max(0, Math.ceil(deadline - performance.now()));
    if (poll([{ fd: pidfd, events: POLLIN }], left)[0] !== 0) return;
    if (left === 0) break; // else a signal came
  }
  throw new ThawError(`process ${pid} (state ${stateOf(pid)}) does not end after SIGKILL`, {
    hint: `thaw the cgroup it is frozen in (/proc/${pid}/cgroup), or free what it waits for (/proc/${pid}/stack)`,
  });
}

function stateOf(pid: number): string {
  try {
    return /^State:\s*(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "?";
  } catch {
    return "?";
  }
}
