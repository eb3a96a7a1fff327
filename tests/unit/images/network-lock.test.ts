import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { networkLock } from "../../../internal/images/network-lock.ts";

const RUN = "3f94171d-6723-40e6-bd60-c44fc237d0e8";

/** inventory.img with a lock method (field 11) and a run id (field 13). */
function inventory(method?: number, run?: string): Uint8Array {
  const message = [
    ...(method === undefined ? [] : [11 << 3, method]),
    ...(run === undefined ? [] : [(13 << 3) | 2, run.length, ...Buffer.from(run)]),
  ];
  return Uint8Array.from([0x16, 0x31, 0x31, 0x58, message.length, 0, 0, 0, ...message]);
}

test.each([
  ["iptables", inventory(0, RUN), { method: "iptables", tables: [] }],
  ["no method: older than CRIU 3.16", inventory(), { method: "iptables", tables: [] }],
  ["skip", inventory(2, RUN), { method: "skip", tables: [] }],
  [
    "nftables, which cuts the name",
    inventory(1, RUN),
    {
      method: "nftables",
      tables: [`CRIU-${RUN}`, "CRIU-3f94171d-6723-40e6-bd"],
    },
  ],
  ["nftables without a run id", inventory(1), { method: "nftables", tables: [] }],
  ["an unknown method", inventory(9), { method: "iptables", tables: [] }],
  ["a broken record", inventory(1, RUN).subarray(0, 20), { method: "iptables", tables: [] }],
  ["nothing", new Uint8Array(0), { method: "iptables", tables: [] }],
] as const)("an inventory with %s", (_, bytes, lock) => {
  const directory = mkdtempSync("/tmp/thaw-inventory-");
  try {
    writeFileSync(join(directory, "inventory.img"), bytes);
    expect(networkLock(directory)).toEqual(lock as never);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
