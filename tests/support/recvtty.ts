/**
 * A stand-in for the `recvtty` of runc's tests, whose source is Go: receives the terminals of
 * containers at a console socket.
 *
 * `recvtty [--mode null] [--no-stdin] [--pid-file FILE] SOCKET`: `null` takes every connection and
 * throws away what the terminals say; else what the first says goes to standard output.
 *
 * @module
 */

import { ptr } from "bun:ffi";
import { readSync, writeFileSync, writeSync } from "node:fs";
import { parseArgs } from "node:util";
import { check, libc, memory } from "../../internal/linux/libc.ts";
import { POLLIN, poll } from "../../internal/linux/signal.ts";
import { receivePacket } from "../../internal/linux/socket.ts";

const SYSCALLS =
  process.arch === "arm64"
    ? { socket: 198, bind: 200, listen: 201, accept: 202 }
    : { socket: 41, bind: 49, listen: 50, accept: 43 };
const AF_UNIX = 1;
const SOCK_STREAM = 1;

/** Makes a listening AF_UNIX stream socket. */
export function listenUnix(path: string): number {
  const address = memory(110); // struct sockaddr_un
  address.view.setUint16(0, AF_UNIX, true);
  address.bytes.set(Buffer.from(path), 2);
  const made = check(Number(libc.syscall(SYSCALLS.socket, AF_UNIX, SOCK_STREAM, 0, 0)), "socket");
  const length = 3 + Buffer.byteLength(path);
  check(Number(libc.syscall(SYSCALLS.bind, made, ptr(address.bytes), length, 0)), `bind ${path}`);
  check(Number(libc.syscall(SYSCALLS.listen, made, 16, 0, 0)), `listen ${path}`);
  return made;
}

/** Waits for a connection. @returns its descriptor */
export function acceptUnix(listener: number): number {
  return check(Number(libc.syscall(SYSCALLS.accept, listener, 0, 0, 0)), "accept");
}

function main(): void {
  const { values, positionals } = parseArgs({
    options: {
      mode: { type: "string", default: "single" },
      "no-stdin": { type: "boolean" },
      "pid-file": { type: "string" },
    },
    allowPositionals: true,
  });
  const listener = listenUnix(positionals[0] ?? "");
  if (values["pid-file"] !== undefined) writeFileSync(values["pid-file"], `${process.pid}\n`);
  let masters: number[] = [];
  const chunk = Buffer.alloc(65536);
  for (;;) {
    const ready = poll(
      [listener, ...masters].map((fd) => ({ fd, events: POLLIN })),
      -1,
    );
    const open = masters.filter((master, i) => {
      if (!ready[i + 1]) return true;
      try {
        const length = readSync(master, chunk);
        if (values.mode === "single") writeSync(1, chunk.subarray(0, length));
        return length > 0;
      } catch {
        return false; // EIO: the last of the other side has closed
      }
    });
    if (values.mode === "single" && open.length < masters.length) return;
    masters = open;
    if (ready[0]) {
      const packet = receivePacket(acceptUnix(listener));
      masters.push(...(packet?.fds ?? []).map(({ fd }) => fd));
    }
  }
}

if (import.meta.main) main();
