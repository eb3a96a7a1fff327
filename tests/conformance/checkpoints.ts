/** The checkpoints that rows restore copies of, each made once and only when a row needs it. @module */

import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, type Json, Lab, must, run, waitFor } from "../support/lab.ts";
import { untilListening } from "../support/steady.ts";

type Edit = (config: Json) => void;

/** Runs without starting new processes, so that traces stay the same. */
export const STILL = "echo 1 > /tmp/n; while :; do sleep 100001; done";
const LAST = "sleep\u0000100001\u0000";

/** Waits until the last process that STILL starts is there: before, the next one is on its way. */
export function waitUntilStill(lab: Lab, id: string): void {
  const procs = join(lab.state(id).cgroup_paths.devices, "cgroup.procs");
  const commandOf = (pid: string) => run(["cat", `/proc/${pid}/cmdline`]).stdout;
  const isStill = () =>
    readFileSync(procs, "utf8")
      .split("\n")
      .some((pid) => pid !== "" && commandOf(pid) === LAST);
  waitFor(isStill, `${id} to stand still`);
}

/** A TCP connection; runc raises the loopback interface of a new network namespace. */
const connection = (address: string) => `sleep 100000 | nc -l -p 5555 > /tmp/got &
  ${untilListening(5555)}
  (echo hello; sleep 100000) | nc ${address} 5555 &
  until [ -s /tmp/got ]; do sleep 0.05; done; ${STILL}`;
const CONNECTED = connection("127.0.0.1");

/** An address that the container has given itself, and a connection over it. */
export const OWN_ADDRESS = "10.99.99.1";
const ADDRESSED = `busybox ip address add ${OWN_ADDRESS}/32 dev lo; ${connection(OWN_ADDRESS)}`;

const allow =
  (capability: string): Edit =>
  (config) => {
    for (const set of ["bounding", "effective", "permitted"])
      config.process.capabilities[set].push(capability);
    delete config.process.apparmorProfile;
  };

/** A checkpoint and the bundle it was made of. */
export interface Checkpoint {
  readonly bundle: Bundle;
  readonly image: string;
}

/** What keeps a checkpoint's surroundings alive. */
export interface Around {
  readonly lab: Lab;
  /** Namespaces that a path leads to. */
  readonly namespaces: DisposableStack;
}

/** Removes a namespace from config.json, or gives it a path. */
export function namespace(config: Json, type: string, path?: string): void {
  config.linux.namespaces = config.linux.namespaces.filter((ns: Json) => ns.type !== type);
  if (path !== undefined) config.linux.namespaces.push({ type, ...(path === "" ? {} : { path }) });
}

/** Every user and group of the container is another one of the host. */
export const mapped: Edit = (config) => {
  namespace(config, "user", "");
  config.linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
  config.linux.gidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
};

function made(
  { lab }: Around,
  script = STILL,
  edit?: Edit,
  flags: readonly string[] = [],
): Checkpoint {
  const bundle = lab.bundle(script, edit);
  const id = lab.id();
  lab.start(bundle, id);
  if (script.endsWith(STILL)) waitUntilStill(lab, id);
  return { bundle, image: lab.checkpoint(id, flags) };
}

/** A namespace of its own, held by a process; its path. */
function held({ namespaces }: Around, type: string, flag: string): string {
  const holder = Bun.spawn(["unshare", flag, "sleep", "100000"]);
  namespaces.defer(() => holder.kill("SIGKILL"));
  // It has another name once it has its namespace.
  waitFor(() => readFileSync(`/proc/${holder.pid}/comm`, "utf8") === "sleep\n", "a namespace");
  return `/proc/${holder.pid}/ns/${type}`;
}

/** A network namespace with a name; its path. */
function named({ lab, namespaces }: Around): string {
  const name = lab.id();
  must(run(["ip", "netns", "add", name]));
  namespaces.defer(() => run(["ip", "netns", "delete", name]));
  return `/var/run/netns/${name}`;
}

const withPath = (around: Around, type: string, path: string) =>
  made(around, STILL, (config) => namespace(config, type, path));
const without = (around: Around, ...types: readonly string[]) =>
  made(around, STILL, (config) => {
    for (const type of types) namespace(config, type);
  });

