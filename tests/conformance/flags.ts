/** Flag by flag: what the rows say of each. @module */

import { checkpointCommand } from "../../cmd/checkpoint.ts";
import { deleteCommand } from "../../cmd/delete.ts";
import { eventsCommand } from "../../cmd/events.ts";
import { execCommand } from "../../cmd/exec.ts";
import type { Flags } from "../../cmd/flags.ts";
import { globalFlags } from "../../cmd/globals.ts";
import { killCommand } from "../../cmd/kill.ts";
import { listCommand } from "../../cmd/list.ts";
import { psCommand } from "../../cmd/ps.ts";
import { restoreCommand } from "../../cmd/restore.ts";
import { updateCommand } from "../../cmd/update.ts";
import { commandOf, type KindRow } from "./row.ts";
import { TABLE } from "./table.ts";

/** What runc 1.3 has; the table's test reads it from `runc COMMAND --help`. */
export const RUNC_FLAGS = {
  restore: [
    ...["console-socket", "image-path", "work-path", "tcp-established", "ext-unix-sk", "shell-job"],
    ...["file-locks", "manage-cgroups-mode", "bundle", "detach", "pid-file", "no-subreaper"],
    ...["no-pivot", "empty-ns", "auto-dedup", "lazy-pages", "lsm-profile", "lsm-mount-context"],
  ],
  checkpoint: [
    ...["image-path", "work-path", "parent-path", "leave-running", "tcp-established"],
    ...["tcp-skip-in-flight", "link-remap", "ext-unix-sk", "shell-job", "lazy-pages", "status-fd"],
    ...["page-server", "file-locks", "pre-dump", "manage-cgroups-mode", "empty-ns", "auto-dedup"],
  ],
  exec: [
    ...["console-socket", "pidfd-socket", "cwd", "env", "tty", "user", "additional-gids"],
    ...["process", "detach", "pid-file", "process-label", "apparmor", "no-new-privs", "cap"],
    ...["preserve-fds", "cgroup", "ignore-paused"],
  ],
  list: ["format", "quiet"],
  ps: ["format"],
  kill: [],
  delete: ["force"],
  events: ["interval", "stats"],
  update: [
    ...["resources", "blkio-weight", "cpu-period", "cpu-quota", "cpu-burst", "cpu-share"],
    ...["cpu-rt-period", "cpu-rt-runtime", "cpuset-cpus", "cpuset-mems"],
    ...["memory", "cpu-idle", "memory-reservation", "memory-swap"],
    ...["pids-limit", "l3-cache-schema", "mem-bw-schema"],
  ],
  global: ["debug", "log", "log-format", "root", "systemd-cgroup", "rootless", "help", "version"],
  /** Taken, and not in its help. */
  hidden: ["criu", "all", "kernel-memory", "kernel-memory-tcp"],
} as const;

/** A flag of thaw's, and how it compares. */
export interface FlagEntry {
  /** With dashes, alias first. */
  readonly name: string;
  readonly rows: number;
  /** Empty: as runc in every row. */
  readonly differs: readonly string[];
  /** False: runc refuses it. */
  readonly runc: boolean;
}

/** A command that has flags, or the flags before the command. */
export type Which = Exclude<keyof typeof RUNC_FLAGS, "hidden">;

/** Those flags by name. */
export const THAW_FLAGS: Readonly<Record<Which, Flags>> = {
  restore: restoreCommand.flags,
  checkpoint: checkpointCommand.flags,
  exec: execCommand.flags,
  list: listCommand.flags,
  ps: psCommand.flags,
  kill: killCommand.flags,
  delete: deleteCommand.flags,
  events: eventsCommand.flags,
  update: updateCommand.flags,
  global: globalFlags,
};

/** The commands that have flags. */
export const COMMANDS = (Object.keys(THAW_FLAGS) as Which[]).filter((which) => which !== "global");

/** Flags in the order of help. */
export function flagEntries(which: Which, table = TABLE): FlagEntry[] {
  const flags = THAW_FLAGS[which];
  const known: readonly string[] = [...RUNC_FLAGS[which], ...RUNC_FLAGS.hidden];
  return Object.entries(flags).map(([name, flag]) => {
    const rows = table.filter(
      (row: KindRow) => row.of?.includes(name) && (which === "global" || commandOf(row) === which),
    );
    const alias = "alias" in flag ? `-${flag.alias}, ` : "";
    return {
      name: `${alias}--${name}`,
      rows: rows.length,
      differs: [...new Set(rows.flatMap(({ differs }) => differs ?? []))],
      runc: known.includes(name),
    };
  });
}
