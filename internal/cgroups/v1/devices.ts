/** Device rules for devices.allow and devices.deny (cgroup-v1/devices). @module */

import type { DeviceRule } from "../../oci/config.ts";

/** Lines to write, in order: `a` to deny or allow first, then the exceptions. */
export interface DeviceWrites {
  readonly first: "devices.deny" | "devices.allow";
  readonly exceptions: "devices.deny" | "devices.allow";
  readonly lines: readonly string[];
}

const ALL = 97;
const number = (n: number) => (n === -1 ? "*" : String(n));
const node = (rule: DeviceRule) =>
  `${String.fromCharCode(rule.type)} ${number(rule.major)}:${number(rule.minor)}`;

/**
 * What a list of rules comes to for an empty cgroup, following the kernel: a rule for all
 * devices sets the default and forgets the rest; the others are exceptions to the default.
 *
 * A rule that says again what the default says takes its permissions out of the exception.
 */
export function deviceWrites(rules: readonly DeviceRule[]): DeviceWrites {
  let allowed = true; // a new cgroup allows what its parent does
  const exceptions = new Map<string, Set<string>>();
  for (const rule of rules) {
    if (rule.type === ALL) {
      allowed = rule.allow;
      exceptions.clear();
      continue;
    }
    const permissions = exceptions.get(node(rule)) ?? new Set<string>();
    for (const permission of rule.permissions) {
      if (rule.allow === allowed) permissions.delete(permission);
      else permissions.add(permission);
    }
    if (permissions.size === 0) exceptions.delete(node(rule));
    else exceptions.set(node(rule), permissions);
  }
  return {
    first: allowed ? "devices.allow" : "devices.deny",
    exceptions: allowed ? "devices.deny" : "devices.allow",
    lines: [...exceptions].map(([key, permissions]) => {
      const order = ["r", "w", "m"].filter((p) => permissions.has(p)).join("");
      return `${key} ${order}`;
    }),
  };
}
