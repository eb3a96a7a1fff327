/**
 * A checkpoint, told as a story: one named stage a line.
 *
 * Until CRIU has written everything the container can go on, and does when something fails: CRIU
 * lets it. What thaw made, directories and half-written images, is undone by `scope`.
 *
 * @module
 */

import { writeSync } from "node:fs";
import { freezerDirectory } from "../cgroups/freezer.ts";
import { destroyContainer } from "../container/delete.ts";
import { DUMP_RULES } from "../criu/dump-rules.ts";
import { explainFailure } from "../criu/failure.ts";
import { describeOptions } from "../criu/options.ts";
import { type CriuSession, startCriu } from "../criu/session.ts";
import type { Feature, Notification } from "../criu/talk.ts";
import { refuseOldCriuForDump } from "../criu/version.ts";
import { describe, ThawError } from "../errors/errors.ts";
import {
  AT_FDCWD,
  ensureStdio,
  isCallers,
  isWritable,
  keepDescriptorsPrivate,
  O_DIRECTORY,
  O_PATH,
  O_RDWR,
  openAt,
  owned,
} from "../linux/fd.ts";
import { wrapFs } from "../linux/libc.ts";
import { restoreNofileLimit } from "../linux/process.ts";
import { catchInterrupts, type Interrupts } from "../linux/signal.ts";
import { dumpedMounts } from "../mounts/external.ts";
import { type DumpImages, openImages } from "./images.ts";
import type { CheckpointOptions } from "./options.ts";
import { type CheckpointPlan, planCheckpoint } from "./plan.ts";
import { leaveAsFound } from "./repair.ts";
import { dumpRequest } from "./request.ts";

/**
 * Checkpoints a container. Unless it is to go on, it is destroyed then; an error of that is a warning, as
 * the checkpoint is complete.
 *
 * @throws ThawError when it cannot be checkpointed; it goes on as before
 */
export async function checkpoint(options: CheckpointOptions): Promise<void> {
  refuseStatusFd(options);
  keepDescriptorsPrivate();
  ensureStdio();
  restoreNofileLimit();
  using interrupts = catchInterrupts();
  const plan = await planCheckpoint(options, interrupts);
  await dump(plan, interrupts);
  if (options.leaveRunning || options.preDump) return;
  interrupts.forget(); // one that came too late to give up
  try {
    await destroyContainer(plan.container, true, interrupts);
  } catch (error) {
    options.log.warn(`unable to destroy container: ${describe(error)}`);
  }
}

/** From starting CRIU to its end. */
async function dump(plan: CheckpointPlan, interrupts: Interrupts): Promise<void> {
  const { options, container } = plan;
  using scope = new DisposableStack();
  const none = scope.use(openAt(AT_FDCWD, "/dev/null", O_RDWR)).fd;
  const fds = { stdio: [none, none, none] as const, extra: [], ownSession: true };
  const criu = scope.use(startCriu(plan.criu, fds, interrupts));
  await checkCriu(criu, plan);
  const images = scope.use(openImages(plan));
  const request = dumpRequest(plan, {
    images: images.images,
    work: images.work,
    freezer: freezerDirectory(container.cgroupPaths),
    externalMounts: options.preDump ? [] : externalMounts(plan),
  });
  const kind = options.preDump ? "pre-dump" : "dump";
  options.log.debug(`Using CRIU in ${options.preDump ? "PRE_DUMP" : "DUMP"} mode`);
  for (const line of options.debug ? describeOptions(request) : []) options.log.debug(line);
  images.takeOver();
  const asked = Date.now() - 1000; // file systems may keep whole seconds
  const network = { cutOff: false };
  try {
    await criu.dump(kind, request, notifications(plan, images, network));
    images.keep();
  } catch (error) {
    const { log } = options;
    const { complete } = images;
    const goesOn = await leaveAsFound(plan, criu, { ...network, complete, log: images.log });
    if (complete && !goesOn) {
      images.keep();
      log.warn(`the checkpoint of ${container.id} in ${plan.imagePath} is whole, and stays`);
    }
    throw explainFailure(error, { logPath: images.log, since: asked, log, rules: DUMP_RULES });
  }
}

/** What thaw does at CRIU's notifications (runc: criuNotifications). */
function notifications(plan: CheckpointPlan, images: DumpImages, network: { cutOff: boolean }) {
  const { log, statusFd } = plan.options;
  return async ({ script }: Notification): Promise<void> => {
    log.debug(`notify: ${script}\n`);
    if (script === "network-lock") network.cutOff = true;
    else if (script === "post-dump") images.finish();
    else if (script === "status-ready" && statusFd !== undefined) {
      using status = owned(statusFd); // closed: whoever waits on it sees its end
      try {
        wrapFs("", () => writeSync(status.fd, "\0"));
      } catch (error) {
        log.warn(`can't write \\0 to status fd: ${describe(error)}`);
      }
    }
  };
}

function externalMounts({ container, hierarchies }: CheckpointPlan) {
  const { state } = container;
  using rootfs = openAt(AT_FDCWD, state.rootfs, O_PATH | O_DIRECTORY);
  using inside = openAt(AT_FDCWD, `/proc/${state.init.pid}/root`, O_PATH | O_DIRECTORY);
  return dumpedMounts(state, rootfs.fd, inside.fd, hierarchies);
}

const REMEDIES: Readonly<Record<Feature, string>> = {
  memTrack:
    "this kernel does not track changes of memory (CONFIG_MEM_SOFT_DIRTY): leave --pre-dump and --parent-path out",
  lazyPages: "this kernel has no userfaultfd(2) that can follow forks: leave --lazy-pages out",
};

/** Refuses a CRIU that cannot do what is asked for, or that cannot do it on this kernel. */
async function checkCriu(criu: CriuSession, { options }: CheckpointPlan): Promise<void> {
  const version = await criu.version();
  options.log.debug(`Using CRIU ${version}`);
  refuseOldCriuForDump(version);
  const needsTracking = options.preDump || options.parentPath !== undefined;
  const wanted: readonly Feature[] = [
    ...(needsTracking ? (["memTrack"] as const) : []),
    ...(options.lazyPages ? (["lazyPages"] as const) : []),
  ];
  if (wanted.length === 0) return;
  const found = await criu.features(wanted);
  const missing = wanted.filter((name) => !found.includes(name));
  if (missing.length === 0) return;
  const names = missing.map((name) => `${name.charAt(0).toUpperCase()}${name.slice(1)}`);
  throw new ThawError(`criu is missing features: [${names.join(" ")}]`, {
    hint: missing.map((name) => REMEDIES[name]).join("; "),
  });
}

// Asked before our own descriptors are among the caller's. Without --lazy-pages runc ignores it too.
function refuseStatusFd({ statusFd, lazyPages, log }: CheckpointOptions): void {
  if (statusFd === undefined || !lazyPages) return;
  const refused = (reason: string) =>
    new ThawError(`invalid --status-fd argument ${statusFd}: ${reason}`, {
      hint: "open it for writing in the shell, as in 5>FIFO",
    });
  if (statusFd === log.fd || !isCallers(statusFd)) throw refused("bad file descriptor");
  if (!isWritable(statusFd)) throw refused("not writable");
}
