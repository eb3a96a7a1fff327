/** Stage: the request, pure: a plan in, CRIU's options out, equal to what runc sends. @module */

import { type CriuOptions, EMPTY_NETWORK } from "../criu/options.ts";
import type { ExternalMount } from "../mounts/external.ts";
import { restoresLocks } from "./locks.ts";
import type { RestorePlan } from "./plan.ts";

/** What the stages before made, as the request names it. */
export interface RequestParts {
  readonly images: number;
  readonly work: number | undefined;
  readonly root: string;
  readonly externalMounts: readonly ExternalMount[];
  readonly inheritFd: readonly { key: string; fd: number }[];
  readonly joinNs: readonly { ns: string; nsFile: string }[];
  readonly cgroups: readonly { ctrl: string; path: string }[];
}

/** Builds the options of CRIU's RESTORE request (runc: libcontainer Restore). */
export function restoreRequest(plan: RestorePlan, parts: RequestParts): CriuOptions {
  const { options } = plan;
  return {
    imagesDirFd: parts.images,
    ...(parts.work === undefined ? {} : { workDirFd: parts.work }),
    evasiveDevices: true,
    logLevel: 4,
    logFile: "restore.log",
    rstSibling: true,
    root: parts.root,
    manageCgroups: true,
    manageCgroupsMode: plan.cgroupsMode as 6,
    notifyScripts: true,
    shellJob: options.shellJob,
    extUnixSk: options.extUnixSk,
    tcpEstablished: options.tcpEstablished,
    fileLocks: restoresLocks(plan),
    emptyNs: EMPTY_NETWORK,
    orphanPtsMaster: true,
    autoDedup: options.autoDedup,
    lazyPages: options.lazyPages,
    // Not a flag of runc's, so absent unless asked for.
    ...(options.tcpClose ? { tcpClose: true } : {}),
    ...(options.lsmProfile === undefined ? {} : { lsmProfile: options.lsmProfile }),
    ...(options.lsmMountContext === undefined ? {} : { lsmMountContext: options.lsmMountContext }),
    ...(plan.criuConfig === undefined ? {} : { configFile: plan.criuConfig }),
    extMnt: [...parts.externalMounts],
    inheritFd: [...parts.inheritFd, ...inheritStdio(plan.descriptors)],
    joinNs: [...parts.joinNs],
    cgRoot: [...parts.cgroups],
  };
}

/** Dumped pipes on 0, 1 and 2 are replaced by CRIU's own descriptors of the same number. */
function inheritStdio(descriptors: readonly string[]): { key: string; fd: number }[] {
  return descriptors.flatMap((key, fd) => (key.includes("pipe:") ? [{ key, fd }] : []));
}
