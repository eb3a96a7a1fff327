/** A pair of connected packet sockets, and descriptors passed along. @module */

import { ptr } from "bun:ffi";
import { basename, dirname } from "node:path";
import { AT_FDCWD, O_DIRECTORY, O_PATH, type OwnedFd, openAt, owned } from "./fd.ts";
import {
  check,
  cstring,
  EINTR,
  EINVAL,
  EPROTOTYPE,
  errno,
  libc,
  type Memory,
  memory,
  SyscallError,
} from "./libc.ts";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_SEQPACKET = 5;
/** socket(2). */
export const AF_INET = 2;
/** socket(2). */
export const SOCK_DGRAM = 2;
/** socket(2). */
export const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const F_SETFL = 4;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SCM_RIGHTS = 1;
const MSG_PEEK = 2;
const MSG_TRUNC = 0x20;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;
const SHUT_WR = 1;

/** Two connected AF_UNIX SOCK_SEQPACKET sockets (socketpair(2)), close-on-exec. */
export function packetPair(): readonly [OwnedFd, OwnedFd] {
  const pair = memory(8);
  const made = libc.socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.bytes);
  check(made, "socketpair");
  return [owned(pair.view.getInt32(0, true)), owned(pair.view.getInt32(4, true))];
}

/**
 * Sends one packet. A packet larger than the send buffer needs a larger buffer (EMSGSIZE at
 * 212,992 bytes by default), so that is raised first.
 *
 * @throws SyscallError EPIPE or ECONNRESET when the peer is gone
 */
export function sendPacket(socket: number, bytes: Uint8Array): void {
  // C reads the bytes where they are, so they must not be a view Bun may move.
  const packet = memory(bytes.length);
  packet.bytes.set(bytes);
  if (bytes.length > 100_000) {
    const size = memory(4);
    size.view.setInt32(0, bytes.length * 2, true);
    libc.setsockopt(socket, SOL_SOCKET, SO_SNDBUF, size.bytes, 4);
  }
  for (;;) {
    if (libc.send(socket, packet.bytes, bytes.length, MSG_NOSIGNAL) !== -1) return;
    const reason = errno();
    if (reason !== EINTR) throw new SyscallError("write to criu", reason);
  }
}

/** Says that nothing more will be sent (shutdown(2), SHUT_WR). */
export function finishSending(socket: number): void {
  libc.shutdown(socket, SHUT_WR);
}

/** One packet and the descriptors that came with it, close-on-exec. */
export interface Packet {
  readonly bytes: Uint8Array;
  readonly fds: readonly OwnedFd[];
}

/**
 * Receives one packet of any size; call it when the socket is readable.
 *
 * @returns null when the peer has closed
 * @throws SyscallError ECONNRESET when the peer ended with our packet unread
 */
export function receivePacket(socket: number): Packet | null {
  const size = receive(socket, memory(1), memory(0), MSG_PEEK | MSG_TRUNC).length;
  if (size === 0) return null;
  const body = memory(size);
  const control = memory(1024);
  const { fds } = receive(socket, body, control, MSG_CMSG_CLOEXEC);
  return { bytes: body.bytes, fds };
}

// struct msghdr and struct cmsghdr of LP64.
function receive(socket: number, body: Memory, control: Memory, flags: number) {
  const iov = memory(16);
  iov.view.setBigUint64(0, BigInt(ptr(body.bytes)), true);
  iov.view.setBigUint64(8, BigInt(body.bytes.length), true);
  const header = memory(56);
  header.view.setBigUint64(16, BigInt(ptr(iov.bytes)), true);
  header.view.setBigUint64(24, 1n, true);
  if (control.bytes.length > 0) {
    header.view.setBigUint64(32, BigInt(ptr(control.bytes)), true);
    header.view.setBigUint64(40, BigInt(control.bytes.length), true);
  }
  for (;;) {
    const length = libc.recvmsg(socket, header.bytes, flags);
    if (length !== -1) return { length: Number(length), fds: passedFds(header, control) };
    const reason = errno();
    if (reason !== EINTR) throw new SyscallError("read from criu", reason);
  }
}

