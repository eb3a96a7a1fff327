/**
 * A restore, told as a story: one named stage a line.
 *
 * Two stacks undo it. `scope` holds what only the restore needs (descriptors, the private mounts,
 * CRIU) and is always undone, first. `container` holds what the container is made of (state,
 * cgroup, init) and is undone unless the container lives on.
 *
 * @module
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { thawBelow } from "../cgroups/freezer.ts";
import { cgroupsOf } from "../cgroups/manager.ts";
import { pipedStdio } from "../console/piped.ts";
import { consoleSocketStdio, inheritedStdio, type Stdio } from "../console/stdio.ts";
import { terminalStdio } from "../console/terminal.ts";
import { makeWorkDirectory, openDirectories } from "../criu/directories.ts";
import { type CriuOptions, describeOptions } from "../criu/options.ts";
import { type CriuSession, startCriu } from "../criu/session.ts";
import { CriuError } from "../criu/talk.ts";
import { temporaries } from "../criu/temporaries.ts";
import { refuseOldCriu } from "../criu/version.ts";
import { describe, ThawError } from "../errors/errors.ts";
import { runHooks } from "../hooks/hooks.ts";
import type { LazyPages } from "../lazy/start.ts";
import {
  AT_FDCWD,
  describeFd,
  ensureStdio,
  isCallers,
  keepDescriptorsPrivate,
  keepHandedOver,
  O_DIRECTORY,
  O_PATH,
  openAt,
} from "../linux/fd.ts";
import { wrapFs } from "../linux/libc.ts";
import { enterPrivateMounts } from "../linux/namespace.ts";
import {
  adopt,
  becomeSubreaper,
  type Child,
  children,
  reapOrphans,
  restoreNofileLimit,
} from "../linux/process.ts";
import { catchInterrupts, type Interrupts } from "../linux/signal.ts";
import { blockAllSignals, readSignals } from "../linux/signalfd.ts";
import type { Log } from "../log/log.ts";
import { externalMounts } from "../mounts/external.ts";
import { makeMountpoints } from "../mounts/mountpoints.ts";
import { type Config, namespacePath } from "../oci/config.ts";
import { hostId } from "../oci/convert.ts";
import { writePidFile } from "../state/pid-file.ts";
import { type ClaimedState, claimState, processId } from "../state/state.ts";
import { mountCriuRoot } from "./criu-root.ts";
import { explainRestore } from "./failure.ts";
import { type LockWatch, watchLocks } from "./locks.ts";
import { openNamespaces } from "./namespaces.ts";
import { lockedNetwork } from "./network-lock.ts";
import { hookState, notifications } from "./notifications.ts";
import type { RestoreOptions } from "./options.ts";
import { planRestore, type RestorePlan } from "./plan.ts";
import { restoredState } from "./record.ts";
import { restoreRequest } from "./request.ts";

/**
 * Restores a container.
 *
 * @returns 0 once it runs (`--detach`), else the container's own exit status
 * @throws ThawError when it cannot be restored; nothing of it is left
 */
export async function restore(options: RestoreOptions): Promise<number> {
  if (!options.detach) keepHandedOver(options.preserveFds);
  if (!options.detach) blockAllSignals([process.argv0, ...process.argv.slice(2)]);
  const strangers = children(); // of whoever executed thaw in its own place
  refuseStatusFd(options);
  keepDescriptorsPrivate();
  ensureStdio();
  restoreNofileLimit();
  using interrupts = options.detach ? catchInterrupts() : readSignals();
  const plan = await planRestore(options);

  await using container = new AsyncDisposableStack();
  container.defer(() => reapOrphans(strangers)); // a hook's too, so last of all
  const state = claimState(options.root, plan.id);
  container.defer(() => {
    interrupts.forget(); // what began the clean-up; the next one ends a hook that takes too long
    return runHooks("poststop", plan.config.Hooks["poststop"], hookState(plan), interrupts);
  });
  container.use(state);
  state.note(recordOf(plan, undefined));
  makeNotifyDirectory(state);
  const io = container.use(openStdio(plan));
  if (!options.noSubreaper) becomeSubreaper();
  const init = await restoreTasks({ plan, state, io, interrupts, container });
  io.handedOver();
  if (plan.pidFile !== undefined) writePidFile(plan.pidFile, init.pid);

  if (!options.detach) {
    const { code } = await io.copyUntilExit(init, interrupts);
    await destroy(container.move(), options.log);
    return code;
  }
  container.move(); // from here on the container is its owner's
  init.release();
  return 0;
}

