/** A request that CRIU failed, told so that a person can act: its own reason, cause and remedy. @module */

import { describe, findCause, InterruptedError, ThawError } from "../errors/errors.ts";
import type { Log } from "../log/log.ts";
import { type Explanation, explain } from "./explain.ts";
import { quoteLog, readLog, realErrors, silentReasons } from "./log.ts";
import type { Rule } from "./rules.ts";
import { CriuError } from "./talk.ts";

/** Where to look for reasons. */
export interface FailureContext {
  /** Absolute path of CRIU's log. */
  readonly logPath: string;
  /** A log not written after this moment (milliseconds since the epoch) is an earlier run's. */
  readonly since: number;
  readonly log: Log;
  /** What is known of the errors of this kind of request. */
  readonly rules: readonly Rule[];
  /** More about a cause, put behind it; may be "". */
  readonly more?: (known: Explanation) => string;
}

/**
 * Quotes CRIU's log into ours, as runc does, and explains the failure.
 *
 * @returns the error to report instead
 */
export function explainFailure(
  error: unknown,
  { logPath, since, log, rules, more }: FailureContext,
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
  const known = explain(errors, rules) ?? explain(silentReasons(text), rules);
  const line = known?.line ?? errors[0];
  const hints = known === undefined ? [] : [`${known.cause}${more?.(known) ?? ""}`, known.remedy];
  return new ThawError(`${describe(error)}${line === undefined ? "" : `: ${line}`}`, {
    hint: [...hints, `CRIU's log: ${logPath}`].join("; "),
  });
}
