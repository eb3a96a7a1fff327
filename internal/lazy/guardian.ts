/**
 * The guardian of a container whose memory is still arriving: it runs CRIU's lazy-pages daemon.
 *
 * When that daemon dies, the kernel gives the container zeros for every page that had not arrived,
 * and it runs on with corrupt memory. So the guardian holds copies of the daemon's userfaultfds: as
 * long as one is open, whoever touches a missing page waits. If the daemon ends too early, the
 * container is killed while it waits, and only then are they closed.
 *
 * @module
 */

import { readdirSync, readlinkSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { endProcesses } from "../cgroups/end.ts";
import { readLog, realErrors } from "../criu/log.ts";
import { describe, ThawError } from "../errors/errors.ts";
import { AT_FDCWD, O_RDWR, type OwnedFd, openAt, owned, pipe } from "../linux/fd.ts";
import { signalPidfd, takeCopy } from "../linux/pidfd.ts";
import { type Child, childEnvironment, isEnding, spawn } from "../linux/process.ts";
import { POLLIN, poll, SIGKILL } from "../linux/signal.ts";
import { isBound, receivePacket, sendPacket } from "../linux/socket.ts";
import type { Log } from "../log/log.ts";
import {
  type Answer,
  CONTROL_FD,
  type Hold,
  LOG,
  STATUS_FD,
  socketPath,
  type Task,
} from "./protocol.ts";

// How long the daemon may take to start, and to take what CRIU has sent it, in milliseconds.
const PATIENCE = 10_000;
// How often new userfaultfds (of processes the container forked) are looked for.
const INTERVAL = 100;

/**
 * Guards one container until its last page has arrived or it has ended.
 *
 * @returns 0, or 1 when the container had to be stopped
 * @throws ThawError when it was not started by thaw
 */
export function guard(log: Log): number {
  const control = owned(CONTROL_FD);
  const task = receiveTask(control.fd);
  process.chdir("/"); // the bundle is not ours to keep busy
  const say = (answer: Answer) => {
    try {
      sendPacket(control.fd, Buffer.from(JSON.stringify(answer)));
    } catch {
      // thaw has gone: what it would do is undone when its end of the socket is seen closed
    }
  };
  const since = Date.now() - 1000; // file systems may keep whole seconds
  let daemon: Child | undefined;
  try {
    daemon = startDaemon(task);
    say({ ready: daemon.pid });
    const packet = waitForHold(control.fd, daemon);
    if (packet === undefined) return 0;
    const guarded = hold(packet, daemon, task);
    say({ held: guarded.held.size });
    return watch(guarded, { task, log, since });
  } catch (error) {
    const why = daemon === undefined ? describe(error) : `${describe(error)}${reason(task, since)}`;
    say({ error: why });
    return 1;
  } finally {
    daemon?.kill();
    removeFile(socketPath(task.work));
  }
}

function receiveTask(control: number): Task {
  try {
    const packet = receivePacket(control);
    if (packet !== null) return JSON.parse(Buffer.from(packet.bytes).toString()) as Task;
  } catch {
    // Told below.
  }
  throw new ThawError("this command is part of restore --lazy-pages", {
    hint: "thaw starts it by itself",
  });
}

/** Starts the daemon and waits until it listens (`--status-fd`). */
function startDaemon(task: Task): Child {
  using scope = new DisposableStack();
  const none = scope.use(openAt(AT_FDCWD, "/dev/null", O_RDWR));
  const { read, write } = pipe();
  scope.use(read);
  const words = ["lazy-pages", "--images-dir", task.images, "--work-dir", task.work];
  const daemon = spawn({
    file: task.criu,
    argv: ["criu", ...words, "--log-file", LOG, "--status-fd", "3"],
    env: childEnvironment(),
    fds: [none.fd, none.fd, none.fd, write.fd],
  });
  write.close();
  scope.defer(() => daemon.kill());
  const [said = 0] = poll([{ fd: read.fd, events: POLLIN }], PATIENCE);
  // Only POLLIN is a byte; POLLHUP is a daemon that ends.
  if ((said & POLLIN) === 0) {
    const [ended] = poll([{ fd: daemon.pidfd, events: POLLIN }], said === 0 ? 0 : PATIENCE);
    throw new ThawError(`criu lazy-pages: ${ended === 0 ? "does not start" : daemon.reap().text}`);
  }
  scope.move();
  return daemon;
}

interface HoldPacket {
  readonly message: Hold;
  readonly init: OwnedFd;
}

/** Waits for the container to exist; undefined when there will be none: thaw has closed its end. */
function waitForHold(control: number, daemon: Child): HoldPacket | undefined {
  for (;;) {
    const [asked, ended] = poll(
      [
        { fd: control, events: POLLIN },
        { fd: daemon.pidfd, events: POLLIN },
      ],
      -1,
    );
    if (asked !== 0) break;
    if (ended !== 0) throw new ThawError(`criu lazy-pages ended: ${daemon.reap().text}`);
  }
  const packet = receivePacket(control);
  const [init] = packet?.fds ?? [];
  if (packet === null || init === undefined) return undefined;
  return { message: JSON.parse(Buffer.from(packet.bytes).toString()) as Hold, init };
}

interface Guarded {
  readonly daemon: Child;
  readonly init: OwnedFd;
  readonly message: Hold;
  /** The daemon's number of each userfaultfd to our copy of it. */
  readonly held: Map<number, OwnedFd>;
}

/** Waits until the daemon has taken everything CRIU sent, and copies its userfaultfds. */
function hold({ message, init }: HoldPacket, daemon: Child, task: Task): Guarded {
  const start = performance.now();
  // It closes the listening socket after the last task's userfaultfd.
  while (isBound(socketPath(task.work))) {
    if (poll([{ fd: daemon.pidfd, events: POLLIN }], 5)[0] !== 0)
      throw new ThawError(`criu lazy-pages ended: ${daemon.reap().text}`);
    if (performance.now() - start > PATIENCE)
      throw new ThawError("criu lazy-pages does not take over the container's memory");
  }
  const guarded = { daemon, init, message, held: new Map<number, OwnedFd>() };
  refresh(guarded);
  return guarded;
}

/** Copies userfaultfds that are new in the daemon and closes those it has closed. */
function refresh({ daemon, held }: Guarded): void {
  const now = userfaultfds(daemon.pid);
  // One that ends loses its descriptors before its pidfd says so, and then ours must stay open.
  if (isEnding(daemon.pid)) return;
  for (const [number, copy] of held) {
    if (now.has(number)) continue;
    copy.close();
    held.delete(number);
  }
  for (const number of now) {
    if (held.has(number)) continue;
    const copy = takeCopy(daemon.pidfd, number);
    if (copy !== undefined) held.set(number, copy);
  }
}

function userfaultfds(pid: number): Set<number> {
  const found = new Set<number>();
  try {
    const directory = `/proc/${pid}/fd`;
    for (const name of readdirSync(directory)) {
      if (readlinkSync(join(directory, name)).startsWith("anon_inode:[userfaultfd]"))
        found.add(Number(name));
    }
  } catch {
    // It ends just now, or has closed one meanwhile: the next look tells.
  }
  return found;
}

interface Watch {
  readonly task: Task;
  readonly log: Log;
  readonly since: number;
}

/** Until the last page has arrived, or the container has ended, by itself or by us. */
function watch(guarded: Guarded, { task, log, since }: Watch): number {
  const { daemon, init, message, held } = guarded;
  const watches = [
    { fd: daemon.pidfd, events: POLLIN },
    { fd: init.fd, events: POLLIN },
  ];
  for (;;) {
    const [ended, over] = poll(watches, INTERVAL);
    if (over !== 0) return 0;
    if (ended !== 0) break;
    refresh(guarded);
  }
  const status = daemon.reap();
  if (status.code !== 0) {
    signalPidfd(init.fd, SIGKILL);
    endProcesses(new Map(Object.entries(message.cgroups)));
    const why = `criu lazy-pages ended before all memory of ${task.id} had arrived: ${status.text}`;
    log.error(
      `${why}${reason(task, since)}; the container was killed, for it would have read zeros instead`,
    );
    return 1;
  }
  for (const copy of held.values()) copy.close();
  removeFile(message.mark);
  log.info(`all memory of ${task.id} has arrived`);
  if (task.status) sayDone();
  return 0;
}

function sayDone(): void {
  try {
    using status = owned(STATUS_FD);
    writeSync(status.fd, "\0"); // as CRIU's own --status-fd
  } catch {
    // Whoever waited has gone.
  }
}

function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Never made, or removed with the container.
  }
}

/** The daemon's own words: the first error of its log. */
function reason(task: Task, since: number): string {
  try {
    const [line] = realErrors(readLog(join(task.work, LOG), since));
    return line === undefined ? "" : `: ${line}`;
  } catch {
    return "";
  }
}
