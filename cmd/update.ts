/** `thaw update`: other limits for a container that runs. @module */

import { defineCommand } from "citty";
import { type Container, loadContainer } from "../internal/container/container.ts";
import { hasBandwidthAllocation, hasCacheAllocation } from "../internal/container/rdt.ts";
import { updateContainer } from "../internal/container/update.ts";
import { ThawError } from "../internal/errors/errors.ts";
import { readUntil } from "../internal/linux/file.ts";
import type { Log } from "../internal/log/log.ts";
import { decodeFirst, FirstValue } from "../internal/oci/exact-json.ts";
import { parseInteger } from "../internal/oci/go.ts";
import { checkResourcesShape } from "../internal/oci/schema.ts";
import type { SpecResources } from "../internal/oci/spec.ts";
import { handToRunc } from "../internal/runc/runc.ts";
import type { Command, Invocation } from "./command.ts";
import type { Flags, Parsed } from "./flags.ts";
import { parseGoInteger, parseSize } from "./numbers.ts";

const text = (valueHint: string, description: string) =>
  ({ type: "string", valueHint, description }) as const;
const integer = (valueHint: string, description: string) =>
  ({ type: "string", number: "integer", valueHint, description }) as const;
const obsolete = { type: "string", hidden: true, description: "obsolete: ignored" } as const;

const flags = {
  resources: {
    type: "string",
    alias: "r",
    valueHint: "FILE",
    description:
      "read the limits from FILE, - for standard input: JSON as linux.resources in config.json; the flags for single limits are then ignored",
  },
  "blkio-weight": integer("WEIGHT", "weight of block I/O, 10 to 1000"),
  "cpu-period": text("USEC", "length of a period of CPU time"),
  "cpu-quota": text("USEC", "CPU time in a period; -1: no limit"),
  "cpu-burst": text("USEC", "CPU time saved up from earlier periods, at most"),
  "cpu-share": text("SHARES", "CPU shares, beside other containers: 2 to 262144"),
  "cpu-rt-period": text("USEC", "length of a period of real-time CPU time (cgroup v1)"),
  "cpu-rt-runtime": text("USEC", "real-time CPU time in a period (cgroup v1)"),
  "cpuset-cpus": text("CPUS", "CPUs to run on, such as 0,2-3"),
  "cpuset-mems": text("NODES", "memory nodes to use, such as 0"),
  "kernel-memory": obsolete,
  "kernel-memory-tcp": obsolete,
  memory: text("SIZE", "memory in bytes, or with k, m, g, t or p; -1: no limit"),
  "cpu-idle": text("0|1", "1: run only when nothing else wants the CPU"),
  "memory-reservation": text("SIZE", "memory that is kept when it becomes scarce"),
  "memory-swap": text("SIZE", "memory and swap together; -1: no limit"),
  "pids-limit": integer("N", "processes and threads, at most; -1: no limit"),
  "l3-cache-schema": text("SCHEMA", "Intel RDT: schema of the L3 cache (by runc)"),
  "mem-bw-schema": text("SCHEMA", "Intel RDT: schema of the memory bandwidth (by runc)"),
} as const satisfies Flags;

type Name = keyof typeof flags;

/** The update command. */
export const updateCommand: Command = {
  definition: defineCommand({
    meta: {
      name: "update",
      description:
        "Changes the limits of a container while it runs, and records them. What is not named stays as it is; when one limit is refused, none is changed.",
    },
    run: async ({ data }) => {
      const { parsed, globals, log } = data as Invocation;
      const container = loadContainer(globals.root, parsed.positionals[0] ?? "");
      const changes = readChanges(parsed);
      if (changes.memory?.kernel != null || changes.memory?.kernelTCP != null)
        log.warn("Kernel memory settings are ignored and will be removed");
      await change(container, { changes, parsed, log });
      return 0;
    },
  }),
  flags,
  usage: "ID",
  positionals: 1,
  completes: "containers",
  examples: [
    "thaw update --memory 512m --memory-swap 1g c1",
    "thaw update --cpu-quota 50000 --cpu-period 100000 c1",
    "# as containerd does",
    `echo '{"pids":{"limit":100}}' | thaw update --resources - c1`,
  ].join("\n"),
};

interface Change {
  readonly changes: SpecResources;
  readonly parsed: Parsed;
  readonly log: Log;
}

async function change(container: Container, { changes, parsed, log }: Change): Promise<void> {
  const given = (name: Name) => (parsed.strings.get(name) ?? "") !== "";
  const hint = "this host has none, or /sys/fs/resctrl is not mounted";
  if (given("l3-cache-schema") && !hasCacheAllocation())
    throw new ThawError("Intel RDT/CAT: l3 cache schema is not enabled", { hint });
  if (given("mem-bw-schema") && !hasBandwidthAllocation())
    throw new ThawError("Intel RDT/MBA: memory bandwidth schema is not enabled", { hint });
  if (given("l3-cache-schema") || given("mem-bw-schema")) handToRunc("update --l3-cache-schema");
  await updateContainer(container, changes, (message) => log.warn(message));
}

function readChanges(parsed: Parsed): SpecResources {
  const file = parsed.strings.get("resources") ?? "";
  if (file === "") return fromFlags(parsed);
  // No further than the first value: whoever writes need not close the pipe.
  const first = new FirstValue();
  const isWhole = (piece: string) => first.take(piece) !== undefined;
  const document = decodeFirst(readUntil(file === "-" ? 0 : file, isWhole));
  const where = file === "-" ? "standard input" : file;
  if (document === null) return {};
  return checkResourcesShape(document, `correct the resources in ${where}`);
}

function fromFlags(parsed: Parsed): SpecResources {
  const given = (name: Name) => parsed.strings.get(name) || undefined;
  const whole = (name: Name, signed: boolean) =>
    read(name, given(name), (value) => parseInteger(value, { bits: 64, signed }));
  const size = (name: Name) =>
    read(name, given(name), (value) => (value === "-1" ? -1n : parseSize(value)));
  const number = (name: Name) => parseGoInteger(given(name) ?? "0") ?? 0n;
  const weight = number("blkio-weight");
  // In runc's order, as the first mistake is the one that is told.
  const idle = whole("cpu-idle", true);
  const burst = whole("cpu-burst", false);
  const period = whole("cpu-period", false);
  const realtimePeriod = whole("cpu-rt-period", false);
  const shares = whole("cpu-share", false);
  const quota = whole("cpu-quota", true);
  const realtimeRuntime = whole("cpu-rt-runtime", true);
  const cpus = given("cpuset-cpus") ?? "";
  const mems = given("cpuset-mems") ?? "";
  const cpu = { idle, burst, period, realtimePeriod, shares, quota, realtimeRuntime, cpus, mems };
  const limit = size("memory");
  const swap = size("memory-swap");
  const kernel = size("kernel-memory");
  const kernelTCP = size("kernel-memory-tcp");
  const memory = { limit, swap, kernel, kernelTCP, reservation: size("memory-reservation") };
  return {
    // A conversion to uint16 in Go.
    blockIO: { weight: weight === 0n ? null : Number(BigInt.asUintN(16, weight)) },
    cpu,
    memory,
    pids: { limit: exact(number("pids-limit")) },
  };
}

function read(
  name: Name,
  value: string | undefined,
  parse: (value: string) => bigint,
): number | null {
  if (value === undefined) return null;
  try {
    return exact(parse(value));
  } catch (cause) {
    throw new ThawError(`invalid value for ${name}`, { cause });
  }
}

// What a double cannot hold stays a bigint, as everywhere in the configuration.
function exact(value: bigint): number {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : (value as unknown as number);
}
