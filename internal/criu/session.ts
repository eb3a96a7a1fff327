/**
 * A `criu swrk` of our own.
 *
 * It gets no PDEATHSIG: when thaw dies it sees the closed socket and undoes its own work.
 *
 * @module
 */

import { ThawError } from "../errors/errors.ts";
import type { OwnedFd } from "../linux/fd.ts";
import { type Child, childEnvironment, type ExitStatus, spawn } from "../linux/process.ts";
import { type Interrupts, POLLIN, poll } from "../linux/signal.ts";
import { packetPair } from "../linux/socket.ts";
import { GRACE, Talk } from "./talk.ts";

/** A running criu; disposing ends it. */
export interface CriuSession
  extends Disposable,
    Pick<Talk, "version" | "features" | "restore" | "dump" | "watchInit"> {
  readonly pid: number;
  /** How it ended, once it has. */
  readonly status: ExitStatus | undefined;
}

/** What criu gets: its 0, 1 and 2, and more from 4 on (3 is the socket). */
export interface CriuFds {
  readonly stdio: readonly [number, number, number];
  readonly extra: readonly number[];
  /**
   * It gets a session of its own: while it dumps it blocks no signal, and a ^C at thaw's terminal
   * would leave the container broken.
   */
  readonly ownSession?: boolean;
}

/**
 * Starts a criu in the calling thread's mount namespace and directory.
 *
 * @param file absolute path of its executable
 * @throws ThawError when it cannot be executed
 */
export function startCriu(file: string, fds: CriuFds, interrupts: Interrupts): CriuSession {
  using undo = new DisposableStack();
  const [ours, theirs] = packetPair();
  undo.use(ours);
  using _closed = theirs;
  const child = startProcess(file, theirs.fd, fds);
  const talk = new Talk(child, ours.fd, interrupts);
  undo.defer(() => end(child, ours, talk.asked));
  const done = undo.move();
  return {
    pid: child.pid,
    get status() {
      return child.status;
    },
    version: () => talk.version(),
    restore: (options, notified) => talk.restore(options, notified),
    features: (wanted) => talk.features(wanted),
    dump: (kind, options, notified) => talk.dump(kind, options, notified),
    watchInit: (init) => talk.watchInit(init),
    [Symbol.dispose]: () => done.dispose(),
  };
}

function startProcess(file: string, socket: number, fds: CriuFds): Child {
  try {
    return spawn({
      file,
      argv: ["criu", "swrk", "3"],
      env: childEnvironment(),
      fds: [...fds.stdio, socket, ...fds.extra],
      ownSession: fds.ownSession ?? false,
    });
  } catch (cause) {
    throw new ThawError("CRIU version check failed", {
      cause,
      hint: "install criu, or put its directory on PATH",
    });
  }
}

/** CRIU blocks SIGTERM, but undoes everything when its socket closes; SIGKILL is for a CRIU gone mad. */
function end(child: Child, socket: OwnedFd, asked: Talk["asked"]): void {
  // Before the request there is nothing to undo, and CRIU would complain of the closed socket.
  if (asked === undefined) child.kill();
  socket.close();
  if (child.status !== undefined) return;
  if (asked === "dump") {
    child.release();
    return;
  }
  const start = performance.now();
  while (performance.now() - start < GRACE) {
    if (poll([{ fd: child.pidfd, events: POLLIN }], 100)[0] !== 0) break;
  }
  child.kill();
}
