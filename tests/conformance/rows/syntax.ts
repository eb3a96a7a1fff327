/** The command line: flags, ids, words. @module */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Call, Given, Row } from "../row.ts";

const NOWHERE = ["--bundle", "/nonexistent"];
const ARRIVED = "chdir /nonexistent: no such file or directory";
const AS_15 = "taken, as by runc 1.5; runc 1.3 refuses it";
const CALLERS = "taken, as callers send it; runc refuses it as unknown";
const OBEYED = "obeyed; runc warns that it takes the CRIU on PATH";
const OWN_VERSION = "the lines name thaw and the CRIU it would use, not Go and libseccomp";

/** All of a command line, with this run's paths. */
const line = (make: (given: Given) => readonly string[]) => (given: Given) => ({
  argv: make(given),
});

/** A command line of words; nothing in it is of this run. */
const words = (text: string) => (): Call => ({ argv: text === "" ? [] : text.split(" ") });

const ids =
  (...list: string[]) =>
  (): Call => ({ ids: list });

/** restore's flags, before a bundle that does not exist: what is refused later was understood. */
const flags =
  (...list: string[]) =>
  (): Call => ({ detach: false, flags: [...list, ...NOWHERE] });

const globals =
  (...list: string[]) =>
  (): Call => ({ globals: list, flags: NOWHERE });

/** Puts the cgroup where the lab finds it, for an id that is not the lab's. */
const withId =
  (...list: string[]) =>
  ({ bundle, id }: Given): Call => {
    bundle.edit((config) => {
      config.linux.cgroupsPath = `/${id}`;
    });
    return { ids: list };
  };

const ID_ROWS: readonly Row[] = [
  { name: "an empty id", make: ids(""), status: 1, says: "container id cannot be empty" },
  ...[".", "..", "a/b", "a b", "é", "a:b", "a\nb", "../../etc", "/", "\x7f"].map((id) => ({
    name: `the id ${JSON.stringify(id)}`,
    make: ids(id),
    status: 1,
    says: "invalid container ID format",
  })),
  {
    name: "an id of 300 letters",
    make: ids("r".repeat(300)),
    status: 1,
    says: /^lstat \S+r{300}: file name too long/,
    differs: "the path is written with one slash, where runc writes two",
  },
  { name: "an id of every sign that is allowed", make: withId("aZ09_+.-"), status: 0 },
  { name: "the id -x after --", make: withId("--", "-x"), status: 0 },
  { name: "the id -", make: withId("-"), status: 0 },
  { name: "no id", make: ids(), status: 1, says: /"restore" requires exactly 1 argument/ },
  { name: "two ids", make: ids("a", "b"), status: 1, says: /"restore" requires exactly 1 arg/ },
  {
    name: "an empty id and another",
    make: ids("", "b"),
    status: 1,
    says: /"restore" requires exactly 1 arg/,
  },
];

const BOOLEANS = [
  "detach",
  "tcp-established",
  "ext-unix-sk",
  "shell-job",
  "file-locks",
  "auto-dedup",
  "lazy-pages",
  "no-subreaper",
  "no-pivot",
];
const STRINGS = [
  "console-socket",
  "image-path",
  "work-path",
  "manage-cgroups-mode",
  "bundle",
  "pid-file",
  "empty-ns",
  "lsm-profile",
  "lsm-mount-context",
];
const TRUTHS = ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"];

const value = (flag: string, { lab, path }: Given): string => {
  if (flag === "empty-ns") return "network";
  if (flag === "bundle") return "/nonexistent";
  return flag === "image-path" ? join(lab.path, "i") : path;
};

