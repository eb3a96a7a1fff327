/** The container's standard input, output and error. @module */

import { readSync, writeSync } from "node:fs";
import { InterruptedError, ThawError } from "../errors/errors.ts";
import { AT_FDCWD, O_NONBLOCK, O_RDWR, type OwnedFd, openAt, pipe } from "../linux/fd.ts";
import { check, EAGAIN, hasErrno, libc, memory } from "../linux/libc.ts";
import { type Child, type ExitStatus, reapOrphans } from "../linux/process.ts";
import { type Interrupts, POLLIN, POLLOUT, waitReady } from "../linux/signal.ts";
import { connectUnix, sendDescriptor } from "../linux/socket.ts";

/** What CRIU, and so the container, gets as 0, 1 and 2. */
export interface Stdio extends Disposable {
  readonly fds: readonly [number, number, number];
  /** CRIU hands over the master of the container's terminal (orphan-pts-master). */
  receiveMaster(master: number): void;
  /** Every task is there: throws when a terminal was promised and none has come. */
  expectMaster(): void;
  /** Closes thaw's copies of the container's ends, once the container has them. */
  handedOver(): void;
  /** Copies until init has ended and all it wrote is through. Only for a container we stay with. */
  copyUntilExit(init: Child, interrupts: Interrupts): Promise<ExitStatus>;
}

/** A detached container gets the caller's own 0, 1 and 2 (runc: inheritStdio). */
export function inheritedStdio(): Stdio {
  return {
    fds: [0, 1, 2],
    ...NO_TERMINAL,
    handedOver: () => {},
    copyUntilExit: notCopied,
    [Symbol.dispose]: () => {},
  };
}

/** For containers without a terminal; a master that comes all the same is closed by the caller. */
const NO_TERMINAL = { receiveMaster: () => {}, expectMaster: () => {} };

const notCopied = () => Promise.reject(new Error("a detached container is not copied from"));

/**
 * A detached container with a terminal: its master goes to the console socket, and CRIU gets
 * /dev/null (runc: setupIO). The socket is connected at once, so that a wrong path fails early.
 *
 * @param path of the listening AF_UNIX stream socket
 * @throws SyscallError `dial unix P: connect: …`
 */
export function consoleSocketStdio(path: string): Stdio {
  using undo = new DisposableStack();
  const socket = undo.use(connectUnix(path));
  const none = undo.use(openAt(AT_FDCWD, "/dev/null", O_RDWR));
  let sent = false;
  const done = undo.move();
  return {
    fds: [none.fd, none.fd, none.fd],
    receiveMaster: (master) => {
      // The text is runc's; receivers want between 1 and 4095 bytes and exactly one descriptor.
      sendDescriptor(socket.fd, "orphan-pts-master", master);
      sent = true;
    },
    expectMaster: () => {
      if (!sent)
        throw new ThawError("the checkpoint has no terminal, though config.json says so", {
          hint: "set process.terminal to false in config.json",
        });
    },
    handedOver: () => done.dispose(),
    copyUntilExit: notCopied,
    [Symbol.dispose]: () => done.dispose(),
  };
}

const F_SETFL = 4;

/**
 * A container we stay with gets three pipes (runc: setupProcessPipes).
 *
 * @param uid host owner of the container's ends, so that its root may open /dev/stdout
 * @param gid host group of them
 */
