/** Files of /proc/PID (proc(5)), of a process that may go at any moment. @module */

import { readFileSync, readlinkSync } from "node:fs";

/** @returns its text; empty when the process is gone, or whoever asks may not know */
export function procText(pid: number | "thread-self", name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return "";
  }
}

/** @returns where the link leads; empty as of {@link procText} */
export function procLink(pid: number, name: string): string {
  try {
    return readlinkSync(`/proc/${pid}/${name}`);
  } catch {
    return "";
  }
}