const FLAG_ROWS: readonly Row[] = [
  ...BOOLEANS.map((flag) => ({
    name: `--${flag} in all spellings`,
    of: [flag],
    make: flags(
      `--${flag}`,
      `-${flag}`,
      ...TRUTHS.map((truth, i) => `${i % 2 === 0 ? "-" : "--"}${flag}=${truth}`),
    ),
    status: 1,
    says: ARRIVED,
  })),
  ...BOOLEANS.map((flag) => ({
    name: `--${flag}=yes`,
    of: [flag],
    make: flags(`--${flag}=yes`),
    status: 1,
    says: `invalid boolean value "yes" for -${flag}: parse error`,
  })),
  ...["", "tRUE", "2", "on", " true"].map((text) => ({
    name: `-d=${JSON.stringify(text)}`,
    of: ["detach"],
    make: (): Call => ({ detach: false, flags: [`-d=${text}`] }),
    status: 1,
    says: `invalid boolean value ${JSON.stringify(text)} for -d: parse error`,
  })),
  ...STRINGS.map((flag) => ({
    name: `--${flag} in all spellings`,
    of: [flag],
    make: (given: Given): Call => {
      const text = value(flag, given);
      const list = [`--${flag}`, text, `-${flag}`, text, `--${flag}=${text}`, `-${flag}=${text}`];
      return flags(...list)();
    },
    status: 1,
    says: ARRIVED,
  })),
  ...STRINGS.map((flag) => ({
    name: `--${flag} without a value`,
    of: [flag],
    make: words(`restore --${flag}`),
    status: 1,
    says: `flag needs an argument: -${flag}`,
  })),
  ...["bundle", "image-path", "work-path", "pid-file", "console-socket"].map((flag) => ({
    name: `a newline in --${flag}`,
    of: [flag],
    make: ({ path }: Given): Call => ({ flags: [`--${flag}`, `${path}\nb`] }),
    status: 1,
    says: `--${flag} "$LAB/path\\nb" contains a NUL byte or a newline`,
    differs: "refused by name: it would break the lines of CRIU's options and of the log",
  })),
  {
    name: "every empty value that means none",
    of: ["work-path", "pid-file", "console-socket", "manage-cgroups-mode", "lsm-profile"],
    make: (given) => {
      void given.image; // the log goes there
      const names = ["work-path", "pid-file", "console-socket", "manage-cgroups-mode"];
      const more = ["lsm-profile", "lsm-mount-context"];
      return { flags: [...names, ...more].map((name) => `--${name}=`) };
    },
    status: 0,
  },
  {
    name: "an empty --bundle, which is the current directory",
    of: ["bundle"],
    make: () => ({ flags: ["--bundle", ""] }),
    status: 1,
    says: "JSON specification file config.json not found",
  },
  {
    name: "-b in all spellings",
    of: ["bundle"],
    make: line(({ lab, id }) => {
      const root = ["--root", lab.root, "restore"];
      return [...root, "-b", "/x", "-b=/x", "--b", "/x", "--b=/nonexistent", id];
    }),
    status: 1,
    says: ARRIVED,
  },
  {
    name: "-b without a value",
    of: ["bundle"],
    make: words("restore -b"),
    status: 1,
    says: "flag needs an argument: -b",
  },
  {
    name: "-b and --bundle",
    of: ["bundle"],
    make: words("restore -b /x --bundle /nonexistent c1"),
    status: 1,
    says: ARRIVED,
    differs: AS_15,
  },
  {
    name: "-d and --detach",
    of: ["detach"],
    make: words("restore -d --detach=false -b /nonexistent c1"),
    status: 1,
    says: ARRIVED,
    differs: AS_15,
  },
  {
    name: "a value behind a boolean flag",
    of: ["detach"],
    make: words("restore --detach true c1"),
    status: 1,
    says: /"restore" requires exactly 1 argument/,
  },
  {
    name: "a flag as the value of a flag",
    of: ["bundle"],
    make: words("restore --bundle --detach c1"),
    status: 1,
    says: "chdir --detach: no such file or directory",
  },
  {
    name: "-- as the value of a flag",
    of: ["bundle"],
    make: words("restore --bundle -- c1"),
    status: 1,
    says: "chdir --: no such file or directory",
  },
  {
    name: "an equals sign in a value",
    of: ["bundle"],
    make: words("restore --bundle=/a=b c1"),
    status: 1,
    says: "chdir /a=b: no such file or directory",
  },
  {
    name: "--tcp-close",
    of: ["tcp-close"],
    make: flags("--tcp-close"),
    status: 1,
    says: ARRIVED,
    differs: CALLERS,
  },
  {
    name: "--status-fd",
    of: ["status-fd"],
    make: flags("--lazy-pages", "--status-fd", "1"),
    status: 1,
    says: ARRIVED,
    differs: "told when the last page has arrived; runc's restore does not know the flag",
  },
  {
    name: "--preserve-fds",
    of: ["preserve-fds"],
    make: flags("--preserve-fds", "0"),
    status: 1,
    says: ARRIVED,
    differs: CALLERS,
  },
  {
    name: "--preserve-fds of no number",
    of: ["preserve-fds"],
    make: flags("--preserve-fds", "x"),
    status: 1,
    says: 'invalid value "x" for flag -preserve-fds: parse error',
    differs: CALLERS,
  },
  {
    name: "--no-new-keyring",
    of: ["no-new-keyring"],
    make: flags("--no-new-keyring"),
    status: 1,
    says: ARRIVED,
    differs: CALLERS,
  },
];

