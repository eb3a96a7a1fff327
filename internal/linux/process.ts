/** Processes: starting, waiting, killing, and telling one from another. @module */

import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { ThawError } from "../errors/errors.ts";
import { expectEnd } from "./end.ts";
import { duplicate, owned } from "./fd.ts";
import { check, cstring, cstringArray, EINTR, errno, libc, memory, SyscallError } from "./libc.ts";
import { procText } from "./proc.ts";
import { type Interrupts, POLLIN, SIGKILL, waitReady } from "./signal.ts";
import { callersEnvironment, callersMask, MASK_VARIABLE } from "./signalfd.ts";

const POSIX_SPAWN_SETPGROUP = 2;
const POSIX_SPAWN_SETSIGDEF = 4;
const POSIX_SPAWN_SETSIGMASK = 8;
const POSIX_SPAWN_SETSID = 0x80;
const WNOHANG = 1;
const RLIMIT_NOFILE = 7;
const SYS_pidfd_open = 434;
const PR_SET_CHILD_SUBREAPER = 36;
const ALL_SIGNALS = (1n << 64n) - 1n;
const SIGCHLD = 17;
// The caller had these at their defaults (bit N-1 for signal N). Bun ignores SIGPIPE and SIGXFSZ at
// start, and posix_spawn(3) would leave glibc's own two, 32 and 33, ignored in the child.
const BACK_TO_DEFAULT = (1n << 12n) | (1n << 24n) | (1n << 31n) | (1n << 32n);

/** What to start and what it gets; everything not named here is inherited from the caller. */
export interface SpawnOptions {
  /** Absolute path of the executable. */
  readonly file: string;
  /** argv, argv[0] included. */
  readonly argv: readonly string[];
  /** `NAME=value` strings. */
  readonly env: readonly (string | Buffer)[];
  /** Give it a process group of its own, which `kill()` ends as a whole. */
  readonly ownGroup?: boolean;
  /** Give it a session of its own: what is typed at the caller's terminal does not reach it. */
  readonly ownSession?: boolean;
  /** Ignore no signal that the caller ignores. */
  readonly ownDispositions?: boolean;
  /** The child's descriptors: index is the number there, value the descriptor here. */
  readonly fds: readonly number[];
}

/** How a process ended. */
export interface ExitStatus {
  /** The exit code, or 128 plus the signal, as shells and runc report it. */
  readonly code: number;
  /** Go's words for it: `exit status 7` or `signal: killed`. */
  readonly text: string;
}

/** A child of ours; it is never left behind as a zombie. */
export interface Child {
  readonly pid: number;
  /** A pidfd: readable when the process has ended. */
  readonly pidfd: number;
  /** The status once it has ended and been reaped, else undefined. */
  readonly status: ExitStatus | undefined;
  /**
   * SIGKILL, then a wait of a few seconds. Does nothing once reaped.
   *
   * @throws ThawError when it does not end: it is in a frozen cgroup, or in state D
   */
  kill(): void;
  /** Waits without blocking signals; undefined when the time is up. */
  wait(options: {
    doing: string;
    interrupts?: Interrupts | undefined;
    timeout?: number;
  }): Promise<ExitStatus | undefined>;
  /** Blocks until it has ended, and reaps it. */
  reap(): ExitStatus;
  /** Closes the pidfd; the process is left alone. */
  release(): void;
}

/**
 * Starts a program (posix_spawn(3)) with the caller's signal dispositions and mask.
 *
 * @throws SyscallError `exec FILE: …`
 */
