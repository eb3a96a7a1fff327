/**
 * The completion scripts in the shells themselves: those of thaw, and those of a command line that
 * has what thaw's has not yet. What is not installed (zsh, fish) is left out, and said so.
 *
 * @module
 */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Command, shownCommands } from "../../cmd/command.ts";
import { commands } from "../../cmd/commands.ts";
import { bashScript } from "../../cmd/completion/bash.ts";
import { fishScript } from "../../cmd/completion/fish.ts";
import { loadProgram } from "../../cmd/completion/program.ts";
import { zshScript } from "../../cmd/completion/zsh.ts";
import { globalFlags } from "../../cmd/globals.ts";
import { restoreCommand } from "../../cmd/restore.ts";
import { must, run, THAW } from "../support/lab.ts";

const FILES = { bash: "thaw.bash", zsh: "_thaw", fish: "thaw.fish" } as const;
const committed = (shell: keyof typeof FILES) =>
  join(import.meta.dir, "../../completions", FILES[shell]);
const WITHOUT = (shell: string) => (Bun.which(shell) === null ? ` (${shell} is not here)` : "");

// A directory with a state root, and names that shells find hard.
let here: string;
beforeAll(() => {
  here = mkdtempSync("/tmp/thaw-completion-");
  for (const name of [
    "root/c1",
    "root/c2",
    "root/other",
    "check point/images",
    "bundle",
    "a:b/dir",
  ])
    mkdirSync(join(here, name), { recursive: true });
  for (const name of ["file.log", "root/nofile"]) writeFileSync(join(here, name), "");
});
afterAll(() => rmSync(here, { recursive: true }));

/** thaw's commands and one that takes the id of a container, with flags that clash on purpose. */
async function larger() {
  const { definition } = restoreCommand;
  const kill: Command = {
    definition,
    flags: {
      all: { type: "boolean", alias: "a", description: "it's [all]: of $them \\ `them`" },
      signal: { type: "string", alias: "s", description: "SIG", values: ["KILL", "TERM"] },
      bundle: { type: "string", list: true, alias: "b", description: "no DIR here" },
    },
    usage: "ID",
    positionals: 1,
    completes: "containers",
    examples: "",
  };
  const entry = { description: "send 'a' signal", load: async () => kill };
  return await loadProgram({ ...commands, kill: entry });
}

