/**
 * Stage: read and decide, touching nothing. Every refusal that needs no side effect and no CRIU is
 * here.
 *
 * @module
 */

import { accessSync, constants, statSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { containerProcesses } from "../cgroups/end.ts";
import { type Hierarchy, hierarchies } from "../cgroups/hierarchies.ts";
import { type Container, loadContainer, refuse, statusOf } from "../container/container.ts";
import { interruptedRestore } from "../container/leftovers.ts";
import { findCriu } from "../criu/binary.ts";
import { criuConfigFile, manageCgroupsMode, refuseEmptyNamespaces } from "../criu/options.ts";
import { ThawError } from "../errors/errors.ts";
import { ENOTDIR, SyscallError, wrapFs } from "../linux/libc.ts";
import { refusePathsWithNul } from "../linux/path.ts";
import { nameOf, tracerOf } from "../linux/process.ts";
import type { Interrupts } from "../linux/signal.ts";
import { awaitMemory } from "./memory.ts";
import type { CheckpointOptions } from "./options.ts";
import { type PageServer, parsePageServer } from "./page-server.ts";

/** Everything decided about a checkpoint before anything is made. */
export interface CheckpointPlan {
  readonly options: CheckpointOptions;
  readonly container: Container;
  /** It is paused now, and stays so when it is not destroyed. */
  readonly paused: boolean;
  /** Absolute path of the criu to run. */
  readonly criu: string;
  /** Absolute. */
  readonly imagePath: string;
  /** Absolute; undefined: the image directory. */
  readonly workPath: string | undefined;
  readonly pageServer: PageServer | undefined;
  readonly cgroupsMode: number;
  readonly hierarchies: readonly Hierarchy[];
  /** Namespaces with a path, in CRIU's words, such as `net[4026532177]:extRootNetNS`. */
  readonly external: readonly string[];
  /** CRIU's configuration file; undefined for none. */
  readonly criuConfig: string | undefined;
}

/**
 * Decides what to do. With `--wait` it first waits for the container's memory.
 *
 * @throws ThawError for whatever cannot work, in runc's words where runc has them; InterruptedError
 */
export async function planCheckpoint(
  options: CheckpointOptions,
  interrupts: Interrupts,
): Promise<CheckpointPlan> {
  const { id, root, parentPath } = options;
  refusePathsWithNul({
    "image-path": options.imagePath,
    "work-path": options.workPath,
    "parent-path": parentPath,
    root,
    criu: options.criu,
  });
  if (process.geteuid?.() !== 0)
    throw new ThawError("checkpointing a container needs root", { hint: "run thaw as root" });
  const container = loadContainer(root, id);
  refuseStatus(container);
  const imagePath = resolve(options.imagePath ?? "checkpoint");
  if (parentPath !== undefined) refuseParent(imagePath, parentPath);
  const workPath = options.workPath === undefined ? undefined : resolve(options.workPath);
  for (const path of [imagePath, workPath]) if (path !== undefined) refuseReadOnly(path);
  const pageServer = parsePageServer(options.pageServer);
  const cgroupsMode = manageCgroupsMode(options.manageCgroupsMode);
  refuseEmptyNamespaces(options.emptyNamespaces);
  refuseLazyPages(options);
  const criu = findCriu(options.criu);
  await awaitMemory(container, options.wait, interrupts);
  const status = refuseStatus(container); // asked anew: time has passed
  refuseTraced(container);
  return {
    options,
    container,
    paused: status === "paused",
    criu,
    imagePath,
    workPath,
    pageServer,
    cgroupsMode,
    hierarchies: hierarchies(),
    external: externalNamespaces(container),
    criuConfig: criuConfigFile(container.annotations),
  };
}

function refuseStatus(container: Container): "running" | "paused" {
  interruptedRestore(container.directory, container.id);
  const status = statusOf(container);
  if (status === "running" || status === "paused") return status;
  throw refuse(`Container cannot be checkpointed in ${status} state`, container, status);
}

/** CRIU would try for ten seconds, with the container frozen in the middle of the other's work. */
function refuseTraced({ cgroupPaths }: Container): void {
  for (const pid of containerProcesses(cgroupPaths)) {
    const tracer = tracerOf(pid);
    if (tracer === 0) continue;
    throw new ThawError(
      `process ${pid} (${nameOf(pid)}) is traced by process ${tracer} (${nameOf(tracer)})`,
      {
        hint: "end that first: it is a debugger, or another checkpoint",
      },
    );
  }
}

function refuseParent(imagePath: string, parentPath: string): void {
  if (isAbsolute(parentPath))
    throw new ThawError("--parent-path must be relative", {
      hint: "it counts from the image path, so that both can be moved together",
    });
  const parent = join(imagePath, parentPath);
  try {
    const isDirectory = wrapFs(`stat ${parent}`, () => statSync(parent)).isDirectory();
    if (!isDirectory) throw new SyscallError(` ${parent}`, ENOTDIR);
  } catch (cause) {
    throw new ThawError("invalid --parent-path", { cause });
  }
}

// A full disk is found while dumping, a read-only one before.
function refuseReadOnly(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return;
  wrapFs(`open ${path}`, () => accessSync(path, constants.W_OK));
}

function refuseLazyPages({ lazyPages, preDump, pageServer }: CheckpointOptions): void {
  if (!lazyPages) return;
  if (preDump)
    throw new ThawError("--lazy-pages and --pre-dump cannot go together", {
      hint: "leave one out: a pre-dump takes memory, lazy pages stay where they are",
    });
  if (pageServer === undefined)
    throw new ThawError("--lazy-pages needs --page-server", {
      hint: "say where criu lazy-pages fetches the memory from: --page-server ADDRESS:PORT",
    });
}

const EXTERNAL = { NEWNET: ["net", "extRootNetNS"], NEWPID: ["pid", "extRootPidNS"] } as const;

/** Namespaces that were there before the container and outlive it. */
function externalNamespaces({ state }: Container): string[] {
  return Object.entries(EXTERNAL).flatMap(([type, [file, key]]) => {
    if (!state.namespaces.some((one) => one.type === type && one.path !== "")) return [];
    // The one init is in: its path may be gone by now.
    const path = `/proc/${state.init.pid}/ns/${file}`;
    const { ino } = wrapFs(`stat ${path}`, () => statSync(path));
    return [`${file}[${ino}]:${key}`];
  });
}
