/** The only place that prints an error. @module */

import { describe } from "../internal/errors/errors.ts";
import { type Log, writeAll } from "../internal/log/log.ts";

/**
 * Reports an error as runc does: one line of level error in the log and, when the log is not
 * standard error, the bare message there.
 *
 * The last error line of a JSON log is what containerd shows; the one line on standard error is
 * what Podman falls back to.
 */
export function report(error: unknown, log: Log): void {
  const message = describe(error);
  log.error(message);
  if (!log.isStderr) writeAll(2, `${message}\n`);
}
