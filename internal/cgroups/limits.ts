/** Setting the limits of a cgroup that is there, and putting back what was there before. @module */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, ThawError } from "../errors/errors.ts";
import { attachDeviceProgram } from "../linux/bpf.ts";
import { AT_FDCWD, O_DIRECTORY, O_RDONLY, openAt } from "../linux/fd.ts";
import { EBUSY, EINVAL, hasErrno } from "../linux/libc.ts";
import { goQuote } from "../log/log.ts";
import type { Cgroup } from "../oci/config.ts";
import { readOr, readUint, write } from "./files.ts";
import { isV2, mainDirectory } from "./paths.ts";
import { deviceWrites } from "./v1/devices.ts";
import { limitWrites } from "./v1/limits.ts";
import { deviceProgram } from "./v2/devices.ts";
import * as v2 from "./v2/limits.ts";

/** A value for a file of a cgroup. */
interface Write {
  readonly directory: string;
  readonly file: string;
  readonly value: string;
  /** When the kernel refuses it (EINVAL), the next one may change that: it is tried again then. */
  readonly again?: true | undefined;
  /** A file that config.json names itself. */
  readonly unified?: true | undefined;
}

/** A file as it was before it was written. */
interface Before {
  readonly write: Write;
  readonly text: string;
}

/**
 * Refuses limits that this kind of host cannot have, without side effects.
 *
 * @throws ThawError such as `cannot use unified on cgroup v1`
 */
export function refuseLimits(paths: ReadonlyMap<string, string>, cgroup: Cgroup): void {
  if (isV2(paths)) v2.limitWrites(cgroup, () => false);
  else limitWrites(cgroup, { exists: () => false, memoryLimit: () => 0n });
}

/**
 * Sets the limits of a new cgroup, those on devices included.
 *
 * @throws ThawError naming the file that could not be written
 */
export function setLimits(paths: ReadonlyMap<string, string>, cgroup: Cgroup): void {
  if (!isV2(paths)) setDeviceRules(paths.get("devices") ?? "", cgroup);
  writeAll(plan(paths, cgroup), []);
  if (isV2(paths)) attachDeviceFilter(mainDirectory(paths), cgroup);
}

/**
 * Changes the limits of a cgroup in use, except those on devices. When one is refused, every file
 * written before has its old value again.
 *
 * @param warn takes what could not be put back
 * @returns puts back what there was before
 * @throws ThawError naming the file that could not be written
 */
export function changeLimits(
  paths: ReadonlyMap<string, string>,
  cgroup: Cgroup,
  warn: (message: string) => void,
): () => void {
  if (isV2(paths)) refuseMemoryBelowUsage(mainDirectory(paths), cgroup);
  const writes = plan(paths, cgroup);
  const before: Before[] = [];
  const undo = () => {
    for (const one of before.reverse()) putBack(one, warn);
  };
  try {
    writeAll(writes, before);
  } catch (error) {
    undo();
    throw error;
  }
  return undo;
}

/** Limits as they are once they are set: on v1, memory without a limit takes that of swap along. */
export function settledLimits(paths: ReadonlyMap<string, string>, cgroup: Cgroup): Cgroup {
  const withSwap = join(paths.get("memory") ?? "/nonexistent", "memory.memsw.limit_in_bytes");
  const unlimited = cgroup.memory === -1 && cgroup.memory_swap === undefined;
  if (isV2(paths) || !unlimited || !existsSync(withSwap)) return cgroup;
  return { ...cgroup, memory_swap: -1 };
}

/**
 * Refuses a v2 memory limit that would kill the container at once, where config.json asks for that.
 *
 * @throws ThawError `rejecting memory limit 5 <= usage 6`
 */
export function refuseMemoryBelowUsage(directory: string, cgroup: Cgroup): void {
  if (cgroup.memory_check_before_update !== true) return;
  const usage = BigInt(readOr(join(directory, "memory.current"), "-1").trim());
  for (const [name, limit = 0] of [
    ["memory+swap", cgroup.memory_swap],
    ["memory", cgroup.memory],
  ] as const)
    if (limit > 0 && BigInt(limit) <= usage)
      throw new ThawError(`rejecting ${name} limit ${limit} <= usage ${usage}`);
}

