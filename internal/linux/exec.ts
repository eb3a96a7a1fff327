/** Another program in thaw's place, which finds everything as thaw's caller left it (execve(2)). @module */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { keepThroughExec } from "./fd.ts";
import { check, cstring, cstringArray, libc } from "./libc.ts";
import { restoreNofileLimit } from "./process.ts";

const SIGPIPE = 13;
const SIGXFSZ = 25;

/**
 * Executes a program with thaw's own command line and environment, byte for byte.
 *
 * Undone before is what Bun does at start: it ignores SIGPIPE and SIGXFSZ, raises the soft
 * RLIMIT_NOFILE, and marks the caller's descriptors close-on-exec. Call it before anything is opened.
 *
 * @param file absolute path
 * @throws SyscallError `exec FILE: …`
 */
export function executeInstead(file: string): never {
  restoreNofileLimit();
  for (const signal of [SIGPIPE, SIGXFSZ]) libc.signal(signal, 0n); // SIG_DFL
  const own = bunsDescriptors();
  for (const name of readdirSync("/proc/self/fd")) {
    if (Number(name) > 2 && !own.has(Number(name))) keepThroughExec(Number(name));
  }
  const argv = cstringArray(entries("/proc/self/cmdline"));
  const env = cstringArray(entries("/proc/self/environ"));
  const result = libc.execve(cstring(file), argv.bytes, env.bytes);
  check(result, `exec ${file}`);
  // The strings must outlive the call; reading them here keeps them.
  throw new Error(`exec ${file} returned (${argv.owned.length + env.owned.length})`);
}

/** NUL-terminated entries, empty ones too. */
function entries(file: string): Buffer[] {
  const bytes = readFileSync(file);
  const found: Buffer[] = [];
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf(0, start);
    found.push(bytes.subarray(start, end === -1 ? bytes.length : end));
    start = end === -1 ? bytes.length : end + 1;
  }
  return found;
}

/**
 * Bun's own: its epoll instance, the lowest of that kind, and what it watches with it. They cannot be
 * told from the caller's by their flags.
 */
function bunsDescriptors(): Set<number> {
  const numbers = readdirSync("/proc/self/fd").map(Number);
  const epoll = numbers.sort((a, b) => a - b).find((fd) => link(fd) === "anon_inode:[eventpoll]");
  if (epoll === undefined) return new Set();
  const info = readFileSync(`/proc/self/fdinfo/${epoll}`, "utf8");
  const watched = [...info.matchAll(/^tfd:\s*(\d+)/gm)].map(([, fd]) => Number(fd));
  return new Set([epoll, ...watched]);
}

function link(fd: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return ""; // the directory that is being read
  }
}
