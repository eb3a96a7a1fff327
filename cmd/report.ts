/** The only place that prints an error. @module */

import { describe } from "../internal/errors/errors.ts";
import { type Log, writeAll } from "../internal/log/log.ts";

const DENIED = /permission denied|operation not permitted/;

/**
 * Reports an error as runc does: one line of level error in the log and, when the log is not
 * standard error, the bare message there.
 *
 * The last error line of a JSON log is what containerd shows; the one line on standard error is
 * what Podman falls back to. What callers match comes first: the remedy, and the container where
 * nothing names it, follow.
 *
 * @param container the id the command is about
 */
export function report(error: unknown, log: Log, container = ""): void {
  const message = withRemedy(describe(error), container);
  log.error(message);
  if (!log.isStderr) writeAll(2, `${message}\n`);
}

/** A message with what to do where nothing in it says so. @param container the id it is about */
export function withRemedy(text: string, container = ""): string {
  const isRoot = process.geteuid?.() === 0;
  const root =
    !isRoot && DENIED.test(text) && !text.includes("as root") ? "; run thaw as root" : "";
  // In quotes unless it could be one: a newline would make two lines of the message.
  const shown = /^[\w+.-]+$/.test(container) ? container : JSON.stringify(container);
  const named = container === "" || text.includes(container) ? "" : `; container ${shown}`;
  return `${text}${named}${root}`;
}