export function pipedStdio(uid: number, gid: number): Stdio {
  using undo = new DisposableStack();
  const [stdin, stdout, stderr] = [pipe(), pipe(), pipe()];
  for (const end of [stdin, stdout, stderr].flatMap(({ read, write }) => [read, write]))
    undo.use(end);
  const theirs = [stdin.read, stdout.write, stderr.write] as const;
  const ours = { stdin: stdin.write, stdout: stdout.read, stderr: stderr.read };
  for (const { fd } of theirs) check(libc.fchown(fd, uid, gid), "fchown a pipe of the container");
  // Our ends are file descriptions of their own: the container's stay blocking.
  for (const { fd } of Object.values(ours)) libc.fcntl(fd, F_SETFL, O_NONBLOCK);
  const done = undo.move();
  return {
    fds: [stdin.read.fd, stdout.write.fd, stderr.write.fd],
    ...NO_TERMINAL,
    handedOver: () => {
      for (const end of theirs) end.close();
    },
    copyUntilExit: (init, interrupts) => {
      return copyUntilExit(ours, init, interrupts).catch((error: unknown) => {
        if (!(error instanceof InterruptedError)) throw error;
        throw new InterruptedError(error.signal, "wait for the container", {
          hint: "the container was ended, as signals are not forwarded to it yet: use --detach and kill",
        });
      });
    },
    [Symbol.dispose]: () => done.dispose(),
  };
}

const BUFFER = 64 * 1024;
// How long orphans of the container may stay zombies while it is quiet, in milliseconds.
const REAP_INTERVAL = 1000;

/** One direction: from one descriptor to another through a buffer. */
class Copy {
  readonly #bytes = Buffer.from(memory(BUFFER).bytes.buffer as ArrayBuffer);
  readonly #from: number;
  readonly #to: number;
  #start = 0;
  #end = 0;
  /** The source has ended, or the target wants no more. */
  done = false;

  constructor(from: number, to: number) {
    this.#from = from;
    this.#to = to;
  }

  /** What to wait for: room in the target while there is something to write, else input. */
  watch() {
    if (this.done) return { fd: -1, events: 0 };
    return this.#start < this.#end
      ? { fd: this.#to, events: POLLOUT }
      : { fd: this.#from, events: POLLIN };
  }

  /** Moves what can be moved now. */
  step(): void {
    try {
      if (this.#start === this.#end) {
        this.#start = 0;
        this.#end = readSync(this.#from, this.#bytes, 0, BUFFER, null);
        if (this.#end === 0) this.done = true;
        return;
      }
      this.#start += writeSync(this.#to, this.#bytes, this.#start, this.#end - this.#start);
    } catch (error) {
      if (!hasErrno(error, EAGAIN)) this.done = true; // EPIPE, EIO: nobody is there any more
    }
  }

  /** Nothing is on the way. */
  get idle(): boolean {
    return this.done || this.#start === this.#end;
  }
}

async function copyUntilExit(
  ours: { readonly stdin: OwnedFd; readonly stdout: OwnedFd; readonly stderr: OwnedFd },
  init: Child,
  interrupts: Interrupts,
): Promise<ExitStatus> {
  const input = new Copy(0, ours.stdin.fd);
  const outputs = [new Copy(ours.stdout.fd, 1), new Copy(ours.stderr.fd, 2)];
  const copies = [input, ...outputs];
  const doing = "wait for the container";
  let status: ExitStatus | undefined;
  while (status === undefined) {
    const watches = [{ fd: init.pidfd, events: POLLIN }, ...copies.map((copy) => copy.watch())];
    const [ended = 0, ...events] = await waitReady(watches, {
      doing,
      interrupts,
      timeout: REAP_INTERVAL,
    });
    if (ended === 0) reapOrphans(init.pid);
    copies.forEach((copy, i) => {
      if ((events[i] ?? 0) !== 0) copy.step();
    });
    if (input.done) ours.stdin.close();
    if (ended !== 0) status = init.reap();
  }
  // What is in the pipes still goes out; a process that outlived init may hold them open for ever.
  for (;;) {
    const events = await waitReady(
      outputs.map((copy) => copy.watch()),
      { doing, interrupts, timeout: outputs.every(({ idle }) => idle) ? 0 : undefined },
    );
    if (events.every((event) => event === 0)) return status;
    outputs.forEach((copy, i) => {
      if ((events[i] ?? 0) !== 0) copy.step();
    });
  }
}
