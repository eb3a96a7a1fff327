/** exec when it is hard: foreground, terminals, kills, hostile containers, and under load. @module */

import { expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { libc, memory } from "../../internal/linux/libc.ts";
import { connectUnix } from "../../internal/linux/socket.ts";
import { consoleSocket } from "../support/console-socket.ts";
import { type Bundle, type Json, Lab, must, run, THAW, traces, waitFor } from "../support/lab.ts";
import { engineProfile } from "../support/profile.ts";
import { steadyBundle } from "../support/steady.ts";

/** A restored container. */
function restored(lab: Lab, edit?: (config: Json) => void): { bundle: Bundle; id: string } {
  const bundle = steadyBundle(lab, edit);
  for (const name of ["tmp", "tmp/wait"]) chmodSync(join(bundle.rootfs, name), 0o777);
  const id = lab.id();
  must(lab.restore(bundle, lab.checkpointed(bundle, id), id));
  return { bundle, id };
}

const execArgv = (lab: Lab, ...words: readonly string[]) => [
  THAW,
  "--root",
  lab.root,
  "exec",
  ...words,
];

/** Processes that are still on their way into a container. */
function underWay(): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("thaw:[EXEC]");
      } catch {
        return false;
      }
    });
}

test("in the foreground: streams whole and apart, the end of input, signals, the status", async () => {
  using lab = new Lab();
  const { id } = restored(lab);
  const data = Buffer.alloc(20_000_000);
  for (let i = 0; i < data.length; i += 4) data.writeUInt32LE((i * 2654435761) % 2 ** 32, i);
  const input = join(lab.path, "input");
  writeFileSync(input, data);
  const child = Bun.spawn(execArgv(lab, id, "busybox", "tee", "/dev/stderr"), {
    stdin: Bun.file(input),
    stdout: "pipe",
    stderr: "pipe",
  });
  const read = async (stream: ReadableStream) => Buffer.from(await new Response(stream).bytes());
  const [out, err] = await Promise.all([read(child.stdout), read(child.stderr)]);
  expect([out.equals(data), err.equals(data), await child.exited]).toEqual([true, true, 0]);

  const names = ["HUP", "USR1", "INT", "QUIT", "CONT"];
  const traps = names.map((name) => `trap 'echo ${name}' ${name}`).join("; ");
  const script = `${traps}; trap 'echo TERM; exit 9' TERM; echo ready; while :; do sleep 0.02; done`;
  const signalled = Bun.spawn(execArgv(lab, id, "sh", "-c", script), {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const reader = signalled.stdout.getReader();
  let said = "";
  const decoder = new TextDecoder();
  const until = async (text: string) => {
    while (!said.includes(text)) said += decoder.decode((await reader.read()).value);
  };
  await until("ready\n");
  for (const name of names) {
    signalled.kill(`SIG${name}` as NodeJS.Signals);
    await until(`${name}\n`);
  }
  signalled.kill("SIGTERM");
  expect(await signalled.exited).toBe(9);
  expect(said).toBe(`ready\n${names.join("\n")}\n`);
});

test("a signal ends the wait for what a program has left running", async () => {
  using lab = new Lab();
  const { id } = restored(lab);
  const script = "trap '' TERM; sleep 100 & echo ready; exit 4";
  const child = Bun.spawn(execArgv(lab, id, "sh", "-c", script), {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const reader = child.stdout.getReader();
  expect(new TextDecoder().decode((await reader.read()).value)).toBe("ready\n");
  await Bun.sleep(300);
  expect(child.exitCode).toBeNull();
  // As long as the shell is there it gets the signals, and ignores them.
  for (let tries = 0; child.exitCode === null && tries < 50; tries++) {
    child.kill("SIGTERM");
    await Bun.sleep(100);
  }
  expect(await child.exited).toBe(4);
});

test("detached: the pid file, a pidfd, a child of the caller's reaper, the caller's streams", () => {
  using lab = new Lab();
  const { id } = restored(lab);
  const pidFile = join(lab.path, "p.pid");
  writeFileSync(join(lab.path, ".p.pid"), "stale");
  using socket = consoleSocket(join(lab.path, "pidfd.sock"));
  libc.prctl(36, 1, 0, 0, 0); // PR_SET_CHILD_SUBREAPER
  const out = join(lab.path, "out");
  const words = ["-d", "--pid-file", pidFile, "--pidfd-socket", join(lab.path, "pidfd.sock"), id];
  const argv = execArgv(lab, ...words, "sh", "-c", "echo hello; sleep 100; exit 7");
  must(run(["sh", "-c", `exec "$@" </dev/null >${out} 2>/dev/null`, "sh", ...argv]));
  const pid = Number(readFileSync(pidFile, "utf8"));
  expect(readFileSync(pidFile, "utf8")).toBe(String(pid));
  expect(readFileSync(`/proc/${pid}/stat`, "utf8").split(" ")[3]).toBe(String(process.pid));
  waitFor(() => readFileSync(out, "utf8") === "hello\n", "its output");
  const { fd, text } = socket.master();
  expect(text).toBe("setns");
  expect(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8")).toContain(`Pid:\t${pid}\n`);
  process.kill(pid, "SIGTERM");
  const status = memory(4);
  waitFor(() => libc.waitpid(pid, status.bytes, 1) === pid, "its end");
  expect(status.view.getInt32(0, true)).toBe(15);
  libc.prctl(36, 0, 0, 0, 0);
});

test("a terminal: sent to the console socket, sized, owned by the user, the controlling one", () => {
  using lab = new Lab();
  const { id } = restored(lab, (config) => {
    config.linux.namespaces.push({ type: "user" });
    config.linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
    config.linux.gidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
    chmodSync(lab.path, 0o755);
  });
  const socket = join(lab.path, "c.sock");
  using console_ = consoleSocket(socket);
  const process_ = join(lab.path, "process.json");
  const script =
    "busybox stty size; busybox tty; busybox stat -c '%u %a' /dev/pts/0; read x; echo got $x >/dev/tty";
  writeFileSync(
    process_,
    JSON.stringify({
      terminal: true,
      consoleSize: { height: 33, width: 111 },
      cwd: "/",
      args: ["/bin/sh", "-c", script],
      env: ["PATH=/bin"],
      user: { uid: 1000, gid: 1000 },
    }).replace("33", "1152921504606847009"), // 2^60 + 33, of which 16 bits count
  );
  must(run(execArgv(lab, "-d", "-p", process_, "--console-socket", socket, id)));
  const { fd, text } = console_.master();
  expect(text).toBe("/dev/pts/ptmx");
  Bun.sleepSync(200);
  Bun.write(Bun.file(fd), "hello\n");
  const buffer = Buffer.alloc(65536);
  let seen = "";
  waitFor(() => {
    seen += buffer.subarray(0, readSync(fd, buffer)).toString();
    return seen.includes("got hello");
  }, "the answer");
  expect(seen).toContain("33 111\r\n/dev/pts/0\r\n1000 620\r\n");
});

test("a console socket that nobody accepts from, and that is full, is an error", () => {
  using lab = new Lab();
  const { id } = restored(lab);
  const path = join(lab.path, "c.sock");
  using socket = consoleSocket(path);
  void socket;
  using waiting = new DisposableStack();
  const fill = () => {
    for (;;) waiting.use(connectUnix(path));
  };
  expect(fill).toThrow("resource temporarily unavailable");
  const argv = execArgv(lab, "-d", "-t", "--console-socket", path, id, "busybox", "true");
  const { status, stderr } = run(argv, { timeout: 5000 });
  expect(stderr).toContain(`dial unix ${path}: connect: resource temporarily unavailable`);
  expect(status).toBe(255);
});

test("a terminal in the foreground: size, keys, output as it is, and settings put back", async () => {
  using lab = new Lab();
  const { id } = restored(lab);
  const script = `while read line; do echo "got $line $(busybox stty size)"; [ "$line" = stop ] && exit 6; done`;
  writeFileSync(join(lab.path, "script"), script);
  const argv = execArgv(lab, "-t", id, "sh", "-c").join(" ");
  const command = `stty rows 41 cols 121; stty -a > ${lab.path}/before; ${argv} "$(cat ${lab.path}/script)"; s=$?; stty -a > ${lab.path}/after; exit $s`;
  const child = Bun.spawn(["script", "-qec", command, "/dev/null"], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  await Bun.sleep(700);
  child.stdin.write("hello\r");
  await child.stdin.flush();
  await Bun.sleep(300);
  child.stdin.write("stop\r");
  await child.stdin.flush();
  const out = await new Response(child.stdout).text();
  expect(await child.exited).toBe(6);
  expect(out).toContain("got hello 41 121\r\n");
  expect(out).not.toContain("\r\r\n");
  const settings = (name: string) => readFileSync(join(lab.path, name), "utf8");
  expect(settings("after")).toBe(settings("before"));
});

test("a terminal in the foreground is set before the program can use it", () => {
  using lab = new Lab();
  const { id } = restored(lab);
  const argv = execArgv(lab, "-t", id, "busybox", "stty", "size").join(" ");
  const command = `stty rows 41 cols 121; for i in 1 2 3 4 5 6 7 8; do ${argv}; done`;
  const { status, stdout } = run(["script", "-qec", command, "/dev/null"]);
  expect([status, stdout.split("41 121\r\n").length - 1]).toEqual([0, 8]);
});

test("killed at any moment, thaw leaves a whole process or none", async () => {
  using lab = new Lab();
  const { bundle, id } = restored(lab);
  const script = "echo x >> /tmp/started; exec sleep 100";
  for (let round = 0; round < 16; round++) {
    const child = Bun.spawn(execArgv(lab, "-d", id, "sh", "-c", script), {
      stdio: ["ignore", "ignore", "ignore"],
    });
    if (round % 2 === 0) await Bun.sleep(20 + 2 * round);
    // As soon as the process is there, and thaw moves it into one cgroup after the other.
    else while (child.exitCode === null && underWay().length === 0) await Bun.sleep(0);
    child.kill("SIGKILL");
    await child.exited;
  }
  waitFor(() => underWay().length === 0, "nothing to be under way");
  // Whole is what is in every cgroup: those of init.
  const init = lab.state(id).init_process_pid;
  const cgroups = (pid: string | number) => readFileSync(`/proc/${pid}/cgroup`, "utf8");
  const inside = readlinkSync(`/proc/${init}/ns/mnt`);
  const sleeping = () =>
    readdirSync("/proc").filter((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, "utf8");
        return (
          words === ["sleep", "100", ""].join("\0") &&
          readlinkSync(`/proc/${pid}/ns/mnt`) === inside
        );
      } catch {
        return false;
      }
    });
  const file = join(bundle.rootfs, "tmp/started");
  const started = () => (existsSync(file) ? statSync(file).size / 2 : 0);
  waitFor(() => sleeping().length === started(), "each to have started");
  for (const pid of sleeping()) expect(cgroups(pid)).toBe(cgroups(init));
  const left = traces(lab).filter((line) => line.includes("thaw exec"));
  expect(left).toEqual([]);
});

test("killed while it prepares the process, thaw leaves none", async () => {
  using lab = new Lab();
  const { bundle, id } = restored(lab);
  // A group of resctrl that nobody reads from: thaw waits there, when the cgroups are joined.
  const state = join(lab.root, id, "state.json");
  const text = JSON.parse(readFileSync(state, "utf8"));
  writeFileSync(state, JSON.stringify({ ...text, intel_rdt_path: lab.path }));
  must(run(["busybox", "mkfifo", join(lab.path, "tasks")]));
  for (let round = 0; round < 2; round++) {
    const child = Bun.spawn(execArgv(lab, "-d", id, "sh", "-c", "echo x > /tmp/started"), {
      stdio: ["ignore", "ignore", "ignore"],
    });
    waitFor(() => underWay().length === 1, "the process");
    await Bun.sleep(200);
    expect(underWay().length).toBe(1);
    child.kill("SIGKILL");
    await child.exited;
    waitFor(() => underWay().length === 0, "its end");
    await Bun.sleep(100);
    expect(existsSync(join(bundle.rootfs, "tmp/started"))).toBe(false);
  }
});

test("a container that stops while a program is started: that is what is said", async () => {
  using lab = new Lab();
  const { id } = restored(lab);
  const state = join(lab.root, id, "state.json");
  const text = JSON.parse(readFileSync(state, "utf8"));
  writeFileSync(state, JSON.stringify({ ...text, intel_rdt_path: lab.path }));
  must(run(["busybox", "mkfifo", join(lab.path, "tasks")]));
  const child = Bun.spawn(execArgv(lab, id, "busybox", "true"), {
    stdio: ["ignore", "ignore", "pipe"],
  });
  waitFor(() => underWay().length === 1, "the process");
  await Bun.sleep(200);
  process.kill(text.init_process_pid, "SIGKILL");
  waitFor(() => underWay().every((pid) => !existsSync(`/proc/${pid}/exe`)), "its end");
  must(run(["busybox", "head", "-c", "1", join(lab.path, "tasks")]));
  expect(await new Response(child.stderr).text()).toEndWith(
    `exec failed: cannot exec in a stopped container; ${id} has just stopped"\n`,
  );
  expect(await child.exited).toBe(255);
});

// On cgroup v2 that of init is taken instead.
test.skipIf(existsSync("/sys/fs/cgroup/cgroup.controllers"))(
  "a cgroup that cannot be joined is an error, but for a container made with --rootless",
  () => {
    using lab = new Lab();
    const { id } = restored(lab);
    const state = join(lab.root, id, "state.json");
    const text = JSON.parse(readFileSync(state, "utf8"));
    text.cgroup_paths.none = "/sys/fs/cgroup/none";
    for (const [rootless, expected] of [
      [false, 255],
      [true, 0],
    ] as const) {
      text.config.rootless_cgroups = rootless;
      writeFileSync(state, JSON.stringify(text));
      const { status, stderr } = run(execArgv(lab, id, "busybox", "true"));
      expect([status, stderr.includes("error adding pid")]).toEqual([expected, !rootless]);
    }
  },
);

test("a signal before the program runs ends what was started", async () => {
  using lab = new Lab();
  const { id } = restored(lab);
  must(lab.runc(["pause", id]));
  for (const flags of [["-d"], []]) {
    const child = Bun.spawn(execArgv(lab, ...flags, "--ignore-paused", id, "sleep", "100"), {
      stdio: ["ignore", "ignore", "pipe"],
    });
    // In the frozen cgroup it does not go on.
    waitFor(() => underWay().length > 0, "the process");
    await Bun.sleep(200);
    child.kill("SIGTERM");
    await Bun.sleep(100);
    must(lab.runc(["resume", id]));
    expect(await new Response(child.stderr).text()).toContain("interrupted by SIGTERM");
    expect(await child.exited).toBe(255);
    expect(underWay()).toEqual([]);
    expect(lab.runc(["ps", id]).stdout).not.toContain("sleep 100");
    must(lab.runc(["pause", id]));
  }
  must(lab.runc(["resume", id]));
});

test("a paused container with --ignore-paused: the program runs once it is resumed", async () => {
  using lab = new Lab();
  const { id } = restored(lab);
  must(lab.runc(["pause", id]));
  const child = Bun.spawn(execArgv(lab, "--ignore-paused", id, "echo", "woken"), {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await Bun.sleep(500);
  expect(child.exitCode).toBeNull();
  must(lab.runc(["resume", id]));
  expect(await new Response(child.stdout).text()).toBe("woken\n");
  expect(await child.exited).toBe(0);
});

test("no way leads out: working directories, programs and interpreters of a hostile container", () => {
  using lab = new Lab();
  const { bundle, id } = restored(lab);
  const hash = () => run(["sha256sum", THAW]).stdout;
  const before = hash();
  for (let fd = 3; fd < 12; fd++) {
    const ran = run(
      execArgv(lab, "--cwd", `/proc/self/fd/${fd}`, id, "sh", "-c", "busybox pwd; ls .."),
    );
    expect([ran.status, ran.stdout]).toEqual([255, ""]);
    expect(run(execArgv(lab, id, `/proc/self/fd/${fd}`)).status).toBe(255);
  }
  writeFileSync(join(bundle.rootfs, "evil"), "#!/proc/self/exe\n", { mode: 0o755 });
  for (const words of [["/evil"], ["/proc/self/exe"], ["/proc/self/exe", "-c", "id"]]) {
    const ran = run(execArgv(lab, id, ...words));
    expect([ran.status, ran.stdout]).toEqual([255, ""]);
  }
  expect(underWay()).toEqual([]);
  // What lies under the name of the terminal is no terminal.
  const process_ = join(lab.path, "p.json");
  writeFileSync(process_, JSON.stringify({ terminal: true, cwd: "/", args: ["/bin/true"] }));
  must(
    run(
      execArgv(
        lab,
        "-c",
        "CAP_SYS_ADMIN",
        id,
        "sh",
        "-c",
        "mount -t tmpfs none /dev/pts && echo > /dev/pts/ptmx",
      ),
    ),
  );
  using socket = consoleSocket(join(lab.path, "c.sock"));
  void socket;
  const ran = run(
    execArgv(lab, "-d", "-p", process_, "--console-socket", join(lab.path, "c.sock"), id),
  );
  expect(ran.status).toBe(255);
  expect(ran.stderr).toContain("ptmx handle is not on a real devpts mount");
  expect(hash()).toBe(before);
});

test("what is on its way in shows the container nothing of the host", async () => {
  using lab = new Lab();
  const { id } = restored(lab);
  // Moved into a frozen cgroup, it stays where it waits for thaw.
  const legacy = lab.state(id).cgroup_paths.freezer;
  const above: string = legacy ?? lab.state(id).cgroup_paths[""];
  mkdirSync(join(above, "ice"));
  const [file, frozen, thawed] =
    legacy === undefined ? ["cgroup.freeze", "1", "0"] : ["freezer.state", "FROZEN", "THAWED"];
  writeFileSync(join(above, "ice", file), frozen);
  using cleanUp = new DisposableStack();
  cleanUp.defer(() => writeFileSync(join(above, "ice", file), thawed));
  const where = legacy === undefined ? "ice" : "freezer:ice";
  const child = Bun.spawn(execArgv(lab, "--cgroup", where, id, "echo", "through"), {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const inIce = () => readFileSync(join(above, "ice/cgroup.procs"), "utf8").trim();
  waitFor(() => inIce() !== "", "the process");
  const look =
    "for p in /proc/[0-9]*; do read n < $p/comm; case $n in thaw*) busybox readlink $p/exe; busybox ls -l $p/fd; busybox readlink $p/root; busybox readlink $p/cwd; esac; done; :";
  const seen = (...flags: string[]) =>
    must(lab.runc(["exec", "--user", "0", ...flags, id, "sh", "-c", look])).stdout;
  // Without the capability to trace it is not even seen what it runs and holds.
  expect(seen()).not.toMatch(/->|memfd/);
  const lines = seen("--cap", "CAP_SYS_PTRACE").split("\n").filter(Boolean);
  expect(lines[0]).toBe("/memfd:thaw:[EXEC] (deleted)");
  const links = lines.flatMap((line) => / -> (.*)$/.exec(line)?.[1] ?? []);
  expect(links.length).toBeGreaterThan(3);
  expect(links.filter((to) => !/^(pipe|socket):\[\d+\]$|^\/dev\/null$/.test(to))).toEqual([]);
  expect(lines.slice(-2)).toEqual(["/", "/"]);
  cleanUp.dispose();
  expect(await new Response(child.stdout).text()).toBe("through\n");
  expect(await child.exited).toBe(0);
});

test("a filter that asks an agent: the agent gets it, and who asks", () => {
  using lab = new Lab();
  const agent = join(lab.path, "agent.sock");
  const { id } = restored(lab);
  const state = join(lab.root, id, "state.json");
  const text = JSON.parse(readFileSync(state, "utf8"));
  text.config.seccomp = {
    ...{ default_action: 4, architectures: null, flags: null, default_errno_ret: null },
    syscalls: [{ name: "mkdir", action: 7, errnoRet: null, args: [] }],
    ...{ listener_path: agent, listener_metadata: "meta" },
  };
  writeFileSync(state, JSON.stringify(text));
  const without = lab.thaw(["exec", "-d", id, "busybox", "true"]);
  expect(without.status).toBe(255);
  expect(without.stderr).toContain(`dial unix ${agent}: connect: no such file or directory`);
  using socket = consoleSocket(agent);
  const argv = execArgv(lab, "-d", id, "busybox", "mkdir", "/tmp/made");
  must(run(["sh", "-c", 'exec "$@" >/dev/null 2>&1', "sh", ...argv]));
  const { fd, text: sent } = socket.master();
  const said = JSON.parse(sent);
  expect(said).toMatchObject({ fds: ["seccompFd"], metadata: "meta", state: { id } });
  expect(readlinkSync(`/proc/self/fd/${fd}`)).toBe("anon_inode:seccomp notify");
  libc.kill(said.pid, 9);
});

/** Lets the seccomp filter of a container ask an agent about a call. */
function askAbout(lab: Lab, id: string, name: string, agent: string): void {
  const state = join(lab.root, id, "state.json");
  const text = JSON.parse(readFileSync(state, "utf8"));
  text.config.seccomp = {
    ...{ default_action: 4, architectures: null, flags: null, default_errno_ret: null },
    syscalls: [{ name, action: 7, errnoRet: null, args: [] }],
    listener_path: agent,
  };
  writeFileSync(state, JSON.stringify(text));
}

test("given up after it was ready, nothing is left: nobody answers its filter, or nobody listens", async () => {
  using lab = new Lab();
  const { id } = restored(lab);
  const agent = join(lab.path, "agent.sock");
  using socket = consoleSocket(agent);
  void socket;
  const give = (...flags: string[]) =>
    Bun.spawn(execArgv(lab, "--no-new-privs", ...flags, id, "busybox", "true"), {
      stdio: ["ignore", "ignore", "ignore"],
    });
  askAbout(lab, id, "execve", agent);
  for (const flags of [["-d"], []]) {
    const child = give(...flags);
    waitFor(() => underWay().length > 0, "the process");
    await Bun.sleep(300);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(255);
    expect(underWay()).toEqual([]);
  }
  askAbout(lab, id, "read", join(lab.path, "nobody"));
  expect(await give("-d").exited).toBe(255);
  expect(underWay()).toEqual([]);
});

test("an agent that is gone leaves no call waiting: there is none of that name then", async () => {
  using lab = new Lab();
  const { id } = restored(lab);
  for (const [name, flag, says] of [
    ["chdir", "--no-new-privs=false", "set in config.json failed: function not implemented"],
    ["execve", "--no-new-privs", "exec /bin/busybox: function not implemented"],
  ] as const) {
    const agent = join(lab.path, name);
    askAbout(lab, id, name, agent);
    const socket = consoleSocket(agent);
    const child = Bun.spawn(execArgv(lab, flag, id, "busybox", "true"), {
      stdio: ["ignore", "ignore", "pipe"],
      timeout: 20_000,
    });
    socket.master();
    socket[Symbol.dispose]();
    expect(await new Response(child.stderr).text()).toContain(says);
    expect(await child.exited).toBe(255);
  }
});

test("500 programs under load, and 20 at once by the executable", async () => {
  using lab = new Lab();
  const { bundle, id } = restored(lab, (config) => {
    config.linux.seccomp = engineProfile();
  });
  const harness = join(import.meta.dir, "../support/exec-load.ts");
  const load = Bun.spawn([process.execPath, harness, lab.root, id, "500"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, err] = await Promise.all([
    new Response(load.stdout).text(),
    new Response(load.stderr).text(),
  ]);
  expect(err).toBe("");
  expect(JSON.parse(out)).toMatchObject({ statuses: [[5 << 8, 500]], reads: true });
  const lines = readFileSync(join(bundle.rootfs, "tmp/load"), "utf8")
    .trim()
    .split("\n")
    .map(Number);
  expect(lines.sort((a, b) => a - b)).toEqual([...Array(500).keys()]);
  const many = Array.from({ length: 20 }, (_, i) =>
    Bun.spawn(execArgv(lab, id, "sh", "-c", `echo ${i}; exit ${i}`), {
      stdio: ["ignore", "pipe", "pipe"],
    }),
  );
  for (const [i, one] of many.entries()) {
    expect(await new Response(one.stdout).text()).toBe(`${i}\n`);
    expect(await one.exited).toBe(i);
  }
  expect(underWay()).toEqual([]);
}, 120_000);
