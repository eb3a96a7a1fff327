/** Containers with much memory that is known byte by byte. @module */

import { closeSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, type Lab, must, run, waitFor } from "./lab.ts";

/** A container whose `dd` holds the whole of /data in one buffer and has written it nowhere yet. */
export interface FullOfMemory {
  readonly bundle: Bundle;
  /** The image directory of its checkpoint. */
  readonly image: string;
  /** Lets the container write its memory to /out. */
  go(): void;
  /** Waits for it to have written everything. */
  done(): void;
  /** How far /out is the same as /data, and how long it is. */
  written(): { readonly same: number; readonly length: number };
}

// The shell reads a FIFO itself: it starts no program that a checkpoint could catch half-started.
const SCRIPT = (bytes: number) =>
  `dd bs=${bytes} count=1 iflag=fullblock if=/data 2>/dev/null |
  { : >/full; read x </go; cat >/out; : >/done; read x </go; }`;

/**
 * Makes the container and its checkpoint.
 *
 * @param bytes size of the memory
 */
export function fullOfMemory(lab: Lab, bytes: number): FullOfMemory {
  const bundle = lab.bundle(SCRIPT(bytes));
  const path = (name: string) => join(bundle.rootfs, name);
  fillWithNoise(path("data"), bytes);
  must(run(["mkfifo", path("go")]));
  const id = lab.id();
  lab.start(bundle, id, "full");
  waitFor(() => residentBytes(lab, id) >= bytes, "the memory to be full", 60_000);
  const image = lab.checkpoint(id);
  return {
    bundle,
    image,
    go: () => must(run(["sh", "-c", `echo > ${path("go")}`])),
    done: () =>
      waitFor(() => Bun.file(path("done")).size === 0 && exists(path("done")), "/done", 60_000),
    written: () => compare(path("data"), path("out")),
  };
}

const exists = (path: string) => run(["test", "-e", path]).status === 0;

// Never a zero byte: missing memory reads as zeros.
function fillWithNoise(path: string, bytes: number): void {
  const block = Buffer.alloc(1024 * 1024);
  const fd = openSync(path, "w");
  let state = 1;
  for (let at = 0; at < bytes; at += block.length) {
    for (let i = 0; i < block.length; i += 4) {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      block.writeInt32LE(state | 0x01010101, i);
    }
    writeSync(fd, block);
  }
  ftruncateSync(fd, bytes);
  closeSync(fd);
}

function residentBytes(lab: Lab, id: string): number {
  const pids = JSON.parse(must(lab.runc(["ps", "--format", "json", id])).stdout) as number[];
  const sizes = pids.map((pid) => {
    const status = run(["cat", `/proc/${pid}/status`]).stdout;
    return Number(/^RssAnon:\s*(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
  });
  return Math.max(0, ...sizes);
}

function compare(whole: string, part: string): { same: number; length: number } {
  const [a, b] = [Buffer.alloc(1024 * 1024), Buffer.alloc(1024 * 1024)];
  const [left, right] = [openSync(whole, "r"), openSync(part, "r")];
  try {
    for (let at = 0; ; ) {
      const length = readSync(right, b, 0, b.length, at);
      readSync(left, a, 0, length, at);
      if (length === 0) return { same: at, length: at };
      if (!a.subarray(0, length).equals(b.subarray(0, length))) {
        const first = b.subarray(0, length).findIndex((byte, i) => byte !== a[i]);
        return { same: at + first, length: Bun.file(part).size };
      }
      at += length;
    }
  } finally {
    closeSync(left);
    closeSync(right);
  }
}
