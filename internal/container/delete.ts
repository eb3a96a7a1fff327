/** Deleting a container: its processes, cgroups, state and, at last, its poststop hooks. @module */

import { destroyCgroups, killProcesses } from "../cgroups/end.ts";
import { isFrozen, thaw } from "../cgroups/freezer.ts";
import { ThawError } from "../errors/errors.ts";
import { runHooks } from "../hooks/hooks.ts";
import { holdProcess } from "../linux/pidfd.ts";
import { type Interrupts, SIGKILL } from "../linux/signal.ts";
import type { Log } from "../log/log.ts";
import { NoContainerError, readState, removeState } from "../state/load.ts";
import { type Container, hasOwnPidNamespace, loadContainer, statusOf } from "./container.ts";
import { endCriu, endDump, interruptedRestore, lift, removeLeftovers } from "./leftovers.ts";

// How long init may take to die of SIGKILL, in milliseconds (runc: 100 times 100 ms).
const PATIENCE = 10_000;
// How long a CRIU that dumps it may take to notice that.
const DUMP_PATIENCE = 3000;

/**
 * Deletes a container that has stopped or was never started; with `force` any.
 *
 * Of an id without a container, what a killed restore left is cleared away; with `force` that is
 * all there is to do, without it is an error still, as in runc.
 *
 * @throws ThawError `cannot delete container c1 that is not stopped: running`, `container does not
 *   exist`, `container init still running`; what a poststop hook failed with
 */
export async function deleteContainer(
  root: string,
  id: string,
  { force, log }: { readonly force: boolean; readonly log: Log },
): Promise<void> {
  let container: Container;
  try {
    container = loadContainer(root, id);
  } catch (error) {
    if (!(error instanceof NoContainerError)) throw error;
    const removed = await removeLeftovers(root, id, log);
    if (force) return;
    if (!removed) throw error;
    throw new NoContainerError(error.message, {
      hint: `what a killed restore had left of ${id} is removed`,
    });
  }
  const interrupted = interruptedRestore(container.directory, id);
  const status = statusOf(container);
  if (!force && (status === "running" || status === "paused"))
    throw new ThawError(`cannot delete container ${id} that is not stopped: ${status}`, {
      hint: "kill it first, or say --force",
    });
  if (interrupted !== undefined) endCriu(interrupted);
  if (force || status === "created") await endInit(container, log);
  try {
    await destroyContainer(container, force);
    if (interrupted !== undefined) await lift(interrupted, log);
  } catch (cause) {
    if (cause instanceof NoContainerError) throw cause;
    throw new ThawError("unable to destroy container", { cause });
  }
}

async function endInit(container: Container, log: Log): Promise<void> {
  const { pid, startTime } = container.state.init;
  using init = holdProcess(pid, startTime);
  if (init === undefined) return;
  init.signal(SIGKILL);
  if (isFrozen(container.cgroupPaths)) thaw(container.cgroupPaths);
  if (init.ended(DUMP_PATIENCE)) return;
  const lift = endDump(container);
  if (init.ended(PATIENCE - DUMP_PATIENCE)) return await lift?.(log);
  throw new ThawError("container init still running", {
    hint: `process ${pid} has been killed and does not end: see /proc/${pid}/stack`,
  });
}

/**
 * Removes what a container is made of that has ended: cgroups, then its state; poststop hooks follow.
 *
 * @param force somebody else may have deleted it meanwhile
 * @param interrupts end a hook that takes too long; undefined: a signal ends thaw itself
 * @throws ThawError naming what stays, or what a hook failed with
 */
export async function destroyContainer(
  container: Container,
  force: boolean,
  interrupts?: Interrupts,
): Promise<void> {
  const { root, id, directory, state, cgroupPaths } = container;
  // Its init took the others along, unless they were in a PID namespace of somebody else's.
  if (!hasOwnPidNamespace(container)) killProcesses(cgroupPaths);
  if (isFrozen(cgroupPaths)) thaw(cgroupPaths);
  destroyCgroups(cgroupPaths, state.cgroup);
  if (!isThere(container) || !removeState(directory)) {
    if (force) return;
    throw new NoContainerError("container does not exist", {
      hint: `somebody else has just deleted ${id} from ${root}`,
    });
  }
  const { version: ociVersion, poststop } = state;
  const { bundle, annotations } = container;
  const named = Object.keys(annotations).length === 0 ? {} : { annotations };
  await runHooks(
    "poststop",
    poststop,
    { ociVersion, id, status: "stopped", bundle, ...named },
    interrupts,
  );
}

/** Whether the id is still this container's, not that of a new one. */
function isThere({ root, id, state }: Container): boolean {
  try {
    const { init, created } = readState(root, id);
    return init.pid === state.init.pid && created === state.created;
  } catch (error) {
    if (error instanceof NoContainerError) return false;
    throw error;
  }
}
