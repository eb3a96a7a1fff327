/**
 * A `criu` for PATH that misbehaves, or a real one that is held at a notification.
 *
 * The wrapper first writes down what it was started with, for tests of inheritance. Then it
 * answers by itself, or makes itself the real criu with a relay in between: the relay is criu's
 * peer, and thaw stays criu's parent, so that init still becomes a child of thaw.
 *
 * @module
 */

import { dlopen } from "bun:ffi";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ReqSchema, ReqType, RespSchema } from "../../internal/criu/gen/criu/rpc_pb.ts";
import { check, cstring, cstringArray, libc } from "../../internal/linux/libc.ts";
import { spawn } from "../../internal/linux/process.ts";
import { POLLIN, poll } from "../../internal/linux/signal.ts";
import {
  packetPair,
  receivePacket,
  sendDescriptor,
  sendPacket,
} from "../../internal/linux/socket.ts";
import { waitFor } from "./lab.ts";

/** The message at which it misbehaves, once everything before it was answered well. */
export type Moment = "version" | "restore" | "notify";

/** What it does then. */
export type Deed =
  /** Exits with status 7. */
  | "die"
  /** Sends bytes that are no message. */
  | "garbage"
  /** Sends an answer of another type. */
  | "answer something else"
  /** Says that it failed. */
  | "fail"
  /** Says that it worked, and nothing happened. */
  | "lie"
  /** Claims success as a packet of a megabyte, with descriptors nobody asked for. */
  | "lie at length"
  /** Closes the socket and lives on. */
  | "close"
  /** Does nothing until the socket is closed. */
  | "wait"
  /** Does nothing for ever and ignores SIGTERM. */
  | "hang";

/** How a fake criu behaves. */
export type Behaviour =
  | {
      readonly at: Moment;
      readonly does: Deed;
      readonly pid?: number;
      /** The version it says it is: major, minor, sublevel. */
      readonly version?: readonly [number, number, number];
    }
  /** A real criu whose answer to VERSION, notification, or answer to RESTORE or DUMP is kept from thaw. */
  | { readonly holds: string }
  /** A real criu that is killed (SIGKILL) when it sends that, before thaw has it. */
  | { readonly killedAt: string };

/** What a process was started with. */
export interface Inherited {
  readonly fds: readonly string[];
  readonly status: string;
  readonly limits: string;
  readonly umask: string;
  readonly environment: readonly string[];
}

/** Writes down in a directory what the calling shell has; for {@link inherited}. */
export function writeInherited(directory: string): string {
  return [
    `(ls -l /proc/$$/fd > ${directory}/fds)`,
    // Read by the shell itself: it blocks all signals while it starts a program.
    `while IFS= read -r line; do echo "$line"; done < /proc/$$/status > ${directory}/status`,
    `cat /proc/$$/limits > ${directory}/limits`,
    `umask > ${directory}/umask`,
    `tr '\\0' '\\n' < /proc/$$/environ > ${directory}/environment`,
  ].join("\n");
}

/** Reads what {@link writeInherited} wrote; the shell's own descriptor of its script is left out. */
export function inherited(directory: string): Inherited {
  const read = (name: string) => readFileSync(join(directory, name), "utf8").trim();
  return {
    fds: read("fds")
      .split("\n")
      .map((line) => /\d+ -> .*/.exec(line)?.[0] ?? "")
      .filter((link) => link !== "" && !/^\d\d -> .*\/(criu|hook)$/.test(link)),
    status: read("status"),
    limits: read("limits"),
    umask: read("umask"),
    environment: read("environment").split("\n").sort(),
  };
}

/** A directory with a fake `criu`. */
export class FakeCriu {
  readonly directory: string;
  /** The environment that makes thaw find it. */
  readonly env: { readonly PATH: string };

