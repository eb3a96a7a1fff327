/** Why CRIU failed, from its own error lines: cause and remedy. @module */

import type { Rule } from "./rules.ts";

/** What is known about a failure. */
export interface Explanation {
  /** CRIU's line that tells. */
  readonly line: string;
  /** Why it happened, in one line. */
  readonly cause: string;
  /** What to do, in one line. */
  readonly remedy: string;
}

/**
 * Finds the first of CRIU's error lines that has a known cause.
 *
 * @param rules those of what CRIU was asked for
 */
export function explain(
  errors: readonly string[],
  rules: readonly Rule[],
): Explanation | undefined {
  for (const line of errors) {
    for (const { pattern, cause, remedy } of rules) {
      const match = pattern.exec(line);
      if (match === null) continue;
      const fill = (text: string) => text.replaceAll(/\$(\d)/g, (_, n) => match[Number(n)] ?? "");
      return { line, cause: fill(cause), remedy: fill(remedy) };
    }
  }
  return undefined;
}