const MAKERS = {
  still: (around: Around) => made(around),
  /** Ends with 7 once there is /tmp/end. */
  ending: (around: Around) =>
    made(around, "echo 1 > /tmp/n; until [ -e /tmp/end ]; do sleep 0.1; done; echo out; exit 7"),
  connected: (around: Around) => made(around, CONNECTED, undefined, ["--tcp-established"]),
  addressed: (around: Around) =>
    made(around, ADDRESSED, allow("CAP_NET_ADMIN"), ["--tcp-established"]),
  closed(around: Around) {
    const file = join(around.lab.path, "tcp-close.conf");
    writeFileSync(file, "tcp-close\n");
    const annotate = (value: string) => (config: Json) => {
      config.annotations = { "org.criu.config": value };
    };
    return made(around, CONNECTED, annotate(file));
  },
  /** A tmpfs that the container mounted itself. */
  inner: (around: Around) =>
    made(around, `mkdir /inner; mount -t tmpfs none /inner; ${STILL}`, allow("CAP_SYS_ADMIN")),
  volume(around: Around) {
    const volume = join(around.lab.path, "volume");
    mkdirSync(volume);
    const mount = { destination: "/data", source: volume, type: "bind", options: ["rbind"] };
    return made(around, STILL, (config) => config.mounts.push(mount));
  },
  filtered: (around: Around) =>
    made(around, STILL, (config) => {
      config.linux.seccomp = {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [{ names: ["keyctl"], action: "SCMP_ACT_ERRNO" }],
      };
    }),
  large: (around: Around) =>
    made(around, `x=$(dd if=/dev/zero bs=1048576 count=40 | busybox tr '\\0' a); ${STILL}`),
  locked: (around: Around) =>
    made(around, `exec 9> /tmp/lock; busybox flock 9 true; busybox flock 9; ${STILL}`, undefined, [
      "--file-locks",
    ]),
  "network path": (around: Around) => withPath(around, "network", named(around)),
  "ipc path": (around: Around) => withPath(around, "ipc", held(around, "ipc", "-i")),
  "uts path": (around: Around) => withPath(around, "uts", held(around, "uts", "-u")),
  "pid path": (around: Around) => withPath(around, "pid", held(around, "pid_for_children", "-p")),
  "time path": (around: Around) =>
    withPath(around, "time", held(around, "time_for_children", "-T")),
  "mount path": (around: Around) => withPath(around, "mount", held(around, "mnt", "-m")),
  "host's network": (around: Around) => without(around, "network"),
  "host's ipc": (around: Around) => without(around, "ipc"),
  "host's uts": (around: Around) =>
    made(around, STILL, (config) => {
      namespace(config, "uts");
      delete config.hostname;
    }),
  /** It still runs; what `where` in the bundle holds ends it: `--root` and id. */
  "host's pids"(around: Around) {
    const bundle = around.lab.bundle(STILL, (config) => namespace(config, "pid"));
    const id = around.lab.id();
    around.lab.start(bundle, id);
    waitUntilStill(around.lab, id);
    writeFileSync(join(bundle.path, "where"), JSON.stringify({ root: around.lab.root, id }));
    return { bundle, image: around.lab.checkpoint(id, ["--leave-running"]) };
  },
  /** It still runs, in a root that `where` in the bundle tells, with its id. */
  running(around: Around) {
    const bundle = around.lab.bundle(STILL);
    const id = around.lab.id();
    around.lab.start(bundle, id);
    waitUntilStill(around.lab, id);
    writeFileSync(join(bundle.path, "where"), JSON.stringify({ root: around.lab.root, id }));
    return { bundle, image: bundle.path };
  },
  /** Created and not started; likewise. */
  created(around: Around) {
    const bundle = around.lab.bundle(STILL);
    const [root, id] = [join(around.lab.path, "created"), around.lab.id()];
    const argv = ["runc", "--root", root, "create", "--bundle", bundle.path, id];
    must(run(["sh", "-c", 'exec "$@" </dev/null >/dev/null 2>&1', "sh", ...argv]));
    around.namespaces.defer(() => run(["runc", "--root", root, "delete", "--force", id]));
    writeFileSync(join(bundle.path, "where"), JSON.stringify({ root, id }));
    return { bundle, image: bundle.path };
  },
  "cgroup namespace": (around: Around) => withPath(around, "cgroup", ""),
  "time namespace": (around: Around) =>
    made(around, STILL, (config) => {
      namespace(config, "time", "");
      config.linux.timeOffsets = {
        monotonic: { secs: 1000, nanosecs: 7 },
        boottime: { secs: 500 },
      };
    }),
  "user namespace"(around: Around) {
    chmodSync(around.lab.path, 0o755);
    const bundle = around.lab.bundle(STILL, mapped);
    chownSync(join(bundle.rootfs, "tmp"), 100000, 100000);
    const id = around.lab.id();
    around.lab.start(bundle, id);
    waitUntilStill(around.lab, id);
    return { bundle, image: around.lab.checkpoint(id) };
  },
  notify(around: Around) {
    const bundle = around.lab.bundle(STILL);
    mkdirSync(join(bundle.rootfs, "run"));
    const id = around.lab.id();
    const argv = ["runc", "--root", around.lab.root, "run", "-d", "--bundle", bundle.path, id];
    const { exitCode } = Bun.spawnSync(argv, {
      env: { ...process.env, NOTIFY_SOCKET: "/nonexistent" },
      stdio: ["ignore", "ignore", "ignore"],
    });
    if (exitCode !== 0) throw new Error(`runc run ${id}: status ${exitCode}`);
    waitFor(() => existsSync(join(bundle.rootfs, "tmp/n")), "the container to start");
    waitUntilStill(around.lab, id);
    return { bundle, image: around.lab.checkpoint(id) };
  },
} satisfies Record<string, (around: Around) => Checkpoint>;

/** Names of checkpoints. */
export type CheckpointName = keyof typeof MAKERS;

/** All checkpoints made so far, with what they need. */
export class Checkpoints implements Disposable {
  readonly #around: Around = { lab: new Lab(), namespaces: new DisposableStack() };
  readonly #made = new Map<CheckpointName, Checkpoint>();

  /** The checkpoint of that name; do not change it, copy it. */
  get(name: CheckpointName): Checkpoint {
    let checkpoint = this.#made.get(name);
    if (checkpoint === undefined) {
      checkpoint = MAKERS[name](this.#around);
      this.#made.set(name, checkpoint);
    }
    return checkpoint;
  }

  [Symbol.dispose](): void {
    this.#around.namespaces.dispose();
    this.#around.lab[Symbol.dispose]();
  }
}
