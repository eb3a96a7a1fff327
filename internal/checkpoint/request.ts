/** Stage: the request, pure: a plan in, CRIU's options out, equal to what runc sends. @module */

import { type CriuOptions, EMPTY_NETWORK } from "../criu/options.ts";
import type { ExternalMount } from "../mounts/external.ts";
import type { CheckpointPlan } from "./plan.ts";

/** What the stages before made, as the request names it. */
export interface DumpParts {
  readonly images: number;
  readonly work: number | undefined;
  /** CRIU freezes the container through it; undefined: process by process. */
  readonly freezer: string | undefined;
  /** Not for a pre-dump, which looks at memory alone. */
  readonly externalMounts: readonly ExternalMount[];
}

/** Builds the options of CRIU's DUMP or PRE_DUMP request (runc: libcontainer Checkpoint). */
export function dumpRequest(plan: CheckpointPlan, parts: DumpParts): CriuOptions {
  const { options, container, pageServer } = plan;
  return {
    imagesDirFd: parts.images,
    ...(parts.work === undefined ? {} : { workDirFd: parts.work }),
    logLevel: 4,
    logFile: "dump.log",
    root: container.state.rootfs,
    manageCgroups: true,
    manageCgroupsMode: plan.cgroupsMode as 6,
    notifyScripts: true,
    pid: container.state.init.pid,
    shellJob: options.shellJob,
    leaveRunning: options.leaveRunning,
    tcpEstablished: options.tcpEstablished,
    tcpSkipInFlight: options.tcpSkipInFlight,
    linkRemap: options.linkRemap,
    extUnixSk: options.extUnixSk,
    fileLocks: options.fileLocks,
    emptyNs: EMPTY_NETWORK,
    orphanPtsMaster: true,
    autoDedup: options.autoDedup,
    lazyPages: options.lazyPages,
    ...(plan.criuConfig === undefined ? {} : { configFile: plan.criuConfig }),
    external: [...plan.external],
    ...(parts.freezer === undefined ? {} : { freezeCgroup: parts.freezer }),
    ...(pageServer === undefined ? {} : { ps: pageServer }),
    ...(options.parentPath === undefined ? {} : { parentImg: options.parentPath, trackMem: true }),
    extMnt: [...parts.externalMounts],
  };
}
