/** What a row of the conformance table is. @module */

import type { Bundle, Json, Lab } from "../support/lab.ts";
import type { CheckpointName } from "./checkpoints.ts";

/** What a row is about; docs/compatibility.md has a part for each. */
export const KINDS = [
  "syntax",
  "config",
  "host",
  "image",
  "namespace",
  "cgroup",
  "checkpoint",
  "exec",
  "life",
] as const;
export type Kind = (typeof KINDS)[number];

/** The commands that rows of kind `life` try. */
export const LIFE = [
  "state",
  "list",
  "ps",
  "pause",
  "resume",
  "kill",
  "delete",
  "events",
  "update",
  "features",
] as const;

/** A command that rows try. */
export type CommandName = "restore" | "checkpoint" | "exec" | (typeof LIFE)[number];

/** The command that a row tries. */
export function commandOf({ kind, command }: Pick<KindRow, "kind" | "command">): CommandName {
  return command ?? (kind === "checkpoint" || kind === "exec" ? kind : "restore");
}

/** Which runtime is tried. */
export type Side = "runc" | "thaw";

/** What a run of one runtime can use; all of it is the run's own. */
export interface Given {
  readonly side: Side;
  readonly lab: Lab;
  /** A copy of the bundle that was checkpointed, made when it is first asked for. */
  readonly bundle: Bundle;
  /** A copy of the checkpoint, made when it is first asked for. */
  readonly image: string;
  readonly id: string;
  /** A path that nothing has, for the row to use. */
  readonly path: string;
}

/** How the command line differs from `restore -d --bundle B --image-path I --work-path W ID`. */
export interface Call {
  /** Before the command. */
  readonly globals?: readonly string[];
  /** Before the id; of a flag given twice the last one counts. */
  readonly flags?: readonly string[];
  /** False: without `-d`. */
  readonly detach?: false;
  readonly ids?: readonly string[];
  /** All of it, after `--log` and `--log-format`. */
  readonly argv?: readonly string[];
  readonly env?: Record<string, string>;
  /** A program that runs the runtime, such as `["unshare", "-n"]`. */
  readonly through?: readonly string[];
}

/** A text begins with a string, or matches a pattern. */
export type Says = string | RegExp | readonly (string | RegExp)[];

/** One condition and what comes of it. */
export interface Row {
  /** What is tried, after the command and "with"; unique in its kind. */
  readonly name: string;
  /** What is tried, in rows of kind `life`. */
  readonly command?: CommandName;
  /** Flags it is about, without dashes; each flag of thaw's is in some row. */
  readonly of?: readonly string[];
  /** What is restored; by default a shell that sleeps. */
  readonly checkpoint?: CheckpointName;
  /** Makes the condition. */
  make?(given: Given): Call;
  /** Undoes what `make` did outside of the lab. */
  clean?(given: Given): void;
  /** Looks at the restored container, or at what a failure left, for more to compare. */
  look?(given: Given): Json;
  /** Why thaw's outcome is not runc's; without it both must be equal. */
  readonly differs?: string;
  /** runc never ends, and is killed. */
  readonly hangs?: true;
  /** thaw's exit status. */
  readonly status: number;
  /** True: the container runs in the foreground, and ends with `status`. */
  readonly ends?: true;
  /** What thaw's message begins with, or must hold. */
  readonly says?: Says;
  /** True: thaw asks CRIU to restore, and fails. */
  readonly criu?: true;
  /** True: thaw fails when the work path is made and CRIU has started, without a word to CRIU. */
  readonly late?: true;
  /** True: `make` has started a container, which is removed when the command has succeeded. */
  readonly runs?: true;
  /** Only without `--log`; by default a row that ends early runs with a log in text and in JSON too. */
  readonly once?: true;
  /** Does what thaw's message asks for; thaw restores then. */
  remedy?(given: Given): Call;
}

/** A row with its kind. */
export interface KindRow extends Row {
  readonly kind: Kind;
}
