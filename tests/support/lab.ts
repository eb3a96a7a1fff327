/**
 * Real containers for tests: bundles, runc, checkpoints, and what must be the same afterwards.
 *
 * Everything lies in one directory under /tmp that goes away with the lab, never through a mount.
 *
 * @module
 */

import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

/** The thaw under test; `THAW=$(command -v runc)` points the same tests at runc. */
export const THAW = process.env["THAW"] ?? join(import.meta.dir, "../../dist/thaw");

/** config.json, loosely typed: tests break it on purpose. */
// biome-ignore lint/suspicious/noExplicitAny: a JSON document
export type Json = any;

/** How a program ended. */
export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** It was killed as it took too long. */
  readonly timedOut?: true;
}

/** How to run a program. */
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Record<string, string | undefined>;
  /** Milliseconds; then SIGKILL. */
  readonly timeout?: number;
}

/** Runs a program to its end with /dev/null as standard input. */
export function run(argv: readonly string[], options: RunOptions = {}): Ran {
  const done = Bun.spawnSync([...argv], {
    cwd: options.cwd ?? "/",
    env: { ...process.env, ...options.env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: options.timeout ?? 60_000,
    killSignal: "SIGKILL",
  });
  return {
    status: done.exitCode ?? 128,
    stdout: done.stdout.toString(),
    stderr: done.stderr.toString(),
    ...(done.exitedDueToTimeout ? { timedOut: true } : {}),
  };
}

/** A bundle on disk. */
export interface Bundle {
  readonly path: string;
  readonly rootfs: string;
  /** config.json as it is now. */
  config(): Json;
  /** Changes config.json. */
  edit(change: (config: Json) => void): void;
  /** What the counter in the container has reached; 0 before it starts. */
  count(): number;
}

/**
 * A shell that counts in /tmp/n, every 100 ms. It starts few programs, as a shell caught between
 * vfork and exec cannot be dumped, and the file keeps its size, which CRIU compares when the
 * checkpoint has caught it open.
 */
export const COUNTER = "i=0; while :; do i=$((i+1)); printf %08d $i 1<>/tmp/n; sleep 0.1; done";

/** The bundle in a directory. */
export function openBundle(path: string): Bundle {
  const rootfs = join(path, "rootfs");
  const file = join(path, "config.json");
  const config = () => JSON.parse(readFileSync(file, "utf8"));
  return {
    path,
    rootfs,
    config,
    edit: (edit) => {
      const now = config();
      edit(now);
      writeFileSync(file, JSON.stringify(now, null, 2));
    },
    count: () => {
      const counted = join(rootfs, "tmp/n");
      // Empty while it is being written, and for good when it was checkpointed just then.
      for (let tries = 0; tries < 20 && existsSync(counted); tries++) {
        const text = readFileSync(counted, "utf8");
        if (text !== "") return Number(text);
        Bun.sleepSync(10);
      }
      return 0;
    },
  };
}

/** A directory for one test, and the containers in it. */
export class Lab implements Disposable {
  readonly path = mkdtempSync("/tmp/thaw-lab-");
  /** `--root` of all runtimes here. */
  readonly root = join(this.path, "root");
  readonly #ids = new Set<string>();
  /** Options before every command. */
  readonly globals: readonly string[];
  #next = 0;

  /** @param globals options before the command for every runtime here, such as --systemd-cgroup */
  constructor(globals: readonly string[] = []) {
    this.globals = globals;
  }

  /** An id no other lab uses, so that cgroups do not clash. */
  id(): string {
    return `${this.path.slice(5)}-${this.#next++}`;
  }

  /** Makes a bundle whose container runs a shell script. */
  bundle(script = COUNTER, change?: (config: Json) => void): Bundle {
    const path = join(this.path, `bundle${this.#next++}`);
    const rootfs = join(path, "rootfs");
    for (const name of ["bin", "proc", "sys", "dev", "tmp", "etc"])
      mkdirSync(join(rootfs, name), { recursive: true });
    const busybox = Bun.which("busybox");
    if (busybox === null) throw new Error("busybox is not on PATH: use npm test");
    copyFileSync(busybox, join(rootfs, "bin/busybox"));
    chmodSync(join(rootfs, "bin/busybox"), 0o755);
    for (const name of [
      "sh",
      "sleep",
      "cat",
      "echo",
      "mv",
      "ls",
      "mount",
      "nc",
      "dd",
      "rm",
      "mkdir",
      "tail",
      "httpd",
      "mkfifo",
    ])
      symlinkSync("busybox", join(rootfs, "bin", name));
    must(run(["runc", "spec", "--bundle", path]));
    const bundle = openBundle(path);
    bundle.edit((c) => {
      c.process.terminal = false;
      c.process.args = ["sh", "-c", script];
      c.root.readonly = false;
      change?.(c);
    });
    return bundle;
  }

  /** `runc run -d` with /dev/null as stdio; waits for a file in the rootfs. */
  start(bundle: Bundle, id: string, ready = "tmp/n"): void {
    this.#ids.add(id);
    const runc = ["runc", "--root", this.root, ...this.globals];
    const argv = [...runc, "run", "-d", "--bundle", bundle.path, id];
    const log = join(this.path, "runc-run.err");
    const file = join(bundle.rootfs, ready);
    if (ready === "tmp/n") rmSync(file, { force: true }); // an earlier container's
    const done = Bun.spawnSync(["sh", "-c", 'exec "$@" >/dev/null 2>/dev/null', "sh", ...argv], {
      cwd: "/",
      stdin: "ignore",
      timeout: 30_000,
    });
    if (done.exitCode !== 0) throw new Error(`runc run ${id}: status ${done.exitCode} ${log}`);
    const isReady = () => statSync(file, { throwIfNoEntry: false }) !== undefined;
    const hasCounted = () => (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 0;
    waitFor(ready === "tmp/n" ? hasCounted : isReady, `${ready} in ${id}`);
    // The file may be an earlier container's.
    const init = `/proc/${this.state(id).init_process_pid}/cmdline`;
    waitFor(() => !existsSync(init) || !readFileSync(init, "utf8").startsWith("runc"), id);
  }

  /** Runs a container, checkpoints it, and returns the image directory. */
  checkpointed(bundle: Bundle, id: string, flags: readonly string[] = [], ready?: string): string {
    this.start(bundle, id, ready);
    return this.checkpoint(id, flags);
  }

  /** `runc checkpoint`, or thaw's; the container is gone afterwards, unless the flags leave it. */
  checkpoint(id: string, flags: readonly string[] = [], by: "runc" | "thaw" = "runc"): string {
    const image = join(this.path, `image${this.#next++}`);
    mkdirSync(image, { mode: 0o755 });
    const dump = () => this[by](["checkpoint", "--image-path", image, ...flags, id]);
    let ran = dump();
    // A shell caught between vfork and exec cannot be seized: CRIU gives up after ten seconds.
    for (let tries = 0; tries < 3 && ran.stderr.includes("Timeout reached"); tries++) ran = dump();
    must(ran);
    return image;
  }

  /** Runs runc on this lab's root. */
  runc(args: readonly string[], options: RunOptions = {}): Ran {
    return run(["runc", "--root", this.root, ...this.globals, ...args], options);
  }

  /** Runs thaw on this lab's root. */
  thaw(args: readonly string[], options: RunOptions = {}): Ran {
    for (const word of args) if (word.startsWith(this.path.slice(5))) this.#ids.add(word);
    return run([THAW, "--root", this.root, ...this.globals, ...args], options);
  }

  /** `thaw restore -d` of an image, with more flags before the id. */
  restore(
    bundle: Bundle,
    image: string,
    id: string,
    flags: readonly string[] = [],
    options: RunOptions = {},
  ): Ran {
    const args = ["restore", "-d", "--bundle", bundle.path, "--image-path", image, ...flags, id];
    return this.thaw(args, options);
  }

  /** state.json of a container. */
  state(id: string): Json {
    return JSON.parse(readFileSync(join(this.root, id, "state.json"), "utf8"));
  }

  /** `runc state`, or undefined when runc knows no such container. */
  status(id: string): string | undefined {
    const { status, stdout } = this.runc(["state", id]);
    return status === 0 ? JSON.parse(stdout).status : undefined;
  }

  /** Ends a container; it need not exist. */
  delete(id: string): void {
    refuseMounts(join(this.root, id));
    const cgroups = this.#cgroups(id);
    if (this.runc(["delete", "--force", "--", id]).status === 0) removeLate(cgroups);
  }

  #cgroups(id: string): string[] {
    try {
      return Object.values(this.state(id).cgroup_paths);
    } catch {
      return []; // there is no such container, or a test has damaged it
    }
  }

  [Symbol.dispose](): void {
    for (const id of new Set([...this.#ids, ...list(this.root)])) this.delete(id);
    for (const mount of mountsBelow(this.path).reverse()) run(["umount", "-l", mount]);
    // A killed restore leaves empty cgroups, which `runc delete` knows nothing of; so do callers.
    const cgroups = [
      "find",
      "/sys/fs/cgroup",
      "-depth",
      "-type",
      "d",
      "-path",
      `*/${this.path.slice(5)}*`,
    ];
    removeLate(run(cgroups).stdout.split("\n"));
    refuseMounts(this.path);
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A network namespace by name, gone with the test. */
export function networkNamespace(name: string): Disposable & { name: string; path: string } {
  must(run(["ip", "netns", "add", name]));
  return {
    name,
    path: `/var/run/netns/${name}`,
    [Symbol.dispose]: () => run(["ip", "netns", "delete", name]),
  };
}

/** Throws what a program said when it failed. */
export function must(ran: Ran): Ran {
  if (ran.status !== 0) throw new Error(`status ${ran.status}: ${ran.stderr}${ran.stdout}`);
  return ran;
}

/** Waits for a condition, at most half a minute: a machine may be busy with more than these tests. */
export function waitFor(condition: () => boolean, what: string, milliseconds = 30_000): void {
  const start = performance.now();
  while (!condition()) {
    if (performance.now() - start > milliseconds) throw new Error(`waited in vain for ${what}`);
    Bun.sleepSync(10);
  }
}

/** The counter goes on: it is larger than `than` soon. */
export function countsOn(bundle: Bundle, than: number): boolean {
  waitFor(() => bundle.count() > than, `the counter to pass ${than}`);
  return true;
}

/** Mount points in this process's namespace below a directory. */
export function mountsBelow(path: string): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((mount) => mount.startsWith(`${path}/`));
}

// A cgroup may be busy for a moment after its last process has ended; runc then forgets it.
function removeLate(cgroups: readonly string[]): void {
  for (let tries = 0; tries < 20; tries++) {
    const left = cgroups.filter((path) => path.startsWith("/sys/fs/cgroup/") && existsSync(path));
    if (left.length === 0) return;
    if (tries > 0) Bun.sleepSync(100);
    run(["rmdir", ...left]);
  }
}

// Deleting recursively through a mount erases what is mounted.
function refuseMounts(path: string): void {
  const mounts = mountsBelow(path);
  if (mounts.length > 0) throw new Error(`mounts are left: ${mounts.join(" ")}`);
}

/** Everything a restore might leave behind, as text lines to compare. */
export function traces(lab: Lab): string[] {
  return [
    ...readFileSync("/proc/self/mountinfo", "utf8").split("\n"),
    ...cgroupDirectories("/sys/fs/cgroup").filter((path) => path.includes(lab.path.slice(5))),
    ...list(lab.root).map((name) => `state ${name}`),
    ...criuDirectories().map((name) => `/tmp/${name}`),
    ...processesOf(lab).map((line) => `process ${line}`),
  ].sort();
}

/** CRIU's temporary directories known to stay: each is waited for once, not in every test. */
const staying = new Set<string>();

/** CRIU's temporary directories that stay: one of a CRIU at work elsewhere is gone in a moment. */
function criuDirectories(): string[] {
  const found = () => list("/tmp").filter((name) => name.startsWith(".criu"));
  const first = found();
  if (first.some((name) => !staying.has(name))) Bun.sleepSync(2000);
  const stay = found().filter((name) => first.includes(name));
  for (const name of stay) staying.add(name);
  return stay;
}

function list(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

function cgroupDirectories(root: string): string[] {
  return run(["find", root, "-mindepth", "2", "-type", "d"]).stdout.split("\n").filter(Boolean);
}

/** CRIU, thaw and container processes that belong to this lab and are not zombies. */
export function processesOf(lab: Lab): string[] {
  const found: string[] = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    if (Number(pid) === process.pid) continue;
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const state = stat.slice(stat.lastIndexOf(")") + 2)[0];
      const cgroup = readFileSync(`/proc/${pid}/cgroup`, "utf8");
      const cwd = readlinkSync(`/proc/${pid}/cwd`);
      const ours =
        command.includes(lab.path) ||
        cgroup.includes(lab.path.slice(5)) ||
        cwd.startsWith(lab.path);
      if (ours && state !== "Z" && !command.startsWith("find "))
        found.push(`${pid} ${command.trim()}`);
    } catch (error) {
      // ENOENT or ESRCH: it ended meanwhile.
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    }
  }
  return found;
}
