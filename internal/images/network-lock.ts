/** How the checkpoint locked the network, from inventory.img (CRIU images/inventory.proto). @module */

import { join } from "node:path";
import { readRegularFile } from "../linux/file.ts";
import { messageField, records, varintField } from "./wire.ts";

const MAX_BYTES = 1024 * 1024;
// CRIU up to 4.2.1 cuts "inet CRIU-<run id>" at 31 characters.
const CUT = 31 - "inet ".length;
// network_lock_method (CRIU include/cr_options.h), not the numbers of the RPC.
const METHODS = ["iptables", "nftables", "skip"] as const;

/** The lock a dump leaves in a network namespace that outlives the container. */
export interface NetworkLock {
  readonly method: (typeof METHODS)[number];
  /** What the table of the inet family may be called, when the method is nftables; else none. */
  readonly tables: readonly string[];
}

/**
 * Reads it; an inventory that cannot be read is one of CRIU's default, iptables.
 *
 * @param directory the image directory
 */
export function networkLock(directory: string): NetworkLock {
  try {
    const bytes = readRegularFile(join(directory, "inventory.img"), MAX_BYTES);
    const entry = records(bytes, 4)?.[0] ?? new Uint8Array(0);
    const method = METHODS[varintField(entry, 11, 0)] ?? "iptables";
    const run = messageField(entry, 13); // dump_criu_run_id; images of CRIU 4.0 have none
    const known = method === "nftables" && run !== undefined;
    return { method, tables: known ? lockTables(Buffer.from(run).toString()) : [] };
  } catch {
    return { method: "iptables", tables: [] };
  }
}

/** What CRIU's table may be called. @param run the id that CRIU has given that run of itself */
export function lockTables(run: string): string[] {
  const name = `CRIU-${run}`;
  return [name, name.slice(0, CUT)];
}
