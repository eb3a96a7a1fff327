/** A container that can be checkpointed at any moment, however busy the machine is. @module */

import { join } from "node:path";
import { type Bundle, type Json, type Lab, must, run } from "./lab.ts";

// One process that never forks: a child between vfork(2) and execve(2) cannot be seized by CRIU
// once the freezer has stopped it. The file keeps its size, which CRIU compares when the checkpoint
// has caught it open.
const loop = (act: string) =>
  `i=0; exec 9<>/tmp/wait; while :; do i=$((i+1)); ${act}; read -t 0.05 x <&9; done`;
const SCRIPT = loop("printf %08d $i 1<>/tmp/n");

/** A script that does the same in an image, and something else at every step. */
export const steadyScript = (act = ":") =>
  `mkfifo /tmp/wait; ${loop(`printf %08d $i 1<>/tmp/n; ${act}`)}`;

/** A bundle that counts in /tmp/n. */
export function steadyBundle(lab: Lab, change?: (config: Json) => void, before = ""): Bundle {
  const bundle = lab.bundle(`${before}${SCRIPT}`, change);
  must(run(["busybox", "mkfifo", join(bundle.rootfs, "tmp/wait")]));
  return bundle;
}

/** Shell that waits until a server in its network namespace listens on a port. */
export const listens = (port: number) => {
  const address = `:${port.toString(16).toUpperCase().padStart(4, "0")} .* 0A `;
  return `until busybox grep -qs '${address}' /proc/net/tcp /proc/net/tcp6; do sleep 0.05; done`;
};

/** A server that echoes, and a client that counts and receives into /tmp/received, in one container over 127.0.0.1. */
export const CONNECTED = [
  "nc -l -p 7 -e cat &",
  `${listens(7)}; { ${steadyScript("echo $i")}; } | nc 127.0.0.1 7 >/tmp/received`,
].join("\n");
