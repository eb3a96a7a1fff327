/** Stage: everything decided about a process before anything is made. @module */

import { resolve } from "node:path";
import { type Entrance, entranceOf, parseSubCgroups } from "../cgroups/enter.ts";
import { refuseTerminal } from "../console/stdio.ts";
import { type Container, loadContainer, refuse, statusOf } from "../container/container.ts";
import { ThawError } from "../errors/errors.ts";
import { expectHandedOver } from "../linux/fd.ts";
import { type Affinity, toAffinity } from "../oci/scheduling.ts";
import type { SpecProcess } from "../oci/spec.ts";
import { refusePidFile } from "../state/pid-file.ts";
import { type CapabilitySets, capabilitySets, lastCapability } from "./capabilities.ts";
import {
  type CapabilityNames,
  type Configuration,
  configurationOf,
  type Limit,
} from "./configuration.ts";
import type { ExecOptions } from "./options.ts";
import { requestedProcess } from "./process.ts";
import { storedAffinity, toLimit } from "./scheduling.ts";

/** A process that is to be started, and what it comes into. */
export interface ExecPlan {
  readonly options: ExecOptions;
  readonly container: Container;
  readonly configuration: Configuration;
  readonly process: SpecProcess;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly cwd: string;
  readonly terminal: boolean;
  /** Undefined: they stay as they are. */
  readonly capabilities: CapabilitySets | undefined;
  readonly noNewPrivileges: boolean;
  /** "" for none. */
  readonly appArmor: string;
  /** SELinux's; "" for none. */
  readonly label: string;
  readonly limits: readonly Limit[];
  readonly affinity: Affinity;
  readonly entrance: Entrance;
  /** Absolute. */
  readonly pidFile: string | undefined;
}

/**
 * Decides what to start; changes the working directory to the bundle and nothing else.
 *
 * @throws ThawError in runc's words where runc has them
 */
export function planExec(options: ExecOptions): ExecPlan {
  if (options.id === "") throw new ThawError("container id cannot be empty");
  const pidFile = options.pidFile === undefined ? undefined : resolve(options.pidFile);
  const container = loadContainer(options.root, options.id);
  refuseStatus(container, options);
  const process = requestedProcess(options, container);
  const words = parseSubCgroups(options.cgroups);
  const terminal = process.terminal === true;
  refuseTerminal(terminal, options);
  const limits = (process.rlimits ?? []).map(toLimit);
  const affinity = toAffinity(process.execCPUAffinity);
  expectHandedOver(options.preserveFds);
  if (pidFile !== undefined) refusePidFile(pidFile);
  const configuration = configurationOf(container.state);
  return {
    options,
    container,
    configuration,
    process,
    uid: process.user?.uid ?? 0,
    gid: process.user?.gid ?? 0,
    groups: process.user?.additionalGids ?? [],
    cwd: process.cwd ?? "/",
    terminal,
    capabilities: capabilitiesOf(process, configuration, options),
    noNewPrivileges: process.noNewPrivileges ?? false,
    appArmor: process.apparmorProfile || configuration.apparmor_profile || "",
    label: process.selinuxLabel || configuration.process_label || "",
    limits: limits.length > 0 ? limits : (configuration.rlimits ?? []),
    affinity: affinity ?? storedAffinity(configuration.exec_cpu_affinity),
    entrance: entrance(container, words),
    pidFile,
  };
}

function refuseStatus(container: Container, { ignorePaused }: ExecOptions): void {
  const status = statusOf(container);
  if (status === "stopped") throw refuse("cannot exec in a stopped container", container, status);
  if (status === "paused" && !ignorePaused)
    throw refuse(
      "cannot exec in a paused container (use --ignore-paused to override)",
      container,
      status,
    );
}

function entrance({ cgroupPaths, state }: Container, words: ReadonlyMap<string, string>): Entrance {
  try {
    const lenient = state.config["rootless_cgroups"] === true;
    return entranceOf(cgroupPaths, words, state.init.pid, lenient);
  } catch (cause) {
    throw new ThawError("unable to create new parent process", { cause });
  }
}

function capabilitiesOf(
  { capabilities: own }: SpecProcess,
  { capabilities: containers }: Configuration,
  { log }: ExecOptions,
): CapabilitySets | undefined {
  const names = own == null ? containers : namesOf(own);
  if (names == null) return undefined;
  return capabilitySets(names, lastCapability(), (unknown) =>
    log.warn(`ignoring unknown or unavailable capabilities: [${unknown.join(" ")}]`),
  );
}

function namesOf(sets: NonNullable<SpecProcess["capabilities"]>): CapabilityNames {
  return {
    Bounding: sets["bounding"] ?? null,
    Effective: sets["effective"] ?? null,
    Inheritable: sets["inheritable"] ?? null,
    Permitted: sets["permitted"] ?? null,
    Ambient: sets["ambient"] ?? null,
  };
}
