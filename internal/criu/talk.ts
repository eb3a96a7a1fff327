/**
 * The talk with a `criu swrk`: one protobuf message a packet on an AF_UNIX SOCK_SEQPACKET pair (CRIU
 * cr-service.c).
 *
 * @module
 */

import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { InterruptedError, ThawError } from "../errors/errors.ts";
import type { OwnedFd } from "../linux/fd.ts";
import type { Child } from "../linux/process.ts";
import { type Interrupts, POLLIN, SIGKILL, waitReady } from "../linux/signal.ts";
import { finishSending, receivePacket, sendPacket } from "../linux/socket.ts";
import {
  OptsSchema,
  ReqSchema,
  ReqType,
  ReqTypeSchema,
  type Resp,
  RespSchema,
} from "./gen/criu/rpc_pb.ts";
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

/** Answers a notification; throwing makes the request fail. */
export type Notified = (notification: Notification) => Promise<void>;

/** A request that CRIU reported as failed. */
export class CriuError extends ThawError {
  override name = "CriuError";
}

/** A dump, or one of memory alone that is repeated by a later dump for what has changed. */
export type DumpKind = "dump" | "pre-dump";

/** What a CRIU may not be able to do: track changes of memory, restore memory later. */
export type Feature = "memTrack" | "lazyPages";

/** How long CRIU may take to undo its own work before it is killed, in milliseconds. */
export const GRACE = 3000;

/** What is said on one connection. */
export class Talk {
  readonly #child: Child;
  readonly #socket: number;
  readonly #interrupts: Interrupts;
  #version: number | undefined;
  #init: Child | undefined;
  /** It serves memory to a restore elsewhere; the processes it has dumped are whole again. */
  #serves = false;
  /** What has been asked for. */
  asked: "restore" | "dump" | undefined;

  constructor(child: Child, socket: number, interrupts: Interrupts) {
    this.#child = child;
    this.#socket = socket;
    this.#interrupts = interrupts;
  }

  /**
   * Init exists: should it end before CRIU answers, the restore has failed. CRIU itself waits for
   * ever for an init that was killed between network-unlock and its release.
   */
  watchInit(init: Child): void {
    this.#init = init;
  }

  /** The version as runc writes it: 4.2.1 is 40201. Asked once, on this connection. */
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

  /** Which of some features this CRIU has on this kernel. Asked on this connection, before a dump. */
  async features(wanted: readonly Feature[]): Promise<readonly Feature[]> {
    const features = Object.fromEntries(wanted.map((name) => [name, true]));
    await this.#send({ type: ReqType.FEATURE_CHECK, features, keepOpen: true });
    const { resp } = await this.#receive("ask criu for its features");
    if (!resp.success) throw new CriuError("CRIU feature check failed");
    return wanted.filter((name) => resp.features?.[name] === true);
  }

  /**
   * Asks for the restore and answers notifications until it is done and criu has ended.
   *
   * @returns the host pid of init
   * @throws CriuError when CRIU says so or dies; what a handler threw; InterruptedError
   */
  async restore(options: CriuOptions, notified: Notified): Promise<number> {
    this.asked = "restore";
    const resp = await this.#ask(ReqType.RESTORE, options, notified);
    finishSending(this.#socket);
    await this.#end(false);
    return resp.restore?.pid ?? 0;
  }

  /**
   * Asks for a dump and answers notifications until it is done and criu has ended.
   *
   * When it fails, or is interrupted, CRIU lets the processes go on; that is waited for. Killing it
   * could leave them broken, so whoever sends a second signal leaves it to itself instead.
   *
   * @throws CriuError when CRIU says so or dies; what a handler threw; InterruptedError
   */
  async dump(kind: DumpKind, options: CriuOptions, notified: Notified): Promise<void> {
    this.asked = "dump";
    const type = kind === "dump" ? ReqType.DUMP : ReqType.PRE_DUMP;
    try {
      await this.#ask(type, options, notified);
      finishSending(this.#socket);
      await this.#end(kind === "pre-dump"); // it waits for a next one, and takes our end for a failure
    } catch (error) {
      await this.#letGo();
      // The signal came when the dump could not be given up any more.
      if (error instanceof InterruptedError && this.#child.status?.code === 0) return;
      throw error;
    }
  }

  /** Waits until CRIU has let the processes go on: it does when it next asks us something. */
  async #letGo(): Promise<void> {
    this.#interrupts.forget();
    if (this.#serves) this.#child.kill();
    try {
      finishSending(this.#socket);
      await this.#child.wait({ doing: "wait for criu to end", interrupts: this.#interrupts });
    } catch {
      // Interrupted again: it goes on by itself.
    }
  }

  /** Sends a request and answers notifications until its answer comes. */
  async #ask(type: ReqType, options: CriuOptions, notified: Notified): Promise<Resp> {
    await this.#send({ type, opts: create(OptsSchema, options) });
    const doing = type === ReqType.RESTORE ? "restore" : "checkpoint";
    for (;;) {
      const { resp, fds } = await this.#receive(doing);
      using scope = new DisposableStack();
      for (const fd of fds) scope.use(fd);
      if (resp.type !== ReqType.NOTIFY) return this.#answer(type, resp);
      await this.#notify(resp, fds, notified);
      this.#serves ||= resp.notify?.script === "status-ready";
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

  #answer(type: ReqType, resp: Resp): Resp {
    if (resp.type !== type)
      throw new CriuError(`unable to parse the response of criu: unexpected type ${resp.type}`);
    if (!resp.success)
      throw new CriuError(
        `criu failed: type ${ReqTypeSchema.value[type]?.name} errno ${resp.crErrno ?? 0}`,
      );
    return resp;
  }

  async #end(mayFail: boolean): Promise<void> {
    const doing = "wait for criu to end";
    const status = await this.#child.wait({ doing, interrupts: this.#interrupts });
    if (status !== undefined && status.code !== 0 && !mayFail)
      throw new CriuError(`criu failed: ${status.text}`);
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
    // Its socket is closed and it does not end.
    if (status === undefined && this.asked !== "dump") this.#child.kill();
    const killed = status?.code === 128 + SIGKILL;
    // While it restores it is in the container's cgroup.
    const raise = this.asked === "dump" ? "" : "raise linux.resources.memory.limit, and ";
    return new CriuError(`criu ended before it answered: ${status?.text ?? "it hangs"}`, {
      cause,
      ...(killed ? { hint: `out of memory? ${raise}see the kernel log` } : {}),
    });
  }
}