  constructor(directory: string, behaviour: Behaviour) {
    this.directory = directory;
    this.env = { PATH: `${directory}:${process.env["PATH"]}` };
    mkdirSync(directory);
    const real = Bun.which("criu");
    if (real === null) throw new Error("criu is not on PATH: use npm test");
    writeFileSync(join(directory, "behaviour.json"), JSON.stringify({ ...behaviour, real }));
    const wrapper = [
      "#!/bin/sh",
      writeInherited(directory),
      `exec ${process.execPath} ${import.meta.path} ${directory} "$@"`,
    ];
    writeFileSync(join(directory, "criu"), wrapper.join("\n"));
    chmodSync(join(directory, "criu"), 0o755);
  }

  /** Waits until it has come to the moment it is about. */
  waitForMoment(): void {
    waitFor(() => existsSync(join(this.directory, "moment")), "the moment of the fake criu");
  }

  /** What the wrapper was started with. */
  inherited(): Inherited {
    return inherited(this.directory);
  }
}

const { dup2, execv } = dlopen("libc.so.6", {
  dup2: { args: ["i32", "i32"], returns: "i32" },
  execv: { args: ["cstring", "ptr"], returns: "i32" },
}).symbols;
const SOCKET = 3;
const SYS_pidfd_open = 434;
const SYS_pidfd_getfd = 438;
const F_SETFD = 2;
type Relayed = { readonly holds?: string; readonly killedAt?: string };
type Pretence = Extract<Behaviour, { readonly at: Moment }>;

function respond(socket: number, response: MessageInitShape<typeof RespSchema>): void {
  sendPacket(
    socket,
    toBinary(RespSchema, create(RespSchema, { success: true, ...response } as typeof response)),
  );
}

const NOTIFY = { script: "pre-restore", pid: 0 };

/** Answers until the moment, then does the deed. */
function pretend(directory: string, { at, does, pid, version = [4, 2, 1] }: Pretence): void {
  const [majorNumber, minorNumber, sublevel] = version;
  for (;;) {
    const packet = receivePacket(SOCKET);
    if (packet === null) return;
    const { type } = fromBinary(ReqSchema, packet.bytes);
    const now: Moment = type === ReqType.VERSION ? "version" : "restore";
    if (now === at) break;
    if (now === "version")
      respond(SOCKET, { type, version: { majorNumber, minorNumber, sublevel } });
    if (now === "restore") {
      respond(SOCKET, { type: ReqType.NOTIFY, notify: NOTIFY });
      if (does !== "die") receivePacket(SOCKET); // as CRIU does, whatever comes next
      break;
    }
  }
  writeFileSync(join(directory, "moment"), "");
  const type = at === "version" ? ReqType.VERSION : ReqType.RESTORE;
  if (does === "die") process.exitCode = 7;
  if (does === "garbage") sendPacket(SOCKET, Buffer.from("\xff\xff no message", "latin1"));
  if (does === "answer something else") respond(SOCKET, { type: ReqType.DUMP });
  if (does === "fail") respond(SOCKET, { type, success: false, crErrno: 3 });
  if (does === "lie") respond(SOCKET, { type, restore: { pid: pid ?? 0 } });
  if (does === "lie at length") lieAtLength(type);
  if (does === "close") libc.close(SOCKET);
  if (does === "wait") poll([{ fd: SOCKET, events: POLLIN }], -1);
  if (does !== "close" && does !== "hang") return;
  process.on("SIGTERM", () => {});
  setInterval(() => {}, 1000);
}

function lieAtLength(type: ReqType): void {
  const size = new Int32Array([4 << 20]);
  libc.setsockopt(SOCKET, 1, 7, size, 4); // SOL_SOCKET, SO_SNDBUF
  for (const fd of [0, 1, 2]) sendDescriptor(SOCKET, "\x08\x06\x10\x01", fd); // NOTIFY, success
  respond(SOCKET, { type, crErrmsg: "x".repeat(1 << 20), restore: { pid: 0 } });
}

