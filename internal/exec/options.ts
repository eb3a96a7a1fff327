/** What `exec` is asked to do. @module */

import type { Log } from "../log/log.ts";

/** Options of `exec`, as they were given. */
export interface ExecOptions {
  readonly id: string;
  /** Absolute. */
  readonly root: string;
  readonly log: Log;
  /** Program and arguments. */
  readonly command: readonly string[];
  /** A file with the whole process, in place of all that follows up to `terminal`. */
  readonly process: string | undefined;
  readonly cwd: string | undefined;
  /** `NAME=value`. */
  readonly env: readonly string[];
  /** `UID[:GID]`. */
  readonly user: string | undefined;
  /** Of which 32 bits count. */
  readonly additionalGids: readonly bigint[];
  /** Names such as `CAP_KILL`. */
  readonly capabilities: readonly string[];
  /** Undefined: as config.json says. */
  readonly noNewPrivileges: boolean | undefined;
  readonly processLabel: string | undefined;
  readonly appArmor: string | undefined;
  readonly terminal: boolean;
  readonly detach: boolean;
  readonly pidFile: string | undefined;
  readonly consoleSocket: string | undefined;
  readonly pidfdSocket: string | undefined;
  /** Descriptors from 3 on for the process. */
  readonly preserveFds: number;
  readonly ignorePaused: boolean;
  /** As of `--cgroup`. */
  readonly cgroups: readonly string[];
}
