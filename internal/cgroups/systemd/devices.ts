/** Device rules as properties of a unit (systemd.resource-control(5), DeviceAllow=). Pure. @module */

import type { DeviceRule } from "../../oci/config.ts";
import { type DeviceException, deviceAccess } from "../devices.ts";
import type { Property } from "./property.ts";

/** What the form of a rule depends on. */
export interface DeviceHost {
  /** systemd's, without what follows the first number. */
  readonly version: number;
  /** Text of /proc/devices; asked for by a systemd before 240 only. */
  readonly groups: () => string;
  /** Whether a device node exists; asked for by a systemd before 240 only. */
  readonly exists: (path: string) => boolean;
}

const MAJOR_NUMBERS = 240; // the systemd that knows `char-136` and takes numbers from a path

/**
 * Rules for systemd to set up its own filter by. Rules it cannot have are left to the filter that
 * thaw sets up besides.
 *
 * @param warnings is appended to
 */
export function deviceProperties(
  rules: readonly DeviceRule[],
  host: DeviceHost,
  warnings: string[],
): Property[] {
  const { allowed, exceptions } = deviceAccess(rules);
  if (allowed && exceptions.length === 0) return [policy("auto"), allow([])];
  if (allowed) {
    warnings.push(
      "systemd doesn't support blacklist device rules -- applying temporary deny-all rule",
    );
    return [policy("strict"), allow([])];
  }
  const entries = exceptions.toSorted(byNumber).flatMap((exception) => {
    const path = devicePath(exception, host, warnings);
    return path === undefined ? [] : [{ path, permissions: exception.permissions }];
  });
  // What the unit allowed before is forgotten first.
  return [policy("strict"), allow([]), allow(entries)];
}

const policy = (value: string): Property => ({
  name: "DevicePolicy",
  signature: "s",
  words: [value],
});

const allow = (entries: readonly { path: string; permissions: string }[]): Property => ({
  name: "DeviceAllow",
  signature: "a(ss)",
  words: [
    String(entries.length),
    ...entries.flatMap(({ path, permissions }) => [path, permissions]),
  ],
});

const byNumber = (a: DeviceException, b: DeviceException) =>
  a.major - b.major || a.minor - b.minor || a.type - b.type;

const BLOCK = 98;

function devicePath(
  { type, major, minor, permissions }: DeviceException,
  host: DeviceHost,
  warnings: string[],
): string | undefined {
  const kind = type === BLOCK ? "block" : "char";
  const rule = `{${type} ${major} ${minor} ${permissions} true}`; // Go's %v
  if (major === -1 && minor !== -1) {
    warnings.push(
      `systemd doesn't support '*:n' device rules -- temporarily ignoring rule: ${rule}`,
    );
    return undefined;
  }
  if (major === -1) return `${kind}-*`;
  const old = host.version < MAJOR_NUMBERS;
  if (minor !== -1) {
    const path = `/dev/${kind}/${major}:${minor}`;
    return old && !host.exists(path) ? undefined : path;
  }
  if (!old) return `${kind}-${major}`;
  const group = deviceGroup(host.groups(), kind, major);
  if (group !== undefined) return `${kind}-${group}`;
  warnings.push(
    `could not find device group for '${type}/${major}' in /proc/devices -- temporarily ignoring rule: ${rule}`,
  );
  return undefined;
}

function deviceGroup(table: string, kind: "block" | "char", major: number): string | undefined {
  const [characters = "", blocks = ""] = table.split("Block devices:");
  const lines = (kind === "block" ? blocks : characters).split("\n");
  return lines
    .map((line) => /^\s*(\d+) (.+)$/.exec(line))
    .find((m) => Number(m?.[1]) === major)?.[2];
}
