/** Device rules for devices.allow and devices.deny (cgroup-v1/devices). @module */

import type { DeviceRule } from "../../oci/config.ts";
import { type DeviceException, deviceAccess } from "../devices.ts";

/** Lines to write, in order: `a` to deny or allow first, then the exceptions. */
export interface DeviceWrites {
  readonly first: "devices.deny" | "devices.allow";
  readonly exceptions: "devices.deny" | "devices.allow";
  readonly lines: readonly string[];
}

const number = (n: number) => (n === -1 ? "*" : String(n));
const line = ({ type, major, minor, permissions }: DeviceException) =>
  `${String.fromCharCode(type)} ${number(major)}:${number(minor)} ${permissions}`;

/** What to write into an empty cgroup for a list of rules. */
export function deviceWrites(rules: readonly DeviceRule[]): DeviceWrites {
  const { allowed, exceptions } = deviceAccess(rules);
  return {
    first: allowed ? "devices.allow" : "devices.deny",
    exceptions: allowed ? "devices.deny" : "devices.allow",
    lines: exceptions.map(line),
  };
}
