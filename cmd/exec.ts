/** `thaw exec`: flags to options, and the call. @module */

import { defineCommand } from "citty";
import { ThawError } from "../internal/errors/errors.ts";
import { exec } from "../internal/exec/exec.ts";
import type { ExecOptions } from "../internal/exec/options.ts";
import type { Command, Invocation } from "./command.ts";
import type { Flags } from "./flags.ts";
import { report } from "./report.ts";

/** What runc exits with when the program could not be executed; the program may, too. */
const FAILED = 255;

const flags = {
  process: {
    type: "string",
    alias: "p",
    valueHint: "FILE",
    description:
      "what to execute, as JSON: the process of a config.json; in place of the command and of all flags up to --tty",
  },
  cwd: {
    type: "string",
    valueHint: "DIR",
    description: "working directory in the container; default: that of config.json",
  },
  env: {
    type: "string",
    alias: "e",
    list: true,
    valueHint: "NAME=VALUE",
    description: "set a variable of the environment, beside those of config.json",
  },
  user: {
    type: "string",
    alias: "u",
    valueHint: "UID[:GID]",
    description: "user, and group; default: those of config.json",
  },
  "additional-gids": {
    type: "string",
    alias: "g",
    list: true,
    number: "integer",
    valueHint: "GID",
    description: "a further group",
  },
  cap: {
    type: "string",
    alias: "c",
    list: true,
    valueHint: "CAP",
    description: "a further capability, such as CAP_NET_ADMIN",
  },
  "no-new-privs": {
    type: "boolean",
    description: "execute nothing with more privileges (set-user-ID programs); =false allows it",
  },
  "process-label": {
    type: "string",
    valueHint: "LABEL",
    description: "SELinux label of the process",
  },
  apparmor: { type: "string", valueHint: "PROFILE", description: "AppArmor profile" },
  tty: { type: "boolean", alias: "t", description: "give the process a terminal" },
  detach: { type: "boolean", alias: "d", description: "return as soon as the program runs" },
  "pid-file": {
    type: "string",
    valueHint: "FILE",
    description: "write the pid of the process to FILE",
  },
  "console-socket": {
    type: "string",
    valueHint: "SOCKET",
    description:
      "with --detach, where to send the master of the terminal: a listening AF_UNIX stream socket",
  },
  "pidfd-socket": {
    type: "string",
    valueHint: "SOCKET",
    description: "where to send a pidfd of the process: a listening AF_UNIX stream socket",
  },
  "preserve-fds": {
    type: "string",
    number: "count",
    valueHint: "N",
    description: "hand N descriptors from 3 on to the process",
  },
  cgroup: {
    type: "string",
    list: true,
    valueHint: "[CONTROLLER:]PATH",
    description: "a cgroup below the container's, which exists; on cgroup v1 for some controllers",
  },
  "ignore-paused": {
    type: "boolean",
    description: "do it in a paused container too; the process then waits for resume",
  },
} as const satisfies Flags;

/** The exec command. */
export const execCommand: Command = {
  definition: defineCommand({
    meta: {
      name: "exec",
      description:
        "Executes a program in a container, with the namespaces, cgroups, seccomp filter and capabilities that its other processes have, and exits with the program's status. When that fails, one line says why, nothing of it is left, and the exit status is 255.",
    },
    run: async ({ data }) => {
      const { parsed, log } = data as Invocation;
      try {
        return await exec(toOptions(data as Invocation));
      } catch (cause) {
        report(new ThawError("exec failed", { cause }), log, parsed.positionals[0]);
        return FAILED;
      }
    },
  }),
  flags,
  usage: "ID [COMMAND [ARGUMENT...]]",
  positionals: { least: 1, most: Number.POSITIVE_INFINITY },
  completes: "containers",
  passesOn: true,
  examples: [
    "thaw exec c1 ps -ef",
    "# a shell",
    "thaw exec -t c1 sh",
    "# what containerd's shim calls",
    "thaw exec --process process.json --detach --pid-file /run/c1-1.pid c1",
  ].join("\n"),
};

function toOptions({ parsed, globals, log }: Invocation): ExecOptions {
  const bool = (name: keyof typeof flags) => parsed.booleans.get(name) ?? false;
  // An empty string is a flag that was not given, as in runc.
  const text = (name: keyof typeof flags) => parsed.strings.get(name) || undefined;
  const list = (name: keyof typeof flags) => parsed.lists.get(name) ?? [];
  const [id = "", ...command] = parsed.positionals;
  return {
    id,
    root: globals.root,
    log,
    command,
    process: text("process"),
    cwd: text("cwd"),
    env: list("env"),
    user: text("user"),
    additionalGids: list("additional-gids").map(BigInt),
    capabilities: list("cap"),
    noNewPrivileges: parsed.booleans.get("no-new-privs"),
    processLabel: text("process-label"),
    appArmor: text("apparmor"),
    terminal: bool("tty"),
    detach: bool("detach"),
    pidFile: text("pid-file"),
    consoleSocket: text("console-socket"),
    pidfdSocket: text("pidfd-socket"),
    preserveFds: Number(text("preserve-fds") ?? 0),
    ignorePaused: bool("ignore-paused"),
    cgroups: list("cgroup"),
  };
}
