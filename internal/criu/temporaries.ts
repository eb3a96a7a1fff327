/**
 * The directories that CRIU makes with mkdtemp(3), mounts on, and removes at its end: one that is
 * killed leaves them.
 *
 * @module
 */

import { rmdirSync } from "node:fs";
import { join } from "node:path";
import { readLog } from "./log.ts";

/** What a CRIU may leave behind. */
export interface Temporaries extends Disposable {
  /** It has ended well, and left nothing: disposing does nothing. */
  settled(): void;
}

/**
 * Takes charge of them; dispose it after CRIU has ended.
 *
 * CRIU names them in its log. Only empty directories are removed; a mount on one is of CRIU's own
 * namespace and goes with it (rmdir(2) since Linux 3.18).
 *
 * @param work the directory CRIU writes its log to, and works in
 * @param logName the name of its log
 */
export function temporaries(work: string, logName: string): Temporaries {
  const since = Date.now() - 1000; // file systems may keep whole seconds
  let settled = false;
  return {
    settled: () => {
      settled = true;
    },
    [Symbol.dispose]: () => {
      if (!settled) for (const path of temporariesIn(work, logName, since)) remove(path);
    },
  };
}

/**
 * The directories that a CRIU names in its log.
 *
 * @param since milliseconds; an older log is another CRIU's
 */
export function temporariesIn(work: string, logName: string, since: number): string[] {
  try {
    const log = readLog(join(work, logName), since);
    const mounts = /\/tmp\/\.criu\.mntns\.\w{6}(?=\/)/.exec(log)?.[0]; // criu/mount.c
    const cgroups = /Opening (\.criu\.cgyard\.\w{6}) as cg yard/.exec(log)?.[1]; // criu/cgroup.c
    return [
      ...(mounts === undefined ? [] : [mounts]),
      ...(cgroups === undefined ? [] : [join(work, cgroups)]),
    ];
  } catch {
    return []; // no log: it had not begun
  }
}

function remove(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // gone, as it should be, or not empty and not ours
  }
}
