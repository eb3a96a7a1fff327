/**
 * The commands that work on a container there is: their flags, ids and words, before none and before
 * one that runs. Whole lives, and figures, are compared apart: tests/integration/life-*.test.ts,
 * events.test.ts and update.test.ts.
 *
 * @module
 */

import { must, waitFor } from "../../support/lab.ts";
import { limitsOf } from "../../support/limits.ts";
import { type Call, type CommandName, type Given, LIFE, type Row } from "../row.ts";

const NOBODY = "container does not exist";

/** A command line for a container there is not: what is refused for that alone was understood. */
const nobody =
  (command: CommandName, ...words: readonly string[]) =>
  ({ lab }: Given): Call => ({ argv: ["--root", lab.root, command, ...words] });

const refused = (
  command: CommandName,
  name: string,
  words: readonly string[],
  says: string | RegExp,
  of: readonly string[] = [],
): Row => ({ command, name, of, make: nobody(command, ...words), status: 1, says });

/** A command line for a container that runs; ID is its id. */
const running =
  (command: CommandName, ...words: readonly string[]) =>
  ({ lab, bundle, id }: Given): Call => {
    bundle.edit((config) => {
      config.process.args = ["/bin/busybox", "sleep", "100000"];
    });
    lab.start(bundle, id, "bin/busybox");
    const argv = words.map((word) => (word === "ID" ? id : word));
    return { argv: ["--root", lab.root, command, ...argv] };
  };

/** What it does to a container that runs. */
const done = (
  command: CommandName,
  name: string,
  words: readonly string[],
  of: readonly string[] = [],
  look?: Row["look"],
): Row => ({
  command,
  name,
  of,
  make: running(command, ...words),
  ...(look === undefined ? {} : { look }),
  status: 0,
  runs: true,
});

const refusedRunning = (
  command: CommandName,
  name: string,
  words: readonly string[],
  says: string | RegExp,
  of: readonly string[] = [],
): Row => ({ command, name, of, make: running(command, ...words), status: 1, says, once: true });

/** After another command of runc's; a kill has ended the container. */
const after = (row: Row, line: "pause" | "kill"): Row => ({
  ...row,
  make: (given) => {
    const call = row.make?.(given) ?? {};
    const { lab, id } = given;
    must(lab.runc([line, id, ...(line === "kill" ? ["KILL"] : [])]));
    if (line === "kill") waitFor(() => lab.status(id) === "stopped", `${id} to stop`);
    return call;
  },
});

const TAKES_ID = LIFE.filter((command) => command !== "list" && command !== "features");
// Of these a number of ids is refused before anything else is looked at.
const ONE_ID = ["state", "pause", "resume", "delete", "events", "update"] as const;

const ID_ROWS: readonly Row[] = [
  ...TAKES_ID.flatMap((command) => [
    refused(command, "an id that nothing has", ["nobody"], NOBODY),
    refused(command, "an empty id", [""], "container id cannot be empty"),
    refused(command, "the id ../x", ["../x"], "invalid container ID format"),
    refused(command, "no id", [], new RegExp(`"${command}" requires`)),
    refused(command, "a flag that is none", ["--bogus", "nobody"], /not defined: -bogus/),
  ]),
  ...ONE_ID.map((command) => refused(command, "two ids", ["a", "b"], /requires exactly 1 arg/)),
  refused("list", "an argument", ["x"], /"list" requires exactly 0 argument/),
  refused("features", "an argument", ["x"], /"features" requires exactly 0 argument/),
];

const UPDATE_VALUES: Readonly<Record<string, string>> = {
  resources: "/nonexistent",
  "cpuset-cpus": "0",
  "cpuset-mems": "0",
  "l3-cache-schema": "L3:0=f",
  "mem-bw-schema": "MB:0=20",
};
const NUMBERS = ["blkio-weight", "pids-limit"];
const UPDATE_FLAGS = [
  ...["resources", "cpu-period", "cpu-quota", "cpu-burst", "cpu-share", "cpu-rt-period"],
  ...["cpu-rt-runtime", "cpuset-cpus", "cpuset-mems", "kernel-memory", "kernel-memory-tcp"],
  ...["memory", "cpu-idle", "memory-reservation", "memory-swap", "l3-cache-schema"],
  ...["mem-bw-schema", ...NUMBERS],
];

/** Flags of one letter too, and what both forms at once come to. */
const WITH_LETTER: readonly (readonly [CommandName, string, string])[] = [
  ["ps", "format", "=json"],
  ["kill", "all", ""],
  ["delete", "force", ""],
];
const AS_15 = "taken, as by runc 1.5; runc 1.3 refuses it";