/** The end of a container that has ended by itself: its status counts, not how this goes (runc too). */
async function destroy(container: AsyncDisposableStack, log: Log): Promise<void> {
  try {
    await container.disposeAsync();
  } catch (error) {
    log.warn(`unable to destroy container: ${describe(error)}`);
  }
}

interface Parts {
  readonly plan: RestorePlan;
  readonly state: ClaimedState;
  readonly io: Stdio;
  readonly interrupts: Interrupts;
  readonly container: AsyncDisposableStack;
}

/** From starting CRIU to its answer; afterwards only the container is left of it. */
async function restoreTasks(parts: Parts): Promise<Child> {
  const { plan, state, io, interrupts, container } = parts;
  const { options } = plan;
  using scope = new DisposableStack();
  const lazy = options.lazyPages ? await lazyPages(plan, container) : undefined;
  const namespaces = scope.use(openNamespaces(plan.config));
  const mounts = scope.use(enterPrivateMounts());
  const locks = watchLocks(plan, interrupts);
  const left = scope.use(temporaries(plan.workPath, "restore.log"));
  const criu = scope.use(
    startCriu(plan.criu, { stdio: io.fds, extra: namespaces.fds }, locks.interrupts),
  );
  await checkVersion(criu, plan);
  const images = scope.use(openDirectories(directoriesOf(plan)));
  const root = mountCriuRoot(plan.config.rootfs, state.path);
  // Opened here: the walk must see this namespace's mounts.
  const rootfs = scope.use(openAt(AT_FDCWD, plan.config.rootfs, O_PATH | O_DIRECTORY));
  const config = makeMountpoints(plan.config, rootfs.fd);
  const external = externalMounts(config, rootfs.fd, plan.hierarchies);
  mounts.leave();

  state.note(recordOf(plan, criu.pid));
  container.use(await plan.cgroup.join(criu.pid, interrupts));
  const request = restoreRequest(plan, {
    images: images.images,
    work: images.work,
    root,
    externalMounts: external,
    inheritFd: namespaces.inheritFd,
    joinNs: namespaces.joinNs,
    cgroups: cgroupsOf(criu.pid),
  });
  const externalDescriptors = [0, 1, 2].map((fd) => describeFd(criu.pid, fd));
  logRequest(request, options);
  await lazy?.ready(interrupts);
  const asked = Date.now() - 1000; // file systems may keep whole seconds
  try {
    const init = await askCriu({
      ...parts,
      criu,
      locks,
      request,
      config,
      externalDescriptors,
      lazy,
    });
    state.settle();
    left.settled();
    return init;
  } catch (error) {
    thawBelow(plan.cgroup.paths); // criu is in it too
    const daemon = lazy?.failure();
    throw explainRestore({ error, daemon, logPath: images.log, since: asked }, plan);
  }
}

function directoriesOf({ imagePath, workPath, options }: RestorePlan) {
  const work = options.workPath === undefined ? undefined : workPath;
  return { images: imagePath, work, log: "restore.log" };
}

interface Request extends Parts {
  readonly criu: CriuSession;
  readonly locks: LockWatch;
  readonly request: CriuOptions;
  readonly config: Config;
  readonly externalDescriptors: readonly string[];
  readonly lazy: LazyPages | undefined;
}

