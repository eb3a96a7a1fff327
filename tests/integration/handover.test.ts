/** What thaw leaves to runc: runc finds everything as if it had been called itself. */

import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Lab, must, type Ran, run, THAW, waitFor } from "../support/lab.ts";

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab[Symbol.dispose]());

/** Runs a runtime as a child of a shell that has set this up. */
function under(setUp: string, argv: readonly string[], env: Record<string, string> = {}): Ran {
  // The shell stays, as a caller does: the soft limit of open files is read from it.
  return run(["sh", "-c", `${setUp}; "$@"; status=$?; exit $status`, "sh", ...argv], { env });
}

/**
 * What a created init has from its caller, or a started one.
 *
 * @param settled what /proc/PID/FILE says of it when it has come so far: create and start return before
 */
function inherited(id: string, [file, settled]: readonly [file: string, settled: RegExp]): object {
  const pid = Number(JSON.parse(must(lab.runc(["state", id])).stdout).pid);
  waitFor(() => settled.test(readFileSync(`/proc/${pid}/${file}`, "utf8")), `init: ${settled}`);
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const fds = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    const link = readlinkSync(`/proc/${pid}/fd/${fd}`);
    return `${fd} ${link.replaceAll(/\d+\]/g, "N]").replaceAll(id, "ID")}`;
  });
  return {
    limits: readFileSync(`/proc/${pid}/limits`, "utf8"),
    signals: status.match(/^(Sig(Blk|Ign|Cgt)|Umask|NoNewPrivs|Seccomp):.*$/gm),
    environ: readFileSync(`/proc/${pid}/environ`, "utf8").replaceAll(id, "ID"),
    fds: fds.sort(),
  };
}

test("create: limits, signals, umask and descriptors of init are those runc itself gives it", () => {
  const setUp =
    "ulimit -Sn 512; ulimit -Sc 0; umask 027; trap '' USR1; exec 3</dev/zero 4</dev/full";
  const made = ["runc", THAW].map((runtime) => {
    const bundle = lab.bundle("", (config) => {
      config.process.rlimits = [];
      config.process.args = ["/bin/sleep", "100"];
    });
    const id = lab.id();
    const args = ["create", "--bundle", bundle.path, "--preserve-fds", "2", id];
    const silent = `${setUp}; exec </dev/null >/dev/null 2>/dev/null`;
    expect(under(silent, [runtime, "--root", lab.root, ...args]).status).toBe(0);
    // Opening exec.fifo is the last that it does.
    const created = inherited(id, ["wchan", /^(wait_for_partner|fifo_open)$/]);
    must(lab.runc(["start", id]));
    const started = inherited(id, ["cmdline", /^\/bin\/sleep\0/]);
    lab.delete(id);
    return { created, started };
  });
  expect(made[1]).toEqual(made[0]);
  expect(JSON.stringify(made[0])).toContain("/dev/full");
  expect(JSON.stringify(made[0])).toMatch(/Max open files\s+512/);
});

test("run: the exit status and both streams are the container's", () => {
  const bundle = lab.bundle("echo out; echo err >&2; exit 7");
  const ran = lab.thaw(["run", "--bundle", bundle.path, lab.id()]);
  expect(ran).toEqual({ status: 7, stdout: "out\n", stderr: "err\n" });
});

test("every byte of the command line and of the environment arrives, and every signal's disposition", () => {
  const fake = join(lab.path, "runc");
  const script = [
    "#!/bin/sh",
    "cat /proc/$$/cmdline /proc/$$/environ",
    // Read by the shell itself: it blocks all signals while it starts a program.
    'while IFS= read -r line; do echo "$line"; done < /proc/$$/status',
  ];
  writeFileSync(fake, `${script.join("\n")}\n`);
  must(run(["chmod", "755", fake]));
  const env = { THAW_RUNC: fake, BUN_OPTIONS: "--smol", BYTES: "a\u00e9b" };
  const { stdout } = run([THAW, "--root=/x y", "create", "", "--", "a\nb"], { env });
  expect(stdout).toContain("\0--root=/x y\0create\0\0--\0a\nb\0");
  expect(stdout).toContain("\0BUN_OPTIONS=--smol\0");
  expect(stdout).toContain("\0BYTES=aéb\0");
  const signals = (text: string) => text.match(/^Sig(Blk|Ign|Cgt):.*$/gm);
  expect(signals(stdout)).toEqual(signals(run([fake], { env }).stdout));
});

test("thaw under the name of runc finds the real one behind it", () => {
  symlinkSync(THAW, join(lab.path, "runc"));
  const env = { PATH: `${lab.path}:${process.env["PATH"]}` };
  const { status, stdout } = run(["runc", "spec", "--help"], { env });
  expect(status).toBe(0);
  expect(stdout).toContain("create a new specification file");
});

test("copies of thaw under the name of runc do not execute each other for ever", () => {
  const copies = ["a", "b"].map((name) => {
    mkdirSync(join(lab.path, name));
    copyFileSync(THAW, join(lab.path, name, "runc"));
    return join(lab.path, name);
  });
  const spec = (path: string) =>
    run(["runc", "spec", "--help"], { env: { PATH: path }, timeout: 10_000 });
  const found = spec(`${copies.join(":")}:${process.env["PATH"]}`);
  expect(found.stdout).toContain("create a new specification file");
  expect(spec(copies.join(":")).stderr).toContain("there is none on PATH");
  const env = { THAW_RUNC: join(copies[0] ?? "", "runc") };
  expect(run([THAW, "spec"], { env }).stderr).toContain("is thaw itself");
});

test("without a runc there is one clear error, in the log too", () => {
  const log = join(lab.path, "log");
  const words = ["--log", log, "--log-format", "json", "create", "c1"];
  const none = run([THAW, ...words], { env: { PATH: lab.path } });
  const text =
    "create: thaw leaves this command to runc, and there is none on PATH; install runc, or set THAW_RUNC to its path";
  expect(none).toEqual({ status: 1, stdout: "", stderr: `${text}\n` });
  expect(JSON.parse(readFileSync(log, "utf8"))).toMatchObject({ level: "error", msg: text });
  symlinkSync(THAW, join(lab.path, "runc"));
  expect(run([THAW, "create", "c1"], { env: { PATH: lab.path } }).stderr).toContain("none on PATH");
  const itself = run([THAW, "create", "c1"], { env: { THAW_RUNC: THAW } });
  expect(itself.stderr).toContain("is thaw itself");
  const missing = run([THAW, "create", "c1"], { env: { THAW_RUNC: "/nonexistent" } });
  expect(missing.stderr).toContain("THAW_RUNC=/nonexistent: no such file");
});

test("an unset PATH means the usual directories, and THAW_RUNC is enough", () => {
  const file = Bun.which("runc") ?? "";
  const { status, stdout } = run([
    "env",
    "-u",
    "PATH",
    `THAW_RUNC=${file}`,
    THAW,
    "spec",
    "--help",
  ]);
  expect(status).toBe(0);
  expect(stdout).toContain("create a new specification file");
});
