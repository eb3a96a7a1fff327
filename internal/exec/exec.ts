/** A process in a container that runs, told as a story. @module */

import type { Stdio } from "../console/stdio.ts";
import { hasInit } from "../container/container.ts";
import { describe, findCause, InterruptedError, ThawError } from "../errors/errors.ts";
import {
  ensureStdio,
  keepDescriptorsPrivate,
  keepHandedOver,
  keepThroughExec,
} from "../linux/fd.ts";
import { type Child, isEnding, restoreNofileLimit } from "../linux/process.ts";
import { catchInterrupts, type Interrupts } from "../linux/signal.ts";
import { blockAllSignals, readSignals } from "../linux/signalfd.ts";
import { connectUnix, sendDescriptor } from "../linux/socket.ts";
import { writePidFile } from "../state/pid-file.ts";
import { holdInside } from "./namespaces.ts";
import type { ExecOptions } from "./options.ts";
import { type ExecPlan, planExec } from "./plan.ts";
import { startProcess } from "./start.ts";
import { openStdio, openTerminal } from "./terminal.ts";

/**
 * Executes a program in a container.
 *
 * @returns 0 once it runs (`--detach`), else its own exit status
 * @throws ThawError when it cannot be executed; nothing of it is left
 */
export async function exec(options: ExecOptions): Promise<number> {
  if (!options.detach) {
    keepHandedOver(options.preserveFds);
    keepNamed(options.process);
    blockAllSignals([process.argv0, ...process.argv.slice(2)]);
  }
  keepDescriptorsPrivate();
  ensureStdio();
  restoreNofileLimit();
  using interrupts = options.detach ? catchInterrupts() : readSignals();
  const plan = planExec(options);
  using scope = new DisposableStack();
  const io = scope.use(openStdio(plan));
  const socket = options.pidfdSocket;
  const watcher = socket === undefined ? undefined : scope.use(connectUnix(socket));
  using started = new DisposableStack();
  const child = started.adopt(await start(plan, io, interrupts), (running) => running.kill());
  if (watcher !== undefined) sendDescriptor(watcher.fd, "setns", child.pidfd);
  io.handedOver();
  if (plan.pidFile !== undefined) writePidFile(plan.pidFile, child.pid);
  if (!options.detach) {
    const { code } = await io.copyUntilExit(child, interrupts);
    return code;
  }
  started.move(); // from here on the process is its owner's
  child.release();
  return 0;
}

/** A file that is a descriptor of the caller's, as of `--process <(…)`, outlives execution of ourselves. */
function keepNamed(path: string | undefined): void {
  const fd = /^\/(?:dev|proc\/(?:self|thread-self))\/fd\/(\d+)$/.exec(path ?? "")?.[1];
  if (fd !== undefined) keepThroughExec(Number(fd));
}

function hasStopped({ container }: ExecPlan): boolean {
  return !hasInit(container) || isEnding(container.state.init.pid);
}

/** From the container's namespaces to a process that is the program. */
async function start(plan: ExecPlan, io: Stdio, interrupts: Interrupts): Promise<Child> {
  try {
    using inside = holdInside(plan.container);
    using pty = plan.terminal ? openTerminal(plan, inside, io) : undefined;
    const slave = pty?.slave.fd;
    const stdio = slave === undefined ? io.fds : ([slave, slave, slave] as const);
    return await startProcess({ plan, inside, stdio, interrupts });
  } catch (cause) {
    if (findCause(cause, InterruptedError) === undefined && hasStopped(plan)) {
      // What failed is but a consequence: all that enters a PID namespace ends with its init.
      plan.options.log.debug(describe(cause));
      throw new ThawError("cannot exec in a stopped container", {
        hint: `${plan.container.id} has just stopped`,
      });
    }
    throw new ThawError("unable to start container process", { cause });
  }
}
