/** Device nodes and device rules every container has (runc specconv, AllowedDevices). @module */

import { ThawError } from "../errors/errors.ts";
import type { Device, DeviceRule } from "./config.ts";
import type { SpecDevice } from "./spec.ts";

const CHAR = 99;
const BLOCK = 98;

const rule = (type: number, major: number, minor: number, permissions: string): DeviceRule => ({
  type,
  major,
  minor,
  permissions,
  allow: true,
});

const NODES: readonly (readonly [string, number, number])[] = [
  ["/dev/null", 1, 3],
  ["/dev/random", 1, 8],
  ["/dev/full", 1, 7],
  ["/dev/tty", 5, 0],
  ["/dev/zero", 1, 5],
  ["/dev/urandom", 1, 9],
];

/**
 * The container's device nodes and the rules appended to every device cgroup.
 *
 * A device of config.json replaces the default one with the same path.
 *
 * @throws ThawError `invalid device type "x"`
 */
export function createDevices(extra: readonly SpecDevice[]): {
  nodes: Device[];
  rules: DeviceRule[];
} {
  const taken = new Set(extra.map((device) => device.path));
  const defaults = NODES.filter(([path]) => !taken.has(path)).map(([path, major, minor]) => ({
    ...rule(CHAR, major, minor, "rwm"),
    path,
    file_mode: 0o666,
  }));
  const rules = [
    rule(CHAR, -1, -1, "m"), // mknod of any device
    rule(BLOCK, -1, -1, "m"),
    ...defaults.map(({ path: _, file_mode: __, ...only }) => only),
    rule(CHAR, 136, -1, "rwm"), // /dev/pts
    rule(CHAR, 5, 2, "rwm"),
    rule(CHAR, 10, 200, "rwm"), // tun
  ];
  return { nodes: [...defaults, ...extra.map(toDevice)], rules };
}

const TYPES: Record<string, number> = { p: 112, u: CHAR, c: CHAR, b: BLOCK };

function toDevice(device: SpecDevice): Device {
  const name = device.type ?? "";
  const type = Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
  if (type === undefined) throw new ThawError(`invalid device type ${JSON.stringify(name)}`);
  return {
    type,
    major: device.major ?? 0,
    minor: device.minor ?? 0,
    permissions: "",
    allow: false,
    path: device.path ?? "",
    file_mode: (device.fileMode ?? 0o666) & 0o7777,
    ...(device.uid ? { uid: device.uid } : {}),
    ...(device.gid ? { gid: device.gid } : {}),
  };
}
