/**
 * CRIU's lock on a network namespace that outlives its container.
 *
 * A dump drops every packet there, so that no peer sees a connection reset, and leaves it so for
 * the restore to undo (CRIU criu/net.c, network_lock_internal). When that fails, or never comes,
 * whoever shares the namespace stays cut off.
 *
 * @module
 */

import { existsSync, readFileSync } from "node:fs";
import { describe, ThawError } from "../errors/errors.ts";
import { lockTables, type NetworkLock, networkLock } from "../images/network-lock.ts";
import { AT_FDCWD, O_RDONLY, openAt } from "../linux/fd.ts";
import { inNetworkNamespace } from "../linux/namespace.ts";
import { deleteInetTable } from "../linux/nftables.ts";
import { childEnvironment, lookPath } from "../linux/process.ts";
import { runToEnd } from "../linux/run.ts";

const CHAIN = "CRIU";
// Milliseconds; iptables waits for its lock without end.
const TIMEOUT = 10_000;

/** A namespace that a checkpoint has cut off. */
export interface CutOff {
  /** Its file, such as /run/netns/pod. */
  readonly path: string;
  /** The image directory of the checkpoint, or the dump that was not completed. */
  readonly by: string | FailedDump;
  /** Why the lock will not be lifted by a restore, after "since". */
  readonly since: string;
}

/**
 * Removes the lock and says so in a warning; what cannot be removed is a warning too, as whatever led
 * here counts more.
 */
export async function liftNetworkLock(
  { path, by, since }: CutOff,
  warn: (message: string) => void,
): Promise<void> {
  try {
    const removed =
      typeof by === "string"
        ? await removeNetworkLock(path, networkLock(by))
        : await removeDumpLock(path, by);
    if (removed.length === 0) return;
    warn(
      `the checkpoint had cut off network namespace ${path}; removed ${removed.join(" and ")}, since ${since}`,
    );
  } catch (error) {
    warn(
      `network namespace ${path} may still be cut off by the checkpoint: ${describe(error)}; look there with "iptables -S" and "nft list tables"`,
    );
  }
}

/**
 * Removes the lock, and nothing that is not CRIU's.
 *
 * @param path the namespace's file, such as /run/netns/pod; one that is gone has no lock
 * @returns what was removed, in words; empty when there was no lock
 * @throws SyscallError when the namespace cannot be entered; ThawError of the tool that failed
 */
export async function removeNetworkLock(path: string, lock: NetworkLock): Promise<string[]> {
  if (lock.method === "skip" || !existsSync(path)) return [];
  using netns = openAt(AT_FDCWD, path, O_RDONLY);
  return lock.method === "nftables" ? removeTable(netns.fd, lock) : await removeChains(netns.fd);
}

/** A dump that has failed. */
export interface FailedDump {
  /** Host pid of the container's init. */
  readonly init: number;
  /** Path of CRIU's log. */
  readonly log: string;
}

/**
 * Removes the lock of a dump that has failed. The images tell the method and the run of CRIU that named
 * the table only when they are complete, so that both methods are tried, and the log tells the run.
 *
 * @param path the namespace's file
 * @returns what was removed, in words; empty when there was no lock any more
 * @throws as {@link removeNetworkLock}
 */
export async function removeDumpLock(path: string, dump: FailedDump): Promise<string[]> {
  const runs = runsIn(dump.log).flatMap(lockTables);
  const tables = [...runs, `CRIU-${dump.init}`]; // CRIU 4.0 has no runs
  const table = await removeNetworkLock(path, { method: "nftables", tables });
  if (table.length > 0) return table;
  return await removeNetworkLock(path, { method: "iptables", tables: [] });
}

// A criu swrk begins anew with each request, and so has several.
function runsIn(log: string): string[] {
  try {
    const lines = readFileSync(log, "utf8").matchAll(/\) CRIU run id = (\S+)/g);
    return [...lines].map(([, run = ""]) => run);
  } catch {
    return []; // it has not come that far
  }
}

function removeTable(netns: number, { tables }: NetworkLock): string[] {
  if (tables.length === 0)
    throw new ThawError("the checkpoint does not tell the name of CRIU's nftables table");
  const removed = tables.filter((name) => deleteInetTable(netns, name));
  return removed.map((name) => `table ${name} of nftables`);
}

async function removeChains(netns: number): Promise<string[]> {
  const removed: string[] = [];
  // A host without IPv6 may lack the second.
  const families = isOnPath("ip6tables-save") ? ["iptables", "ip6tables"] : ["iptables"];
  for (const family of families) {
    const steps = unlockSteps(await tool(netns, `${family}-save`, [], ""));
    for (const step of steps) {
      // -w waits for whoever else changes rules now; --noflush keeps all other rules.
      await tool(netns, `${family}-restore`, ["-w", "--noflush"], step);
    }
    if (steps.length > 0) removed.push(`chain ${CHAIN} of ${family}`);
  }
  return removed;
}

function isOnPath(name: string): boolean {
  try {
    return lookPath(name) !== "";
  } catch {
    return false;
  }
}

/**
 * The input of iptables-restore that takes CRIU's rules away, from what iptables-save printed.
 *
 * Every failed restore adds another jump to the chain. The jumps go first, in a transaction of their
 * own: the nftables variant of iptables refuses to remove a chain that a jump of the same
 * transaction still names.
 *
 * @returns one text a transaction; none when there is no chain of CRIU's making
 */
export function unlockSteps(saved: string): string[] {
  const lines = saved.split("\n");
  const start = lines.indexOf("*filter");
  const table = lines.slice(start, lines.indexOf("COMMIT", start));
  const rules = table.filter((line) => line.startsWith(`-A ${CHAIN} `));
  const known = rules.every((rule) =>
    / -m mark --mark 0xc114 -j ACCEPT$|^-A CRIU -j DROP$/.test(rule),
  );
  const hasChain = table.some((line) => line.startsWith(`:${CHAIN} `));
  if (start === -1 || !hasChain || !known) return [];
  const jumps = table.filter((line) => /^-A (INPUT|OUTPUT) -j CRIU$/.test(line));
  const step = (commands: readonly string[]) => ["*filter", ...commands, "COMMIT", ""].join("\n");
  const removals = jumps.map((jump) => jump.replace("-A", "-D"));
  return [step([...removals, `-F ${CHAIN}`]), step([`-X ${CHAIN}`])];
}

async function tool(
  netns: number,
  name: string,
  args: readonly string[],
  input: string,
): Promise<string> {
  const { status, stdout, stderr } = await runToEnd(
    { file: lookPath(name), argv: [name, ...args], env: childEnvironment() },
    {
      input,
      doing: name,
      interrupts: undefined,
      timeout: TIMEOUT,
      around: (start) => inNetworkNamespace(netns, start),
    },
  );
  if (status?.code === 0) return stdout;
  throw new ThawError(`${name}: ${status?.text ?? "took too long"}: ${stderr.trim()}`);
}
