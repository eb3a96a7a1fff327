/** exec: its flags, ids and words, before a container and in one. @module */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Call, Given, Row } from "../row.ts";

const AS_15 = "taken, as by runc 1.5; runc 1.3 refuses it";

/** `exec` before a container that does not exist: what is refused later was understood. */
const words =
  (...list: readonly string[]) =>
  ({ lab }: Given): Call => ({ argv: ["--root", lab.root, "exec", ...list] });

const MISSING = "exec failed: container does not exist";

/** The same in a container that runs. */
const inside =
  (...list: readonly string[]) =>
  ({ lab, bundle, id }: Given): Call => {
    bundle.edit((config) => {
      config.process.args = ["/bin/busybox", "sleep", "100000"];
    });
    lab.start(bundle, id, "bin/busybox");
    return {
      argv: ["--root", lab.root, "exec", ...list.map((word) => (word === "ID" ? id : word))],
    };
  };

const refusedInside = (
  name: string,
  list: readonly string[],
  says: string | RegExp,
  of: readonly string[] = [],
  differs?: string,
): Row => ({
  name,
  of,
  make: inside(...list),
  status: 255,
  says,
  once: true,
  ...(differs === undefined ? {} : { differs }),
});

const BOOLEANS = ["detach", "tty", "no-new-privs", "ignore-paused"];
const STRINGS = [
  ...["process", "cwd", "user", "process-label", "apparmor", "pid-file", "console-socket"],
  "pidfd-socket",
];
const LISTS = [
  ["env", "A=b"],
  ["additional-gids", "7"],
  ["cap", "CAP_KILL"],
  ["cgroup", "x"],
] as const;
const ALIASES = "-t -d -p /x -e A=1 -u 7 -g 7 -c CAP_KILL".split(" ");

const FLAG_ROWS: readonly Row[] = [
  ...BOOLEANS.map((flag) => ({
    name: `--${flag} in all spellings`,
    of: [flag],
    make: words(`--${flag}`, `-${flag}`, `--${flag}=true`, `-${flag}=F`, "c1", "ls"),
    status: 255,
    says: MISSING,
  })),
  ...["tty"].map((flag) => ({
    name: `--${flag}=yes`,
    of: [flag],
    make: words(`--${flag}=yes`, "c1", "ls"),
    status: 1,
    says: `invalid boolean value "yes" for -${flag}: parse error`,
  })),
  ...[...STRINGS.map((flag) => [flag, "/x"] as const), ...LISTS].map(([flag, value]) => ({
    name: `--${flag} in all spellings`,
    of: [flag],
    make: words(`--${flag}`, value, `-${flag}=${value}`, "c1", "ls"),
    status: 255,
    says: MISSING,
  })),
  ...["process", "env", "preserve-fds"].map((flag) => ({
    name: `--${flag} without a value`,
    of: [flag],
    make: words(`--${flag}`),
    status: 1,
    says: `flag needs an argument: -${flag}`,
  })),
  {
    name: "every flag of one letter",
    of: ["tty", "detach", "process", "env", "user", "additional-gids", "cap"],
    make: words(...ALIASES, "c1", "ls"),
    status: 255,
    says: MISSING,
  },
  {
    name: "-e and --env",
    of: ["env"],
    make: words("-e", "A=1", "--env", "B=2", "c1", "ls"),
    status: 255,
    says: MISSING,
    differs: AS_15,
  },
  ...["x", "1,2", "0x10", "1_0", "9223372036854775808"].map((value) => ({
    name: `-g ${JSON.stringify(value)}`,
    of: ["additional-gids"],
    make: words("-g", value, "c1", "ls"),
    status: 1,
    says: `invalid value ${JSON.stringify(value)} for flag -g: strconv.ParseInt: parsing`,
  })),
  {
    name: "--preserve-fds x",
    of: ["preserve-fds"],
    make: words("--preserve-fds", "x", "c1", "ls"),
    status: 1,
    says: 'invalid value "x" for flag -preserve-fds: parse error',
  },
  {
    name: "a flag that is none",
    make: words("--bogus", "c1", "ls"),
    status: 1,
    says: "flag provided but not defined: -bogus",
  },
  {
    name: "flags after the id, which are the command's",
    make: words("c1", "--bogus", "-t"),
    status: 255,
    says: MISSING,
  },
];

const ID_ROWS: readonly Row[] = [
  { name: "no id", make: words(), status: 1, says: /"exec" requires a minimum of 1 argument/ },
  {
    name: "an empty id",
    make: words("", "ls"),
    status: 255,
    says: "exec failed: container id cannot be empty",
  },
  ...["../x", "a/b", "a b"].map((id) => ({
    name: `the id ${JSON.stringify(id)}`,
    make: words(id, "ls"),
    status: 255,
    says: "exec failed: invalid container ID format",
  })),
  { name: "an id that nothing has", make: words("c1", "ls"), status: 255, says: MISSING },
  { name: "an id that nothing has, and no command", make: words("c1"), status: 255, says: MISSING },
];

const processFile = ({ lab }: Given): string => {
  const file = join(lab.path, "process.json");
  const value = { cwd: "/", args: ["/bin/sh", "-c", "exit 7"], env: ["PATH=/bin"] };
  writeFileSync(file, JSON.stringify(value));
  return file;
};

const INSIDE_ROWS: readonly Row[] = [
  refusedInside("no command", ["ID"], "exec failed: exec args cannot be empty"),
  refusedInside(
    "a program that does not exist",
    ["ID", "/nope"],
    'exec failed: unable to start container process: exec: "/nope": stat /nope: no such file or directory',
  ),
  refusedInside(
    "--pid-file where no file can be",
    // A silent program: it runs already when runc fails and kills it, and may have written by then.
    ["--pid-file", "/nonexistent/p", "ID", "sleep", "9"],
    "exec failed: open /nonexistent/.p: no such file or directory",
    ["pid-file"],
  ),
  refusedInside(
    "a program that the kernel does not execute",
    ["ID", "/tmp/bad"],
    /exec \/tmp\/bad: exec format error/,
    [],
    "an error as any other; runc's init says it without the words exec failed, and not in the log",
  ),
  {
    name: "--process",
    of: ["process"],
    make: (given) => inside("-p", processFile(given), "ID")(given),
    status: 7,
    ends: true,
    once: true,
  },
];

/** Makes a file of the container that is no program. */
function withBadProgram(row: Row): Row {
  if (!row.name.includes("kernel does not execute")) return row;
  return {
    ...row,
    make: (given) => {
      writeFileSync(join(given.bundle.rootfs, "tmp/bad"), "xx", { mode: 0o755 });
      return row.make?.(given) ?? {};
    },
  };
}

/** Rows of exec. */
export const execRows: readonly Row[] = [
  ...ID_ROWS,
  ...FLAG_ROWS,
  ...INSIDE_ROWS.map(withBadProgram),
];
