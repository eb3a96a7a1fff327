/** A failed restore told so that a person can act. @module */

import type { Explanation } from "../criu/explain.ts";
import { explainFailure } from "../criu/failure.ts";
import { readLog, realErrors } from "../criu/log.ts";
import { RULES } from "../criu/rules.ts";
import { CriuError } from "../criu/talk.ts";
import { findCause, type ThawError } from "../errors/errors.ts";
import { mountpointOf } from "../images/checkpoint.ts";
import type { RestorePlan } from "./plan.ts";

/** What is known of a failure. */
export interface RestoreFailure {
  readonly error: unknown;
  /** Why the guardian of its lazy pages has given up, if it has. */
  readonly daemon: ThawError | undefined;
  /** Absolute path of restore.log. */
  readonly logPath: string;
  /** Milliseconds since the epoch: a log not written after that is an earlier run's. */
  readonly since: number;
}

/**
 * Quotes restore.log into the log and explains the failure.
 *
 * @returns the error to report instead
 */
export function explainRestore(
  failure: RestoreFailure,
  { imagePath, options }: RestorePlan,
): unknown {
  const { daemon, logPath, since } = failure;
  // A daemon ends when CRIU does, too: only what CRIU could not tell it is due to it.
  const error = daemon !== undefined && isOfDaemon(failure) ? daemon : failure.error;
  const more = (known: Explanation) => mountName(known, imagePath);
  return explainFailure(error, { logPath, since, log: options.log, rules: RULES, more });
}

function isOfDaemon({ error, logPath, since }: RestoreFailure): boolean {
  if (findCause(error, CriuError) === undefined) return false; // thaw's own failure came first
  try {
    return /uffd: /.test(realErrors(readLog(logPath, since))[0] ?? "");
  } catch {
    return false; // CRIU did not come that far
  }
}

/** CRIU names the mount that is missing by its id in the images. */
function mountName({ line }: Explanation, images: string): string {
  const id = /No mapping for (\d+):/.exec(line)?.[1];
  if (id === undefined) return "";
  try {
    const name = mountpointOf(images, Number(id));
    return name === undefined ? "" : ` (${name})`;
  } catch {
    return ""; // images that cannot be read are not what failed
  }
}