function passedFds(header: Memory, control: Memory): OwnedFd[] {
  const end = Number(header.view.getBigUint64(40, true));
  const fds: OwnedFd[] = [];
  for (let at = 0; at + 16 <= end; ) {
    const length = Number(control.view.getBigUint64(at, true));
    if (length < 16) break;
    const isRights =
      control.view.getInt32(at + 8, true) === SOL_SOCKET &&
      control.view.getInt32(at + 12, true) === SCM_RIGHTS;
    for (let data = at + 16; isRights && data + 4 <= at + length; data += 4) {
      fds.push(owned(control.view.getInt32(data, true)));
    }
    at += (length + 7) & ~7;
  }
  return fds;
}

// struct sockaddr_un: a 16-bit family, then the path with its NUL.
const UNIX_PATH_MAX = 107;

function unixAddress(path: string): Memory {
  const name = cstring(path);
  if (name.length - 1 > UNIX_PATH_MAX) throw new SyscallError(`dial unix ${path}: connect`, EINVAL);
  const address = memory(2 + name.length);
  address.view.setUint16(0, AF_UNIX, true);
  address.bytes.set(name, 2);
  return address;
}

/**
 * Whether a stream socket is bound to a path, without connecting to it: the first connection may be
 * the only one its owner accepts. A datagram socket is refused by a live one for its type alone
 * (EPROTOTYPE; unix(7)).
 */
export function isBound(path: string): boolean {
  using directory = openAt(AT_FDCWD, dirname(path), O_PATH | O_DIRECTORY);
  const address = unixAddress(`/proc/self/fd/${directory.fd}/${basename(path)}`);
  const made = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  using socket = owned(check(made, `look at ${path}: socket`));
  if (libc.connect(socket.fd, address.bytes, address.bytes.length) !== -1) return true;
  return errno() === EPROTOTYPE;
}

/**
 * Connects to a listening AF_UNIX stream socket; does not wait for an accept, nor, where many wait for
 * one already, for room.
 *
 * @throws SyscallError `dial unix PATH: connect: no such file or directory`, as Go words it; EAGAIN
 */
export function connectUnix(path: string): OwnedFd {
  const address = unixAddress(path);
  const made = libc.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const socket = owned(check(made, `dial unix ${path}: socket`));
  const done = libc.connect(socket.fd, address.bytes, address.bytes.length);
  if (done === -1) {
    const reason = errno();
    socket.close();
    throw new SyscallError(`dial unix ${path}: connect`, reason);
  }
  libc.fcntl(socket.fd, F_SETFL, 0);
  return socket;
}

/**
 * Sends a text with one descriptor (SCM_RIGHTS); does not wait for an answer.
 *
 * @throws SyscallError EPIPE when the peer is gone
 */
export function sendDescriptor(socket: number, text: string, fd: number): void {
  const body = memory(Buffer.byteLength(text));
  body.bytes.set(Buffer.from(text));
  const iov = memory(16);
  iov.view.setBigUint64(0, BigInt(ptr(body.bytes)), true);
  iov.view.setBigUint64(8, BigInt(body.bytes.length), true);
  const control = memory(24); // CMSG_SPACE(4)
  control.view.setBigUint64(0, 20n, true); // CMSG_LEN(4)
  control.view.setInt32(8, SOL_SOCKET, true);
  control.view.setInt32(12, SCM_RIGHTS, true);
  control.view.setInt32(16, fd, true);
  const header = memory(56);
  header.view.setBigUint64(16, BigInt(ptr(iov.bytes)), true);
  header.view.setBigUint64(24, 1n, true);
  header.view.setBigUint64(32, BigInt(ptr(control.bytes)), true);
  header.view.setBigUint64(40, BigInt(control.bytes.length), true);
  check(Number(libc.sendmsg(socket, header.bytes, MSG_NOSIGNAL)), `send ${text}`);
}
