/**
 * A `criu swrk` of our own, and the talk with it.
 *
 * One protobuf message a packet on an AF_UNIX SOCK_SEQPACKET pair (CRIU cr-service.c). CRIU gets
 * no PDEATHSIG: when thaw dies it sees the closed socket and undoes its own work.
 *
 * @module
 */

import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { InterruptedError, ThawError } from "../errors/errors.ts";
import type { OwnedFd } from "../linux/fd.ts";
import { type Child, childEnvironment, spawn } from "../linux/process.ts";
import { type Interrupts, POLLIN, poll, SIGKILL, waitReady } from "../linux/signal.ts";
import { finishSending, packetPair, receivePacket, sendPacket } from "../linux/socket.ts";
import { OptsSchema, ReqSchema, ReqType, type Resp, RespSchema } from "./gen/criu/rpc_pb.ts";
import type { CriuOptions } from "./options.ts";

/** What CRIU says at a notification. */
export interface Notification {
  /** Such as `setup-namespaces`. */
  readonly script: string;
  /** Host pid of init at setup-namespaces and post-restore, else 0. */
  readonly pid: number;
  /** Descriptors that came along (orphan-pts-master); closed when the handler returns. */
  readonly fds: readonly OwnedFd[];
}

/** Answers a notification; throwing makes the restore fail. */
export type Notified = (notification: Notification) => Promise<void>;

/** A restore that CRIU reported as failed. */
export class CriuError extends ThawError {
  override name = "CriuError";
}

/** A running criu; disposing ends it. */
export interface CriuSession extends Disposable {
  readonly pid: number;
  /** The version as runc writes it: 4.2.1 is 40201. Asked once, on this connection. */
  version(): Promise<number>;
  /**
   * Asks for the restore and answers notifications until it is done and criu has ended.
   *
   * @returns the host pid of init
   * @throws CriuError when CRIU says so or dies; what a handler threw; InterruptedError
   */
  restore(options: CriuOptions, notified: Notified): Promise<number>;
  /**
   * Init exists: should it end before CRIU answers, the restore has failed. CRIU itself waits for
   * ever for an init that was killed between network-unlock and its release.
   */
  watchInit(init: Child): void;
}

/** What criu gets: its 0, 1 and 2, and more from 4 on (3 is the socket). */
export interface CriuFds {
  readonly stdio: readonly [number, number, number];
  readonly extra: readonly number[];
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
  const child = startProcess(file, [...fds.stdio, theirs.fd, ...fds.extra]);
  const talk = new Talk(child, ours.fd, interrupts);
  undo.defer(() => end(child, ours, talk.asked));
  const done = undo.move();
  return {
    pid: child.pid,
    version: () => talk.version(),
    restore: (options, notified) => talk.restore(options, notified),
    watchInit: (init) => talk.watchInit(init),
    [Symbol.dispose]: () => done.dispose(),
  };
}

function startProcess(file: string, fds: readonly number[]): Child {
  try {
    return spawn({ file, argv: ["criu", "swrk", "3"], env: childEnvironment(), fds });
  } catch (cause) {
    throw new ThawError("CRIU version check failed", {
      cause,
      hint: "install criu, or put its directory on PATH",
    });
  }
}

// How long CRIU may take to undo its own work before it is killed, in milliseconds.
const GRACE = 3000;

/** CRIU blocks SIGTERM, but undoes everything when its socket closes; SIGKILL is for a CRIU gone mad. */
function end(child: Child, socket: OwnedFd, asked: boolean): void {
  // Before the request there is nothing to undo, and CRIU would complain of the closed socket.
  if (!asked) child.kill();
  socket.close();
  if (child.status !== undefined) return;
  const start = performance.now();
  while (performance.now() - start < GRACE) {
    if (poll([{ fd: child.pidfd, events: POLLIN }], 100)[0] !== 0) break;
  }
  child.kill();
}

class Talk {
  readonly #child: Child;
  readonly #socket: number;
  readonly #interrupts: Interrupts;
  #version: number | undefined;
  #init: Child | undefined;
  /** A restore has been asked for. */
  asked = false;

  constructor(child: Child, socket: number, interrupts: Interrupts) {
    this.#child = child;
    this.#socket = socket;
    this.#interrupts = interrupts;
  }

  watchInit(init: Child): void {
    this.#init = init;
  }