export function spawn(options: SpawnOptions): Child {
  using scope = new DisposableStack();
  libc.signal(SIGCHLD, 0n); // where the caller ignores it, there would be nobody to wait for
  const actions = memory(256);
  check(libc.posix_spawn_file_actions_init(actions.bytes), "posix_spawn_file_actions_init");
  scope.defer(() => libc.posix_spawn_file_actions_destroy(actions.bytes));
  options.fds.forEach((fd, number) => {
    // Copied out of the way first, so that no number is overwritten before it is used.
    const source = scope.use(duplicate(fd, options.fds.length + 16));
    libc.posix_spawn_file_actions_adddup2(actions.bytes, source.fd, number);
  });
  const attributes = memory(512);
  libc.posix_spawnattr_init(attributes.bytes);
  scope.defer(() => libc.posix_spawnattr_destroy(attributes.bytes));
  const defaults = memory(128);
  const all = options.ownDispositions === true;
  defaults.view.setBigUint64(0, all ? ALL_SIGNALS : BACK_TO_DEFAULT, true);
  libc.posix_spawnattr_setsigdefault(attributes.bytes, defaults.bytes);
  const mask = memory(128);
  mask.view.setBigUint64(0, callersMask(), true);
  libc.posix_spawnattr_setsigmask(attributes.bytes, mask.bytes);
  const group = options.ownGroup === true ? POSIX_SPAWN_SETPGROUP : 0; // its own: the default is 0
  const session = options.ownSession === true ? POSIX_SPAWN_SETSID : 0;
  const flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | group | session;
  libc.posix_spawnattr_setflags(attributes.bytes, flags);
  const argv = cstringArray(options.argv);
  const env = cstringArray(options.env);
  const pid = memory(4);
  const file = cstring(options.file);
  const failed = libc.posix_spawn(
    pid.bytes,
    file,
    actions.bytes,
    attributes.bytes,
    argv.bytes,
    env.bytes,
  );
  // The strings must outlive the call; reading them here keeps them.
  if (failed !== 0 || argv.owned.length + env.owned.length === 0)
    throw new SyscallError(`exec ${options.file}`, failed);
  const started = pid.view.getInt32(0, true);
  try {
    return childOf(started, options.ownGroup === true);
  } catch (error) {
    libc.kill(started, SIGKILL); // nobody else knows of it
    waitpid(started);
    throw error;
  }
}

/**
 * Takes charge of a child that exists already: the init that CRIU made our child.
 *
 * @throws ThawError when the process is not our child: we may come to kill it
 */
export function adopt(pid: number): Child {
  if (!children().includes(pid))
    throw new ThawError(`criu says that init is process ${pid}, which is not a child of thaw`);
  return childOf(pid, false);
}

function childOf(pid: number, ownsGroup: boolean): Child {
  const opened = Number(libc.syscall(SYS_pidfd_open, pid, 0, 0, 0));
  const pidfd = owned(check(opened, `pidfd_open ${pid}`));
  let status: ExitStatus | undefined;
  const reap = (): ExitStatus => {
    status ??= waitpid(pid);
    pidfd.close();
    return status;
  };
  return {
    pid,
    pidfd: pidfd.fd,
    get status() {
      return status;
    },
    kill: () => {
      if (status !== undefined) return;
      if (ownsGroup) libc.kill(-pid, SIGKILL);
      libc.kill(pid, SIGKILL);
      expectEnd(pid, pidfd.fd);
      reap();
    },
    wait: async (options) => {
      if (status !== undefined) return status;
      const { doing, interrupts, timeout } = options;
      const watch = [{ fd: pidfd.fd, events: POLLIN }];
      const events = await waitReady(watch, { doing, interrupts, timeout });
      return events[0] === 0 ? undefined : reap();
    },
    reap,
    release: () => pidfd.close(),
  };
}

function waitpid(pid: number): ExitStatus {
  const raw = memory(4);
  for (;;) {
    if (libc.waitpid(pid, raw.bytes, 0) !== -1) return exitStatus(raw.view.getInt32(0, true));
    const reason = errno();
    if (reason !== EINTR) return { code: 255, text: `wait ${pid}: errno ${reason}` };
  }
}

/** Decodes a status of waitpid(2). */
export function exitStatus(raw: number): ExitStatus {
  const signal = raw & 0x7f;
  if (signal !== 0) {
    const core = (raw & 0x80) === 0 ? "" : " (core dumped)";
    return { code: 128 + signal, text: `signal: ${SIGNALS[signal] ?? `signal ${signal}`}${core}` };
  }
  const code = (raw >> 8) & 0xff;
  return { code, text: `exit status ${code}` };
}

// Go's names (syscall package).
const SIGNALS: Record<number, string> = {
  1: "hangup",
  2: "interrupt",
  3: "quit",
  4: "illegal instruction",
  5: "trace/breakpoint trap",
  6: "aborted",
  7: "bus error",
  8: "floating point exception",
  9: "killed",
  10: "user defined signal 1",
  11: "segmentation fault",
  12: "user defined signal 2",
  13: "broken pipe",
  14: "alarm clock",
  15: "terminated",
  31: "bad system call",
};

/**
 * The children of this thread, zombies included (proc(5), children; CONFIG_PROC_CHILDREN, which
 * CRIU itself needs).
 */
export function children(): number[] {
  return procText("thread-self", "children").split(" ").filter(Boolean).map(Number);
}

