/**
 * Stage: memory that has not arrived yet. A container that was restored with lazy pages cannot be
 * checkpointed before: CRIU would dump the missing pages as if they were empty, and say nothing.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { containerProcesses } from "../cgroups/end.ts";
import { type Container, hasInit } from "../container/container.ts";
import { ThawError } from "../errors/errors.ts";
import { startTime } from "../linux/process.ts";
import { type Interrupts, waitReady } from "../linux/signal.ts";
import { readLazyPages } from "../state/state.ts";

// Milliseconds between two looks at memory maps; a look takes longer the more memory there is.
const INTERVAL = 250;

/**
 * Refuses a container whose memory is still arriving, or waits for it, or for the container's end.
 *
 * @throws ThawError; InterruptedError
 */
export async function awaitMemory(
  container: Container,
  wait: boolean,
  interrupts: Interrupts,
): Promise<void> {
  for (;;) {
    const missing = missingMemory(container);
    if (missing === undefined || !hasInit(container)) return;
    if (!wait || missing.final) throw missing.error;
    const doing = `wait for the memory of ${container.id}`;
    await waitReady([], { doing, interrupts, timeout: INTERVAL });
  }
}

interface Missing {
  readonly error: ThawError;
  /** It will never come. */
  readonly final: boolean;
}

function missingMemory(container: Container): Missing | undefined {
  const { id, directory } = container;
  const message = `not all memory of ${id} has arrived since it was restored with --lazy-pages`;
  const guardian = readLazyPages(directory);
  if (guardian !== undefined) {
    const alive = startTime(guardian.pid) === guardian.startTime;
    const hint = alive
      ? "wait for it with --wait"
      : `its guardian (pid ${guardian.pid}) was killed: restore the checkpoint again; or, if you know the container to be whole, remove ${directory}/lazy-pages.json`;
    return { error: new ThawError(message, { hint }), final: !alive };
  }
  // One that runc restored leaves no note.
  const pid = containerProcesses(container.cgroupPaths).find(isFilledFromOutside);
  if (pid === undefined) return undefined;
  const error = new ThawError(message, {
    hint: `process ${pid} still gets pages by userfaultfd(2): wait for that with --wait`,
  });
  return { error, final: false };
}

/** Whether some memory of a process is registered for a userfaultfd (proc(5), VmFlags). */
function isFilledFromOutside(pid: number): boolean {
  try {
    return /^VmFlags:.* um\b/m.test(readFileSync(`/proc/${pid}/smaps`, "utf8"));
  } catch {
    return false; // it has ended
  }
}
