/**
 * The shape of config.json, checked before it is used, in the words of Go's encoding/json.
 *
 * @module
 */

import { ThawError } from "../errors/errors.ts";

/** A type: a Go scalar, `[T]` for a list, `{*: T}` for a map, `{a: T}` for an object. */
type Shape = "string" | "bool" | "int" | "uint32" | "int64" | "float64" | readonly [Shape] | Fields;
interface Fields {
  readonly [name: string]: Shape;
}

const strings = ["string"] as const;
const idMappings = [{ containerID: "uint32", hostID: "uint32", size: "uint32" }] as const;
const hooks = [{ path: "string", args: strings, env: strings, timeout: "int" }] as const;
const blockDevices = [
  { major: "int64", minor: "int64", weight: "uint32", leafWeight: "uint32", rate: "int64" },
] as const;

const resources = {
  devices: [{ allow: "bool", type: "string", major: "int64", minor: "int64", access: "string" }],
  memory: {
    limit: "int64",
    reservation: "int64",
    swap: "int64",
    swappiness: "int64",
    disableOOMKiller: "bool",
    checkBeforeUpdate: "bool",
    kernel: "int64",
    kernelTCP: "int64",
  },
  cpu: {
    shares: "int64",
    quota: "int64",
    burst: "int64",
    period: "int64",
    realtimeRuntime: "int64",
    realtimePeriod: "int64",
    cpus: "string",
    mems: "string",
    idle: "int64",
  },
  pids: { limit: "int64" },
  blockIO: {
    weight: "uint32",
    leafWeight: "uint32",
    weightDevice: blockDevices,
    throttleReadBpsDevice: blockDevices,
    throttleWriteBpsDevice: blockDevices,
    throttleReadIOPSDevice: blockDevices,
    throttleWriteIOPSDevice: blockDevices,
  },
  hugepageLimits: [{ pageSize: "string", limit: "int64" }],
  network: { classID: "uint32", priorities: [{ name: "string", priority: "uint32" }] },
  rdma: { "*": { hcaHandles: "uint32", hcaObjects: "uint32" } },
  unified: { "*": "string" },
} as const satisfies Fields;

const spec = {
  ociVersion: "string",
  hostname: "string",
  domainname: "string",
  annotations: { "*": "string" },
  root: { path: "string", readonly: "bool" },
  process: {
    terminal: "bool",
    args: strings,
    env: strings,
    cwd: "string",
    user: { uid: "uint32", gid: "uint32", umask: "uint32" },
    capabilities: { "*": strings },
    noNewPrivileges: "bool",
    oomScoreAdj: "int",
    selinuxLabel: "string",
    apparmorProfile: "string",
  },
  mounts: [
    {
      destination: "string",
      type: "string",
      source: "string",
      options: strings,
      uidMappings: idMappings,
      gidMappings: idMappings,
    },
  ],
  hooks: { "*": hooks },
  linux: {
    cgroupsPath: "string",
    devices: [
      {
        path: "string",
        type: "string",
        major: "int64",
        minor: "int64",
        fileMode: "uint32",
        uid: "uint32",
        gid: "uint32",
      },
    ],
    uidMappings: idMappings,
    gidMappings: idMappings,
    maskedPaths: strings,
    readonlyPaths: strings,
    mountLabel: "string",
    namespaces: [{ type: "string", path: "string" }],
    resources,
    rootfsPropagation: "string",
    seccomp: {},
    sysctl: { "*": "string" },
    timeOffsets: { "*": { secs: "int64", nanosecs: "uint32" } },
    personality: { domain: "string" },
  },
} as const satisfies Fields;

/**
 * Checks that a parsed config.json has the types the specification gives it.
 *
 * @throws ThawError `json: cannot unmarshal number into Go struct field Spec.ociVersion of type string`
 */
export function checkSpecShape(value: unknown): void {
  walk(value, spec, "");
}

const KINDS: Record<string, string> = { string: "string", bool: "boolean" };

function walk(value: unknown, shape: Shape, path: string): void {
  if (value === null || value === undefined) return; // encoding/json leaves the zero value
  if (typeof shape === "string") {
    checkScalar(value, shape, path);
    return;
  }
  if (Array.isArray(shape)) {
    if (!Array.isArray(value)) throw mismatch(value, path, "a list");
    for (const element of value) walk(element, shape[0] as Shape, path);
    return;
  }
  if (typeof value !== "object" || Array.isArray(value)) throw mismatch(value, path, "an object");
  const fields = shape as Fields;
  for (const [name, inner] of Object.entries(value)) {
    const field = Object.hasOwn(fields, name) ? fields[name] : fields["*"];
    if (field !== undefined) walk(inner, field, path === "" ? name : `${path}.${name}`);
  }
}

function checkScalar(value: unknown, shape: string, path: string): void {
  const kind = KINDS[shape] ?? "number";
  if (typeof value !== kind) throw mismatch(value, path, shape);
  if (kind !== "number") return;
  const number = value as number;
  const fits =
    Number.isInteger(number) && (shape !== "uint32" || (number >= 0 && number < 2 ** 32));
  if (!fits) throw mismatch(value, path, shape, `number ${number}`);
}

function mismatch(value: unknown, path: string, type: string, shown?: string): ThawError {
  const kind = Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : typeof value;
  const field = path === "" ? "value of type Spec" : `struct field Spec.${path} of type ${type}`;
  return new ThawError(`json: cannot unmarshal ${shown ?? kind} into Go ${field}`, {
    hint: "correct config.json in the bundle",
  });
}
