/**
 * Paths inside a root directory nobody trusts: no link and no `..` leads out of it.
 *
 * The walk keeps a descriptor for each directory on the way and opens one name at a time with
 * O_NOFOLLOW, so a rootfs that changes under our hands cannot redirect it. It works on every
 * kernel; the result is that of openat2(2) with RESOLVE_IN_ROOT.
 *
 * @module
 */

import { ThawError } from "../errors/errors.ts";
import {
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_WRONLY,
  type OwnedFd,
  openAt,
} from "./fd.ts";
import {
  check,
  cstring,
  EEXIST,
  EINVAL,
  ELOOP,
  ENOENT,
  ENOTDIR,
  errno,
  hasErrno,
  libc,
  memory,
  SyscallError,
} from "./libc.ts";

const MAX_LINKS = 255; // as github.com/cyphar/filepath-securejoin

/**
 * Refuses paths that no system call or log line can hold.
 *
 * @param paths flag without dashes, to its value
 * @throws ThawError naming the flag
 */
export function refusePathsWithNul(paths: Readonly<Record<string, string | undefined>>): void {
  for (const [name, path] of Object.entries(paths)) {
    if (path !== undefined && /[\0\n]/.test(path))
      throw new ThawError(`--${name} ${JSON.stringify(path)} contains a NUL byte or a newline`);
  }
}

/** What to make when the path does not exist: directories, or a file at its end. */
export type Missing = "directory" | "file" | "nothing";

/** A path inside a root. */
export interface InRoot extends Disposable {
  /** Absolute inside the root, without links or `..`. */
  readonly path: string;
  /** An O_PATH descriptor of it; undefined when it does not exist. */
  readonly fd: number | undefined;
  /** Whether it was there before. */
  readonly existed: boolean;
}

/**
 * Resolves a path inside a root and makes what is missing of it.
 *
 * @param root an O_PATH descriptor of the root directory
 * @param path taken from the root, absolute or not
 * @param missing what to make: directories get mode 0755, a file 0644, both under the umask
 * @throws SyscallError ELOOP, ENOTDIR, EEXIST (a name made or turned into a link meanwhile), …
 */
export function resolveInRoot(root: number, path: string, missing: Missing): InRoot {
  const names: string[] = [];
  const fds: OwnedFd[] = [];
  using scope = new DisposableStack();
  scope.defer(() => {
    for (const fd of fds) fd.close();
  });
  let todo = split(path);
  let links = 0;
  const existed: boolean[] = []; // of each name
  while (todo.length > 0) {
    const name = todo.shift() as string;
    if (name === "..") {
      if (fds.length === names.length) fds.pop()?.close();
      names.pop();
      existed.pop();
      continue;
    }
    const parent = fds.length === names.length ? (fds.at(-1)?.fd ?? root) : undefined;
    const link = parent === undefined ? undefined : readLink(parent, name);
    if (link !== undefined) {
      if (++links > MAX_LINKS) throw new SyscallError(`resolve ${path}`, ELOOP);
      if (link.startsWith("/")) {
        for (const fd of fds.splice(0)) fd.close();
        names.length = 0;
        existed.length = 0;
      }
      todo = [...split(link), ...todo];
      continue;
    }
    names.push(name);
    existed.push(parent !== undefined);
    if (parent === undefined) continue; // below something that does not exist
    const opened = openName(parent, name, todo.length > 0 ? "directory" : missing, missing);
    if (!opened.existed) existed[names.length - 1] = false;
    if (opened.fd !== undefined) fds.push(opened.fd);
  }
  const last = fds.length === names.length ? fds.pop() : undefined;
  return {
    path: `/${names.join("/")}`,
    fd: names.length === 0 ? root : last?.fd,
    existed: existed.at(-1) ?? true,
    [Symbol.dispose]: () => last?.close(),
  };
}

function split(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

function readLink(parent: number, name: string): string | undefined {
  const target = memory(4096);
  const length = libc.readlinkat(parent, cstring(name), target.bytes, 4096);
  if (length !== -1) return Buffer.from(target.bytes.slice(0, Number(length))).toString();
  const reason = errno();
  if (reason === EINVAL || reason === ENOENT) return undefined; // not a link, or not there
  throw new SyscallError(`readlink ${name}`, reason);
}

function openName(
  parent: number,
  name: string,
  kind: Missing,
  missing: Missing,
): { fd: OwnedFd | undefined; existed: boolean } {
  const open = () => openAt(parent, name, O_PATH | O_NOFOLLOW);
  try {
    return { fd: open(), existed: true };
  } catch (error) {
    if (hasErrno(error, ENOTDIR))
      throw new ThawError("not a directory inside the root", { cause: error });
    if (!hasErrno(error, ENOENT)) throw error;
  }
  if (missing === "nothing") return { fd: undefined, existed: false };
  if (kind === "file") {
    openAt(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0o644).close();
    return { fd: open(), existed: false };
  }
  const made = libc.mkdirat(parent, cstring(name), 0o755);
  if (made === -1 && errno() !== EEXIST) check(made, `mkdir ${name}`);
  return { fd: openAt(parent, name, O_PATH | O_NOFOLLOW | O_DIRECTORY), existed: false };
}
