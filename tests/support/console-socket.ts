/** What a runtime sends a descriptor to: the master of a terminal, a pidfd, a seccomp listener. @module */

import { expect } from "bun:test";
import { readSync } from "node:fs";
import { libc } from "../../internal/linux/libc.ts";
import { receivePacket } from "../../internal/linux/socket.ts";
import { acceptUnix, listenUnix } from "./recvtty.ts";

/** A console socket as shims have it: it listens, and is accepted from only after the runtime has ended. */
export function consoleSocket(
  path: string,
): Disposable & { master(): { fd: number; text: string } } {
  const listener = listenUnix(path);
  const fds: number[] = [listener];
  return {
    master: () => {
      const connection = acceptUnix(listener);
      fds.push(connection);
      const packet = receivePacket(connection);
      const fd = packet?.fds[0]?.fd ?? -1;
      fds.push(fd);
      expect(packet?.fds.length).toBe(1);
      // Of a stream only the first byte comes as a packet; the rest is behind it.
      const rest = Buffer.alloc(4096);
      const length = readSync(connection, rest);
      const first = Buffer.from(packet?.bytes ?? []).toString();
      return { fd, text: first + rest.subarray(0, length).toString() };
    },
    [Symbol.dispose]: () => {
      for (const fd of fds) libc.close(fd);
    },
  };
}
