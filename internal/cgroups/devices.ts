/** What a list of device rules comes to: a default, and exceptions to it. @module */

import type { DeviceRule } from "../oci/config.ts";

/** A device, or a range of them, that is treated unlike the default. */
export interface DeviceException {
  /** 98 (b) or 99 (c). */
  readonly type: number;
  /** -1 is any. */
  readonly major: number;
  readonly minor: number;
  /** Of `r`, `w` and `m`, in this order. */
  readonly permissions: string;
}

/** The whole of it. */
export interface DeviceAccess {
  /** Whether a device without exception may be used; its exceptions are the contrary. */
  readonly allowed: boolean;
  readonly exceptions: readonly DeviceException[];
}

const ALL = 97;

/**
 * Reduces rules as the kernel's v1 controller does: a rule for all devices sets the default and
 * forgets the rest, and one that says again what the default says takes its permissions out of
 * the exception.
 */
export function deviceAccess(rules: readonly DeviceRule[]): DeviceAccess {
  let allowed = false; // runc's default, whatever the parent allows
  const found = new Map<string, { rule: DeviceRule; permissions: Set<string> }>();
  for (const rule of rules) {
    if (rule.type === ALL) {
      allowed = rule.allow;
      found.clear();
      continue;
    }
    const key = `${rule.type} ${rule.major}:${rule.minor}`;
    const entry = found.get(key) ?? { rule, permissions: new Set<string>() };
    for (const permission of rule.permissions) {
      if (rule.allow === allowed) entry.permissions.delete(permission);
      else entry.permissions.add(permission);
    }
    if (entry.permissions.size === 0) found.delete(key);
    else found.set(key, entry);
  }
  const exceptions = [...found.values()].map(({ rule: { type, major, minor }, permissions }) => ({
    type,
    major,
    minor,
    permissions: ["r", "w", "m"].filter((p) => permissions.has(p)).join(""),
  }));
  return { allowed, exceptions };
}
