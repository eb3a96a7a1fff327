/** What a checkpoint is asked to do. @module */

import type { Log } from "../log/log.ts";

/** The options of `checkpoint`, as the command line gives them; paths may be relative to the caller's directory. */
export interface CheckpointOptions {
  readonly id: string;
  /** Absolute directory of all states (`--root`). */
  readonly root: string;
  readonly log: Log;
  readonly debug: boolean;
  /** Which criu: a path with a slash, or a name on PATH; undefined: `criu`. */
  readonly criu: string | undefined;
  /** undefined: `checkpoint` in the caller's directory. */
  readonly imagePath: string | undefined;
  /** undefined: the image directory. */
  readonly workPath: string | undefined;
  /** The images of an earlier dump, relative to the image directory. */
  readonly parentPath: string | undefined;
  readonly leaveRunning: boolean;
  /** Dump memory alone; the container goes on. */
  readonly preDump: boolean;
  readonly tcpEstablished: boolean;
  readonly tcpSkipInFlight: boolean;
  readonly linkRemap: boolean;
  readonly extUnixSk: boolean;
  readonly shellJob: boolean;
  readonly fileLocks: boolean;
  readonly autoDedup: boolean;
  /** Leave memory in the processes and serve it to the restore. */
  readonly lazyPages: boolean;
  /** With lazyPages: an open descriptor that gets a NUL byte when memory is served. */
  readonly statusFd: number | undefined;
  /** `ADDRESS:PORT`. */
  readonly pageServer: string | undefined;
  /** `soft`, `full`, `strict`, `ignore` or "". */
  readonly manageCgroupsMode: string;
  readonly emptyNamespaces: readonly string[];
  /** Wait until all memory of a container restored with --lazy-pages has arrived. */
  readonly wait: boolean;
}
