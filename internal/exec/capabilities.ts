/** Capabilities by name, as sets of bits (capabilities(7)). @module */

import { readFileSync } from "node:fs";
import type { CapabilityNames } from "./configuration.ts";

/** In the order of their numbers (linux/capability.h). */
const NAMES =
  "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE".split(
    " ",
  );

/** Bit N for capability N. */
export interface CapabilitySets {
  readonly bounding: bigint;
  readonly effective: bigint;
  readonly inheritable: bigint;
  readonly permitted: bigint;
  readonly ambient: bigint;
  /** The highest the kernel knows. */
  readonly last: number;
}

/** The highest capability of this kernel. */
export function lastCapability(): number {
  return Number(readFileSync("/proc/sys/kernel/cap_last_cap", "utf8"));
}

/**
 * Makes sets of names. What the kernel does not know is left out.
 *
 * @param last the highest capability of the kernel
 * @param unknown gets the names left out, sorted, if there are any
 */
export function capabilitySets(
  names: CapabilityNames,
  last: number,
  unknown: (names: readonly string[]) => void,
): CapabilitySets {
  const strangers = new Set<string>();
  const bits = (list: readonly string[] | null | undefined): bigint =>
    (list ?? []).reduce((set, name) => {
      const number = name.startsWith("CAP_") ? NAMES.indexOf(name.slice(4)) : -1;
      if (number !== -1 && number <= last) return set | (1n << BigInt(number));
      strangers.add(name);
      return set;
    }, 0n);
  const sets = {
    bounding: bits(names.Bounding),
    effective: bits(names.Effective),
    inheritable: bits(names.Inheritable),
    permitted: bits(names.Permitted),
    ambient: bits(names.Ambient),
    last,
  };
  if (strangers.size > 0) unknown([...strangers].sort());
  return sets;
}

/** The name of a capability, for people. */
export function capabilityName(number: number): string {
  return `CAP_${NAMES[number] ?? number}`;
}
