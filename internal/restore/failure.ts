/** A failed restore told so that a person can act. @module */

import type { Explanation } from "../criu/explain.ts";
import { explainFailure } from "../criu/failure.ts";
import { RULES } from "../criu/rules.ts";
import { mountpointOf } from "../images/checkpoint.ts";
import type { RestorePlan } from "./plan.ts";

/**
 * Quotes restore.log into the log and explains the failure.
 *
 * @param logPath absolute path of restore.log
 * @param since milliseconds since the epoch: a log not written after that is an earlier run's
 * @returns the error to report instead
 */
export function explainRestore(
  error: unknown,
  { imagePath, options }: RestorePlan,
  logPath: string,
  since: number,
): unknown {
  const more = (known: Explanation) => mountName(known, imagePath);
  return explainFailure(error, { logPath, since, log: options.log, rules: RULES, more });
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
