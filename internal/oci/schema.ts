/**
 * The shape of config.json and of a process.json, checked before they are used.
 *
 * @module
 */

import { checkShape, type Shape } from "./shape.ts";
import type { SpecResources } from "./spec.ts";

const list = (shape: Shape) => ({ list: shape });
const map = (shape: Shape) => ({ map: shape });
const struct = (name: string, fields: Readonly<Record<string, Shape>>) => ({
  struct: name,
  fields,
});

const strings = list("string");
const idMappings = list(
  struct("LinuxIDMapping", { containerID: "uint32", hostID: "uint32", size: "uint32" }),
);
const hooks = list(struct("Hook", { path: "string", args: strings, env: strings, timeout: "int" }));
const weights = list(
  struct("LinuxWeightDevice", {
    major: "int64",
    minor: "int64",
    weight: "uint16",
    leafWeight: "uint16",
  }),
);
const rates = list(
  struct("LinuxThrottleDevice", { major: "int64", minor: "int64", rate: "uint64" }),
);

const resources = struct("LinuxResources", {
  devices: list(
    struct("LinuxDeviceCgroup", {
      allow: "bool",
      type: "string",
      major: "int64",
      minor: "int64",
      access: "string",
    }),
  ),
  memory: struct("LinuxMemory", {
    limit: "int64",
    reservation: "int64",
    swap: "int64",
    swappiness: "uint64",
    disableOOMKiller: "bool",
    checkBeforeUpdate: "bool",
    kernel: "int64",
    kernelTCP: "int64",
  }),
  cpu: struct("LinuxCPU", {
    shares: "uint64",
    quota: "int64",
    burst: "uint64",
    period: "uint64",
    realtimeRuntime: "int64",
    realtimePeriod: "uint64",
    cpus: "string",
    mems: "string",
    idle: "int64",
  }),
  pids: struct("LinuxPids", { limit: "int64" }),
  blockIO: struct("LinuxBlockIO", {
    weight: "uint16",
    leafWeight: "uint16",
    weightDevice: weights,
    throttleReadBpsDevice: rates,
    throttleWriteBpsDevice: rates,
    throttleReadIOPSDevice: rates,
    throttleWriteIOPSDevice: rates,
  }),
  hugepageLimits: list(struct("LinuxHugepageLimit", { pageSize: "string", limit: "uint64" })),
  network: struct("LinuxNetwork", {
    classID: "uint32",
    priorities: list(struct("LinuxInterfacePriority", { name: "string", priority: "uint32" })),
  }),
  rdma: map(struct("LinuxRdma", { hcaHandles: "uint32", hcaObjects: "uint32" })),
  unified: map("string"),
});

const seccomp = struct("LinuxSeccomp", {
  defaultAction: "string",
  defaultErrnoRet: "uint32",
  architectures: strings,
  flags: strings,
  listenerPath: "string",
  listenerMetadata: "string",
  syscalls: list(
    struct("LinuxSyscall", {
      names: strings,
      action: "string",
      errnoRet: "uint32",
      args: list(
        struct("LinuxSeccompArg", {
          index: "uint32",
          value: "uint64",
          valueTwo: "uint64",
          op: "string",
        }),
      ),
    }),
  ),
});

const linux = struct("Linux", {
  cgroupsPath: "string",
  devices: list(
    struct("LinuxDevice", {
      path: "string",
      type: "string",
      major: "int64",
      minor: "int64",
      fileMode: "uint32",
      uid: "uint32",
      gid: "uint32",
    }),
  ),
  uidMappings: idMappings,
  gidMappings: idMappings,
  maskedPaths: strings,
  readonlyPaths: strings,
  intelRdt: struct("LinuxIntelRdt", {
    closID: "string",
    l3CacheSchema: "string",
    memBwSchema: "string",
  }),
  mountLabel: "string",
  namespaces: list(struct("LinuxNamespace", { type: "string", path: "string" })),
  resources,
  rootfsPropagation: "string",
  seccomp,
  sysctl: map("string"),
  timeOffsets: map(struct("LinuxTimeOffset", { secs: "int64", nanosecs: "uint32" })),
  personality: struct("LinuxPersonality", { domain: "string", flags: strings }),
});

const process = struct("Process", {
  terminal: "bool",
  args: strings,
  env: strings,
  cwd: "string",
  user: struct("User", {
    uid: "uint32",
    gid: "uint32",
    umask: "uint32",
    additionalGids: list("uint32"),
  }),
  capabilities: struct("LinuxCapabilities", {
    bounding: strings,
    effective: strings,
    inheritable: strings,
    permitted: strings,
    ambient: strings,
  }),
  noNewPrivileges: "bool",
  oomScoreAdj: "int",
  selinuxLabel: "string",
  apparmorProfile: "string",
  rlimits: list(struct("POSIXRlimit", { type: "string", hard: "uint64", soft: "uint64" })),
  consoleSize: struct("Box", { height: "uint", width: "uint" }),
  scheduler: struct("Scheduler", {
    policy: "string",
    nice: "int32",
    priority: "int32",
    flags: strings,
    runtime: "uint64",
    deadline: "uint64",
    period: "uint64",
  }),
  execCPUAffinity: struct("CPUAffinity", { initial: "string", final: "string" }),
  ioPriority: struct("LinuxIOPriority", { class: "string", priority: "int" }),
});

const spec = struct("Spec", {
  ociVersion: "string",
  hostname: "string",
  domainname: "string",
  annotations: map("string"),
  root: struct("Root", { path: "string", readonly: "bool" }),
  process,
  mounts: list(
    struct("Mount", {
      destination: "string",
      type: "string",
      source: "string",
      options: strings,
      uidMappings: idMappings,
      gidMappings: idMappings,
    }),
  ),
  hooks: struct("Hooks", {
    prestart: hooks,
    createRuntime: hooks,
    createContainer: hooks,
    startContainer: hooks,
    poststart: hooks,
    poststop: hooks,
  }),
  linux,
});

/**
 * Checks that a parsed config.json has the types the specification gives it.
 *
 * @returns a copy without what is null, as encoding/json leaves it at its zero value; in a list or
 *   a map a null becomes that zero value
 * @throws ThawError `json: cannot unmarshal number into Go struct field Spec.ociVersion of type string`
 */
export function checkSpecShape(value: unknown): unknown {
  return checkShape(value, spec, "correct config.json in the bundle");
}

/**
 * The same for a document that is `linux.resources` alone.
 *
 * @param hint what to do about it when it is wrong
 * @throws ThawError `json: cannot unmarshal string into Go struct field LinuxMemory.memory.limit of type int64`
 */
export function checkResourcesShape(value: unknown, hint: string): SpecResources {
  return checkShape(value, resources, hint) as SpecResources;
}

/**
 * The same for a process.json, which is the `process` of a config.json.
 *
 * @throws ThawError `json: cannot unmarshal number into Go struct field Process.args of type []string`
 */
export function checkProcessShape(value: unknown): unknown {
  return value === null ? {} : checkShape(value, process, "correct process.json");
}
