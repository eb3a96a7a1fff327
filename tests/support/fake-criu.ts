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
  readSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ReqSchema,
  ReqType,
  type Resp,
  RespSchema,
} from "../../internal/criu/gen/criu/rpc_pb.ts";
import { check, cstring, cstringArray, libc } from "../../internal/linux/libc.ts";
import { POLLIN, poll } from "../../internal/linux/signal.ts";
import { packetPair, receivePacket, sendPacket } from "../../internal/linux/socket.ts";
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
  /** Closes the socket and lives on. */
  | "close"
  /** Does nothing for ever and ignores SIGTERM. */
  | "hang";

/** How a fake criu behaves. */
export type Behaviour =
  | { readonly at: Moment; readonly does: Deed; readonly pid?: number }
  /** A real criu whose answer to VERSION, notification, or answer to RESTORE is kept from thaw. */
  | { readonly holds: string };

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
    `for fd in /proc/$$/fd/*; do echo "\${fd##*/} $(readlink "$fd")"; done > ${directory}/fds`,
    `cat /proc/$$/status > ${directory}/status`,
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
      .filter((line) => !/^\d\d+ .*\/(criu|hook)$/.test(line)),
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
type Options = { at: Moment; does: Deed; pid?: number; holds?: string; real: string };

function respond(socket: number, response: Partial<Resp>): void {
  sendPacket(socket, toBinary(RespSchema, create(RespSchema, { success: true, ...response })));
}

const VERSION = { majorNumber: 4, minorNumber: 2, sublevel: 1 };
const NOTIFY = { script: "pre-restore", pid: 0 };

/** Answers until the moment, then does the deed. */
function pretend(directory: string, { at, does, pid }: Options): void {
  for (;;) {
    const packet = receivePacket(SOCKET);
    if (packet === null) return;
    const { type } = fromBinary(ReqSchema, packet.bytes);
    const now = { [ReqType.VERSION]: "version", [ReqType.RESTORE]: "restore" }[type as 1] as Moment;
    if (now === at) break;
    if (now === "version") respond(SOCKET, { type, version: VERSION as never });
    if (now === "restore") {
      respond(SOCKET, { type: ReqType.NOTIFY, notify: NOTIFY as never });
      break;
    }
  }
  writeFileSync(join(directory, "moment"), "");
  const type = at === "version" ? ReqType.VERSION : ReqType.RESTORE;
  if (does === "die") process.exitCode = 7;
  if (does === "garbage") sendPacket(SOCKET, Buffer.from("\xff\xff no message", "latin1"));
  if (does === "answer something else") respond(SOCKET, { type: ReqType.DUMP });
  if (does === "fail") respond(SOCKET, { type, success: false, crErrno: 3 });
  if (does === "lie") respond(SOCKET, { type, restore: { pid: pid ?? 0 } as never });
  if (does === "close") libc.close(SOCKET);
  if (does !== "close" && does !== "hang") return;
  process.on("SIGTERM", () => {});
  setInterval(() => {}, 1000);
}

/** Starts the relay, takes its socket, and becomes the real criu. */
function becomeCriu(directory: string, { real }: Options): never {
  const relay = Bun.spawn(
    [process.execPath, import.meta.path, directory, "relay", String(process.ppid)],
    { stdio: ["pipe", "pipe", "inherit", SOCKET] },
  );
  const theirs = relayAnswer((relay.stdout as never as { fd?: number }).fd, directory);
  const pidfd = Number(libc.syscall(SYS_pidfd_open, relay.pid, 0, 0));
  const socket = check(Number(libc.syscall(SYS_pidfd_getfd, pidfd, theirs, 0)), "pidfd_getfd");
  check(dup2(socket, SOCKET), "dup2");
  writeFileSync(join(directory, "taken"), "");
  const argv = cstringArray(["criu", "swrk", String(SOCKET)]);
  check(execv(cstring(real), argv.bytes), `exec ${real} ${argv.owned.length}`);
  throw new Error("not reached");
}

function relayAnswer(_fd: number | undefined, directory: string): number {
  const file = join(directory, "socket");
  waitFor(() => existsSync(file) && readFileSync(file, "utf8").endsWith("\n"), "the relay");
  return Number(readFileSync(file, "utf8"));
}