  async version(): Promise<number> {
    if (this.#version !== undefined) return this.#version;
    try {
      await this.#send({ type: ReqType.VERSION, keepOpen: true });
      const { resp } = await this.#receive("ask criu for its version");
      const version = resp.version;
      if (!resp.success || version === undefined)
        throw new ThawError("criu did not say its version");
      this.#version =
        version.majorNumber * 10000 + version.minorNumber * 100 + (version.sublevel ?? 0);
      return this.#version;
    } catch (cause) {
      if (cause instanceof InterruptedError) throw cause;
      throw new ThawError("CRIU version check failed", { cause, hint: 'try "criu check"' });
    }
  }

  async restore(options: CriuOptions, notified: Notified): Promise<number> {
    this.asked = true;
    await this.#send({ type: ReqType.RESTORE, opts: create(OptsSchema, options) });
    for (;;) {
      const { resp, fds } = await this.#receive("restore");
      using scope = new DisposableStack();
      for (const fd of fds) scope.use(fd);
      if (resp.type === ReqType.NOTIFY) {
        await this.#notify(resp, fds, notified);
        continue;
      }
      return this.#finish(resp);
    }
  }

  async #notify(resp: Resp, fds: readonly OwnedFd[], notified: Notified): Promise<void> {
    const notification = { script: resp.notify?.script ?? "", pid: resp.notify?.pid ?? 0, fds };
    try {
      await notified(notification);
    } catch (error) {
      await this.#refuse();
      throw error;
    }
    await this.#send({ type: ReqType.NOTIFY, notifySuccess: true });
  }

  /** Answers a notification with failure and lets CRIU undo its work; errors do not matter now. */
  async #refuse(): Promise<void> {
    try {
      await this.#send({ type: ReqType.NOTIFY, notifySuccess: false });
      finishSending(this.#socket);
      await this.#child.wait({ doing: "end criu", timeout: GRACE });
    } catch {
      // The handler's error is the one to tell.
    }
  }

  async #finish(resp: Resp): Promise<number> {
    if (resp.type !== ReqType.RESTORE)
      throw new CriuError(`unable to parse the response of criu: unexpected type ${resp.type}`);
    if (!resp.success) throw new CriuError(`criu failed: type RESTORE errno ${resp.crErrno ?? 0}`);
    finishSending(this.#socket);
    const doing = "wait for criu to end";
    const status = await this.#child.wait({ doing, interrupts: this.#interrupts });
    if (status !== undefined && status.code !== 0)
      throw new CriuError(`criu failed: ${status.text}`);
    return resp.restore?.pid ?? 0;
  }

  async #send(message: MessageInitShape<typeof ReqSchema>): Promise<void> {
    try {
      sendPacket(this.#socket, toBinary(ReqSchema, create(ReqSchema, message)));
    } catch (error) {
      throw await this.#ended(error); // EPIPE: it is gone
    }
  }

  async #receive(doing: string): Promise<{ resp: Resp; fds: readonly OwnedFd[] }> {
    const socket = { fd: this.#socket, events: POLLIN };
    const options = { doing, interrupts: this.#interrupts };
    const init = { fd: this.#init?.pidfd ?? -1, events: POLLIN };
    const [answered] = await waitReady([socket, init], options);
    if (answered === 0) await this.#initEnded(socket, options);
    const packet = await this.#packet();
    try {
      return { resp: fromBinary(RespSchema, packet.bytes), fds: packet.fds };
    } catch (cause) {
      for (const fd of packet.fds) fd.close();
      throw new CriuError("unable to parse the response of criu", { cause });
    }
  }

  /** CRIU notices a dead init by itself at most moments, and then has the better words. */
  async #initEnded(
    socket: { fd: number; events: number },
    options: { doing: string; interrupts: Interrupts },
  ) {
    const [answered] = await waitReady([socket], { ...options, timeout: GRACE });
    if (answered === 0) throw new CriuError("init ended before the restore was complete");
  }

  async #packet() {
    let reason: unknown;
    try {
      const packet = receivePacket(this.#socket);
      if (packet !== null) return packet;
    } catch (error) {
      reason = error; // ECONNRESET: it died with our request unread
    }
    throw await this.#ended(reason);
  }

  /** The error for a criu that ended before it answered, with how it ended. */
  async #ended(cause: unknown): Promise<CriuError> {
    const status = await this.#child.wait({ doing: "wait for criu to end", timeout: GRACE });
    if (status === undefined) this.#child.kill(); // its socket is closed and it does not end
    const killed = status?.code === 128 + SIGKILL;
    return new CriuError(`criu ended before it answered: ${status?.text ?? "it hangs"}`, {
      cause,
      ...(killed
        ? { hint: "out of memory? raise linux.resources.memory.limit, and see the kernel log" }
        : {}),
    });
  }
}
