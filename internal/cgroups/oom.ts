/**
 * Whether a container ran out of memory, as the kernel tells it: v1 counts on an eventfd
 * (cgroup-v1/memory, OOM control), v2 changes memory.events.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { ThawError } from "../errors/errors.ts";
import { AT_FDCWD, O_RDONLY, openAt } from "../linux/fd.ts";
import { eventCounter, watchFiles } from "../linux/notify.ts";
import { readOr, write } from "./files.ts";
import { isV2, mainDirectory } from "./paths.ts";

/** What has happened to a cgroup. */
export interface OomWatch extends Disposable {
  /** Readable when something has. */
  readonly fd: number;
  /** `oom` for running out of memory, `over` when the cgroup is gone or has no processes any more. */
  take(): ("oom" | "over")[];
}

/**
 * Begins to watch a container's cgroup.
 *
 * @throws ThawError `memory controller missing`; SyscallError when the cgroup is gone
 */
export function watchOom(paths: ReadonlyMap<string, string>): OomWatch {
  return isV2(paths) ? watchUnified(mainDirectory(paths)) : watchLegacy(paths.get("memory"));
}

function watchLegacy(directory: string | undefined): OomWatch {
  if (directory === undefined)
    throw new ThawError("memory controller missing", {
      hint: "the v1 memory controller is not mounted on this host",
    });
  using scope = new DisposableStack();
  const watched = scope.use(openAt(AT_FDCWD, join(directory, "memory.oom_control"), O_RDONLY));
  const counter = scope.use(eventCounter());
  const control = join(directory, "cgroup.event_control");
  write(directory, "cgroup.event_control", `${counter.fd} ${watched.fd}`);
  const done = scope.move();
  return {
    fd: counter.fd,
    take: () => {
      if (counter.take() === 0n) return [];
      // The end of a cgroup is an event, too.
      return existsSync(control) ? ["oom"] : ["over"];
    },
    [Symbol.dispose]: () => done.dispose(),
  };
}

function watchUnified(directory: string): OomWatch {
  const memory = join(directory, "memory.events");
  const cgroup = join(directory, "cgroup.events");
  const files = watchFiles([memory, cgroup]);
  const isOver = () => !/^populated 1$/m.test(readOr(cgroup, ""));
  // What happened before the watch is not told: the last process may have ended just then.
  let ended = isOver();
  return {
    // A descriptor that is always readable would do as well; the caller asks first.
    fd: files.fd,
    take: () => {
      const changed = files.take();
      ended ||= changed.has(cgroup) && isOver();
      const kills = Number(/^oom_kill (\d+)$/m.exec(readOr(memory, ""))?.[1] ?? 1);
      const oom = changed.has(memory) && kills > 0;
      return [...(oom ? ["oom" as const] : []), ...(ended ? ["over" as const] : [])];
    },
    [Symbol.dispose]: () => files.close(),
  };
}
