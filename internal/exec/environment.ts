/** The environment of a process, and where it finds its program. @module */

import { fstatSync } from "node:fs";
import { join } from "node:path";
import { ThawError } from "../errors/errors.ts";
import { readRegularFile } from "../linux/file.ts";
import { resolveInRoot } from "../linux/path.ts";

/** Larger than any /etc/passwd. */
const MAX_PASSWD = 16 * 1024 * 1024;

/**
 * Prepares the environment (runc: prepareEnv): of several with one name the last counts, and HOME is
 * that of the user unless it is set.
 *
 * @param env undefined: there is to be none
 * @param home of the user; asked for only when it is needed
 * @throws ThawError `invalid environment variable: missing '='`
 */
export function preparedEnvironment(
  env: readonly string[] | null | undefined,
  home: () => string,
): string[] {
  if (env == null) return [];
  const last = new Map<string, string>();
  let hasHome = false;
  for (const entry of [...env].reverse()) {
    const name = nameOf(entry);
    if (last.has(name)) continue;
    last.set(name, entry);
    if (name === "HOME") hasHome = entry !== "HOME=";
  }
  const kept = [...last].reverse().filter(([name]) => name !== "HOME" || hasHome);
  const entries = kept.map(([, entry]) => entry);
  return hasHome ? entries : [...entries, `HOME=${home()}`];
}

function nameOf(entry: string): string {
  const refuse = (why: string) =>
    new ThawError(`invalid environment variable${why}`, { hint: "say NAME=value" });
  const equals = entry.indexOf("=");
  if (equals === -1) throw refuse(": missing '='");
  if (equals === 0) throw refuse(": name cannot be empty");
  const name = entry.slice(0, equals);
  if (entry.includes("\0")) throw refuse(` ${JSON.stringify(name)}: contains nul byte (\\x00)`);
  return name;
}

/**
 * A user's home by the container's /etc/passwd, which nobody trusts.
 *
 * @param root an O_PATH descriptor of the container's root
 * @returns `/` for a user who is not in it
 */
export function homeOf(root: number, uid: number): string {
  const line = passwd(root).find((fields) => goNumber(fields[2]) === uid);
  return line === undefined ? "/" : (line[5] ?? "");
}

function passwd(root: number): string[][] {
  try {
    using found = resolveInRoot(root, "/etc/passwd", "nothing");
    if (found.fd === undefined || !fstatSync(found.fd).isFile()) return [];
    const text = readRegularFile(`/proc/self/fd/${found.fd}`, MAX_PASSWD).toString();
    const lines = text.split("\n").map((line) => line.trim());
    return lines.filter((line) => line !== "").map((line) => line.split(":"));
  } catch {
    return []; // runc, too, goes on without
  }
}

// What Go's strconv.Atoi cannot read, runc takes for 0.
function goNumber(text = ""): number {
  return /^[+-]?\d+$/.test(text) ? Number(text) : 0;
}

/** Where a program may be: the paths to try, in order. */
export interface Search {
  readonly name: string;
  /** A name with a slash is looked for nowhere else. */
  readonly paths: readonly string[];
}

/**
 * Where to look for a program, as Go's exec.LookPath does.
 *
 * @param env the process's own; without PATH nothing is found
 */
export function searchOf(name: string, env: readonly string[]): Search {
  if (name.includes("/")) return { name, paths: [name] };
  if (name === "" || name === "." || name === "..") return { name, paths: [] };
  const path = env.find((entry) => entry.startsWith("PATH="))?.slice(5) ?? "";
  const directories = path === "" ? [] : path.split(":");
  return { name, paths: directories.map((directory) => join(directory || ".", name)) };
}
