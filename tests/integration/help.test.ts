/** What thaw says of itself: version, help, and usage errors, on a pipe and on a terminal. @module */

import { expect, test } from "bun:test";
import { shownCommands } from "../../cmd/command.ts";
import { commands } from "../../cmd/commands.ts";
import { globalFlags } from "../../cmd/globals.ts";
import { restoreCommand } from "../../cmd/restore.ts";
import { must, run, THAW } from "../support/lab.ts";

const thaw = (...args: string[]) => run([THAW, ...args], { timeout: 10_000 });

/** The names that help must show, with their dashes. */
function shownFlags(table: object): string[] {
  const hidden = (flag: object) => "hidden" in flag;
  return Object.entries(table).flatMap(([name, flag]) => (hidden(flag) ? [] : [`--${name}`]));
}

const RUNC_RESTORE = [
  "--console-socket",
  "--image-path",
  "--work-path",
  "--tcp-established",
  "--ext-unix-sk",
  "--shell-job",
  "--lazy-pages",
  "--file-locks",
  "--manage-cgroups-mode",
  "--bundle",
  "--detach",
  "--pid-file",
  "--no-subreaper",
  "--no-pivot",
  "--empty-ns",
  "--auto-dedup",
  "--lsm-profile",
  "--lsm-mount-context",
];
const RUNC_GLOBAL = [
  "--debug",
  "--log",
  "--log-format",
  "--root",
  "--systemd-cgroup",
  "--rootless",
];

test.each([["--version"], ["-v"], ["-version"]])("thaw %s has the lines of runc's", (flag) => {
  const { status, stdout, stderr } = thaw(flag);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const lines = stdout.split("\n");
  expect(lines[0]).toMatch(/^thaw version \d+\.\d+\.\d+\S*$/);
  expect(lines[1]).toMatch(/^commit: \S+$/);
  expect(lines[2]).toMatch(/^spec: \d+\.\d+\.\d+$/);
  expect(lines[3]).toMatch(/^criu: \d+\.\d+(\.\d+)? \(\/\S+\/criu\)$/);
  expect(lines.slice(4)).toEqual([""]);
  const names = (text: string) => text.split("\n").map((line) => line.split(/[: ]/)[0]);
  const [, ...runc] = names(must(run(["runc", "--version"])).stdout);
  expect(names(stdout)).toEqual(expect.arrayContaining(runc.slice(0, 2)));
});

test.each([["--help"], ["-h"], ["-help"], ["help"], [""], ["--debug --help"], ["help nosuch"]])(
  "thaw %s gives the overview",
  (line) => {
    const { status, stdout, stderr } = thaw(...line.split(" ").filter(Boolean));
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    for (const flag of [...RUNC_GLOBAL, ...shownFlags(globalFlags)]) expect(stdout).toContain(flag);
    expect(stdout).toContain("restore");
  },
);

test.each([
  ["restore --help"],
  ["restore -h"],
  ["help restore"],
  ["restore c1 --help"],
  ["--root /x restore --help"],
  ["restore --detach --help a b c"],
])("thaw %s names every flag of restore", (line) => {
  const { status, stdout, stderr } = thaw(...line.split(" "));
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const flags = [...RUNC_RESTORE, ...RUNC_GLOBAL, ...shownFlags(restoreCommand.flags)];
  for (const flag of flags) expect(stdout).toMatch(new RegExp(`${flag}( |\\n)`));
  expect(stdout).toContain("-b, --bundle");
  expect(stdout).toContain("-d, --detach");
});

test.each([["--help"], ["restore --help"], ["--version"], ["restore --nosuch"], ["nosuch"]])(
  "thaw %s writes no escape codes to a pipe, and no line beyond 100 columns of help",
  (line) => {
    const { stdout, stderr } = thaw(...line.split(" "));
    expect(stdout + stderr).not.toContain("\x1b");
    for (const one of stdout.split("\n")) expect(one.length).toBeLessThanOrEqual(100);
  },
);

