/** A container that can be checkpointed at any moment, however busy the machine is. @module */

import { join } from "node:path";
import { type Bundle, type Json, type Lab, must, run } from "./lab.ts";

// One process that never forks: a child between vfork(2) and execve(2) cannot be seized by CRIU
// once the freezer has stopped it. The file keeps its size, which CRIU compares when the checkpoint
// has caught it open.
const SCRIPT =
  "i=0; exec 9<>/tmp/wait; while :; do i=$((i+1)); printf %08d $i 1<>/tmp/n; read -t 0.05 x <&9; done";

/** A bundle that counts in /tmp/n. */
export function steadyBundle(lab: Lab, change?: (config: Json) => void, before = ""): Bundle {
  const bundle = lab.bundle(`${before}${SCRIPT}`, change);
  must(run(["busybox", "mkfifo", join(bundle.rootfs, "tmp/wait")]));
  return bundle;
}
