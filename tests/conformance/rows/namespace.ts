/** Namespaces: new ones, ones with a path, none. @module */

import { existsSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Json, must, run, waitFor } from "../../support/lab.ts";
import { mapped, namespace } from "../checkpoints.ts";
import type { Call, Given, Row, Says } from "../row.ts";

const edit =
  (change: (config: Json) => void) =>
  ({ bundle }: Given): Call => {
    bundle.edit(change);
    return {};
  };

const refused = (
  name: string,
  says: Says,
  change: (config: Json) => void,
  differs?: string,
): Row => ({
  name,
  make: edit(change),
  status: 1,
  says,
  ...(differs === undefined ? {} : { differs }),
});

const plain = (): Call => ({});

/** Whether init is in the namespace that config.json gives the path of. */
const joined =
  (type: string, file: string) =>
  ({ lab, bundle, id }: Given) => {
    const path = bundle.config().linux.namespaces.find((ns: Json) => ns.type === type).path;
    const inode = (of: string) => run(["stat", "-L", "-c", "%i", of]).stdout;
    const isJoined = inode(path) === inode(`/proc/${lab.state(id).init_process_pid}/ns/${file}`);
    if (!isJoined) throw new Error(`it is not in the ${type} namespace ${path}`);
    return isJoined;
  };

/** Whether init is in the namespace the test is in. */
const shared =
  (file: string) =>
  ({ lab, id }: Given) =>
    readlinkSync(`/proc/self/ns/${file}`) ===
    readlinkSync(`/proc/${lab.state(id).init_process_pid}/ns/${file}`);

const ofInit =
  (file: string) =>
  ({ lab, id }: Given) =>
    readFileSync(`/proc/${lab.state(id).init_process_pid}/${file}`, "utf8").split(/\s+/);

const restored = (
  name: string,
  checkpoint: NonNullable<Row["checkpoint"]>,
  look: Row["look"],
): Row => ({
  name,
  checkpoint,
  make: plain,
  ...(look === undefined ? {} : { look }),
  status: 0,
});

const RESTORED: readonly Row[] = [
  restored("a network namespace with a path", "network path", joined("network", "net")),
  restored("an ipc namespace with a path", "ipc path", joined("ipc", "ipc")),
  restored("a uts namespace with a path", "uts path", joined("uts", "uts")),
  restored("a time namespace with a path", "time path", joined("time", "time")),
  // CRIU cannot: neither can runc.
  { ...restored("a mount namespace with a path", "mount path", undefined), status: 1, criu: true },
  restored("the host's network", "host's network", shared("net")),
  restored("the host's ipc namespace", "host's ipc", shared("ipc")),
  restored("the host's uts namespace", "host's uts", shared("uts")),
  restored("a cgroup namespace of its own", "cgroup namespace", ofInit("cgroup")),
  restored("a time namespace with offsets", "time namespace", (given) => {
    const [first, monotonic, , second, boottime] = ofInit("timens_offsets")(given);
    return [first, Number(monotonic) > 0, second, Number(boottime) > 0];
  }),
  restored("a user namespace with mappings", "user namespace", ofInit("uid_map")),
];

const PIDS: readonly Row[] = [
  {
    name: "no pid namespace, and a pid taken",
    checkpoint: "host's pids",
    make: plain,
    status: 1,
    criu: true,
    says: [
      /Can't fork for \d+: File exists/,
      /pid N is taken: the container has no pid namespace of its own/,
      "end (and reap) the process",
    ],
    remedy: ({ bundle }) => {
      const { root, id } = JSON.parse(readFileSync(join(bundle.path, "where"), "utf8"));
      const state = JSON.parse(readFileSync(join(root, id, "state.json"), "utf8"));
      must(run(["runc", "--root", root, "delete", "--force", id]));
      const pid = state.init_process_pid;
      waitFor(() => !existsSync(`/proc/${pid}`), `pid ${pid} to be reaped`);
      return {};
    },
  },
];

const ONE_LINE = "one line, where runc logs two errors";
const EARLY = "refused before CRIU is started, in the words runc has for networks";