/** The request and its notifications; returns init, which `container` owns. */
async function askCriu(parts: Request): Promise<Child> {
  const { plan, state, io, interrupts, container, criu, lazy } = parts;
  let init: Child | undefined;
  const adoptInit = (pid: number): Child => {
    init ??= ownInit(pid, plan, container);
    return init;
  };
  let recorded = false;
  const on = notifications({
    plan,
    interrupts,
    io,
    adoptInit: (pid) => {
      criu.watchInit(adoptInit(pid));
      parts.locks.watch(pid);
    },
    record: async (pid) => {
      const { id, cgroup } = plan;
      const cgroupPaths = cgroup.paths;
      const { config, externalDescriptors } = parts;
      if (lazy !== undefined) {
        const mark = state.noteLazyPages(processId(lazy.pid));
        const cgroups = Object.fromEntries(cgroupPaths);
        await lazy.hold(adoptInit(pid), { cgroups, mark }, interrupts);
      }
      state.save(
        restoredState({ id, pid, config, cgroupPaths, externalDescriptors, now: new Date() }),
      );
      recorded = true;
    },
  });
  const network = container.use(lockedNetwork(plan));
  const pid = await criu.restore(parts.request, on);
  if (!recorded) throw new CriuError("criu reported success without its post-restore notification");
  network.lifted();
  return adoptInit(pid);
}

// Asked before our own descriptors are among the caller's.
function refuseStatusFd({ statusFd, lazyPages, log }: RestoreOptions): void {
  if (statusFd === undefined) return;
  if (!lazyPages)
    throw new ThawError("--status-fd is of use with --lazy-pages only", {
      hint: "leave one out, or give both",
    });
  if (statusFd === log.fd || !isCallers(statusFd))
    throw new ThawError(`--status-fd ${statusFd}: no such descriptor is open`, {
      hint: "open it in the shell, as in 5>FIFO",
    });
}

/** Loaded only for those who want it. */
async function lazyPages(plan: RestorePlan, container: AsyncDisposableStack) {
  const { id, imagePath: images, workPath: work, options } = plan;
  if (options.workPath !== undefined) makeWorkDirectory(work);
  const { startLazyPages } = await import("../lazy/start.ts");
  const { log, detach, statusFd } = options;
  const { criu } = plan;
  const lazy = startLazyPages({ id, criu, images, work, log, detach, statusFd });
  return lazy === undefined ? undefined : container.use(lazy);
}

async function checkVersion(criu: CriuSession, plan: RestorePlan): Promise<void> {
  const { config, options, spec, wideCounts } = plan;
  const version = await criu.version();
  options.log.debug(`Using CRIU ${version}`);
  const configFile = spec.annotations?.["org.criu.config"] || undefined;
  refuseOldCriu(version, config, { ...options, configFile, wideCounts });
}

/** Init ends with the container, also when somebody has frozen it. */
function ownInit(pid: number, plan: RestorePlan, container: AsyncDisposableStack): Child {
  return container.adopt(adopt(pid), (child) => {
    thawBelow(plan.cgroup.paths);
    child.kill();
  });
}

function logRequest(request: CriuOptions, { log, debug }: RestoreOptions): void {
  log.debug("Using CRIU in RESTORE mode");
  for (const line of debug ? describeOptions(request) : []) log.debug(line);
}

function openStdio(plan: RestorePlan): Stdio {
  const { consoleSocket } = plan.options;
  if (consoleSocket !== undefined) return consoleSocketStdio(consoleSocket);
  if (plan.options.detach) return inheritedStdio();
  if (plan.spec.process?.terminal === true) return terminalStdio("restored");
  return pipedStdio(
    hostId(plan.config.uid_mappings, 0),
    hostId(plan.config.gid_mappings, 0),
    false,
  );
}

// runc makes it when NOTIFY_SOCKET is set; the bind mount of the plan shows it in the container.
function makeNotifyDirectory(state: ClaimedState): void {
  if ((process.env["NOTIFY_SOCKET"] ?? "") === "") return;
  const directory = join(state.path, "notify");
  wrapFs(`mkdir ${directory}`, () => mkdirSync(directory, 0o755));
}

function recordOf(plan: RestorePlan, criuPid: number | undefined) {
  return {
    version: 1 as const,
    thaw: processId(process.pid),
    criu: criuPid === undefined ? undefined : processId(criuPid),
    bundle: plan.bundle,
    imagePath: plan.imagePath,
    networkNamespace: namespacePath(plan.config, "NEWNET") || undefined,
    cgroupPaths: Object.fromEntries(plan.cgroup.paths),
  };
}
