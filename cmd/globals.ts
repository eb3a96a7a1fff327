/** The options before the command, shared by all of them. @module */

import { resolve } from "node:path";
import { ThawError } from "../internal/errors/errors.ts";
import type { LogOptions } from "../internal/log/log.ts";
import { type Flags, type Parsed, parseBool } from "./flags.ts";

/** Global flags; runc's. */
export const globalFlags = {
  debug: { type: "boolean", description: "enable debug logging" },
  log: {
    type: "string",
    valueHint: "FILE",
    description: "write the log to FILE instead of standard error",
  },
  "log-format": {
    type: "string",
    valueHint: "FORMAT",
    default: "text",
    values: ["text", "json"],
    description: "format of the log: text or json",
  },
  root: {
    type: "string",
    valueHint: "DIR",
    default: "/run/runc",
    description: "directory of the containers' state; runc's, so that both see the same containers",
  },
  "systemd-cgroup": {
    type: "boolean",
    description:
      "have systemd make the cgroup, as a scope; linux.cgroupsPath is then slice:prefix:name",
  },
  rootless: {
    type: "string",
    valueHint: "MODE",
    default: "auto",
    values: ["true", "false", "auto"],
    description: "ignore cgroup permission errors: true, false or auto (read for compatibility)",
  },
  criu: {
    type: "string",
    valueHint: "PATH",
    description: "the criu to use; a name without a slash is looked up on PATH (runc ignores this)",
  },
  help: { type: "boolean", alias: "h", description: "show help" },
  version: { type: "boolean", alias: "v", description: "print the version" },
} as const satisfies Flags;

/** What the global flags come to. */
export interface Globals {
  readonly debug: boolean;
  readonly log: LogOptions;
  /** Absolute and clean. */
  readonly root: string;
  /** Whether `root` was said, not the default. */
  readonly rootGiven: boolean;
  readonly systemdCgroup: boolean;
  /** `--criu` as it was given; undefined: the one on PATH. */
  readonly criu: string | undefined;
  /** As it was given. */
  readonly rootless: string;
}

/**
 * Reads the global flags out of what was given before and after the command; later ones win.
 *
 * @throws ThawError in runc's words
 */
export function readGlobals(given: readonly Parsed[]): Globals {
  const text = (name: string) =>
    given.reduce<string | undefined>((v, p) => p.strings.get(name) ?? v, undefined);
  const bool = (name: string) => given.reduce((v, p) => p.booleans.get(name) ?? v, false);
  const debug = bool("debug");
  const format = text("log-format") ?? "text";
  if (!["", "text", "json"].includes(format)) throw new ThawError(`invalid log-format: ${format}`);
  const root = resolve(text("root") ?? defaultRoot());
  if (root === "/") throw new ThawError("Option --root argument should not be set to /");
  const path = text("log");
  return {
    debug,
    log: {
      path: path === "" ? undefined : path,
      format: format === "json" ? "json" : "text",
      debug,
    },
    root,
    rootGiven: text("root") !== undefined,
    systemdCgroup: bool("systemd-cgroup"),
    criu: text("criu") || undefined,
    rootless: text("rootless") ?? "auto",
  };
}

/**
 * Checks `--rootless`, which changes nothing here. runc reads it late: the log is open by then.
 *
 * @throws ThawError in runc's words
 */
export function refuseRootless({ rootless }: Globals): void {
  if (rootless !== "" && rootless !== "auto" && parseBool(rootless) === undefined)
    throw new ThawError(`strconv.ParseBool: parsing ${JSON.stringify(rootless)}: invalid syntax`);
}

// runc: XDG_RUNTIME_DIR counts for those who are not root only, and not when it is empty.
function defaultRoot(): string {
  const runtime = process.env["XDG_RUNTIME_DIR"] ?? "";
  return process.geteuid?.() !== 0 && runtime !== "" ? `${runtime}/runc` : "/run/runc";
}
