/** What a restore is asked to do. @module */

import type { Log } from "../log/log.ts";

/** The options of `restore`, as the command line gives them; paths may be relative to the caller's directory. */
export interface RestoreOptions {
  readonly id: string;
  /** Absolute directory of all states (`--root`). */
  readonly root: string;
  readonly log: Log;
  readonly debug: boolean;
  /** Which criu: a path with a slash, or a name on PATH; undefined: `criu`. */
  readonly criu: string | undefined;
  /** undefined: the caller's directory. */
  readonly bundle: string | undefined;
  /** undefined: `checkpoint` in the caller's directory. Relative: to the bundle, as with runc. */
  readonly imagePath: string | undefined;
  /** undefined: the image directory. Relative: to the bundle. */
  readonly workPath: string | undefined;
  readonly pidFile: string | undefined;
  readonly consoleSocket: string | undefined;
  readonly detach: boolean;
  readonly noSubreaper: boolean;
  /** How many descriptors from 3 on the caller promises. */
  readonly preserveFds: number;
  readonly noPivot: boolean;
  readonly noNewKeyring: boolean;
  readonly systemdCgroup: boolean;
  readonly tcpEstablished: boolean;
  readonly tcpClose: boolean;
  readonly extUnixSk: boolean;
  readonly shellJob: boolean;
  readonly fileLocks: boolean;
  readonly autoDedup: boolean;
  readonly lazyPages: boolean;
  /** With lazyPages: an open descriptor that gets a NUL byte when the last page has arrived. */
  readonly statusFd: number | undefined;
  /** `soft`, `full`, `strict`, `ignore` or "". */
  readonly manageCgroupsMode: string;
  readonly emptyNamespaces: readonly string[];
  readonly lsmProfile: string | undefined;
  readonly lsmMountContext: string | undefined;
}
