/**
 * A host of its own inside of this one, for programs that want a whole one: containerd and Podman.
 *
 * It has its own processes, mounts, /run and network, and what is written to /etc and /usr/local
 * stays there. It ends with the test, however that ends: when its first process is killed, the
 * kernel kills the rest, and mounts and network go with them. Cgroups are the machine's; only the
 * directory of the v1 hierarchies is its own, as Podman makes directories there for those that are not
 * mounted.
 *
 * @module
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { must, type Ran, type RunOptions, run, waitFor } from "./lab.ts";

/** Debian suites whose containerd and Podman are tested: the oldest in use, and the newest. */
export const SUITES = ["bookworm", "sid"] as const;

/** One of {@link SUITES}. */
export type Suite = (typeof SUITES)[number];

// Its first process must outlive all others, and collect those nobody waits for, as a shell does.
const INIT = `set -e
mount -t tmpfs none /run
for directory in etc usr/local; do
  layers=/run/layers/$directory
  mkdir -p $layers/upper $layers/work
  mount -t overlay -o lowerdir=/$directory,upperdir=$layers/upper,workdir=$layers/work none /$directory
done
if [ "$(stat -f -c %T /sys/fs/cgroup)" = tmpfs ]; then
  mkdir /run/cgroup && mount -t tmpfs none /run/cgroup
  for entry in /sys/fs/cgroup/*; do
    copy=/run/cgroup/\${entry##*/}
    if mountpoint -q "$entry"; then mkdir "$copy" && mount --bind "$entry" "$copy"
    elif [ -h "$entry" ]; then cp -P "$entry" "$copy"; fi
  done
  mount --move /run/cgroup /sys/fs/cgroup && rmdir /run/cgroup
fi
ip link set lo up
: >/run/ready
sleep infinity
:`;

/** Such a host; disposing ends it. */
export class Host implements Disposable {
  readonly #unshare: Bun.Subprocess;
  readonly #pid: number;
  readonly #env: Record<string, string>;
  readonly #clean: readonly string[];

  /**
   * Starts it.
   *
   * @param suite whose containerd and Podman are on PATH, fetched on first use (callers.sh)
   * @param env environment of everything that is run there, besides PATH
   */
  constructor(suite?: Suite, env: Record<string, string> = {}) {
    this.#env = {
      ...env,
      PATH: `/usr/local/sbin:${suite ? programs(suite) : "/usr/local/bin"}:${process.env["PATH"]}`,
    };
    const namespaces = ["-m", "-n", "-p", "--propagation", "private", "--mount-proc"];
    const unshare = ["unshare", ...namespaces, "--fork", "--kill-child", "sh", "-c", INIT];
    // A test that is killed takes it along.
    this.#unshare = Bun.spawn(["setpriv", "--pdeathsig", "KILL", ...unshare], {
      cwd: "/",
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
    this.#pid = this.#init();
    this.#clean = this.traces();
  }

  #init(): number {
    const { pid } = this.#unshare;
    const child = () => Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8"));
    waitFor(() => child() > 0, "a host's first process");
    const init = child();
    waitFor(() => existsSync(`/proc/${init}/root/run/ready`), "a host to be ready");
    return init;
  }

  /** Writes a file there, for example into /etc. */
  write(path: string, text: string, mode = 0o644): void {
    const file = `/proc/${this.#pid}/root${path}`;
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text, { mode });
  }

  /** Path of its network namespace. */
  get network(): string {
    return `/proc/${this.#pid}/ns/net`;
  }

  /** The command line that runs a command there. */
  enter(argv: readonly string[]): string[] {
    return ["nsenter", "-t", String(this.#pid), "-m", "-n", "-p", "--", ...argv];
  }

  /** Runs a command there to its end. */
  run(argv: readonly string[], options: RunOptions = {}): Ran {
    return run(this.enter(argv), { ...options, env: { ...this.#env, ...options.env } });
  }

  /** Starts a command there; it ends with the host. */
  start(argv: readonly string[], log: string): Bun.Subprocess {
    return Bun.spawn(this.enter(argv), {
      cwd: "/",
      env: { ...process.env, ...this.#env },
      stdin: "ignore",
      stdout: Bun.file(log),
      stderr: Bun.file(log),
    });
  }

  /** Processes, mounts, sockets and files that were not there when it started. */
  leftovers(): string[] {
    return this.traces().filter((trace) => !this.#clean.includes(trace));
  }

  /** Everything a container may leave on a host, as text lines. */
  traces(): string[] {
    const look = [
      `ps -e -o pid=,ppid=,stat=,comm= | awk -v me=$$ '$1 != me && $2 != me && $3 !~ /Z/ { print $1, $4 }'`,
      "cut -d' ' -f4,5 /proc/self/mountinfo",
      "find /run -path /run/layers -prune -o \\( -type f -o -type s -o -type p \\) -print",
      "ip -o link | cut -d: -f2",
    ];
    return must(this.run(["sh", "-c", look.join("; ")])).stdout.split("\n");
  }

  [Symbol.dispose](): void {
    if (isAlive(this.#pid)) process.kill(this.#pid, "SIGKILL");
    waitFor(() => !isAlive(this.#pid), "a host to end");
  }
}

function programs(suite: Suite): string {
  const script = join(import.meta.dir, "callers.sh");
  return must(run(["sh", script, suite], { timeout: 600_000 })).stdout.trim();
}

/** Whether a process runs; a zombie does not. */
function isAlive(pid: number): boolean {
  const stat = run(["cat", `/proc/${pid}/stat`]).stdout;
  return stat !== "" && stat.slice(stat.lastIndexOf(")") + 2)[0] !== "Z";
}
