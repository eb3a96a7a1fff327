/**
 * thaw started where an attacker has put files, and with what an attacker may put into its
 * environment: none of it is read, run, or listened for.
 *
 * @module
 */

import { afterAll, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { pipe } from "../../internal/linux/fd.ts";
import { spawn } from "../../internal/linux/process.ts";
import { countsOn, Lab, must, type Ran, run, THAW, waitFor } from "../support/lab.ts";

const SECONDS = 1000;
const home = mkdtempSync("/tmp/thaw-hostile-");
const marker = join(home, "marker");
afterAll(() => rmSync(home, { recursive: true }));

/** What thaw says of itself where nobody wishes it ill. */
const CLEAN = run([THAW, "--version"]);

/** A shared library that leaves the marker when it is loaded; text where there is no compiler. */
const library = (() => {
  const [source, output] = [join(home, "evil.c"), join(home, "evil.so")];
  const compiler = Bun.which("cc");
  writeFileSync(
    source,
    `#include <fcntl.h>
__attribute__((constructor)) static void evil(void) { open("${marker}", O_CREAT | O_WRONLY, 0644); }
`,
  );
  if (compiler === null) return Buffer.from("not a library");
  must(run([compiler, "-shared", "-fPIC", "-o", output, source]));
  return readFileSync(output);
})();

/** Fills a directory with everything that a runtime, a linker or a shell might pick up by name. */
function poison(directory: string): string {
  const script = `require("node:fs").writeFileSync(${JSON.stringify(marker)}, "ran");`;
  const file = (name: string, text: string | Buffer) => {
    mkdirSync(join(directory, name, ".."), { recursive: true });
    writeFileSync(join(directory, name), text);
  };
  for (const name of ["evil.js", "evil.ts", "index.js", "index.ts", "cmd/main.ts", "preload.js"])
    file(name, script);
  for (const name of ["citty", "@bufbuild/protobuf", "bun", "node:fs"])
    file(`node_modules/${name}/index.js`, script);
  for (const name of [".env", ".env.local", ".env.production", ".env.development"])
    file(name, `THAW_EVIL=1\nPATH=${directory}\nBUN_OPTIONS=--preload=./evil.js\nNO_COLOR=\n`);
  const preload = 'preload = ["./evil.js"]\n';
  file("bunfig.toml", `${preload}[run]\n${preload}[test]\n${preload}`);
  file(".bunfig.toml", preload);
  file("tsconfig.json", '{"compilerOptions":{"paths":{"*":["./evil.js"],"citty":["./evil.js"]}}}');
  file("jsconfig.json", '{"extends":"./evil.js"}');
  file("package.json", '{"main":"evil.js","type":"commonjs","imports":{"#x":"./evil.js"}}');
  for (const name of ["libc.so.6", "libthawnope.so", "libthawnope.so.9", "libm.so.6"])
    file(name, library);
  for (const name of ["criu", "runc", "sh", "tar"]) {
    file(name, `#!/bin/sh\necho ran > ${marker}\n`);
    chmodSync(join(directory, name), 0o755);
  }
  return directory;
}

const evil = poison(join(home, "cwd"));

/** Runs thaw in the poisoned directory; an attack shows as a marker or as another answer. */
function attacked(env: Record<string, string>, args = ["--version"]): Ran {
  rmSync(marker, { force: true });
  const ran = run([THAW, ...args], { cwd: evil, env, timeout: 10 * SECONDS });
  expect(existsSync(marker)).toBe(false);
  return ran;
}

test("the poison works where it is taken", () => {
  must(run([process.execPath, "run", "./evil.js"], { cwd: evil }));
  expect(existsSync(marker)).toBe(true);
  rmSync(marker);
  if (library.includes("ELF")) {
    run(["true"], { cwd: evil, env: { LD_PRELOAD: join(evil, "libthawnope.so") } });
    expect(existsSync(marker)).toBe(true);
  }
  rmSync(marker, { force: true });
});

test("thaw reads and runs nothing of the directory it is started in", () => {
  expect(attacked({})).toEqual(CLEAN);
  expect(attacked({}, ["--help"])).toEqual(run([THAW, "--help"]));
});

test("thaw reads nothing of its home", () => {
  expect(attacked({ HOME: evil, XDG_CONFIG_HOME: evil, BUN_INSTALL: evil })).toEqual(CLEAN);
});

test("thaw finds no criu in the working directory by a relative PATH", () => {
  const { status, stdout } = attacked({ PATH: ".::./" });
  expect(status).toBe(0);
  expect(stdout).toContain("criu: not found on PATH\n");
});

const preload = `--preload=${evil}/evil.js`;
const NOTHING: readonly Record<string, string>[] = [
  { BUN_OPTIONS: preload },
  { BUN_OPTIONS: "--preload ./evil.js" },
  { BUN_OPTIONS: `--require=${evil}/evil.js` },
  { BUN_OPTIONS: `-e 'require("./evil.js")'` },
  { BUN_OPTIONS: "--cwd=/nonexistent" },
  { BUN_OPTIONS: `--config=${evil}/bunfig.toml` },
  { BUN_OPTIONS: "--inspect-wait" },
  { BUN_BE_BUN: "1" },
  { BUN_BE_BUN: "1", BUN_OPTIONS: preload },
  { BUN_INSPECT: "1" },
  { BUN_INSPECT: "ws://127.0.0.1:9229/x" },
  { BUN_INSPECT: "ws://127.0.0.1:9229/x?wait=1" },
  { BUN_INSPECT: "ws://127.0.0.1:9229/x?break=1" },
  { BUN_INSPECT: `ws+unix://${home}/inspect.sock?wait=1` },
  { BUN_INSPECT_PRELOAD: `${evil}/evil.js` },
  { BUN_INSPECT: "1", BUN_INSPECT_PRELOAD: `${evil}/evil.js` },
  { BUN_INSPECT_NOTIFY: "http://127.0.0.1:9/" },
  { BUN_INSPECT_CONNECT_TO: "127.0.0.1:9" },
  { NODE_OPTIONS: `--require=${evil}/evil.js` },
  { NODE_PATH: `${evil}/node_modules` },
  { BUN_RUNTIME_TRANSPILER_CACHE_PATH: evil },
  { BUN_FEATURE_FLAG_INTERNAL_FOR_TESTING: "1" },
  // The names that are left of those that were closed.
  { UN_OPTIONS: preload, UN_BE_BUN: "1", UN_INSPECT: "ws://127.0.0.1:9229/x?wait=1" },
  { XUN_OPTIONS: preload, XUN_BE_BUN: "1", XUN_INSPECT: "ws://127.0.0.1:9229/x?wait=1" },
  { UN_INSPECT_NOTIFY: "http://127.0.0.1:9/", UN_INSPECT_CONNECT_TO: "127.0.0.1:9" },
  { XUN_INSPECT_NOTIFY: "http://127.0.0.1:9/", XUN_INSPECT_CONNECT_TO: "127.0.0.1:9" },
];

test.each(NOTHING)("%j changes nothing", (env) => {
  expect(attacked(env)).toEqual(CLEAN);
  // As an argument list that would be code to Bun itself.
  const { status, stderr } = attacked(env, ["-e", 'require("./evil.js")']);
  expect(status).toBe(1);
  expect(stderr).toContain("flag provided but not defined: -e");
});

/** Runs thaw with an environment that holds exactly these strings, in the poisoned directory. */
async function withRawEnvironment(strings: readonly string[], args: readonly string[]) {
  rmSync(marker, { force: true });
  const output = pipe();
  const argv = ["env", "-C", evil, THAW, ...args];
  const child = spawn({
    file: "/usr/bin/env",
    argv,
    env: [`PATH=${process.env["PATH"]}`, ...strings],
    fds: [0, output.write.fd, 2],
  });
  output.write.close();
  const status = await child.wait({ doing: "test", timeout: 10 * SECONDS });
  child.kill();
  const buffer = Buffer.alloc(64 * 1024);
  const stdout = buffer.subarray(0, readSync(output.read.fd, buffer)).toString();
  output.read.close();
  expect(existsSync(marker)).toBe(false);
  return { status: status?.code, stdout };
}

test.each([
  ["the empty name", [`=${preload}`]],
  ["the empty name, for an inspector", ["=ws://127.0.0.1:9229/x?wait=1"]],
  ["the empty name, for Bun itself", ["=1"]],
  ["only a name", ["BUN_OPTIONS", "BUN_BE_BUN", "BUN_INSPECT"]],
  ["the same name twice", [`BUN_OPTIONS=`, `BUN_OPTIONS=${preload}`]],
  ["no text at all", ["", "="]],
])("an environment with %s changes nothing", async (_, strings) => {
  const { status, stdout } = await withRawEnvironment(strings as string[], ["--version"]);
  expect({ status, stdout }).toEqual({ status: 0, stdout: CLEAN.stdout });
});

test("nobody is told that thaw runs, and nobody is asked for a debugger", async () => {
  const path = join(home, "listener.sock");
  let connections = 0;
  const socket = { open: () => void connections++, data: () => {} };
  const unix = Bun.listen({ unix: path, socket });
  const tcp = Bun.listen({ hostname: "127.0.0.1", port: 0, socket });
  const addresses = [`unix://${path}`, path, `ws+unix://${path}`, `tcp://127.0.0.1:${tcp.port}`];
  const more = [`127.0.0.1:${tcp.port}`, String(tcp.port), `http://127.0.0.1:${tcp.port}/`];
  for (const address of [...addresses, ...more]) {
    for (const name of ["BUN_INSPECT_NOTIFY", "BUN_INSPECT_CONNECT_TO", "BUN_INSPECT"]) {
      const child = Bun.spawn([THAW, "--version"], {
        cwd: evil,
        env: { ...process.env, [name]: address },
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
        timeout: 10 * SECONDS,
        killSignal: "SIGKILL",
      });
      expect(await new Response(child.stdout).text()).toBe(CLEAN.stdout);
      expect(await child.exited).toBe(0);
    }
  }
  unix.stop(true);
  tcp.stop(true);
  expect(connections).toBe(0);
});

/** Inodes of the sockets that listen, in this network namespace (proc_net(5); 0A is LISTEN). */
function listening(): Set<string> {
  const tcp = ["tcp", "tcp6"].flatMap((name) =>
    readFileSync(`/proc/net/${name}`, "utf8")
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter((columns) => columns[3] === "0A")
      .map((columns) => columns[9] ?? ""),
  );
  const unix = readFileSync("/proc/net/unix", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[3] === "00010000") // __SO_ACCEPTCON
    .map((columns) => columns[6] ?? "");
  return new Set([...tcp, ...unix]);
}

function listeningSocketsOf(pid: number): string[] {
  const all = listening();
  return readdirSync(`/proc/${pid}/fd`)
    .map((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`);
      } catch {
        return ""; // it was open for a moment only
      }
    })
    .filter((link) => all.has(/^socket:\[(\d+)\]$/.exec(link)?.[1] ?? "-"));
}

test("a restore works in a poisoned bundle, with a poisoned environment", () => {
  using lab = new Lab();
  const bundle = lab.bundle();
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const before = bundle.count();
  poison(bundle.path);
  rmSync(marker, { force: true });
  const env = { BUN_OPTIONS: preload, BUN_INSPECT: "1", NODE_OPTIONS: "--require=./evil.js" };
  const ran = lab.restore(bundle, image, id, [], { cwd: bundle.path, env });
  expect(ran).toEqual({ status: 0, stdout: "", stderr: "" });
  countsOn(bundle, before);
  expect(lab.status(id)).toBe("running");
  const init = lab.state(id).init_process_pid;
  expect(readFileSync(`/proc/${init}/environ`, "utf8")).not.toContain("BUN_");
  lab.delete(id);
  expect(existsSync(marker)).toBe(false);
});

test("a thaw that stays with its container listens on nothing", async () => {
  using lab = new Lab();
  const bundle = lab.bundle();
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const before = bundle.count();
  poison(bundle.path);
  const argv = [THAW, "--root", lab.root, "restore", "--image-path", image, id];
  const env = { ...process.env, BUN_INSPECT: "ws://127.0.0.1:9229/x", BUN_OPTIONS: preload };
  const child = Bun.spawn(argv, {
    cwd: bundle.path,
    env,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  countsOn(bundle, before);
  expect(listeningSocketsOf(child.pid)).toEqual([]);
  must(lab.runc(["kill", id, "KILL"]));
  expect(await child.exited).toBe(137);
  waitFor(() => lab.status(id) === undefined, "the state to be gone");
  expect(existsSync(marker)).toBe(false);
});

test.each([
  "--inspect-brk",
  "--inspect=127.0.0.1:9229",
  "--preload=./evil.js",
  "--eval require('./evil.js')",
  "run ./evil.js",
  "./evil.js",
])("an argument that means something to Bun means nothing to thaw: %s", (line) => {
  const { status, stderr } = attacked({}, line.split(" "));
  expect([1, 3]).toContain(status);
  // `run` is left to runc, which looks for a bundle.
  expect(stderr).toMatch(
    status === 3 ? "No help topic for" : /flag provided but not defined|runc run failed/,
  );
});

test.each(["bun", "bunx", "node", "/usr/bin/node"])("thaw called %s is still thaw", (name) => {
  rmSync(marker, { force: true });
  const script = 'exec -a "$0" "$1" --version';
  const ran = run(["bash", "-c", script, name, THAW], { cwd: evil, timeout: 10 * SECONDS });
  expect(ran).toEqual(CLEAN);
  expect(existsSync(marker)).toBe(false);
});

test("thaw says one line when its working directory is gone", () => {
  for (const words of ["--version", "restore c1"]) {
    const gone = mkdtempSync(join(home, "gone-"));
    const script = `cd ${gone} && rmdir ${gone} && exec "$0" ${words}`;
    const { status, stdout, stderr } = run(["sh", "-c", script, THAW], { timeout: 10 * SECONDS });
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^[^\n]*director[^\n]*\n$/);
  }
});

test("the executable holds no name that Bun would take orders from", () => {
  const file = readFileSync(THAW);
  for (const name of ["BUN_OPTIONS", "BUN_BE_BUN", "BUN_INSPECT"])
    expect(file.indexOf(name)).toBe(-1);
});
