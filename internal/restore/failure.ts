/** A failed restore told so that a person can act: CRIU's own reason, cause and remedy. @module */

import { explain } from "../criu/explain.ts";
import { quoteLog, readLog, realErrors } from "../criu/log.ts";
import { CriuError } from "../criu/session.ts";
import { describe, findCause, InterruptedError, ThawError } from "../errors/errors.ts";
import type { Log } from "../log/log.ts";

/**
 * Quotes restore.log into the log, as runc does, and explains the failure.
 *
 * @param logPath absolute path of restore.log
 * @param since a log not written after this moment (milliseconds since the epoch) is an earlier run's
 * @returns the error to report instead
 */
export function explainFailure(error: unknown, logPath: string, since: number, log: Log): unknown {
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
  const known = explain(errors);
  const line = known?.line ?? errors[0];
  const hints = known === undefined ? [] : [known.cause, known.remedy];
  return new ThawError(`${describe(error)}${line === undefined ? "" : `: ${line}`}`, {
    hint: [...hints, `CRIU's log: ${logPath}`].join("; "),
  });
}
