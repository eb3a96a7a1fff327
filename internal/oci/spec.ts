/**
 * config.json: the parts of the OCI runtime specification that a restore reads.
 *
 * https://github.com/opencontainers/runtime-spec/blob/v1.2.1/config.md
 *
 * @module
 */

/** config.json. Only what is read here is declared; the rest is ignored, as the spec demands. */
export interface Spec {
  readonly ociVersion?: string;
  readonly process?: SpecProcess | null;
  readonly root?: { readonly path?: string; readonly readonly?: boolean } | null;
  readonly hostname?: string;
  readonly domainname?: string;
  readonly mounts?: readonly SpecMount[] | null;
  readonly hooks?: SpecHooks | null;
  readonly annotations?: Readonly<Record<string, string>> | null;
  readonly linux?: SpecLinux | null;
}

/** `process`. */
export interface SpecProcess {
  readonly terminal?: boolean;
  readonly args?: readonly string[] | null;
  readonly cwd?: string;
  readonly env?: readonly string[] | null;
  readonly user?: {
    readonly uid?: number;
    readonly gid?: number;
    readonly umask?: number;
    readonly additionalGids?: readonly number[];
  };
  /** Characters. */
  readonly consoleSize?: {
    readonly height?: number | bigint;
    readonly width?: number | bigint;
  };
  readonly capabilities?: Readonly<Record<string, readonly string[] | null>> | null;
  readonly noNewPrivileges?: boolean;
  readonly oomScoreAdj?: number | null;
  readonly selinuxLabel?: string;
  readonly apparmorProfile?: string;
  readonly rlimits?: readonly SpecRlimit[] | null;
  readonly ioPriority?: { readonly class?: string; readonly priority?: number | bigint } | null;
  readonly scheduler?: SpecScheduler | null;
  readonly execCPUAffinity?: { readonly initial?: string; readonly final?: string } | null;
}

/** One of `process.rlimits`. */
export interface SpecRlimit {
  readonly type?: string;
  readonly hard?: number | bigint;
  readonly soft?: number | bigint;
}

/** `process.scheduler`; times in nanoseconds. */
export interface SpecScheduler {
  readonly policy?: string;
  readonly nice?: number;
  readonly priority?: number;
  readonly flags?: readonly string[] | null;
  readonly runtime?: number | bigint;
  readonly deadline?: number | bigint;
  readonly period?: number | bigint;
}

/** One of `mounts`. */
export interface SpecMount {
  readonly destination?: string;
  readonly type?: string;
  readonly source?: string;
  readonly options?: readonly string[] | null;
  readonly uidMappings?: readonly IdMapping[] | null;
  readonly gidMappings?: readonly IdMapping[] | null;
}

/** One of `hooks.*`. */
export interface SpecHook {
  readonly path?: string;
  readonly args?: readonly string[] | null;
  readonly env?: readonly string[] | null;
  /** Seconds. */
  readonly timeout?: number | null;
}

/** Names of the hook lists, in the spec's spelling. */
export const HOOK_NAMES = [
  "createContainer",
  "createRuntime",
  "poststart",
  "poststop",
  "prestart",
  "startContainer",
] as const;

/** `hooks`. */
export type SpecHooks = {
  readonly [name in (typeof HOOK_NAMES)[number]]?: readonly SpecHook[] | null;
};

/** One of `linux.uidMappings` and `linux.gidMappings`. */
export interface IdMapping {
  readonly containerID?: number;
  readonly hostID?: number;
  readonly size?: number;
}

/** One of `linux.devices`. */
export interface SpecDevice {
  readonly path?: string;
  readonly type?: string;
  readonly major?: number;
  readonly minor?: number;
  readonly fileMode?: number | null;
  readonly uid?: number | null;
  readonly gid?: number | null;
}

/** One of `linux.namespaces`. */
export interface SpecNamespace {
  readonly type?: string;
  readonly path?: string;
}

/** `linux`. */
export interface SpecLinux {
  readonly cgroupsPath?: string;
  readonly devices?: readonly SpecDevice[] | null;
  readonly gidMappings?: readonly IdMapping[] | null;
  readonly maskedPaths?: readonly string[] | null;
  readonly intelRdt?: {
    readonly closID?: string;
    readonly l3CacheSchema?: string;
    readonly memBwSchema?: string;
  } | null;
  readonly mountLabel?: string;
  readonly namespaces?: readonly SpecNamespace[] | null;
  readonly readonlyPaths?: readonly string[] | null;
  readonly resources?: SpecResources | null;
  readonly rootfsPropagation?: string;
  readonly seccomp?: unknown;
  readonly sysctl?: Readonly<Record<string, string>> | null;
  readonly timeOffsets?: Readonly<Record<string, { secs?: number; nanosecs?: number }>> | null;
  readonly uidMappings?: readonly IdMapping[] | null;
  readonly personality?: {
    readonly domain?: string;
    readonly flags?: readonly string[] | null;
  } | null;
}

/** A device of a block I/O limit. */
export interface SpecBlockDevice {
  readonly major?: number;
  readonly minor?: number;
  readonly weight?: number | null;
  readonly leafWeight?: number | null;
  readonly rate?: number;
}

/** One of `linux.resources.devices`. */
export interface SpecDeviceRule {
  readonly allow?: boolean;
  readonly type?: string;
  readonly major?: number | null;
  readonly minor?: number | null;
  readonly access?: string;
}

/** `linux.resources`. */
export interface SpecResources {
  readonly devices?: readonly SpecDeviceRule[] | null;
  readonly memory?: {
    readonly limit?: number | null;
    readonly reservation?: number | null;
    readonly swap?: number | null;
    readonly swappiness?: number | null;
    readonly disableOOMKiller?: boolean | null;
    readonly checkBeforeUpdate?: boolean | null;
    readonly kernel?: number | null;
    readonly kernelTCP?: number | null;
  } | null;
  readonly cpu?: {
    readonly shares?: number | null;
    readonly quota?: number | null;
    readonly burst?: number | null;
    readonly period?: number | null;
    readonly realtimeRuntime?: number | null;
    readonly realtimePeriod?: number | null;
    readonly cpus?: string;
    readonly mems?: string;
    readonly idle?: number | null;
  } | null;
  readonly pids?: { readonly limit?: number | null } | null;
  readonly blockIO?: {
    readonly weight?: number | null;
    readonly leafWeight?: number | null;
    readonly weightDevice?: readonly SpecBlockDevice[] | null;
    readonly throttleReadBpsDevice?: readonly SpecBlockDevice[] | null;
    readonly throttleWriteBpsDevice?: readonly SpecBlockDevice[] | null;
    readonly throttleReadIOPSDevice?: readonly SpecBlockDevice[] | null;
    readonly throttleWriteIOPSDevice?: readonly SpecBlockDevice[] | null;
  } | null;
  readonly hugepageLimits?: readonly { pageSize?: string; limit?: number }[] | null;
  readonly network?: {
    readonly classID?: number | null;
    readonly priorities?: readonly { name?: string; priority?: number }[] | null;
  } | null;
  readonly rdma?: Readonly<Record<string, { hcaHandles?: number; hcaObjects?: number }>> | null;
  readonly unified?: Readonly<Record<string, string>> | null;
}
