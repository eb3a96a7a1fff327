/** What the process does on its way into the container, and the words for what fails. @module */

import { ThawError } from "../../errors/errors.ts";
import { SyscallError, strerror } from "../../linux/libc.ts";
import type { Filter } from "../../seccomp/filter.ts";
import type { CapabilitySets } from "../capabilities.ts";
import type { Search } from "../environment.ts";

/** Says what a call that failed was for. */
export type Explain = (errno: number) => Error;

/** Second words of messages to thaw; a failure has an errno there. */
export const MESSAGES = {
  /** The first word is the pid of the second process, on the host. */
  pid: 0x10001,
  /** The program comes next. */
  ready: 0x10002,
  /** The first word is a descriptor of the process, that of its seccomp filter. */
  listener: 0x10003,
  /** The first word is a capability that could not be made an ambient one. */
  notAmbient: 0x10004,
} as const;

/** What the process is to become, in the kernel's terms. */
export interface Steps {
  /** The socket's number in the process; what is higher is closed on the way. */
  readonly socket: number;
  /** Namespaces to join, in order: descriptors in the process, CLONE_NEW flags, and names. */
  readonly namespaces: readonly {
    readonly fd: number;
    readonly flag: number;
    readonly name: string;
  }[];
  /** Files of proc(5) to write to before: what the next execve(2) of this process comes to. */
  readonly labels: readonly {
    readonly file: string;
    readonly text: string;
    readonly doing: string;
  }[];
  /** Whether groups may be set (/proc/PID/setgroups). */
  readonly setsGroups: boolean;
  /** Name of the session keyring to join; undefined: the caller's is kept. */
  readonly keyring: string | undefined;
  /** Descriptor 0 becomes the controlling terminal. */
  readonly terminal: boolean;
  readonly noNewPrivileges: boolean;
  readonly umask: number | undefined;
  readonly filter: Filter | undefined;
  readonly cwd: string;
  readonly capabilities: CapabilitySets | undefined;
  /** Which of 0, 1 and 2 the user is to own. */
  readonly owned: readonly number[];
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** Execution domain; see personality(2). */
  readonly personality: number | undefined;
  readonly search: Search;
  readonly argv: readonly string[];
  readonly env: readonly string[];
}

/** Explains a call as `WHAT: REASON`. */
export function failing(what: string): Explain {
  return (errno) => new SyscallError(what, errno);
}

/** Explains a call by words alone. */
export function refused(message: string, hint?: string): Explain {
  return () => new ThawError(message, hint === undefined ? {} : { hint });
}

/** Explains a failed chdir(2). */
export function changingDirectory(cwd: string): Explain {
  return (errno) =>
    new ThawError(
      `chdir to cwd (${JSON.stringify(cwd)}) set in config.json failed: ${strerror(errno)}`,
      { hint: "say --cwd with a directory of the container" },
    );
}