const WORD_ROWS: readonly Row[] = [
  ...[
    ["--foo c1", "flag provided but not defined: -foo"],
    ["-z c1", "flag provided but not defined: -z"],
    ["-db /x c1", "flag provided but not defined: -db"],
    ["-D c1", "flag provided but not defined: -D"],
    ["--image /x c1", "flag provided but not defined: -image"],
    ["--keep c1", "flag provided but not defined: -keep"],
    ["--constructor c1", "flag provided but not defined: -constructor"],
    ["--__proto__=1 c1", "flag provided but not defined: -__proto__"],
    ["---detach c1", "bad flag syntax: ---detach"],
    ["--=x c1", "bad flag syntax: --=x"],
    ["-=x c1", "bad flag syntax: -=x"],
  ].map(([text, says]) => ({
    name: `the flags ${text}`,
    make: words(`restore ${text}`),
    status: 1,
    says: says as string,
  })),
  ...["frobnicate", "constructor", "__proto__", "Restore"].map((word) => ({
    name: `the command ${word}`,
    make: words(word),
    status: 3,
    says: `No help topic for '${word}'`,
  })),
  ...["", "--help", "-h", "-help", "help", "restore --help", "restore -h", "help restore"].map(
    (text) => ({
      name: text === "" ? "no word at all" : `the words ${text}`,
      ...(text.includes("-") ? { of: ["help"] } : {}),
      make: words(text),
      status: 0,
      once: true as const,
    }),
  ),
  {
    name: "the words --root /x restore --help",
    of: ["help", "root"],
    make: words("--root /x restore --help"),
    status: 0,
    once: true,
  },
  {
    name: "the words restore --detach --help a b c",
    of: ["help"],
    make: words("restore --detach --help a b c"),
    status: 0,
    once: true,
  },
  {
    name: "the words help frobnicate",
    make: words("help frobnicate"),
    status: 0,
    once: true,
    differs: "the overview is shown; runc exits with 3",
  },
  ...["--version", "-v"].map((text) => ({
    name: `the word ${text}`,
    of: ["version"],
    make: words(text),
    status: 0,
    once: true as const,
    differs: OWN_VERSION,
  })),
  {
    name: "flags after the id",
    of: ["detach", "bundle", "image-path"],
    make: line(({ lab, bundle, image, id }) => {
      const rest = ["-d", "--image-path", image, "--bundle", bundle.path];
      return ["--root", lab.root, "restore", id, ...rest];
    }),
    status: 0,
  },
  {
    name: "flags before and after the id",
    make: words("restore -d c1 --bundle /nonexistent"),
    status: 1,
    says: ARRIVED,
    differs: AS_15,
  },
  {
    name: "-- before the command and before the id",
    make: line(({ lab, bundle, image, id }) => {
      const rest = ["-d", "--image-path", image, "-b", bundle.path, "--", id];
      return ["--root", lab.root, "--", "restore", ...rest];
    }),
    status: 0,
  },
  {
    name: "flags behind --",
    make: words("restore -d -- c1 --bundle /x"),
    status: 1,
    says: /"restore" requires exactly 1 argument/,
  },
  {
    name: "one dash everywhere",
    of: ["root", "detach", "no-subreaper", "image-path", "bundle"],
    make: line(({ lab, bundle, image, id }) => {
      const rest = ["-detach", "-no-subreaper", "-image-path", image, "-bundle", bundle.path];
      return ["-root", lab.root, "restore", ...rest, id];
    }),
    status: 0,
  },
  {
    name: "Go's booleans and equals signs",
    of: ["debug", "systemd-cgroup", "shell-job", "lazy-pages", "detach"],
    make: line(({ lab, bundle, image, id }) => {
      const before = ["--debug=F", "--systemd-cgroup=0", `--root=${lab.root}`, "restore"];
      const rest = ["--detach=T", "-shell-job=false", "--lazy-pages=0", `-b=${bundle.path}`];
      return [...before, ...rest, `--image-path=${image}`, id];
    }),
    status: 0,
  },
  {
    name: "flags given twice, of which the last counts",
    of: ["root", "detach", "image-path", "empty-ns"],
    make: line(({ lab, bundle, image, id }) => {
      const before = ["--root", "/nonexistent", "--root", lab.root, "restore"];
      const rest = ["--detach=false", "--detach", "--image-path", lab.path, "--image-path", image];
      const names = ["--empty-ns", "network", "--empty-ns=network"];
      return [...before, ...rest, "-b", "/x", "-b", bundle.path, ...names, id];
    }),
    status: 0,
  },
  {
    name: "all flags that change nothing here",
    of: BOOLEANS.filter((flag) => flag !== "lazy-pages"),
    make: (given) => {
      void given.image; // --auto-dedup punches holes into it
      const names = BOOLEANS.filter((flag) => !["lazy-pages", "detach"].includes(flag));
      return { flags: names.map((flag) => `--${flag}`) };
    },
    status: 0,
  },
];

