/** What thaw and its guardian say to each other: one JSON text a packet. @module */

import { join } from "node:path";

/** The guardian's hidden command. */
export const GUARDIAN = "lazy-pages-guardian";
/** Its descriptor of the socket to thaw. */
export const CONTROL_FD = 3;
/** Its descriptor that the caller of thaw waits on, if {@link Task.status}. */
export const STATUS_FD = 4;

/** thaw's first packet: what to do. */
export interface Task {
  /** The container's id, for messages. */
  readonly id: string;
  /** Absolute path of the criu to run. */
  readonly criu: string;
  /** Absolute. */
  readonly images: string;
  /** Absolute: where the daemon's socket and log go. */
  readonly work: string;
  /** Whether {@link STATUS_FD} is open. */
  readonly status: boolean;
}

/** thaw's second packet; init's pidfd comes with it. */
export interface Hold {
  /** Absolute directories of the container's cgroup, by controller. */
  readonly cgroups: Readonly<Record<string, string>>;
  /** Absolute path of a file to remove when the last page has arrived. */
  readonly mark: string;
}

/** What the guardian answers to each. */
export type Answer =
  /** The daemon waits for a restore. */
  | { readonly ready: number }
  /** The memory is safe: so many userfaultfds are held. */
  | { readonly held: number }
  /** It cannot go on: why. */
  | { readonly error: string };

/** The name of the socket is CRIU's (uffd.c), in its work directory. */
export const socketPath = (work: string): string => join(work, "lazy-pages.socket");

/** The daemon's log. */
export const LOG = "lazy-pages.log";
