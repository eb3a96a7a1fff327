/** Descriptors that become readable when the kernel has something to tell. @module */

import { type OwnedFd, owned } from "./fd.ts";
import { check, cstring, libc, memory } from "./libc.ts";

// eventfd(2), inotify(7).
const EFD_FLAGS = 0o2000000 | 0o4000; // EFD_CLOEXEC | EFD_NONBLOCK
const IN_FLAGS = 0o2000000 | 0o4000; // IN_CLOEXEC | IN_NONBLOCK
const IN_MODIFY = 2;
// struct inotify_event without a name, which an event of a watched file does not have.
const EVENT_SIZE = 16;

/** A counter that the kernel adds to (eventfd(2)). */
export interface EventCounter extends OwnedFd {
  /** What it has come to since the last call; 0 when nothing was added. */
  take(): bigint;
}

/** Makes an {@link EventCounter}. @throws SyscallError `eventfd: …` */
export function eventCounter(): EventCounter {
  const own = owned(check(libc.eventfd(0, EFD_FLAGS), "eventfd"));
  const count = memory(8);
  return {
    ...own,
    take: () =>
      Number(libc.read(own.fd, count.bytes, 8)) === 8 ? count.view.getBigUint64(0, true) : 0n,
  };
}

/** Files whose changes can be read (inotify(7)). */
export interface FileWatch extends OwnedFd {
  /** The files that have changed since the last call, each once. */
  take(): Set<string>;
}

/**
 * Watches files for being modified.
 *
 * @throws SyscallError `unable to add inotify watch: no such file or directory`
 */
export function watchFiles(paths: readonly string[]): FileWatch {
  const own = owned(check(libc.inotify_init1(IN_FLAGS), "unable to init inotify"));
  const names = new Map<number, string>();
  try {
    for (const path of paths) {
      const watch = libc.inotify_add_watch(own.fd, cstring(path), IN_MODIFY);
      names.set(check(watch, "unable to add inotify watch"), path);
    }
  } catch (error) {
    own.close();
    throw error;
  }
  const events = memory(64 * EVENT_SIZE);
  const take = () => {
    const found = new Set<string>();
    for (;;) {
      const size = Number(libc.read(own.fd, events.bytes, events.bytes.length));
      if (size <= 0) return found;
      for (let at = 0; at < size; at += EVENT_SIZE) {
        const name = names.get(events.view.getInt32(at, true));
        if (name !== undefined) found.add(name);
      }
    }
  };
  return { ...own, take };
}