const FLAG_ROWS: readonly Row[] = [
  ...WITH_LETTER.flatMap(([command, flag, value]) => [
    refused(
      command,
      `--${flag} in all spellings`,
      [`--${flag}${value}`, `-${flag}${value}`, "a/b"],
      "invalid container ID format",
      [flag],
    ),
    refused(command, `-${flag[0]}`, [`-${flag[0]}${value}`, "a/b"], "invalid container ID format", [
      flag,
    ]),
    {
      ...refused(
        command,
        `-${flag[0]} and --${flag}`,
        [`-${flag[0]}${value}`, `--${flag}${value}`, "a/b"],
        "invalid container ID format",
        [flag],
      ),
      differs: AS_15,
    },
  ]),
  refused("events", "--stats and --interval", ["--stats", "-interval=1m2s", "c1"], NOBODY, [
    ...["stats", "interval"],
  ]),
  ...["x", "5", "-"].map((value) =>
    refused("events", `--interval ${value}`, ["--interval", value, "c1"], /for flag -interval/, [
      "interval",
    ]),
  ),
  ...UPDATE_FLAGS.map((flag) => {
    const value = UPDATE_VALUES[flag] ?? "1";
    return refused(
      ...(["update", `--${flag} in both spellings`] as const),
      ...([[`--${flag}`, value, `-${flag}=${value}`, "c1"], NOBODY, [flag]] as const),
    );
  }),
  ...NUMBERS.map((flag) =>
    refused("update", `--${flag} of no number`, [`--${flag}`, "x", "c1"], /parse error/, [flag]),
  ),
  refused("update", "--memory without a value", ["--memory"], "flag needs an argument: -memory", [
    "memory",
  ]),
];

const RUNNING_ROWS: readonly Row[] = [
  done("state", "a container that runs", ["ID"]),
  after(done("state", "one that is paused", ["ID"]), "pause"),
  after(done("state", "one that has stopped", ["ID"]), "kill"),
  done("list", "a container", []),
  done("list", "--quiet", ["--quiet"], ["quiet"]),
  done("list", "--format json", ["--format", "json"], ["format"]),
  refusedRunning("list", "--format xml", ["--format", "xml"], "invalid format option", ["format"]),
  done("ps", "--format json", ["--format", "json", "ID"], ["format"]),
  refusedRunning(
    "ps",
    "options of ps without a PID",
    ["ID", "-o", "comm"],
    "couldn't find PID field",
  ),
  refusedRunning("ps", "--format xml", ["--format", "xml", "ID"], "invalid format", ["format"]),
  done("pause", "a container that runs", ["ID"]),
  after(refusedRunning("pause", "one that is paused", ["ID"], "container not running"), "pause"),
  after(done("resume", "one that is paused", ["ID"]), "pause"),
  refusedRunning("resume", "one that runs", ["ID"], "container not paused"),
  ...["0", "winch", "SigWinch", "28"].map((signal) =>
    done("kill", `the signal ${signal}`, ["ID", signal]),
  ),
  ...["bogus", "99", "-1", "0x9", "RTMIN"].map((signal) =>
    refusedRunning("kill", `the signal ${signal}`, ["ID", signal], /unknown signal|invalid arg/),
  ),
  after(refusedRunning("kill", "one that has stopped", ["ID"], "container not running"), "kill"),
  after(done("kill", "--all, one that has stopped", ["--all", "ID", "9"], ["all"]), "kill"),
  refusedRunning("delete", "one that runs", ["ID"], /cannot delete container \S+ that is not/),
  after(done("delete", "one that has stopped", ["ID"]), "kill"),
  done("delete", "--force, one that runs", ["--force", "ID"], ["force"]),
  {
    command: "delete",
    name: "--force, an id that nothing has",
    of: ["force"],
    make: nobody("delete", "-f", "nobody"),
    status: 0,
  },
  after(
    refusedRunning("events", "one that has stopped", ["--stats", "ID"], /is not running/, [
      "stats",
    ]),
    "kill",
  ),
  refusedRunning("events", "--interval 0", ["--interval", "0", "ID"], /must be greater than 0/, [
    "interval",
  ]),
  done(
    "update",
    "--memory",
    ["--memory", "64m", "ID"],
    ["memory"],
    (given) => limitsOf(given).files,
  ),
  refusedRunning(
    "update",
    "--memory of no size",
    ["--memory", "64x", "ID"],
    "invalid value for memory",
    ["memory"],
  ),
  {
    command: "features",
    name: "no argument",
    make: nobody("features"),
    status: 0,
    once: true,
    differs: "what thaw does itself: its own version, no rootless systemd, no Intel RDT",
  },
];

/** Rows of the other commands. */
export const lifeRows: readonly Row[] = [...ID_ROWS, ...FLAG_ROWS, ...RUNNING_ROWS];