function setDeviceRules(directory: string, cgroup: Cgroup): void {
  const { first, exceptions, lines } = deviceWrites(cgroup.devices);
  write(directory, first, "a");
  for (const line of lines) write(directory, exceptions, line);
}

function attachDeviceFilter(directory: string, cgroup: Cgroup): void {
  using opened = openAt(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  attachDeviceProgram(opened.fd, deviceProgram(cgroup.devices));
}

function plan(paths: ReadonlyMap<string, string>, cgroup: Cgroup): Write[] {
  if (isV2(paths)) {
    const directory = mainDirectory(paths);
    const exists = (file: string) => existsSync(join(directory, file));
    return v2.limitWrites(cgroup, exists).map((one) => ({ directory, ...one }));
  }
  const writes = limitWrites(cgroup, {
    exists: (controller, file) => existsSync(join(paths.get(controller) ?? "/nonexistent", file)),
    memoryLimit: () => readUint(paths.get("memory") ?? "", "memory.limit_in_bytes"),
  });
  return writes.map(({ controller, ...one }) => {
    const directory = paths.get(controller);
    if (directory === undefined)
      throw new ThawError(
        `cannot set ${controller} limit: container could not join or create cgroup`,
        { hint: `the ${controller} controller is not mounted on this host` },
      );
    return { directory, ...one };
  });
}

/** @param before what the files were is appended, as far as they were written */
function writeAll(writes: readonly Write[], before: Before[]): void {
  let waiting: Write[] = [];
  for (const one of writes) {
    before.push({ write: one, text: readOr(join(one.directory, one.file), "") });
    if (one.again === undefined) {
      writeOne(one);
      for (const refused of waiting.splice(0)) writeOne(refused);
      continue;
    }
    try {
      writeOne(one);
    } catch (error) {
      if (!hasErrno(error, EINVAL)) throw error;
      waiting = [...waiting, one];
    }
  }
  for (const refused of waiting) writeOne(refused);
}

function writeOne({ directory, file, value, unified }: Write): void {
  try {
    if (unified) for (const line of value.split("\n")) write(directory, file, line);
    else write(directory, file, value);
  } catch (cause) {
    if (unified) throw refusedUnified(directory, file, cause);
    if (file === "memory.limit_in_bytes" && hasErrno(cause, EBUSY))
      throw new ThawError(
        `unable to set memory limit to ${value} (current usage: ${readUint(directory, "memory.usage_in_bytes")}, peak usage: ${readUint(directory, "memory.max_usage_in_bytes")})`,
      );
    throw cause;
  }
  if (file === "cpu.shares") refuseOtherShares(BigInt(value), readUint(directory, file));
}

// The kernel takes any number of shares and makes the nearest that it can have of it.
function refuseOtherShares(wanted: bigint, got: bigint): void {
  if (wanted !== got)
    throw new ThawError(`the ${wanted > got ? "maximum" : "minimum"} allowed cpu-shares is ${got}`);
}

function refusedUnified(directory: string, file: string, cause: unknown): ThawError {
  const [controller = ""] = file.split(".");
  const available = readOr(join(directory, "cgroup.controllers"), "").split(/\s+/);
  if (controller !== "cgroup" && !available.includes(controller))
    return new ThawError(
      `unified resource ${goQuote(file)} can't be set: controller ${goQuote(controller)} not available`,
    );
  return new ThawError(`unable to set unified resource ${goQuote(file)}`, { cause });
}

function putBack({ write: one, text }: Before, warn: (message: string) => void): void {
  const { directory, file, value } = one;
  if (readOr(join(directory, file), "") === text) return;
  try {
    write(directory, file, oldValue(file, value, text));
  } catch (error) {
    warn(`could not put back ${join(directory, file)}: ${describe(error)}`);
  }
}

/** What to write to a file for it to say again what it said. */
function oldValue(file: string, written: string, text: string): string {
  const device = /^\d+:\d+ /.exec(written)?.[0];
  if (device === undefined) return text.trim().replace(/^default /, "") || "\n";
  const old = text.split("\n").find((line) => line.startsWith(device));
  if (old !== undefined) return old;
  return `${device}${file === "io.max" ? "rbps=max wbps=max riops=max wiops=max" : "0"}`;
}
