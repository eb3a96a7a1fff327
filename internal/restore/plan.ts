/**
 * Stage: read and decide, touching nothing. Every refusal that needs no side effect is here.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { type CgroupDriver, type ContainerCgroup, cgroupfsDriver } from "../cgroups/driver.ts";
import { type Hierarchy, hierarchies } from "../cgroups/hierarchies.ts";
import { refuseTerminal } from "../console/stdio.ts";
import { findCriu } from "../criu/binary.ts";
import { criuConfigFile, manageCgroupsMode, refuseEmptyNamespaces } from "../criu/options.ts";
import { ThawError } from "../errors/errors.ts";
import { readCheckpoint } from "../images/checkpoint.ts";
import { expectHandedOver } from "../linux/fd.ts";
import { wrapFs } from "../linux/libc.ts";
import { refusePathsWithNul } from "../linux/path.ts";
import { loadSpec } from "../oci/bundle.ts";
import type { Config } from "../oci/config.ts";
import { toConfig } from "../oci/convert.ts";
import type { Spec } from "../oci/spec.ts";
import { validateConfig, validateNamespacePaths } from "../oci/validate.ts";
import { refusePidFile } from "../state/pid-file.ts";
import { refuseTakenId, validateId } from "../state/state.ts";
import type { RestoreOptions } from "./options.ts";

/** Everything decided about a restore before anything is made. */
export interface RestorePlan {
  readonly options: RestoreOptions;
  /** Absolute path of the criu to run. */
  readonly criu: string;
  readonly id: string;
  /** Absolute; also the working directory from now on. */
  readonly bundle: string;
  readonly spec: Spec;
  readonly config: Config;
  /** Absolute. */
  readonly imagePath: string;
  /** Absolute: where restore.log and stats-restore go. */
  readonly workPath: string;
  readonly pidFile: string | undefined;
  readonly cgroupsMode: number;
  readonly hierarchies: readonly Hierarchy[];
  readonly cgroup: ContainerCgroup;
  /** What init's descriptors 0, 1 and 2 were at the checkpoint. */
  readonly descriptors: readonly string[];
  /** The checkpoint is one of CRIU 4.2 or newer. */
  readonly wideCounts: boolean;
  /** The checkpoint holds file locks. */
  readonly fileLocks: boolean;
  /** CRIU's configuration file; undefined for none. */
  readonly criuConfig: string | undefined;
}

/**
 * Decides what to do; changes the working directory to the bundle and nothing else.
 *
 * @throws ThawError for whatever cannot work, in runc's words where runc has them
 */
export async function planRestore(options: RestoreOptions): Promise<RestorePlan> {
  refusePathsWithNul({
    bundle: options.bundle,
    "image-path": options.imagePath,
    "work-path": options.workPath,
    "pid-file": options.pidFile,
    "console-socket": options.consoleSocket,
    root: options.root,
    criu: options.criu,
  });
  refuseUnsupported(options);
  expectHandedOver(options.preserveFds); // CRIU restores the container's own, so nothing is handed on
  const driver = await cgroupDriver(options);
  const caller = process.cwd();
  const imagePath = options.imagePath ?? join(caller, "checkpoint");
  const criu = options.criu?.includes("/") ? resolve(caller, options.criu) : options.criu;
  const pidFile = options.pidFile === undefined ? undefined : resolve(caller, options.pidFile);
  if (options.bundle !== undefined) enterBundle(options.bundle);
  const bundle = process.cwd();
  const spec = withNotifySocket(loadSpec(), options);
  validateId(options.id);
  refuseTerminal(spec.process?.terminal === true, options);
  const { config, warnings } = toConfig(spec, {
    id: options.id,
    bundle,
    noPivot: options.noPivot,
    noNewKeyring: options.noNewKeyring,
    placeCgroup: driver.place,
  });
  for (const warning of warnings) options.log.warn(warning);
  validateConfig(config);
  validateNamespacePaths(config);
  refuseTakenId(options.root, options.id);
  const found = hierarchies();
  const cgroup = driver.locate({
    hierarchies: found,
    config: config.cgroups,
    id: options.id,
    annotations: spec.annotations,
    warn: (message) => options.log.warn(message),
  });
  if (pidFile !== undefined) refusePidFile(pidFile);
  const images = resolve(bundle, imagePath);
  const { descriptors, wideCounts, fileLocks, tcpConnections } = readCheckpoint(images);
  const configFile = criuConfigFile(spec.annotations);
  if (tcpConnections) refuseTcpConnections(options, images, configFile);
  return {
    options,
    id: options.id,
    bundle,
    spec,
    config: { ...config, cgroups: cgroup.config },
    imagePath: images,
    workPath: options.workPath === undefined ? images : resolve(bundle, options.workPath),
    pidFile,
    criu: findCriu(criu),
    cgroupsMode: manageCgroupsMode(options.manageCgroupsMode),
    hierarchies: found,
    cgroup,
    descriptors,
    wideCounts,
    fileLocks,
    criuConfig: configFile,
  };
}

// Only a restore that asks for systemd loads what talks to it.
async function cgroupDriver(options: RestoreOptions): Promise<CgroupDriver> {
  if (!options.systemdCgroup) return cgroupfsDriver;
  return (await import("../cgroups/systemd/driver.ts")).systemdDriver;
}

function refuseUnsupported(options: RestoreOptions): void {
  if (process.geteuid?.() !== 0)
    throw new ThawError("restoring a container needs root", { hint: "run thaw as root" });
  refuseEmptyNamespaces(options.emptyNamespaces);
}

function enterBundle(bundle: string): void {
  wrapFs(`chdir ${bundle}`, () => process.chdir(bundle));
}

// runc: newNotifySocket. A container that was run with NOTIFY_SOCKET has this mount.
function withNotifySocket(spec: Spec, options: RestoreOptions): Spec {
  if ((process.env["NOTIFY_SOCKET"] ?? "") === "") return spec;
  const mount = {
    destination: "/run/notify",
    source: join(options.root, options.id, "notify"),
    options: ["bind", "nosuid", "noexec", "nodev", "ro"],
  };
  return { ...spec, mounts: [...(spec.mounts ?? []), mount] };
}

// CRIU would say so later, and its failure lifts the network lock, which keeps the connections whole.
function refuseTcpConnections(
  { tcpEstablished, tcpClose }: RestoreOptions,
  images: string,
  configFile: string | undefined,
): void {
  if (tcpEstablished || tcpClose) return;
  // A configuration file of CRIU's may say it too (criu(8)).
  const home = join(process.env["HOME"] || "/", ".criu/default.conf");
  const files = [configFile, "/etc/criu/default.conf", home];
  if (files.some((file) => file !== undefined && existsSync(file))) return;
  throw new ThawError(`the checkpoint ${images} holds an established TCP connection`, {
    hint: "restore with --tcp-established, or with --tcp-close to have it closed",
  });
}
