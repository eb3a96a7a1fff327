/** Network devices (netdevice(7)) of a network namespace that is not ours. @module */

import { readlinkSync } from "node:fs";
import { AT_FDCWD, O_RDONLY, type OwnedFd, openAt, owned } from "./fd.ts";
import { check, libc, memory, wrapFs } from "./libc.ts";
import { inNetworkNamespace } from "./namespace.ts";
import { AF_INET, SOCK_CLOEXEC, SOCK_DGRAM } from "./socket.ts";

const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 1;
// struct ifreq: 16 bytes of name, then the flags as a short.
const IFREQ_SIZE = 40;
const IFNAMSIZ = 16;

/**
 * Raises `lo` in the network namespace of a process; the kernel gives it 127.0.0.1 and ::1.
 *
 * The thread is inside for one socket(2) only: a socket stays in the namespace it was made in.
 *
 * @returns false when the process is in our own namespace, which is left alone
 * @throws SyscallError naming the step
 */
export function raiseLoopback(pid: number): boolean {
  const path = `/proc/${pid}/ns/net`;
  const link = (file: string) => wrapFs(`readlink ${file}`, () => readlinkSync(file));
  if (link(path) === link("/proc/thread-self/ns/net")) return false;
  using netns = openAt(AT_FDCWD, path, O_RDONLY);
  using socket = inNetworkNamespace(netns.fd, datagramSocket);
  const request = memory(IFREQ_SIZE);
  request.bytes.set(Buffer.from("lo"));
  check(libc.ioctl(socket.fd, SIOCGIFFLAGS, request.bytes), "read the flags of lo");
  const flags = request.view.getInt16(IFNAMSIZ, true);
  request.view.setInt16(IFNAMSIZ, flags | IFF_UP, true);
  check(libc.ioctl(socket.fd, SIOCSIFFLAGS, request.bytes), "raise lo");
  return true;
}

function datagramSocket(): OwnedFd {
  return owned(check(libc.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
}
