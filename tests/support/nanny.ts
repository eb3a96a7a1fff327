/**
 * Runs a program as its subreaper and tells what it left behind: children that nobody waited for,
 * zombies included, become the nanny's.
 *
 * @module
 */

import { readFileSync, writeFileSync } from "node:fs";
import { libc } from "../../internal/linux/libc.ts";

/** The command line that runs a program under a nanny, which writes to `report`. */
export function underNanny(report: string, argv: readonly string[]): string[] {
  return [process.execPath, import.meta.path, report, ...argv];
}

/** What a program under a nanny left behind, such as `criu Z`. */
export function leftBehind(report: string): string[] {
  return JSON.parse(readFileSync(report, "utf8"));
}

const PR_SET_CHILD_SUBREAPER = 36;

async function main(): Promise<void> {
  const [report = "", ...argv] = process.argv.slice(2);
  libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  const child = Bun.spawn(argv, { stdio: ["inherit", "inherit", "inherit"] });
  process.exitCode = await child.exited;
  const left = readFileSync("/proc/thread-self/children", "utf8").split(" ").filter(Boolean);
  const names = left.map((pid) => {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return /\((.*)\) (.)/s.exec(stat)?.slice(1).join(" ");
  });
  writeFileSync(report, JSON.stringify(names));
}

if (import.meta.main) await main();
