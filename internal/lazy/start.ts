/** Starts the guardian of a restore whose memory arrives later, and talks to it. @module */

import { describe, ThawError } from "../errors/errors.ts";
import { AT_FDCWD, O_RDWR, openAt } from "../linux/fd.ts";
import { signalPidfd } from "../linux/pidfd.ts";
import { type Child, childEnvironment, spawn } from "../linux/process.ts";
import { type Interrupts, POLLIN, poll, SIGKILL, waitReady } from "../linux/signal.ts";
import {
  finishSending,
  isBound,
  packetPair,
  receivePacket,
  sendDescriptor,
  sendPacket,
} from "../linux/socket.ts";
import type { Log } from "../log/log.ts";
import { type Answer, GUARDIAN, type Hold, socketPath, type Task } from "./protocol.ts";

/** Memory that arrives while the container runs already. */
export interface LazyPages extends Disposable {
  /** The guardian's pid. */
  readonly pid: number;
  /** Waits until CRIU's daemon listens. @throws ThawError why it does not, InterruptedError */
  ready(interrupts: Interrupts): Promise<void>;
  /**
   * All tasks exist and none has run: the guardian takes charge of their memory. From now on it
   * does not need thaw.
   *
   * @throws ThawError when the daemon has ended, InterruptedError
   */
  hold(init: Child, hold: Hold, interrupts: Interrupts): Promise<void>;
  /** Why the guardian has given up, if it has: more to the point than what CRIU says then. */
  failure(): ThawError | undefined;
}

/** What the guardian needs beside its task. */
export interface LazyPagesOptions extends Omit<Task, "status"> {
  readonly log: Log;
  readonly detach: boolean;
  /** A descriptor of the caller's that gets a NUL byte when the last page has arrived. */
  readonly statusFd: number | undefined;
}

// How long the guardian may take for one answer and for its end, in milliseconds: longer than it
// waits itself.
const PATIENCE = 20_000;

/**
 * Starts CRIU's lazy-pages daemon under a guardian, unless a daemon listens in the work directory
 * already: that one is its owner's to guard.
 *
 * Call it in the host's mount namespace, which the guardian outlives thaw in.
 */
export function startLazyPages(options: LazyPagesOptions): LazyPages | undefined {
  const { log, work } = options;
  if (isBound(socketPath(work))) {
    log.debug(`a lazy-pages daemon listens on ${socketPath(work)}`);
    return undefined;
  }
  using undo = new DisposableStack();
  const [ours, theirs] = packetPair();
  undo.use(ours);
  const child = startGuardian(options, theirs.fd);
  theirs.close();
  const talk = new Talk(child, ours.fd);
  undo.defer(() => talk.end());
  const { id, criu, images, statusFd } = options;
  talk.tell({ id, criu, images, work, status: statusFd !== undefined });
  const done = undo.move();
  return {
    pid: child.pid,
    ready: (interrupts) => talk.ready(interrupts),
    hold: (init, hold, interrupts) => talk.hold(init, hold, interrupts),
    failure: () => talk.failure(),
    [Symbol.dispose]: () => done.dispose(),
  };
}

function startGuardian(options: LazyPagesOptions, control: number): Child {
  const { log, statusFd } = options;
  using none = openAt(AT_FDCWD, "/dev/null", O_RDWR);
  // A caller that reads our standard error to its end need not wait for the last page.
  const stderr = log.isStderr && options.detach ? none.fd : log.fd;
  const debug = log.debugging ? ["--debug"] : [];
  return spawn({
    file: "/proc/self/exe",
    argv: [process.argv0, "--log-format", log.format, ...debug, GUARDIAN],
    env: childEnvironment(),
    fds: [none.fd, none.fd, stderr, control, ...(statusFd === undefined ? [] : [statusFd])],
    ownSession: true,
  });
}

class Talk {
  readonly #child: Child;
  readonly #socket: number;
  #error: string | undefined;
  #gone = false;

  constructor(child: Child, socket: number) {
    this.#child = child;
    this.#socket = socket;
  }

  tell(task: Task): void {
    sendPacket(this.#socket, Buffer.from(JSON.stringify(task)));
  }

  async ready(interrupts: Interrupts): Promise<void> {
    await this.#answer("start criu lazy-pages", interrupts);
  }

  async hold(init: Child, hold: Hold, interrupts: Interrupts): Promise<void> {
    sendDescriptor(this.#socket, JSON.stringify(hold), init.pidfd);
    await this.#answer("hand over the container's memory", interrupts);
  }

  /** Waits for an answer that is no error. */
  async #answer(doing: string, interrupts: Interrupts): Promise<void> {
    const watch = [{ fd: this.#socket, events: POLLIN }];
    const [answered] = await waitReady(watch, { doing, interrupts, timeout: PATIENCE });
    if (answered === 0) throw new ThawError(`${doing}: the guardian does not answer`);
    this.#read();
    const failure = this.failure();
    if (failure !== undefined) throw failure;
  }

  #read(): void {
    const gone = "the guardian of the lazy pages has ended";
    try {
      const packet = receivePacket(this.#socket);
      if (packet === null) {
        this.#gone = true;
        this.#error ??= gone;
        return;
      }
      const answer = JSON.parse(Buffer.from(packet.bytes).toString()) as Answer;
      if ("error" in answer) this.#error = answer.error;
    } catch (error) {
      this.#gone = true;
      this.#error ??= `${gone}: ${describe(error)}`;
    }
  }

  failure(): ThawError | undefined {
    if (this.#error === undefined && this.#isReadable(0)) this.#read();
    return this.#error === undefined ? undefined : new ThawError(this.#error);
  }

  #isReadable(timeout: number): boolean {
    return poll([{ fd: this.#socket, events: POLLIN }], timeout)[0] !== 0;
  }

  /**
   * Without a container to guard, or with one that has ended, the guardian ends by itself. Somebody
   * else may have reaped it, so its pid is not used.
   */
  end(): void {
    finishSending(this.#socket);
    const deadline = performance.now() + PATIENCE;
    while (!this.#gone && performance.now() < deadline) {
      if (this.#isReadable(100)) this.#read();
    }
    if (!this.#gone) signalPidfd(this.#child.pidfd, SIGKILL);
    this.#child.release();
  }
}