/** Why a namespace that does not exist is not told in runc's words. */
const MISSING: readonly (readonly [string, string])[] = [
  ["network", ONE_LINE],
  ["pid", "called a pid namespace; runc calls it a network namespace, in two lines"],
  ["ipc", EARLY],
  ["uts", EARLY],
  ["mount", EARLY],
  ["user", "refused in the words runc has for networks; runc fails to read its mappings"],
  ["time", EARLY],
];

const REFUSED: readonly Row[] = [
  refused("a namespace twice", 'malformed spec file: duplicated ns {"network" ""}', (c) =>
    c.linux.namespaces.push({ type: "network" }),
  ),
  refused("an unknown namespace", 'namespace {"blah" ""} does not exist', (c) =>
    c.linux.namespaces.push({ type: "blah" }),
  ),
  refused("a namespace without a type", 'namespace {"" ""} does not exist', (c) =>
    c.linux.namespaces.push({}),
  ),
  ...MISSING.map(([type, reason]) =>
    refused(
      `a ${type} namespace that does not exist`,
      `Requested ${type} namespace /nonexistent/ns does not exist`,
      (c) => namespace(c, type, "/nonexistent/ns"),
      reason,
    ),
  ),
  refused(
    "a relative path of a namespace",
    "Requested network namespace proc/self/ns/net does not exist",
    (c) => namespace(c, "network", "proc/self/ns/net"),
    ONE_LINE,
  ),
  {
    name: "a file as network namespace, for a checkpoint that has its own",
    make: ({ bundle, path }) => {
      writeFileSync(path, "");
      bundle.edit((c) => namespace(c, "network", path));
      return {};
    },
    status: 0,
    differs:
      "thaw warns that the container has namespaces of its own, as at the checkpoint; runc is silent",
  },
  refused("a cgroup namespace to join", "Do not know how to handle namespace NEWCGROUP", (c) =>
    namespace(c, "cgroup", "/proc/self/ns/cgroup"),
  ),
  refused(
    "a user namespace without mappings",
    "user namespaces enabled, but no uid mappings",
    (c) => namespace(c, "user", ""),
  ),
  refused("a user namespace without group mappings", "user namespaces enabled, but no gid", (c) => {
    mapped(c);
    delete c.linux.gidMappings;
  }),
  refused(
    "a user namespace of empty mappings",
    "user namespaces enabled, but no uid mappings",
    (c) => {
      mapped(c);
      c.linux.uidMappings = [];
    },
  ),
  refused("a user namespace that does not map root", /no mapping/i, (c) => {
    mapped(c);
    c.linux.uidMappings[0].containerID = 1000;
  }),
  refused("time offsets without a time namespace", "time namespace offsets specified, but", (c) => {
    c.linux.timeOffsets = { monotonic: { secs: 1 } };
  }),
  refused(
    "time offsets for a time namespace to join",
    "time namespace enabled, but both namespace path and time offsets specified",
    (c) => {
      namespace(c, "time", "/proc/self/ns/time");
      c.linux.timeOffsets = { monotonic: { secs: 1 } };
    },
  ),
  {
    name: "mappings without a user namespace",
    make: edit((c) => {
      mapped(c);
      namespace(c, "user");
    }),
    status: 0,
  },
];

const EMPTY: readonly Row[] = [
  ...["pid", "network,pid", "", "Network"].map((name) => ({
    name: `--empty-ns ${JSON.stringify(name)}`,
    of: ["empty-ns"],
    make: (): Call => ({ flags: ["--empty-ns", name] }),
    status: 1,
    says: `namespace ${JSON.stringify(name)} is not supported`,
  })),
  {
    name: "--empty-ns network",
    of: ["empty-ns"],
    make: () => ({ flags: ["--empty-ns", "network"] }),
    status: 0,
  },
];

/** Rows of namespaces. */
export const namespaceRows: readonly Row[] = [...RESTORED, ...PIDS, ...REFUSED, ...EMPTY];
