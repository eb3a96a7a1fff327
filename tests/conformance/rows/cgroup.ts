/** Cgroups: where they are, how CRIU treats them, limits. @module */

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Json } from "../../support/lab.ts";
import { waitUntilStill } from "../checkpoints.ts";
import type { Call, Given, Row, Says } from "../row.ts";

const edit =
  (change: (config: Json, given: Given) => void) =>
  (given: Given): Call => {
    given.bundle.edit((config) => change(config, given));
    return {};
  };

const resources = (value: Json) => edit((config) => Object.assign(config.linux.resources, value));

const refused = (
  name: string,
  says: Says,
  make: (given: Given) => Call,
  differs?: string,
): Row => ({
  name,
  make,
  status: 1,
  says,
  ...(differs === undefined ? {} : { differs }),
});

/** Limits of a container, as its cgroups say. */
const limits =
  (...files: string[]) =>
  ({ lab, id }: Given) => {
    const paths: Record<string, string> = lab.state(id).cgroup_paths;
    return files.map((file) => {
      const path = join(paths[file.split(".")[0] ?? ""] ?? "", file);
      return existsSync(path) ? readFileSync(path, "utf8") : `no ${file}`;
    });
  };

/** The cgroups of init. */
const placed = ({ lab, id }: Given) =>
  readFileSync(`/proc/${lab.state(id).init_process_pid}/cgroup`, "utf8");

const LIMITED = { memory: { limit: 209715200 }, pids: { limit: 77 } };
const LOOK = limits("memory.limit_in_bytes", "pids.max");

const PLACES: readonly Row[] = [
  { name: "no cgroupsPath, which means the id", make: () => ({}), look: placed, status: 0 },
  {
    name: "an absolute cgroupsPath",
    make: edit((c, { id }) => {
      c.linux.cgroupsPath = `/${id}`;
    }),
    look: placed,
    status: 0,
  },
  {
    name: "a relative cgroupsPath",
    make: edit((c, { id }) => {
      c.linux.cgroupsPath = id;
    }),
    look: placed,
    status: 0,
  },
  {
    name: "a cgroupsPath that climbs, which it cannot",
    make: edit((c, { id }) => {
      c.linux.cgroupsPath = `../../../${id}//x/../`;
    }),
    look: placed,
    status: 0,
  },
  {
    name: "a cgroupsPath of systemd's form, without systemd",
    make: edit((c, { id }) => {
      c.linux.cgroupsPath = `${id}:runc:x`;
    }),
    look: placed,
    status: 0,
  },
];

const MODES: readonly Row[] = [
  ...["soft", "full", "ignore", ""].map((mode) => ({
    name: `--manage-cgroups-mode ${JSON.stringify(mode)}, and limits`,
    of: ["manage-cgroups-mode"],
    make: (given: Given) => {
      resources(LIMITED)(given);
      return { flags: ["--manage-cgroups-mode", mode] };
    },
    look: LOOK,
    status: 0,
  })),
  {
    name: "--manage-cgroups-mode strict",
    of: ["manage-cgroups-mode"],
    make: () => ({ flags: ["--manage-cgroups-mode", "strict"] }),
    status: 1,
    criu: true,
    says: "criu failed: type RESTORE errno 0",
  },
  ...["bogus", "Soft", "soft,full"].map((mode) => ({
    ...refused(`--manage-cgroups-mode ${mode}`, "invalid manage-cgroups-mode value", () => ({
      flags: ["--manage-cgroups-mode", mode],
    })),
    of: ["manage-cgroups-mode"],
  })),
];

const SET: readonly Row[] = [
  {
    name: "limits of memory",
    make: resources({
      memory: { limit: 209715200, reservation: 104857600, swap: -1, swappiness: 10 },
    }),
    look: limits(
      "memory.limit_in_bytes",
      "memory.soft_limit_in_bytes",
      "memory.memsw.limit_in_bytes",
      "memory.swappiness",
    ),
    status: 0,
  },
  {
    name: "limits of the CPU",
    make: resources({ cpu: { shares: 512, quota: 80000, period: 100000, cpus: "0", mems: "0" } }),
    look: ({ lab, id }) => {
      const paths = lab.state(id).cgroup_paths;
      const read = (controller: string, file: string) =>
        readFileSync(join(paths[controller], file), "utf8");
      const files = ["cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us"];
      return [...files.map((file) => read("cpu", file)), read("cpuset", "cpuset.cpus")];
    },
    status: 0,
  },
  {
    name: "rules for devices",
    make: resources({
      devices: [
        { allow: false, access: "rwm" },
        { allow: true, type: "c", major: 10, minor: 200, access: "rw" },
        { allow: true, type: "b", access: "m" },
      ],
    }),
    look: ({ lab, id }) =>
      readFileSync(join(lab.state(id).cgroup_paths.devices, "devices.list"), "utf8")
        .split("\n")
        .sort(),
    status: 0,
  },
  {
    name: "a limit of processes of zero and of -1",
    make: resources({ pids: { limit: -1 } }),
    look: limits("pids.max"),
    status: 0,
  },
  {
    name: "a rule for a device of an access that no one knows",
    make: resources({
      devices: [{ allow: true, type: "c", major: 1, minor: 3, access: "q" }],
    }),
    status: 0,
  },
];

