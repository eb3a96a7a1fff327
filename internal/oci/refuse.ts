/** Refusals of what a restore has no use for, so that a spec is refused as by runc. @module */

import { ThawError } from "../errors/errors.ts";
import type { Spec } from "./spec.ts";

// setrlimit(2), without its RLIMIT_.
const RLIMITS = new Set(
  "AS CORE CPU DATA FSIZE LOCKS MEMLOCK MSGQUEUE NICE NOFILE NPROC RSS RTPRIO RTTIME SIGPENDING STACK"
    .split(" ")
    .map((name) => `RLIMIT_${name}`),
);
const SECCOMP_FLAGS = ["TSYNC", "LOG", "SPEC_ALLOW"].map((name) => `SECCOMP_FILTER_FLAG_${name}`);

/**
 * Checks words that only `create` would use.
 *
 * @returns warnings for the log
 * @throws ThawError in runc's words
 */
export function refuseUnused(spec: Spec): string[] {
  for (const { type = "" } of spec.process?.rlimits ?? [])
    if (!RLIMITS.has(type)) throw new ThawError(`wrong rlimit value: ${type}`);
  for (const flag of (spec.linux?.seccomp as { flags?: string[] } | null | undefined)?.flags ?? [])
    if (!SECCOMP_FLAGS.includes(flag))
      throw new ThawError(`seccomp flag ${flag} is not known to runc`);
  const flags = spec.linux?.personality?.flags ?? [];
  return flags.length === 0
    ? []
    : [
        `ignoring unsupported personality flags: [${flags.join(" ")}] because personality flag has not supported at this time`,
      ];
}
