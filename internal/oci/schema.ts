/**
 * The shape of config.json, checked before it is used, in the words of Go's encoding/json.
 *
 * @module
 */

import { ThawError } from "../errors/errors.ts";
import type { SpecResources } from "./spec.ts";

/** Names of Go's scalar types. */
type Scalar = "string" | "bool" | "int" | "uint16" | "uint32" | "uint64" | "int64";
/** A type: a scalar, a list, a map of strings to something, or a struct of runtime-spec's specs-go. */
type Shape =
  | Scalar
  | { readonly list: Shape }
  | { readonly map: Shape }
  | { readonly struct: string; readonly fields: Readonly<Record<string, Shape>> };

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

const spec = struct("Spec", {
  ociVersion: "string",
  hostname: "string",
  domainname: "string",
  annotations: map("string"),
  root: struct("Root", { path: "string", readonly: "bool" }),
  process: struct("Process", {
    terminal: "bool",
    args: strings,
    env: strings,
    cwd: "string",
    user: struct("User", { uid: "uint32", gid: "uint32", umask: "uint32" }),
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
    ioPriority: struct("LinuxIOPriority", { class: "string", priority: "int" }),
  }),
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
  const hint = "correct config.json in the bundle";
  return walk(value, spec, { struct: "", path: "", hint });
}

/**
 * The same for a document that is `linux.resources` alone.
 *
 * @param hint what to do about it when it is wrong
 * @throws ThawError `json: cannot unmarshal string into Go struct field LinuxMemory.memory.limit of type int64`
 */
export function checkResourcesShape(value: unknown, hint: string): SpecResources {
  return walk(value, resources, { struct: "", path: "", hint }) as SpecResources;
}

/** Where in the document: the Go struct around it, and the path as Go names it. */
interface Place {
  readonly struct: string;
  readonly path: string;
  readonly hint: string;
}

function walk(value: unknown, shape: Shape, place: Place): unknown {
  if (typeof shape === "string") {
    checkScalar(value, shape, place);
    return value;
  }
  if ("list" in shape) {
    if (!Array.isArray(value)) throw mismatch(value, shape, place);
    return value.map((element) => orZero(element, shape.list, place));
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw mismatch(value, shape, place);
  const entries = Object.entries(value);
  if ("map" in shape)
    return Object.fromEntries(entries.map(([key, one]) => [key, orZero(one, shape.map, place)]));
  const kept = entries.flatMap(([key, one]) => {
    const name = fieldName(shape.fields, key);
    const field = Object.hasOwn(shape.fields, name) ? shape.fields[name] : undefined;
    if (one === null) return [];
    if (field === undefined) return [[key, one] as const];
    const path = place.path === "" ? name : `${place.path}.${name}`;
    return [[name, walk(one, field, { ...place, struct: shape.struct, path })] as const];
  });
  return Object.fromEntries(kept);
}

// Go takes a key in any case when there is none that fits exactly.
function fieldName(fields: Readonly<Record<string, Shape>>, key: string): string {
  if (Object.hasOwn(fields, key)) return key;
  const same = (name: string) => name.toLowerCase() === key.toLowerCase();
  return Object.keys(fields).find(same) ?? key;
}

function orZero(value: unknown, shape: Shape, place: Place): unknown {
  if (value !== null) return walk(value, shape, place);
  if (shape === "string") return "";
  if (shape === "bool") return false;
  if (typeof shape === "string") return 0;
  return "list" in shape ? [] : {};
}

const RANGES: Readonly<Record<string, readonly [bigint, bigint]>> = {
  int: [-(2n ** 63n), 2n ** 63n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint16: [0n, 2n ** 16n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
};

function checkScalar(value: unknown, shape: Scalar, place: Place): void {
  const kind = shape === "string" ? "string" : shape === "bool" ? "boolean" : "number";
  const found = typeof value === "bigint" ? "number" : typeof value;
  if (found !== kind) throw mismatch(value, shape, place);
  if (typeof value !== "number" && typeof value !== "bigint") return;
  const [least, most] = RANGES[shape] ?? [0n, 0n];
  const whole = typeof value === "bigint" || Number.isInteger(value);
  if (!whole || value < least || value > most)
    throw mismatch(value, shape, place, `number ${value}`);
}

function mismatch(value: unknown, shape: Shape, place: Place, shown?: string): ThawError {
  const kinds: Record<string, string> = { boolean: "bool", bigint: "number" };
  const kind = Array.isArray(value) ? "array" : (kinds[typeof value] ?? typeof value);
  const type = goType(shape);
  const target =
    place.path === ""
      ? `value of type ${type}`
      : `struct field ${place.struct}.${place.path} of type ${type}`;
  return new ThawError(`json: cannot unmarshal ${shown ?? kind} into Go ${target}`, {
    hint: place.hint,
  });
}

function goType(shape: Shape): string {
  if (typeof shape === "string") return shape;
  if ("list" in shape) return `[]${goType(shape.list)}`;
  return "map" in shape ? `map[string]${goType(shape.map)}` : `specs.${shape.struct}`;
}
