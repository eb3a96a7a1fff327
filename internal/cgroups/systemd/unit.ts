/** Names: from `linux.cgroupsPath` to a slice, a unit and its directories. Pure. @module */

import { join } from "node:path";
import { ThawError } from "../../errors/errors.ts";
import { goQuote } from "../../log/log.ts";
import type { Cgroup, CgroupPlacement } from "../../oci/config.ts";
import type { Spec } from "../../oci/spec.ts";
import { CONTROLLERS, type Hierarchy, UNIFIED } from "../hierarchies.ts";

const ROOT = "/sys/fs/cgroup";
const DEFAULT_SLICE = "system.slice";

/**
 * Reads `linux.cgroupsPath` as `slice:prefix:name`; without one the id names the unit.
 *
 * @throws ThawError in runc's words for any other form
 */
export function placeByUnit(spec: Spec, id: string): CgroupPlacement {
  const path = spec.linux?.cgroupsPath ?? "";
  if (path === "") return { name: id, scope_prefix: "runc" };
  const parts = path.split(":");
  if (parts.length !== 3)
    throw new ThawError(
      `expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, got ${goQuote(path)} instead`,
      { hint: "or leave --systemd-cgroup out" },
    );
  const [parent = "", prefix = "", name = ""] = parts;
  return {
    ...(name === "" ? {} : { name }),
    ...(parent === "" ? {} : { parent }),
    ...(prefix === "" ? {} : { scope_prefix: prefix }),
  };
}

/** Name of the unit: a scope, unless the name says that it is a slice. */
export function unitName({ name = "", scope_prefix: prefix = "" }: Cgroup): string {
  return name.endsWith(".slice") ? name : `${prefix}-${name}.scope`;
}

/** Name of the slice the unit is in. */
export function sliceName({ parent = DEFAULT_SLICE }: Cgroup): string {
  return parent;
}

/**
 * Where a slice is in a hierarchy: `a-b.slice` is `/a.slice/a-b.slice` (systemd.slice(5)).
 *
 * @throws ThawError `invalid slice name: x`
 */
export function expandSlice(slice: string): string {
  if (slice === "-.slice") return "/";
  const words = slice.endsWith(".slice") ? slice.slice(0, -".slice".length).split("-") : [];
  if (slice.includes("/") || words.length === 0 || words.includes(""))
    throw new ThawError(`invalid slice name: ${slice}`, {
      hint: "linux.cgroupsPath starts with a slice such as system.slice or a-b.slice",
    });
  return `/${words.map((_, i) => `${words.slice(0, i + 1).join("-")}.slice`).join("/")}`;
}

/**
 * Where the unit's cgroup is in each hierarchy.
 *
 * @returns controller to absolute directory; on a v2 host the one directory, under ""
 * @throws ThawError when v1's devices controller is not mounted: limits on devices are a defence
 */
export function unitPaths(hierarchies: readonly Hierarchy[], cgroup: Cgroup): Map<string, string> {
  const inner = join(expandSlice(sliceName(cgroup)), unitName(cgroup));
  const paths = new Map<string, string>();
  for (const controller of [...CONTROLLERS, UNIFIED]) {
    const found = hierarchies.find(({ controllers }) => controllers.includes(controller));
    if (found !== undefined) paths.set(controller, join(found.mountpoint, inner));
  }
  const unified = hierarchies[0]?.mountpoint === ROOT;
  if (!unified && !paths.has("devices"))
    throw new ThawError("cgroup: devices controller not mounted", {
      hint: "mount the v1 devices hierarchy under /sys/fs/cgroup",
    });
  return paths;
}

/**
 * Refuses a name that systemd would refuse once the restore is under way.
 *
 * @throws ThawError naming the unit
 */
export function refuseUnitName(unit: string): void {
  const refuse = (reason: string, hint: string) =>
    new ThawError(`unable to start unit ${goQuote(unit)}: ${reason}`, { hint });
  if (unit.endsWith(".slice"))
    throw refuse(
      "a slice holds no processes of its own",
      "linux.cgroupsPath ends with a name, which must not end with .slice",
    );
  if (!/^[A-Za-z0-9:_.\\@-]+$/.test(unit) || unit.length > 255)
    throw refuse(
      "invalid unit name",
      "prefix and name in linux.cgroupsPath are letters, digits and : - _ . \\ @, 255 in all",
    );
}

/** D-Bus object of a unit: what is no letter or digit is escaped (sd_bus_path_encode(3)). */
export function unitObject(unit: string): string {
  const bytes = [...Buffer.from(unit)];
  const escaped = bytes.map((byte, i) => {
    const char = String.fromCharCode(byte);
    const plain = /[A-Za-z]/.test(char) || (i > 0 && /\d/.test(char));
    return plain ? char : `_${byte.toString(16).padStart(2, "0")}`;
  });
  return `/org/freedesktop/systemd1/unit/${escaped.join("")}`;
}
