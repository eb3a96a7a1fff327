/** Signals to a container. @module */

import { cgroupExists, killProcesses } from "../cgroups/end.ts";
import { isFrozen, thaw } from "../cgroups/freezer.ts";
import { ThawError } from "../errors/errors.ts";
import { holdProcess } from "../linux/pidfd.ts";
import { SIGKILL } from "../linux/signal.ts";
import { type Container, hasInit, hasOwnPidNamespace } from "./container.ts";

/** There is no process to signal. */
export class NotRunningError extends ThawError {
  override name = "NotRunningError";
  constructor(id: string, doing = "") {
    super(`${doing}container not running`, { hint: `${id} has stopped` });
  }
}

/**
 * Sends a signal to a container's init. SIGKILL wakes a paused container, to die; without a PID
 * namespace of its own, where init would take the others along, SIGKILL goes to every process in
 * the container's cgroup.
 *
 * @throws NotRunningError `container not running`; ThawError `unable to signal init: invalid argument`
 */
export function signalContainer(container: Container, signal: number): void {
  if (signal === SIGKILL && !hasOwnPidNamespace(container)) {
    killAll(container);
    return;
  }
  using init = holdProcess(container.state.init.pid, container.state.init.startTime);
  if (init === undefined) throw new NotRunningError(container.id);
  try {
    init.signal(signal);
  } catch (cause) {
    throw new ThawError("unable to signal init", { cause });
  }
  if (signal === SIGKILL && isFrozen(container.cgroupPaths)) thaw(container.cgroupPaths);
}

function killAll(container: Container): void {
  if (cgroupExists(container.cgroupPaths)) {
    killProcesses(container.cgroupPaths);
    return;
  }
  if (!hasInit(container))
    throw new NotRunningError(container.id, "unable to kill all processes: ");
  throw new ThawError("unable to kill all processes: cgroup not exist", {
    hint: `init (pid ${container.state.init.pid}) lives in another cgroup`,
  });
}