test.each(["bash", "zsh", "fish"] as const)(
  "thaw completion %s prints the committed script",
  (shell) => {
    const { status, stdout, stderr } = run([THAW, "completion", shell]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toBe(readFileSync(committed(shell), "utf8"));
  },
);

test.each<string>(["tcsh", "", "BASH", "__proto__", "toString", "a\nb"])(
  "thaw completion %p names the shells there are",
  (shell) => {
    const { status, stdout, stderr } = run([THAW, "completion", shell]);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(stderr).toContain("no completion for shell");
    expect(stderr).toContain("bash, zsh and fish");
  },
);

test.each([[[]], [["bash", "zsh"]]])("thaw completion %p wants one shell", (args: string[]) => {
  const { status, stdout, stderr } = run([THAW, "completion", ...args]);
  expect(status).toBe(1);
  expect(stdout).toContain("\n  thaw [global options] completion SHELL\n");
  expect(stderr).toContain("requires exactly 1 argument(s)");
});

test("a script that cannot be written is an error", () => {
  const { status, stderr } = run(["sh", "-c", `${THAW} completion bash > /dev/full`]);
  expect(status).toBe(1);
  expect(stderr).toContain('msg="write /dev/stdout: no space left on device"');
});

const longFlags = (table: object) => Object.keys(table).map((name) => `--${name}`);
const GLOBAL = longFlags(globalFlags).filter(
  (flag) => !("hidden" in globalFlags[flag.slice(2) as "criu"]),
);
const RESTORE = [...longFlags(restoreCommand.flags), ...GLOBAL];
const COMMANDS = [...shownCommands(commands).map(([name]) => name), "help"];

/** Lines, and what is offered at their end in every shell. ROOT is a state root. */
const OFFERS: readonly (readonly [string, readonly string[]])[] = [
  ["thaw ", COMMANDS],
  ["thaw rest", ["restore"]],
  ["thaw --root ROOT ", COMMANDS],
  ["thaw --root=ROOT --debug rest", ["restore"]],
  ["thaw -root ROOT --log-format json comp", ["completion"]],
  ["thaw --log-format ", ["text", "json"]],
  ["thaw --rootless a", ["auto"]],
  ["thaw restore --manage-cgroups-mode s", ["soft", "strict"]],
  ["thaw restore -d --empty-ns ", ["network"]],
  ["thaw restore --lsm-profile ", []],
  ["thaw restore --bundle /b --no-p", ["--no-pivot"]],
  ["thaw restore --tcp", ["--tcp-established", "--tcp-close"]],
  ["thaw restore c1 --tcp-c", ["--tcp-close"]],
  ["thaw list --format ", ["table", "json"]],
  ["thaw ps -f j", ["json"]],
  ["thaw completion ", ["bash", "zsh", "fish"]],
  ["thaw completion z", ["zsh"]],
  ["thaw help rest", ["restore"]],
  ["thaw nosuch ", []],
];

/** The same for the larger command line. */
const LARGER: readonly (readonly [string, readonly string[]])[] = [
  ["thaw --root ROOT kill ", ["c1", "c2", "other"]],
  ["thaw --root=ROOT kill c", ["c1", "c2"]],
  ["thaw kill --root ROOT o", ["other"]],
  ["thaw kill --root=ROOT --all c2", ["c2"]],
  ["thaw --root ROOT kill --signal KILL c", ["c1", "c2"]],
  ["thaw --root ROOT kill --bundle c1 o", ["other"]],
  ["thaw --root ROOT/nosuch kill ", []],
  ["thaw kill --signal ", ["KILL", "TERM"]],
  ["thaw kill --al", ["--all"]],
];

const sorted = (words: Iterable<string>) => [...new Set(words)].sort();
const withRoot = (text: string) => text.replaceAll("ROOT", join(here, "root"));

/** What _thaw puts into COMPREPLY. Words are cut as bash cuts them. */
function bashOffers(script: string, line: string, breaks = "=:"): string[] {
  const words: string[] = line.match(new RegExp(`[^\\s${breaks}]+|[${breaks}]+`, "g")) ?? [];
  if (/\s$/.test(line)) words.push("");
  const program = `
    source "$1"; COMP_LINE=$2 COMP_POINT=\${#2}; shift 2
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); compopt() { echo "compopt $*"; }
    _thaw; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const argv = ["bash", "--norc", "-uc", program, "bash", script, line, ...words];
  const { stdout, stderr } = must(run(argv));
  expect(stderr).toBe("");
  return stdout.split("\n").filter(Boolean);
}

describe("bash", () => {
  let large: string;
  beforeAll(async () => {
    large = join(here, "larger.bash");
    writeFileSync(large, bashScript(await larger()));
  });

  test.each(OFFERS)("%s", (line, offers) => {
    expect(sorted(bashOffers(committed("bash"), withRoot(line)))).toEqual(sorted(offers));
  });

  test.each(LARGER)("larger: %s", (line, offers) => {
    expect(sorted(bashOffers(large, withRoot(line)))).toEqual(sorted(offers));
  });

  test.each<[string, readonly string[]]>([
    ["thaw -", GLOBAL],
    ["thaw restore -", RESTORE],
    ["thaw restore --", RESTORE],
    ["thaw restore c1 ", []],
    ["thaw restore -- -", []],
    ["thaw -- rest", ["restore"]],
    ["thaw restore --manage-cgroups-mode=", ["soft", "full", "strict", "ignore"]],
    ["thaw restore --manage-cgroups-mode=st", ["strict"]],
    ["thaw restore -manage-cgroups-mode=st", ["strict"]],
    ["thaw restore --detach=", []],
    ["thaw restore --lsm-profile apparmor:x --tcp-c", ["--tcp-close"]],
    ["thaw restore --image-path /v", ["compopt -o dirnames"]],
    ["thaw restore -b ", ["compopt -o dirnames"]],
    ["thaw restore --bundle=/v", ["compopt -o dirnames"]],
    ["thaw --log ", ["compopt -o default"]],
    ["thaw restore --pid-file ", ["compopt -o default"]],
    ["thaw completion bash ", []],
  ])("%s", (line, offers) => {
    expect(sorted(bashOffers(committed("bash"), line))).toEqual(sorted(offers));
  });

  test("where = breaks no words, the flag is kept before its value", () => {
    const line = "thaw restore --manage-cgroups-mode=st";
    expect(bashOffers(committed("bash"), line, ":")).toEqual(["--manage-cgroups-mode=strict"]);
  });

  test("what a directory is called is not run", () => {
    mkdirSync(join(here, "evil/$(touch pwned)"), { recursive: true });
    const offers = bashOffers(large, `thaw --root ${here}/evil kill $`);
    expect(offers).toEqual(["$(touch pwned)"]);
  });
});

/** What a shell at a terminal makes of a line that is typed, tabs included. */
async function typed(argv: readonly string[], setup: string, line: string): Promise<string> {
  const child = Bun.spawn(["script", "-qec", argv.join(" "), "/dev/null"], {
    cwd: here,
    env: { PATH: process.env["PATH"], TERM: "dumb", HOME: here, PS1: "> " },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
  });
  const kill = setTimeout(() => child.kill(), 60_000);
  let seen = "";
  const send = (text: string) => {
    child.stdin.write(text);
    child.stdin.flush();
  };
  const decoder = new TextDecoder();
  send(`${setup}\nthaw() { printf '<%s>' "$@" END; }; echo REA''DY\n`);
  let asked = false;
  for await (const bytes of child.stdout) {
    seen += decoder.decode(bytes, { stream: true });
    if (!asked && seen.includes("READY")) {
      asked = true;
      send(`${line}\n`);
    }
    if (seen.includes("<END>")) break;
  }
  clearTimeout(kill);
  child.kill("SIGKILL");
  return /<(?!%)[^\n]*<END>/.exec(seen)?.[0] ?? seen;
}

describe("bash at a terminal", () => {
  const bash = (line: string) =>
    typed(["bash", "--norc", "--noprofile", "-i"], `source ${committed("bash")}`, line);

  test.each([
    [
      "thaw rest\t--manage-cgroups-mode=str\t--det\t c1",
      "<restore><--manage-cgroups-mode=strict><--detach><c1><END>",
    ],
    ["thaw restore --image-path check\tim\t", "<restore><--image-path><check point/images/><END>"],
    ["thaw restore --image-path=check\tim\t", "<restore><--image-path=check point/images/><END>"],
    ["thaw --log fi\trest\t", "<--log><file.log><restore><END>"],
  ])("%j", async (line, words) => {
    expect(await bash(line)).toBe(words);
  });
});

describe.skipIf(Bun.which("zsh") === null)(`zsh${WITHOUT("zsh")}`, () => {
  const zsh = (script: string, line: string) =>
    typed(
      ["zsh", "-f", "-i"],
      `cp ${script} ${here}/zsh/_thaw; fpath=(${here}/zsh $fpath); autoload -Uz compinit; compinit -u -D`,
      line,
    );
  let large: string;
  beforeAll(async () => {
    mkdirSync(join(here, "zsh"));
    large = join(here, "larger.zsh");
    writeFileSync(large, zshScript(await larger()));
  });

  test.each([
    [
      "thaw rest\t--manage-cgroups-mode str\t--det\tc1",
      "<restore><--manage-cgroups-mode><strict><--detach><c1><END>",
    ],
    [
      "thaw --log-format=j\trest\t --manage-cgroups-mode=str\t--det\tc1",
      "<--log-format=json><restore><--manage-cgroups-mode=strict><--detach><c1><END>",
    ],
    ["thaw restore --image-path che\tim\t", "<restore><--image-path><check point/images><END>"],
    ["thaw restore c1 --pid-file fi\t", "<restore><c1><--pid-file><file.log><END>"],
    ["thaw completion f\t", "<completion><fish><END>"],
    ["thaw help com\t", "<help><completion><END>"],
  ])("%j", async (line, words) => {
    expect(await zsh(committed("zsh"), line)).toBe(words);
  });

  test.each([
    ["thaw --root root kill o\t", "<--root><root><kill><other><END>"],
    ["thaw kill --root=root -a o\t", "<kill><--root=root><-a><other><END>"],
    ["thaw kill --sig\tK\t", "<kill><--signal=KILL><END>"],
  ])("larger: %j", async (line, words) => {
    expect(await zsh(large, line)).toBe(words);
  });

  test("it works by eval too", async () => {
    const setup = `autoload -Uz compinit; compinit -u -D; eval "$(cat ${committed("zsh")})"`;
    expect(await typed(["zsh", "-f", "-i"], setup, "thaw rest\tc1")).toBe("<restore><c1><END>");
  });
});

describe.skipIf(Bun.which("fish") === null)(`fish${WITHOUT("fish")}`, () => {
  // fish makes directories in its home.
  const env = () => ({ HOME: here, XDG_CONFIG_HOME: undefined, XDG_DATA_HOME: undefined });
  const offers = (script: string, line: string) => {
    const argv = [
      "fish",
      "--no-config",
      "-c",
      'source $argv[1]; complete -C "$argv[2]"',
      script,
      line,
    ];
    const { stdout } = must(run(argv, { cwd: here, env: env() }));
    return sorted(stdout.split("\n").flatMap((one) => one.split("\t")[0] || []));
  };
  let large: string;
  beforeAll(async () => {
    large = join(here, "larger.fish");
    writeFileSync(large, fishScript(await larger()));
  });

  test.each(OFFERS)("%s", (line, expected) => {
    expect(offers(committed("fish"), withRoot(line))).toEqual(sorted(expected));
  });

  test.each(LARGER)("larger: %s", (line, expected) => {
    expect(offers(large, withRoot(line))).toEqual(sorted(expected));
  });

  test.each<[string, readonly string[]]>([
    ["thaw --", GLOBAL],
    ["thaw restore --", RESTORE],
    ["thaw restore --image-path ch", ["check point/"]],
    ["thaw restore --pid-file fi", ["file.log"]],
    ["thaw restore -b bu", ["bundle/"]],
    ["thaw completion bash ", []],
  ])("%s", (line, expected) => {
    expect(offers(committed("fish"), line)).toEqual(sorted(expected));
  });
});