const LOST =
  "the reason alone: runc's CRIU complains of the lost connection, and runc that CRIU has no log";

/** Limits that the kernel refuses. */
const UNSET: readonly (readonly [string, Says, Json])[] = [
  [
    "CPUs that the host does not have",
    /^failed to write "4000": write \S+\/cpuset.cpus: numerical result out of range/,
    { cpu: { cpus: "4000" } },
  ],
  [
    "CPUs that are no list",
    /^failed to write "x": write \S+\/cpuset.cpus: invalid argument/,
    { cpu: { cpus: "x" } },
  ],
  [
    "a swap limit below the memory limit",
    /^failed to write "100000000": write \S+\/memory.memsw.limit_in_bytes: invalid argument/,
    { memory: { limit: 200000000, swap: 100000000 } },
  ],
  [
    "a CPU period too long",
    /^failed to write "100000000": write \S+\/cpu.cfs_period_us: invalid argument/,
    { cpu: { quota: 50000, period: 100000000 } },
  ],
  [
    "huge pages, without their controller",
    "cannot set hugetlb limit: container could not join or create cgroup",
    { hugepageLimits: [{ pageSize: "2MB", limit: 1 }] },
  ],
];

const REFUSED: readonly Row[] = [
  refused(
    "unified limits on cgroup v1",
    "invalid configuration: cannot use unified on cgroup v1",
    resources({ unified: { "memory.max": "1" } }),
  ),
  refused(
    "a rule for a device of an unknown type",
    'invalid cgroup device type "x"',
    resources({ devices: [{ allow: true, type: "x", access: "r" }] }),
  ),
  refused(
    "a rule for a device without an access",
    "device access at 0 field cannot be empty",
    resources({ devices: [{ allow: true, type: "c", access: "" }] }),
  ),
  refused(
    "a swappiness beyond what there is",
    "invalid memory swappiness value: 1000 (valid range is 0-100)",
    resources({ memory: { swappiness: 1000 } }),
    LOST,
  ),
  ...UNSET.map(([name, says, value]) => ({
    ...refused(name, says, resources(value), LOST),
    late: true as const,
  })),
  {
    name: "a memory limit that is too small",
    checkpoint: "large",
    make: resources({ memory: { limit: 20 << 20 } }),
    status: 1,
    criu: true,
    says: [/\d+ killed by signal 9/, "out of memory", "raise linux.resources.memory.limit"],
    remedy: resources({ memory: { limit: 200 << 20 } }),
  },
  {
    name: "a cgroup mount that config.json lost",
    make: edit((c) => {
      c.mounts = c.mounts.filter(({ type }: Json) => type !== "cgroup");
    }),
    status: 1,
    criu: true,
    says: [/No mapping for \d+:\S+ mountpoint/, "external mount", "cgroup mount to config.json"],
    remedy: edit((c) =>
      c.mounts.push({
        destination: "/sys/fs/cgroup",
        type: "cgroup",
        source: "cgroup",
        options: ["nosuid", "noexec", "nodev", "relatime", "ro"],
      }),
    ),
  },
  {
    ...refused(
      "--systemd-cgroup, without systemd",
      "systemd not running on this host, cannot use systemd cgroups manager",
      () => ({ globals: ["--systemd-cgroup"] }),
    ),
    of: ["systemd-cgroup"],
  },
];

const FROZEN = (id: string) => join("/sys/fs/cgroup/freezer", id);

const BUSY: readonly Row[] = [
  {
    ...refused("a frozen cgroup", "container's cgroup unexpectedly frozen", ({ bundle, id }) => {
      bundle.edit((c) => {
        c.linux.cgroupsPath = `/${id}`;
      });
      mkdirSync(FROZEN(id));
      writeFileSync(join(FROZEN(id), "freezer.state"), "FROZEN");
      return {};
    }),
    clean: ({ id }) => {
      if (!existsSync(FROZEN(id))) return;
      writeFileSync(join(FROZEN(id), "freezer.state"), "THAWED");
      rmdirSync(FROZEN(id));
    },
  },
  {
    ...refused(
      "a cgroup of another container",
      "container's cgroup is not empty: 2 process(es) found",
      ({ lab, bundle, id }) => {
        bundle.edit((c) => {
          c.linux.cgroupsPath = `/${id}`;
        });
        lab.start(bundle, `${id}0`);
        waitUntilStill(lab, `${id}0`);
        return {};
      },
    ),
    look: ({ lab, id }) => lab.status(`${id}0`),
  },
  {
    name: "a cgroup that is there and empty",
    make: edit((c, { id }) => {
      c.linux.cgroupsPath = `/${id}`;
      for (const name of readdirSync("/sys/fs/cgroup"))
        if (existsSync(join("/sys/fs/cgroup", name, "cgroup.procs")) && name !== "cpuset")
          mkdirSync(join("/sys/fs/cgroup", name, id), { recursive: true });
    }),
    look: placed,
    status: 0,
  },
];

/** Rows of cgroups (v1; cgroup2.test.ts runs where v2 is). */
export const cgroupRows: readonly Row[] = [...PLACES, ...MODES, ...SET, ...REFUSED, ...BUSY];
