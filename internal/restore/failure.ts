/** A failed restore told so that a person can act: CRIU's own reason, cause and remedy. @module */

import { explain } from "../criu/explain.ts";
import { missingTmpfs, quoteLog, readLog, realErrors } from "../criu/log.ts";
import { CriuError } from "../criu/session.ts";
import { describe, findCause, InterruptedError, ThawError } from "../errors/errors.ts";
import { mountpointOf } from "../images/checkpoint.ts";
import type { Log } from "../log/log.ts";

/** Where to look for reasons. */
export interface FailureContext {
  /** The image directory. */
  readonly images: string;
  /** Absolute path of restore.log. */
  readonly logPath: string;
  /** A log not written after this moment (milliseconds since the epoch) is an earlier run's. */
  readonly since: number;
  readonly log: Log;
}

/**
 * Quotes restore.log into the log, as runc does, and explains the failure.
 *
 * @returns the error to report instead
 */
export function explainFailure(
  error: unknown,
  { images, logPath, since, log }: FailureContext,
): unknown {
  if (findCause(error, InterruptedError) !== undefined) return error;
  let text: string;
  try {
    text = readLog(logPath, since);
  } catch (unreadable) {
    log.warn(describe(unreadable));
    return error;
  }
  for (const line of quoteLog(logPath, text)) log.warn(line);
  if (findCause(error, CriuError) === undefined) return error; // a hook or thaw itself: told already
  const errors = realErrors(text);
  const known = explain(errors) ?? explain(missingTmpfs(text));
  const line = known?.line ?? errors[0];
  const hints =
    known === undefined ? [] : [`${known.cause}${mountName(known.line, images)}`, known.remedy];
  return new ThawError(`${describe(error)}${line === undefined ? "" : `: ${line}`}`, {
    hint: [...hints, `CRIU's log: ${logPath}`].join("; "),
  });
}

/** CRIU names the mount that is missing by its id in the images. */
function mountName(line: string, images: string): string {
  const id = /No mapping for (\d+):/.exec(line)?.[1];
  if (id === undefined) return "";
  try {
    const name = mountpointOf(images, Number(id));
    return name === undefined ? "" : ` (${name})`;
  } catch {
    return ""; // images that cannot be read are not what failed
  }
}