const GLOBAL_ROWS: readonly Row[] = [
  {
    name: "every global flag in all spellings",
    of: ["debug", "root", "systemd-cgroup", "rootless", "log-format"],
    make: ({ lab }) => ({
      globals: [
        ...TRUTHS.map((truth, i) => `${i % 2 === 0 ? "-" : "--"}debug=${truth}`),
        ...TRUTHS.map((truth) => `--systemd-cgroup=${truth}`),
        ...["--root", "/x", "-root", "/x", "--root=/x", `-root=${lab.root}`],
        ...["--rootless", "true", "-rootless", "false", "--rootless=1", "-rootless=auto"],
      ],
      flags: NOWHERE,
    }),
    status: 1,
    says: ARRIVED,
  },
  ...["debug", "systemd-cgroup"].map((flag) => ({
    name: `--${flag}=maybe`,
    of: [flag],
    make: globals(`--${flag}=maybe`),
    status: 1,
    says: `invalid boolean value "maybe" for -${flag}: parse error`,
  })),
  ...["root", "rootless", "log", "log-format", "criu"].map((flag) => ({
    name: `--${flag} without a value`,
    of: [flag],
    make: words(`--${flag}`),
    status: 1,
    says: `flag needs an argument: -${flag}`,
  })),
  {
    name: "an unknown global flag",
    make: words("--foo restore c1"),
    status: 1,
    says: "flag provided but not defined: -foo",
  },
  {
    name: "a global flag after the command",
    of: ["root"],
    make: words("restore --root /x -d -b /nonexistent c1"),
    status: 1,
    says: ARRIVED,
    differs: AS_15,
  },
  {
    name: "a global flag after the id",
    of: ["debug"],
    make: words("restore -b /nonexistent c1 --debug=false"),
    status: 1,
    says: ARRIVED,
    differs: AS_15,
  },
  {
    name: "a flag of restore before the command",
    make: words("-d restore c1"),
    status: 1,
    says: "flag provided but not defined: -d",
  },
  ...["true", "false", "auto", "", "T", "0"].map((mode) => ({
    name: `--rootless=${mode}`,
    of: ["rootless"],
    make: globals(`--rootless=${mode}`),
    status: 1,
    says: ARRIVED,
    once: true as const,
  })),
  {
    name: "--rootless=true, and a container",
    of: ["rootless"],
    make: () => ({ globals: ["--rootless=true"] }),
    status: 0,
    differs: "it changes nothing, where runc records it in state.json and ignores cgroup errors",
  },
  ...["maybe", "yes", " true"].map((mode) => ({
    name: `--rootless=${JSON.stringify(mode)}`,
    of: ["rootless"],
    make: (): Call => ({ globals: [`--rootless=${mode}`] }),
    status: 1,
    says: `strconv.ParseBool: parsing ${JSON.stringify(mode)}: invalid syntax`,
  })),
  {
    name: "an unknown --log-format",
    of: ["log-format"],
    make: line(({ lab, id }) => `--root ${lab.root} --log-format xml restore ${id}`.split(" ")),
    status: 1,
    says: "invalid log-format: xml",
  },
  {
    name: "an empty --log-format, which is text",
    of: ["log", "log-format"],
    make: ({ path }) => {
      writeFileSync(path, "");
      return { argv: ["--log-format=", "--log", path, "restore", "-b", "/nonexistent", "c1"] };
    },
    status: 1,
    once: true,
    says: ARRIVED,
  },
  {
    name: "an empty --log, which is standard error",
    of: ["log"],
    make: words("--log= --log-format=json restore -b /nonexistent nonexistent"),
    status: 1,
    once: true,
    says: /chdir \/nonexistent: no such file or directory/,
  },
  {
    name: "--log-format json without --log",
    of: ["log-format"],
    make: words("--log-format json restore -b /nonexistent nonexistent"),
    status: 1,
    once: true,
    says: /^\{"level":"error","msg":"chdir \/nonexistent: no such file or directory","time":/,
  },
  {
    name: "a --log that others write to, which is appended to",
    of: ["log"],
    make: ({ path }) => {
      writeFileSync(path, "before\n");
      return { argv: ["--log", path, "restore", "-b", "/nonexistent", "c1"] };
    },
    look: ({ path }) => readFileSync(path, "utf8").split("\n").length,
    status: 1,
    once: true,
    says: ARRIVED,
  },
  {
    name: "--debug",
    of: ["debug"],
    make: globals("--debug"),
    status: 1,
    says: ARRIVED,
    differs: "runc's records of a debug log name the line of its source (func, file)",
  },
  {
    name: "--criu with a CRIU that does not exist",
    of: ["criu"],
    make: () => ({ globals: ["--criu", "/nonexistent/criu"] }),
    status: 1,
    says: /\/nonexistent\/criu/,
    differs: OBEYED,
  },
  {
    name: "--criu with the path of CRIU",
    of: ["criu"],
    make: () => ({ globals: ["--criu", Bun.which("criu") as string] }),
    status: 0,
    differs: OBEYED,
  },
];

/** Commands that need no container to be wrong. */
const COMMAND_ROWS: readonly Row[] = [
  ["events", /"events" requires exactly 1 argument/],
  ["events a b", /"events" requires exactly 1 argument/],
  ["events nosuch", "container does not exist"],
  ["events --stats --interval 1m.5s nosuch", "container does not exist"],
  ["events --interval 0 nosuch", "container does not exist"],
  ["events --interval 5 nosuch", 'invalid value "5" for flag -interval: parse error'],
  ["events --interval -1d nosuch", 'invalid value "-1d" for flag -interval: parse error'],
  ["events --interval 9999999h nosuch", "invalid value"],
  ["events --all nosuch", "flag provided but not defined: -all"],
  ["update", /"update" requires exactly 1 argument/],
  ["update --memory 5m nosuch", "container does not exist"],
  ["update --memory nosuch", /"update" requires exactly 1 argument/],
  ["update --memory x nosuch", "container does not exist"],
  ["update --pids-limit x nosuch", 'invalid value "x" for flag -pids-limit: parse error'],
  ["update --pids-limit 9223372036854775808 nosuch", "invalid value"],
  ["update --pids-limit -0x10 nosuch", "container does not exist"],
  ["update --blkio-weight 1.5 nosuch", 'invalid value "1.5" for flag -blkio-weight: parse error'],
  ["update --memory-check-before-update nosuch", "flag provided but not defined"],
  ["update -r /nonexistent a/b", "invalid container ID format"],
  ["features x", /"features" requires exactly 0 argument/],
].map(([text, says]) => ({
  name: `the words ${text}`,
  make: words(text as string),
  status: 1,
  says: says as string | RegExp,
}));

/** Rows of the command line. */
export const syntaxRows: readonly Row[] = [
  ...ID_ROWS,
  ...FLAG_ROWS,
  ...WORD_ROWS,
  ...GLOBAL_ROWS,
  ...COMMAND_ROWS,
];
