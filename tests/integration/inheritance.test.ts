/**
 * What criu, hooks and the container get from thaw's caller: its signals, limits, umask and
 * environment, and none of its other descriptors; and what the caller keeps.
 *
 * @module
 */

import { expect, test } from "bun:test";
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { spawn } from "../../internal/linux/process.ts";
import { FakeCriu, type Inherited, inherited, writeInherited } from "../support/fake-criu.ts";
import { type Bundle, Lab, must, type Ran, run, THAW, waitFor } from "../support/lab.ts";
import { steadyBundle } from "../support/steady.ts";

/** A caller unlike any default: ignored and blocked signals, limits, umask, leaked descriptors. */
const CALLER = [
  'trap "" HUP USR1 TSTP WINCH',
  "ulimit -Sn 777",
  "umask 027",
  "exec 7<> /dev/zero 9< /etc/passwd",
  "BUN_FOO=1 BUN_OPTIONS= EMPTY= SPACED='a b=c' ODD='\"$x' \"$@\"",
  // Not exec: the soft limit of descriptors is read from the parent.
  "exit $?",
].join("\n");

interface Restore {
  readonly lab: Lab;
  readonly bundle: Bundle;
  readonly id: string;
  readonly argv: readonly string[];
}

function prepared(lab: Lab, how: "detached" | "in the foreground" = "detached"): Restore {
  const bundle = steadyBundle(lab);
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const flags = how === "detached" ? ["-d"] : [];
  const argv = [THAW, "--root", lab.root, "restore", ...flags, "-b", bundle.path];
  return { lab, bundle, id, argv: [...argv, "--image-path", image, id] };
}

function fromCaller(argv: readonly string[], env: Record<string, string> = {}): Ran {
  return run(["sh", "-c", CALLER, "sh", ...argv], { env });
}

function probe(lab: Lab, name: string): { path: string; directory: string } {
  const directory = join(lab.path, name);
  mkdirSync(directory);
  const path = join(directory, "hook");
  writeFileSync(path, `#!/bin/sh\n${writeInherited(directory)}\n`);
  chmodSync(path, 0o755);
  return { path, directory };
}

/** What a plain child of the same caller gets. */
function plain(lab: Lab, env: Record<string, string> = {}): Inherited {
  const { path, directory } = probe(lab, "plain");
  must(fromCaller([path], env));
  return inherited(directory);
}

/** The signals a process ignores and blocks, and its groups and capabilities. */
function statusLines({ status }: Inherited): string[] {
  return status
    .split("\n")
    .filter((line) =>
      /^(Sig(Ign|Blk)|ShdPnd|Uid|Gid|Groups|Cap\w+|NoNewPrivs|Seccomp):/.test(line),
    );
}

function numbers({ fds }: Inherited): string[] {
  return fds.map((link) => link.split(" ")[0] ?? "").sort();
}

for (const how of ["detached", "in the foreground"] as const) {
  test(`${how}, criu gets what any child of the caller would, and no leaked descriptor`, () => {
    using lab = new Lab();
    const { argv } = prepared(lab, how);
    const fake = new FakeCriu(join(lab.path, "fake"), { at: "version", does: "die" });
    const like = plain(lab, fake.env);
    expect(numbers(like)).toEqual(["0", "1", "2", "7", "9"]);
    expect(fromCaller(argv, fake.env).status).toBe(1);
    const criu = fake.inherited();
    expect(numbers(criu)).toEqual(["0", "1", "2", "3"]);
    expect(criu.fds[3]).toMatch(/^3 -> socket:/);
    expect(statusLines(criu)).toEqual(statusLines(like));
    expect(criu.limits).toBe(like.limits);
    expect(criu.umask).toBe(like.umask);
    expect(criu.environment).toEqual(
      like.environment.filter((variable) => !variable.startsWith("BUN_")),
    );
  });

  test(`${how}, hooks get three pipes, their own environment, and the caller's signals`, () => {
    using lab = new Lab();
    const { argv, bundle, id } = prepared(lab, how);
    const hooks = ["prestart", "createRuntime", "poststop"] as const;
    const probes = hooks.map((name) => probe(lab, name));
    const fails = join(lab.path, "fails");
    writeFileSync(fails, "#!/bin/sh\nexit 1\n");
    chmodSync(fails, 0o755);
    bundle.edit((config) => {
      config.hooks = Object.fromEntries(
        hooks.map((name, i) => [name, [{ path: probes[i]?.path, env: ["A=1", "B=two words"] }]]),
      );
      config.hooks.createRuntime.push({ path: fails });
    });
    const like = plain(lab);
    expect(fromCaller(argv).stderr).toContain("error running createRuntime hook #1: exit status 1");
    for (const [i, name] of hooks.entries()) {
      const hook = inherited(probes[i]?.directory ?? "");
      expect([name, ...numbers(hook)]).toEqual([name, "0", "1", "2"]);
      expect(hook.fds.every((link) => link.includes("-> pipe:"))).toBe(true);
      expect(statusLines(hook)).toEqual(statusLines(like));
      expect(hook.limits).toBe(like.limits);
      expect(hook.umask).toBe(like.umask);
      expect(hook.environment.filter((line) => !/^(PWD|_|SHLVL|OLDPWD)=/.test(line))).toEqual([
        "A=1",
        "B=two words",
      ]);
    }
    expect(lab.status(id)).toBeUndefined();
  });
}

