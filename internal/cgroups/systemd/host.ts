/** What the limits of a unit depend on. @module */

import { existsSync, readFileSync } from "node:fs";
import { isV2 } from "../paths.ts";
import type { SystemdHost } from "./properties.ts";

/** This host. @param version systemd's */
export function systemdHost(paths: ReadonlyMap<string, string>, version: number): SystemdHost {
  return {
    version,
    unified: isV2(paths),
    groups: () => readFileSync("/proc/devices", "utf8"),
    exists: existsSync,
  };
}