/** Starts the relay, takes its socket, and becomes the real criu. */
function becomeCriu(directory: string, real: string): void {
  const argv = [
    process.execPath,
    import.meta.path,
    directory,
    "relay",
    ...[process.ppid, process.pid].map(String),
  ];
  const env = Object.entries(process.env).map(([name, value]) => `${name}=${value}`);
  // Not criu's child: at the end of a dump criu waits for all of its own.
  const shell = ["sh", "-c", '"$@" &', "sh", ...argv];
  spawn({ file: "/bin/sh", argv: shell, env, fds: [0, 1, 2, SOCKET] }).reap();
  const file = join(directory, "socket");
  waitFor(() => existsSync(file), "the relay");
  const [pid = 0, theirs = 0] = readFileSync(file, "utf8").split(" ").map(Number);
  const relay = check(Number(libc.syscall(SYS_pidfd_open, pid, 0, 0, 0)), "pidfd_open");
  const socket = Number(libc.syscall(SYS_pidfd_getfd, relay, theirs, 0, 0));
  check(dup2(check(socket, "pidfd_getfd"), SOCKET), "dup2");
  writeFileSync(join(directory, "taken"), "");
  // Namespaces with a path, which Bun made close-on-exec at its start.
  for (const link of inherited(directory).fds) {
    const fd = Number(link.split(" ")[0]);
    if (fd > SOCKET) libc.fcntl(fd, F_SETFD, 0);
  }
  const words = cstringArray(["criu", "swrk", String(SOCKET)]);
  check(execv(cstring(real), words.bytes), `exec ${real} ${words.owned.length}`);
}

/** Passes packets on both ways until one side closes; what is held goes no further. */
function relayPackets(directory: string, behaviour: Relayed, thaw: string, criu: number): void {
  // Made here, so that this process is criu's peer: it opens our descriptors.
  const [ours, theirs] = packetPair();
  writeFileSync(join(directory, ".socket"), `${process.pid} ${theirs.fd}`);
  renameSync(join(directory, ".socket"), join(directory, "socket"));
  waitFor(() => existsSync(join(directory, "taken")), "criu");
  theirs.close();
  let held = false;
  for (;;) {
    // Once held, criu may end: thaw is not to know.
    const watches = [SOCKET, held ? -1 : ours.fd].map((fd) => ({ fd, events: POLLIN }));
    const [fromThaw = 0, fromCriu = 0] = poll(watches, -1);
    if (fromThaw !== 0) {
      const packet = receivePacket(SOCKET);
      if (packet === null) return;
      sendPacket(ours.fd, openHere(packet.bytes, thaw));
    }
    if (fromCriu !== 0) {
      const packet = receivePacket(ours.fd);
      if (packet === null) return;
      const moment = momentOf(packet.bytes);
      if (moment === behaviour.killedAt) {
        process.kill(criu, "SIGKILL");
        return;
      }
      held ||= moment === behaviour.holds;
      if (!held) sendPacket(SOCKET, packet.bytes);
      else writeFileSync(join(directory, "moment"), "");
    }
  }
}

function momentOf(bytes: Uint8Array): string {
  const { type, notify } = fromBinary(RespSchema, bytes);
  if (type === ReqType.DUMP) return "dump";
  return notify?.script ?? (type === ReqType.VERSION ? "version" : "restore");
}

/** Opens the directories that a request names by thaw's descriptors. */
function openHere(bytes: Uint8Array, thaw: string): Uint8Array {
  const request = fromBinary(ReqSchema, bytes);
  const { opts } = request;
  if (opts === undefined) return bytes;
  const open = (fd: number) => openSync(`/proc/${thaw}/fd/${fd}`, "r");
  opts.imagesDirFd = open(opts.imagesDirFd);
  if (opts.workDirFd > 0) opts.workDirFd = open(opts.workDirFd);
  return toBinary(ReqSchema, request);
}

function main(): void {
  const [directory = "", word, thaw = "", criu] = process.argv.slice(2);
  const behaviour = JSON.parse(readFileSync(join(directory, "behaviour.json"), "utf8"));
  if (word === "relay") relayPackets(directory, behaviour, thaw, Number(criu));
  else if (behaviour.at !== undefined) pretend(directory, behaviour);
  else becomeCriu(directory, behaviour.real);
}

if (import.meta.main) main();
