/** libc through bun:ffi: the only file that opens a library. @module */

import { dlopen, FFIType, type Pointer, ptr, read } from "bun:ffi";
import { ThawError } from "../errors/errors.ts";

// glibc's soname; musl's loader maps it to itself. Never a list of candidates: Bun looks for a
// name the loader does not know in the working directory, which nobody trusts.
const LIBC = "libc.so.6";

/** The C functions thaw calls, by their C names. */
export const libc = dlopen(LIBC, {
  __errno_location: { args: [], returns: "ptr" },
  cfmakeraw: { args: ["ptr"], returns: "void" },
  chdir: { args: ["cstring"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
  connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
  eventfd: { args: ["u32", "i32"], returns: "i32" },
  execve: { args: ["cstring", "ptr", "ptr"], returns: "i32" },
  fchown: { args: ["i32", "u32", "u32"], returns: "i32" },
  fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
  flock: { args: ["i32", "i32"], returns: "i32" },
  inotify_add_watch: { args: ["i32", "cstring", "u32"], returns: "i32" },
  inotify_init1: { args: ["i32"], returns: "i32" },
  ioctl: { args: ["i32", "u64", "ptr"], returns: "i32" },
  kill: { args: ["i32", "i32"], returns: "i32" },
  mkdirat: { args: ["i32", "cstring", "u32"], returns: "i32" },
  mount: { args: ["cstring", "cstring", "cstring", "u64", "ptr"], returns: "i32" },
  openat: { args: ["i32", "cstring", "i32", "u32"], returns: "i32" },
  pipe2: { args: ["ptr", "i32"], returns: "i32" },
  poll: { args: ["ptr", "u64", "i32"], returns: "i32" },
  posix_spawn: { args: ["ptr", "cstring", "ptr", "ptr", "ptr", "ptr"], returns: "i32" },
  posix_spawn_file_actions_adddup2: { args: ["ptr", "i32", "i32"], returns: "i32" },
  posix_spawn_file_actions_destroy: { args: ["ptr"], returns: "i32" },
  posix_spawn_file_actions_init: { args: ["ptr"], returns: "i32" },
  posix_spawnattr_destroy: { args: ["ptr"], returns: "i32" },
  posix_spawnattr_init: { args: ["ptr"], returns: "i32" },
  posix_spawnattr_setflags: { args: ["ptr", "i16"], returns: "i32" },
  posix_spawnattr_setsigdefault: { args: ["ptr", "ptr"], returns: "i32" },
  posix_spawnattr_setsigmask: { args: ["ptr", "ptr"], returns: "i32" },
  prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
  prlimit: { args: ["i32", "i32", "ptr", "ptr"], returns: "i32" },
  pthread_sigmask: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  read: { args: ["i32", "ptr", "u64"], returns: FFIType.i64_fast },
  readlinkat: { args: ["i32", "cstring", "ptr", "u64"], returns: FFIType.i64_fast },
  recvmsg: { args: ["i32", "ptr", "i32"], returns: FFIType.i64_fast },
  send: { args: ["i32", "ptr", "u64", "i32"], returns: FFIType.i64_fast },
  sendmsg: { args: ["i32", "ptr", "i32"], returns: FFIType.i64_fast },
  setns: { args: ["i32", "i32"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  shutdown: { args: ["i32", "i32"], returns: "i32" },
  signal: { args: ["i32", "u64"], returns: "u64" },
  signalfd: { args: ["i32", "ptr", "i32"], returns: "i32" },
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  socketpair: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  strerror: { args: ["i32"], returns: "cstring" },
  syscall: { args: ["i64", "i64", "i64", "i64", "i64"], returns: FFIType.i64_fast },
  tcgetattr: { args: ["i32", "ptr"], returns: "i32" },
  tcsetattr: { args: ["i32", "i32", "ptr"], returns: "i32" },
  umask: { args: ["u32"], returns: "u32" },
  umount2: { args: ["cstring", "i32"], returns: "i32" },
  unshare: { args: ["i32"], returns: "i32" },
  waitpid: { args: ["i32", "ptr", "i32"], returns: "i32" },
}).symbols;

/** A failed system call, in Go's words: strerror(3) with a small first letter. */
export class SyscallError extends ThawError {
  override name = "SyscallError";
  /** errno(3), positive. */
  readonly errno: number;
  constructor(call: string, errno: number) {
    super(call === "" ? strerror(errno) : `${call}: ${strerror(errno)}`);
    this.errno = errno;
  }
}

/** The reason of an errno as Go's syscall package words it, such as `no such file or directory`. */
export function strerror(errno: number): string {
  const text = String(libc.strerror(errno));
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/** errno(3) of the last call on this thread; nothing may come between the call and this. */
export function errno(): number {
  const location = libc.__errno_location();
  return location === null ? 0 : read.i32(location, 0);
}

/** Passes a result on, or throws for -1. Nothing may come between the call and this: errno(3). */
export function check(result: number, call: string): number {
  if (result !== -1) return result;
  throw new SyscallError(call, errno());
}

/**
 * Calls a function of node:fs and rewords its failure as runc would: `<call>: <strerror>`.
 *
 * @throws SyscallError with a positive errno
 */
export function wrapFs<T>(call: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    const number = (error as NodeJS.ErrnoException).errno;
    if (typeof number !== "number" || error instanceof ThawError) throw error;
    throw new SyscallError(call, Math.abs(number));
  }
}

/** True for an error of node:fs or of libc with this errno. */
export function hasErrno(error: unknown, number: number): boolean {
  const found = (error as { errno?: unknown }).errno;
  return found === number || found === -number;
}

/** A NUL-terminated copy for C; a NUL inside would cut the path short and is refused. */
export function cstring(text: string): Buffer {
  if (text.includes("\0")) throw new ThawError(`${JSON.stringify(text)} contains a NUL byte`);
  return Buffer.from(`${text}\0`);
}

/** Memory for a C structure: `bytes` is what C gets, `view` reads and writes the same memory. */
export interface Memory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** Zeroed memory. It is backed by a buffer of its own: a small typed array of Bun's may move. */
export function memory(size: number): Memory {
  const buffer = new ArrayBuffer(size);
  return { bytes: new Uint8Array(buffer), view: new DataView(buffer) };
}

/** A NULL-terminated `char *[]`; keep the returned object alive for as long as C reads it. */
export function cstringArray(
  values: readonly (string | Buffer)[],
): Memory & { readonly owned: Buffer[] } {
  const owned = values.map((value) =>
    typeof value === "string" ? cstring(value) : Buffer.concat([value, Buffer.from("\0")]),
  );
  const array = memory(8 * (values.length + 1));
  owned.forEach((value, i) => {
    array.view.setBigUint64(8 * i, BigInt(ptr(value) as Pointer), true);
  });
  return { ...array, owned };
}

/** errno values thaw branches on (asm-generic/errno-base.h, equal on x64 and arm64). */
export const ENOENT = 2;
/** errno(3). */
export const EINTR = 4;
/** errno(3). */
export const ENOEXEC = 8;
/** errno(3). */
export const EAGAIN = 11;
/** errno(3). */
export const EBUSY = 16;
/** errno(3). */
export const EEXIST = 17;
/** errno(3). */
export const EACCES = 13;
/** errno(3). */
export const ENODEV = 19;
/** errno(3). */
export const ENOTDIR = 20;
/** errno(3). */
export const EINVAL = 22;
/** errno(3). */
export const ENOSYS = 38;
/** errno(3). */
export const ELOOP = 40;
/** errno(3). */
export const EPROTOTYPE = 91;
/** errno(3). */
export const EOPNOTSUPP = 95;