/**
 * Reaps orphans that became ours and have ended; never blocks. Those that live are a hook's daemons,
 * and none of our business: what belongs to the container is ended through its cgroup.
 *
 * @param kept children to leave alone
 */
export function reapOrphans(kept: readonly number[]): void {
  for (const pid of children()) {
    if (!kept.includes(pid)) libc.waitpid(pid, memory(4).bytes, WNOHANG);
  }
}

/** Sends a signal to a process; false when there is none (ESRCH). */
export function sendSignal(pid: number, signal: number): boolean {
  return libc.kill(pid, signal) === 0;
}

/** Orphans of our descendants become our children (prctl(2), PR_SET_CHILD_SUBREAPER). */
export function becomeSubreaper(): void {
  libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

/**
 * When a process started, in clock ticks since boot: field 22 of /proc/PID/stat (proc(5)).
 *
 * @returns undefined when there is no such process or it is a zombie
 */
export function startTime(pid: number): number | undefined {
  const fields = statFields(pid);
  return fields === undefined || fields[0] === "Z" || fields[0] === "X"
    ? undefined
    : Number(fields[19]);
}

const PF_EXITING = 4;

/** Whether a process is on its way out; the init of a PID namespace first ends all others there. */
export function isEnding(pid: number): boolean {
  return (Number(statFields(pid)?.[6] ?? PF_EXITING) & PF_EXITING) !== 0;
}

/** The fields of /proc/PID/stat from the state on; undefined when there is no such process. */
function statFields(pid: number): string[] | undefined {
  const stat = procText(pid, "stat");
  // The name in parentheses may hold anything, so count from its end.
  return stat === "" ? undefined : stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

/** The name of a process, for people (proc(5), comm). */
export function nameOf(pid: number): string {
  return procText(pid, "comm").trim() || "it has ended";
}

/** The process that traces another (ptrace(2)); 0 for none. */
export function tracerOf(pid: number): number {
  return Number(/^TracerPid:\s*(\d+)/m.exec(procText(pid, "status"))?.[1] ?? 0);
}

/** Whether a process is another, or its child, or a child's, and so on; false when it has ended. */
export function descendsFrom(pid: number, ancestor: number): boolean {
  for (let one = pid; one > 1; ) {
    if (one === ancestor) return true;
    try {
      const stat = readFileSync(`/proc/${one}/stat`, "utf8");
      one = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
    } catch {
      return false;
    }
  }
  return false;
}

/**
 * Gives the soft RLIMIT_NOFILE back its caller's value, for children to inherit: Bun raises it
 * to the hard limit at start. The caller's is read from the parent process.
 */
export function restoreNofileLimit(): void {
  const limits = procText(process.ppid, "limits");
  const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  if (soft === undefined) return;
  const limit = memory(16);
  libc.prlimit(0, RLIMIT_NOFILE, null, limit.bytes);
  if (BigInt(soft) >= limit.view.getBigUint64(0, true)) return;
  limit.view.setBigUint64(0, BigInt(soft), true);
  libc.prlimit(0, RLIMIT_NOFILE, limit.bytes, null);
}

/**
 * The environment for children: the caller's without Bun's own variables and ours, byte for byte.
 *
 * Read from /proc/self/environ: as JavaScript strings, bytes that are not UTF-8 would change.
 */
export function childEnvironment(): Buffer[] {
  return callersEnvironment().filter((entry) => !entry.toString().startsWith(`${MASK_VARIABLE}=`));
}

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Finds a program on PATH, like Go's exec.LookPath. Relative entries are passed over: the working
 * directory is not trusted. An unset PATH means the usual directories.
 *
 * @throws ThawError `exec: "NAME": executable file not found in $PATH`
 */
export function lookPath(name: string): string {
  const file = findOnPath(name, () => true);
  if (file !== undefined) return file;
  throw new ThawError(`exec: ${JSON.stringify(name)}: executable file not found in $PATH`);
}

/** The first executable of that name on PATH that suits; see {@link lookPath}. */
export function findOnPath(name: string, suits: (file: string) => boolean): string | undefined {
  for (const directory of (process.env["PATH"] ?? DEFAULT_PATH).split(":")) {
    if (!directory.startsWith("/")) continue;
    const file = join(directory, name);
    try {
      accessSync(file, constants.X_OK);
      if (statSync(file).isFile() && suits(file)) return file;
    } catch {
      // Not there, or not ours to run: the next one.
    }
  }
  return undefined;
}