/** Runs thaw on a terminal of its own (script(1)). */
function onTerminal(line: string, env: Record<string, string | undefined>) {
  const argv = ["script", "-qec", `${THAW} ${line}`, "/dev/null"];
  return run(argv, { env: { TERM: "xterm", NO_COLOR: undefined, ...env }, timeout: 10_000 });
}

test("help is bold on a terminal, and plain with NO_COLOR", () => {
  for (const line of ["--help", "restore --help"]) {
    expect(onTerminal(line, {}).stdout).toContain("\x1b[1mUsage\x1b[0m");
    expect(onTerminal(line, { NO_COLOR: "" }).stdout).toContain("\x1b[1m");
    const plain = onTerminal(line, { NO_COLOR: "1" }).stdout;
    expect(plain).not.toContain("\x1b");
    expect(plain.replaceAll("\r\n", "\n")).toBe(thaw(...line.split(" ")).stdout);
  }
});

test("an error on a terminal is logrus' short line", () => {
  const { status, stdout } = onTerminal("restore --bundle /nonexistent c1", {});
  expect(status).toBe(1);
  const message = "chdir /nonexistent: no such file or directory";
  expect(stdout).toStartWith(`\x1b[31mERRO\x1b[0m[0000] ${message}`);
  const plain = onTerminal("restore --bundle /nonexistent c1", { NO_COLOR: "1" }).stdout;
  expect(plain).toStartWith(`ERRO[0000] ${message}`);
  expect(plain).not.toContain("\x1b");
});

test("list has a bold heading on a terminal, and the same columns everywhere", () => {
  const line = "--root /tmp list";
  const bold = onTerminal(`${line} 2>/dev/null`, {}).stdout;
  expect(bold).toStartWith("\x1b[1mID          PID");
  const plain = onTerminal(`${line} 2>/dev/null`, { NO_COLOR: "1" }).stdout;
  expect(plain).toBe(bold.replace("\x1b[1m", "").replace("\x1b[0m", ""));
  expect(plain.replaceAll("\r\n", "\n")).toBe(thaw(...line.split(" ")).stdout);
});

test.each(shownCommands(commands))("help of %s has a description and an example", (name) => {
  const { status, stdout } = thaw(name, "--help");
  expect(status).toBe(0);
  const [, text = "", examples = ""] =
    /^ {2}(\S.*\n)[\s\S]*\nExamples\n([\s\S]+)$/m.exec(stdout) ?? [];
  expect(text.length).toBeGreaterThan(20);
  expect(examples).toContain(`thaw ${name}`);
});

test("usage errors show the mistake and the help on stdout, and one log line on stderr", () => {
  const { status, stdout, stderr } = thaw("restore", "--nosuch", "c1");
  expect(status).toBe(1);
  expect(stdout).toStartWith("Incorrect Usage: flag provided but not defined: -nosuch\n\n");
  expect(stdout).toContain("--image-path");
  expect(stderr).toMatch(
    /^time="[^"]+" level=error msg="flag provided but not defined: -nosuch"\n$/,
  );
});

test.each([["restore"], ["restore a b"], ["restore -d"], ["restore --detach true c1"]])(
  "thaw %s wants exactly one argument",
  (line) => {
    const { status, stdout, stderr } = thaw(...line.split(" "));
    expect(status).toBe(1);
    expect(stdout).toStartWith("Incorrect Usage.\n\n");
    expect(stderr).toEndWith(`\\"restore\\" requires exactly 1 argument(s)"\n`);
  },
);

test("an unknown global flag is refused as by runc", () => {
  const { status, stdout, stderr } = thaw("--nosuch", "restore", "c1");
  expect(status).toBe(1);
  expect(stdout).toStartWith("Incorrect Usage. flag provided but not defined: -nosuch\n\n");
  expect(stderr).toEndWith('msg="flag provided but not defined: -nosuch"\n');
});

test.each(["nosuch", "constructor", "__proto__", "toString"])("thaw %s exits with 3", (word) => {
  const { status, stdout, stderr } = thaw(word);
  expect([status, stdout]).toEqual([3, ""]);
  expect(stderr).toContain(`No help topic for '${word}'`);
});