test("the container gets no descriptor of thaw's caller", () => {
  using lab = new Lab();
  const { argv, id } = prepared(lab);
  expect(fromCaller(argv)).toEqual({ status: 0, stdout: "", stderr: "" });
  const directory = `/proc/${lab.state(id).init_process_pid}/fd`;
  // Of a container that stands still: its shell opens the file it counts in, and moves descriptors about.
  must(lab.thaw(["pause", id]));
  const links = readdirSync(directory).map((fd) => readlinkSync(join(directory, fd)));
  const own = ["/dev/null", "/tmp/n", "/tmp/wait"];
  expect(links.filter((link) => !own.includes(link))).toEqual([]);
  expect(links).toContain("/tmp/wait");
});

/** The flags of an open descriptor of this process (proc(5), fdinfo), in octal. */
function flags(fd: number): string {
  return /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1] ?? "";
}

const O_RDWR = 2;
const O_NONBLOCK = 0o4000;

for (const [how, more] of [
  ["blocking", 0],
  ["non-blocking", O_NONBLOCK],
] as const) {
  for (const where of ["detached", "in the foreground"] as const) {
    test(`the caller's ${how} stdio stays so, ${where}`, async () => {
      using lab = new Lab();
      const { argv, id } = prepared(lab, where);
      const fifos = [0, 1, 2].map((fd) => {
        const path = join(lab.path, `fifo${fd}`);
        must(run(["busybox", "mkfifo", path]));
        return openSync(path, O_RDWR | more);
      }) as [number, number, number];
      const before = fifos.map(flags);
      // Bun.spawn makes what it passes on blocking.
      const env = Object.entries(process.env).map(([name, value]) => `${name}=${value}`);
      const thaw = spawn({ file: THAW, argv, env, fds: fifos });
      using scope = new DisposableStack();
      scope.defer(() => thaw.kill());
      const status = async () => (await thaw.wait({ doing: "wait", timeout: 10_000 }))?.code;
      if (where === "detached") expect(await status()).toBe(0);
      else {
        waitFor(() => lab.status(id) === "running", "the container");
        await Bun.sleep(300);
        expect(fifos.map(flags)).toEqual(before);
        lab.runc(["kill", id, "KILL"]);
        expect(await status()).toBe(137);
      }
      expect(fifos.map(flags)).toEqual(before);
      for (const fd of fifos) closeSync(fd);
    });
  }
}

for (const closed of ["<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", "<&- >&- 2>&-"]) {
  test(`a restore works when started with ${closed}`, () => {
    using lab = new Lab();
    const { argv, id } = prepared(lab);
    const ran = run(["sh", "-c", `exec "$@" ${closed}`, "sh", ...argv]);
    expect(ran).toEqual({ status: 0, stdout: "", stderr: "" });
    expect(lab.status(id)).toBe("running");
    const directory = `/proc/${lab.state(id).init_process_pid}/fd`;
    expect(readdirSync(directory)).toEqual(expect.arrayContaining(["0", "1", "2"]));
  });
}
