/** Headings of what a person reads. @module */

import { isColourful } from "../internal/log/log.ts";

/** Bold on a terminal, plain elsewhere and with NO_COLOR. */
export function heading(text: string): string {
  return isColourful(1) ? `\x1b[1m${text}\x1b[0m` : text;
}
