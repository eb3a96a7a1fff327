/** Stage: the process's terminal, or its streams. @module */

import { fstatSync } from "node:fs";
import { pipedStdio } from "../console/piped.ts";
import { consoleSocketStdio, inheritedStdio, type Stdio } from "../console/stdio.ts";
import { terminalStdio } from "../console/terminal.ts";
import { changeOwner } from "../linux/fd.ts";
import { openPty, PTMX, type Pty } from "../linux/pty.ts";
import { setWindowSize } from "../linux/terminal.ts";
import { hostId } from "../oci/convert.ts";
import type { Inside } from "./namespaces.ts";
import type { ExecPlan } from "./plan.ts";
import { mappings } from "./request.ts";

/**
 * Decides where the process's streams lead (runc: setupIO).
 *
 * @throws SyscallError `dial unix P: connect: …`, `open /dev/tty: no such device or address`
 */
export function openStdio({ terminal, configuration, options }: ExecPlan): Stdio {
  const { detach, consoleSocket } = options;
  if (terminal && consoleSocket !== undefined) return consoleSocketStdio(consoleSocket, PTMX);
  if (terminal) return terminalStdio("new");
  if (detach) return inheritedStdio();
  const { gid_mappings } = configuration;
  const gids = mappings({ ...configuration, uid_mappings: gid_mappings ?? null });
  // What it leaves running goes on writing; of a container's init nothing is left (runc: tty.Close).
  return pipedStdio(hostId(mappings(configuration), 0), hostId(gids, 0), true);
}

/**
 * Makes a terminal in the container and hands its master over.
 *
 * @returns both ends; the slave is the process's
 */
export function openTerminal(plan: ExecPlan, { root }: Inside, io: Stdio): Pty {
  using undo = new DisposableStack();
  const pty = undo.use(openPty(root));
  const { consoleSize } = plan.process;
  const [height, width] = [sixteenBits(consoleSize?.height), sixteenBits(consoleSize?.width)];
  if (height !== 0 && width !== 0) setWindowSize(pty.master.fd, height, width);
  giveToUser(pty.slave.fd, plan);
  io.receiveMaster(pty.master.fd);
  undo.move();
  return pty;
}

// What is larger loses its upper bits, as in runc.
const sixteenBits = (size: number | bigint = 0) => Number(BigInt.asUintN(16, BigInt(size)));

/** Made by thaw, the terminal is the host's root's: the process could not give it to anybody. */
function giveToUser(slave: number, { uid, configuration }: ExecPlan): void {
  let owner: number;
  try {
    owner = hostId(mappings(configuration), uid);
  } catch {
    return; // refused when the process is to become that user
  }
  changeOwner(slave, owner, fstatSync(slave).gid);
}
