/**
 * exec: the same command by runc and by thaw, in containers made alike, finds the same, says the same
 * and ends with the same status.
 *
 * @module
 */

import { afterAll, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { owned } from "../../internal/linux/fd.ts";
import { libc } from "../../internal/linux/libc.ts";
import { type Bundle, type Json, type Lab, must, type Ran, run, THAW } from "../support/lab.ts";
import { engineProfile } from "../support/profile.ts";
import { type Twin, Twins } from "../support/side-by-side.ts";
import { steadyBundle } from "../support/steady.ts";

const PASSWD = "root:x:0:0::/root:/bin/sh\nu:x:1000:1000::/home/u:/bin/sh\nnohome:x:1001:1001\n";

/** Files of the container that the tests name. */
function furnish({ rootfs }: Bundle): void {
  writeFileSync(join(rootfs, "etc/passwd"), PASSWD);
  for (const [name, text, mode] of [
    ["plain", "x", 0o644],
    ["bad", "xx", 0o755],
    ["script", "#!/nope\n", 0o755],
  ] as const) {
    writeFileSync(join(rootfs, name), text);
    chmodSync(join(rootfs, name), mode);
  }
  mkdirSync(join(rootfs, "private"), { mode: 0o700 });
  chmodSync(rootfs, 0o755);
}

const SETS = ["bounding", "effective", "permitted", "inheritable", "ambient"];

/** Everything that a process can differ by. */
const rich = (config: Json) => {
  for (const set of SETS)
    config.process.capabilities[set] = ["CAP_KILL", "CAP_CHOWN", "CAP_SETUID", "CAP_SETGID"];
  config.process.capabilities.bounding.push("CAP_NET_ADMIN");
  config.process.noNewPrivileges = false;
  config.process.oomScoreAdj = 200;
  config.process.execCPUAffinity = { initial: "0", final: "0" };
  config.process.scheduler = { policy: "SCHED_BATCH", nice: 3 };
  config.process.ioPriority = { class: "IOPRIO_CLASS_BE", priority: 6 };
  config.process.rlimits = [
    { type: "RLIMIT_NOFILE", hard: 800, soft: 700 },
    { type: "RLIMIT_CORE", hard: 0, soft: 0 },
    { type: "RLIMIT_STACK", hard: 2 ** 40, soft: 2 ** 23 },
  ];
  config.process.user = { uid: 0, gid: 0, umask: 0o27, additionalGids: [5, 6] };
  config.process.env.push("A=1", "B=2", "A=3");
  config.linux.seccomp = engineProfile();
};

const mapped = (config: Json) => {
  config.linux.namespaces.push({ type: "user" });
  config.linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
  config.linux.gidMappings = [{ containerID: 0, hostID: 200000, size: 65536 }];
};

const start = (edit: (config: Json) => void) => (lab: Lab, id: string) => {
  chmodSync(lab.path, 0o755);
  const bundle = steadyBundle(lab, edit);
  furnish(bundle);
  for (const name of ["tmp", "tmp/wait"]) chmodSync(join(bundle.rootfs, name), 0o777);
  lab.start(bundle, id);
};

const restored = (edit: (config: Json) => void) => (lab: Lab, id: string) => {
  const bundle = steadyBundle(lab, edit);
  furnish(bundle);
  must(lab.restore(bundle, lab.checkpointed(bundle, id), id));
};

/** Made when they are first used, and once. */
const kinds: Record<string, (lab: Lab, id: string) => void> = {
  restored: restored(rich),
  "restored, plain": restored(() => {}),
  "made by runc": start(rich),
  "in a user namespace": start(mapped),
};
const made = new Map<string, Twins>();
const twins = (kind: string): Twins => {
  let pair = made.get(kind);
  if (pair === undefined) {
    pair = new Twins(kinds[kind]);
    made.set(kind, pair);
  }
  return pair;
};
afterAll(() => {
  for (const pair of made.values()) pair[Symbol.dispose]();
});

/** Runs exec on one of the two; ID is its id. */
function execOn({ lab, id, runtime }: Twin, words: readonly string[], through: string[] = []): Ran {
  const given = words.map((word) => (word === "ID" ? id : word.replaceAll("LAB", lab.path)));
  return run([...through, runtime, "--root", lab.root, "exec", ...given], { timeout: 20_000 });
}

/** Without what differs between two containers, and without thaw's remedies. */
function normal({ status, stdout, stderr }: Ran, { lab, id }: Twin): object {
  const plain = (text: string) =>
    text
      .replaceAll(/^time="[^"]*" /gm, "")
      .replaceAll(id, "ID")
      .replaceAll(lab.path, "LAB")
      .replaceAll(/; [^\n]*?"?$/gm, '"')
      .replaceAll(/"+$/gm, '"')
      .replaceAll(/(socket|pipe|mnt|pid|net|uts|ipc|cgroup|time|user):\[\d+\]/g, "$1:[N]")
      .replaceAll(/^[^"\n]*?"?(level=error msg="?[^"]*?)(?:\/\S*)?\b(runc|thaw): /gm, "$1$$0: ");
  // A warning of the runtime's may come before or after what the program writes.
  const lines = plain(stderr).split("\n");
  const said = (by: boolean) => lines.filter((line) => line.startsWith("level=") === by);
  return { status, stdout: plain(stdout), stderr: [...said(true), ...said(false)].join("\n") };
}

/** The same by both; returns what thaw did. */
function same(kind: string, words: readonly string[], through: string[] = []): Ran {
  const [byRunc, byThaw] = twins(kind).both.map((twin) => {
    const ran = execOn(twin, words, through);
    return { ran, normal: normal(ran, twin) };
  });
  expect({ kind, words, ...byThaw?.normal }).toEqual({ kind, words, ...byRunc?.normal });
  return byThaw?.ran as Ran;
}

const PROBE = `busybox grep -E '^(Umask|Uid|Gid|Groups|Sig(Blk|Ign|Cgt)|Cap...|NoNewPrivs|Seccomp|Seccomp_filters|Threads|Cpus_allowed_list|Mems_allowed_list):' /proc/self/status
  cat /proc/self/cgroup /proc/self/limits /proc/self/oom_score_adj /proc/self/uid_map
  busybox env; busybox pwd; busybox hostname; busybox ls -l /proc/self/fd | busybox sed 's/.* \\([0-9]* -> \\)/\\1/; /proc/d' | busybox grep -e '->'
  busybox awk '{print $5 == $1, $6 == $1, $7, $8, $18, $19}' /proc/$$/stat; busybox tty; busybox ls -l /proc/self/ns | busybox grep -c -e '->'
  busybox ionice; busybox cat /proc/self/personality 2>&1; busybox stat -L -c '%u %g %a' /proc/self/fd/1 /proc/self/fd/0`;

const FLAGS: readonly (readonly string[])[] = [
  [],
  ["-u", "1000"],
  ["--user", "1000:5", "-g", "7", "-g", "8", "-e", "X=y", "-e", "A=4"],
  ["-c", "CAP_NET_ADMIN", "-c", "CAP_SYS_TIME", "--no-new-privs"],
  ["--no-new-privs=false", "-u", "1001:1001", "--cwd", "/tmp"],
  ["-u", "4294967296", "-e", "HOME=", "-e", "PATH=/bin"],
  ["-u", "77:78", "-e", "HOME=/here"],
];

for (const kind of Object.keys(kinds)) {
  test(`${kind}: a process finds what it finds by runc`, () => {
    for (const flags of kind === "restored" ? FLAGS : FLAGS.slice(0, 3)) {
      const { status, stdout } = same(kind, [...flags, "ID", "sh", "-c", PROBE]);
      expect(status).toBe(0);
      expect(stdout).toContain("NoNewPrivs:");
    }
  });

  test(`${kind}: it is in every namespace of init`, () => {
    const { lab, id } = twins(kind).thaw;
    const names = ["mnt", "pid", "net", "uts", "ipc", "cgroup", "time", "user"];
    const script = names.map((name) => `busybox readlink /proc/self/ns/${name}`).join("; ");
    const { stdout } = execOn(twins(kind).thaw, ["ID", "sh", "-c", script]);
    const pid = lab.state(id).init_process_pid;
    expect(stdout.trim().split("\n")).toEqual(
      names.map((name) => readlinkSync(`/proc/${pid}/ns/${name}`)),
    );
  });
}

test("the seccomp filter is that of runc", () => {
  for (const kind of ["restored", "made by runc"]) {
    const filtered = (...words: string[]) => same(kind, words);
    for (const flags of [[], ["--no-new-privs"], ["--cap", "CAP_SYS_ADMIN"]]) {
      const probe = `busybox sync; echo $?; busybox unshare true 2>&1; busybox mount -t tmpfs none /tmp 2>&1
        busybox linux32 busybox uname -m 2>&1; busybox setarch linux64 -R busybox true 2>&1; echo $?
        busybox ping -c 1 -W 1 127.0.0.1 2>&1 | busybox head -n 1; busybox chroot / busybox true 2>&1; echo $?`;
      filtered(...flags, "ID", "sh", "-c", probe);
    }
    expect(filtered("ID", "busybox", "unshare", "true").stderr).toContain("not permitted");
  }
});

test("a process of --process: everything that it can say", () => {
  const base = { cwd: "/", args: ["/bin/sh", "-c", PROBE], env: ["PATH=/bin"], user: {} };
  const caps = { bounding: ["CAP_KILL"], effective: ["CAP_KILL"], permitted: ["CAP_KILL"] };
  const processes: Json[] = [
    {},
    { user: { uid: 1000, gid: 1, additionalGids: [3, 4] }, noNewPrivileges: true },
    { capabilities: {}, cwd: "/tmp" },
    { capabilities: { ...caps, inheritable: ["CAP_KILL"], ambient: ["CAP_KILL"] } },
    { capabilities: { ...caps, ambient: ["CAP_KILL"] } },
    { capabilities: { ...caps, effective: ["CAP_CHOWN"] } },
    { capabilities: { bounding: ["CAP_FOO", "CAP_BAR"], effective: ["CAP_FOO"] } },
    { rlimits: [{ type: "RLIMIT_NOFILE", hard: 50, soft: 40 }] },
    { rlimits: [{ type: "RLIMIT_NOFILE", hard: 10, soft: 100 }] },
    { rlimits: [{ type: "RLIMIT_FSIZE", hard: 2n ** 63n, soft: 2n ** 62n + 1n }] },
    {
      scheduler: { policy: "SCHED_BATCH", nice: 5 },
      ioPriority: { class: "IOPRIO_CLASS_BE", priority: 3 },
    },
    {
      scheduler: { policy: "SCHED_IDLE" },
      ioPriority: { class: "IOPRIO_CLASS_IDLE", priority: 0 },
    },
    { scheduler: { policy: "X" } },
    { scheduler: { policy: "SCHED_OTHER", flags: ["Y"] } },
    { ioPriority: { class: "Z", priority: 1 } },
    { ioPriority: { class: "IOPRIO_CLASS_BE", priority: 2n ** 60n + 5n } },
    { ioPriority: { class: "IOPRIO_CLASS_BE", priority: -1 } },
    { execCPUAffinity: { initial: "0", final: "1" } },
    { execCPUAffinity: { initial: "1" } },
    { execCPUAffinity: {} },
    { execCPUAffinity: { initial: "", final: "" } },
    { execCPUAffinity: { initial: "0-x" } },
    { execCPUAffinity: { final: "3-1" } },
    { execCPUAffinity: { final: "1024" } },
    { execCPUAffinity: { initial: " , " } },
    { env: [] },
    { env: ["NOVALUE"] },
    { env: ["=x"] },
    { env: ["A=\0b"] },
    { args: [] },
    { args: 5 },
    { args: [5] },
    { cwd: "" },
    { cwd: "x" },
    { user: { uid: -1 } },
    { terminal: true },
    { selinuxLabel: "x" },
  ];
  const bigint = (_: string, value: unknown) =>
    typeof value === "bigint" ? (JSON as Json).rawJSON(String(value)) : value;
  for (const one of processes) {
    for (const { lab } of twins("restored").both)
      writeFileSync(join(lab.path, "process.json"), JSON.stringify({ ...base, ...one }, bigint));
    same("restored", ["--process", "LAB/process.json", "ID"]);
  }
  for (const text of ["", "{", "null", "5", "[]"]) {
    for (const { lab } of twins("restored").both)
      writeFileSync(join(lab.path, "process.json"), text);
    same("restored", ["-p", "LAB/process.json", "ID", "extra"]);
  }
  same("restored", ["-p", "/nonexistent", "ID"]);
});

test("priorities and CPUs of config.json are those of --process, too, and outlive a checkpoint", () => {
  const script =
    "busybox ionice; busybox awk '{print $19, $41}' /proc/self/stat; busybox grep Cpus_allowed_list /proc/self/status";
  const process_ = { cwd: "/", args: ["/bin/sh", "-c", script], env: ["PATH=/bin"] };
  for (const kind of ["restored", "made by runc"]) {
    for (const { lab } of twins(kind).both)
      writeFileSync(join(lab.path, "process.json"), JSON.stringify(process_));
    const { stdout } = same(kind, ["--process", "LAB/process.json", "ID"]);
    expect([kind, stdout]).toEqual([kind, "best-effort: prio 6\n3 3\nCpus_allowed_list:\t0\n"]);
  }
});

test("what cannot be executed is refused in runc's words, with status 255", () => {
  const plain = "restored, plain";
  const refused = (...words: string[]) => expect(same(plain, words).status).toBe(255);
  for (const name of [
    "/nope",
    "nope",
    "/bin",
    "/plain",
    "bad",
    "",
    ".",
    "..",
    "./nope",
    "bin/nope",
  ])
    refused("ID", name);
  refused("-u", "1000", "ID", "/private/x");
  refused("--cwd", "/nope", "ID", "ls");
  refused("--cwd", "rel", "ID", "ls");
  refused("--cwd", "/plain", "ID", "ls");
  refused("-u", "1000", "--cwd", "/private/x", "ID", "ls");
  for (const path of ["/x", "bin:/x", "", ":"])
    refused("-e", `PATH=${path}`, "ID", "busybox", "env");
  refused("ID");
  refused("", "ls");
  refused("nosuch", "ls");
  refused("../x", "ls");
  for (const user of ["x", "1:x", ":", "1:", "-1", "1:-1", "99999999999999999999", "1:2:3"])
    refused("-u", user, "ID", "ls");
  refused("-g", "-1", "ID", "ls");
  for (const entry of ["X", "=X"]) refused("-e", entry, "ID", "ls");
  refused("-d", "-t", "ID", "ls");
  refused("-t", "--console-socket", "/nope", "ID", "ls");
  refused("--console-socket", "/nope", "ID", "ls");
  refused("-d", "-t", "--console-socket", "/nope", "ID", "ls");
  refused("-t", "ID", "ls");
  for (const cgroup of ["..", "../x", "nope:x", ":x", "cpu,:x"])
    refused("--cgroup", cgroup, "ID", "ls");
  refused("--cgroup", "cpu:x", "--cgroup", "y", "ID", "ls");
  refused("--cgroup", "cpu:a", "--cgroup", "cpu:b", "ID", "ls");
  refused("--process-label", "x", "ID", "ls");
  for (const { lab, id } of twins(plain).both) {
    must(lab.runc(["pause", id]));
  }
  refused("ID", "ls");
  for (const { lab, id } of twins(plain).both) must(lab.runc(["resume", id]));
});

test("what runc says without a word of exec is an error with its remedy", () => {
  const twin = twins("restored, plain").thaw;
  for (const [words, says] of [
    [["ID", "/bad"], "exec /bad: exec format error; it is no program of this machine's"],
    [["ID", "/script"], "exec /script: no such file or directory; the interpreter"],
    [["--preserve-fds", "7", "ID", "ls"], "unable to stat preserved-fd 0 (of 7): no such file"],
    [["--pid-file", "/nope/x", "ID", "ls"], "open /nope/.x: no such file or directory"],
    [["--cgroup", "none", "ID", "ls"], "cgroup.procs: no such file or directory"],
    [["--apparmor", "x", "ID", "ls"], "apparmor failed to apply profile: write /proc/"],
  ] as const) {
    const ran = execOn(twin, words);
    expect([ran.status, ran.stdout]).toEqual([255, ""]);
    expect(ran.stderr).toContain('level=error msg="exec failed: ');
    expect(ran.stderr).toContain(says);
    expect(ran.stderr.split("\n").length).toBe(2);
  }
  const log = join(twin.lab.path, "log.json");
  const words = ["--log", log, "--log-format", "json", "exec", twin.id, "/nope"];
  const ran = twin.lab.thaw(words);
  const reason =
    'exec failed: unable to start container process: exec: "/nope": stat /nope: no such file or directory';
  const message = `${reason}; container ${twin.id}`;
  expect([ran.status, ran.stderr]).toEqual([255, `${message}\n`]);
  expect(JSON.parse(readFileSync(log, "utf8"))).toMatchObject({ level: "error", msg: message });
});

test("exit status and signals are the program's", () => {
  for (const script of [
    "exit 0",
    "exit 7",
    "exit 255",
    "kill -9 $$",
    "kill -TERM $$",
    "kill -SEGV $$",
  ])
    same("restored, plain", ["ID", "sh", "-c", script]);
});

test("what a program leaves running goes on being heard, and told", () => {
  const kind = "restored, plain";
  const late = (script: string) => same(kind, ["ID", "sh", "-c", script]);
  expect(late("(sleep 0.5; echo late; echo err >&2) & echo now; exit 3")).toEqual({
    ...{ status: 3, stdout: "now\nlate\n", stderr: "err\n" },
  });
  const through = ["sh", "-c", '(echo one; sleep 0.5; echo two) | "$@"', "sh"];
  const { stdout } = same(kind, ["ID", "sh", "-c", "exec 3<&0; cat <&3 & exit 0"], through);
  expect(stdout).toBe("one\ntwo\n");
});

test("a number of a further group is decimal, and its lower 32 bits count", () => {
  const script = "busybox grep Groups /proc/self/status";
  // runc reads -g twice, for its two names.
  const groups = (text: string) => [...new Set(text.match(/\d+/g))];
  for (const [gid, seen] of [
    ["010", "10"],
    ["+5", "5"],
    ["4294967303", "7"],
    ["9007199254740993", "1"],
  ] as const)
    for (const twin of twins("restored, plain").both)
      expect(groups(must(execOn(twin, ["-g", gid, "ID", "sh", "-c", script])).stdout)).toEqual([
        seen,
      ]);
});

test("limits, ignored signals and umask of the caller arrive as by runc", () => {
  const setUp = [
    "sh",
    "-c",
    `umask 027; ulimit -Sn 300; ulimit -Sc 0; trap '' USR1; "$@"; s=$?; exit $s`,
    "sh",
  ];
  same("restored, plain", ["ID", "sh", "-c", PROBE], setUp);
});

test("descriptors of the caller arrive when they are asked for, and only then", () => {
  const opened = ["bash", "-c", 'exec "$@" 3</dev/zero 4</dev/full 5</dev/null 9</etc', "bash"];
  const list = ["ID", "sh", "-c", "cd /proc/self/fd; for f in *; do busybox readlink $f; done"];
  for (const count of ["0", "1", "2", "3"]) {
    const { stdout } = same("restored, plain", ["--preserve-fds", count, ...list], opened);
    expect(stdout.includes("/dev/full")).toBe(Number(count) > 1);
  }
});

test("a descriptor that is handed over may be of any kind", () => {
  const script = "for f in 3 4; do busybox readlink /proc/self/fd/$f; done";
  const [counter, watch] = [libc.eventfd(0, 0), libc.inotify_init1(0)];
  const made = [counter, watch].map(owned);
  for (const { lab, id, runtime } of twins("restored, plain").both) {
    for (const [count, seen] of [
      ["1", "anon_inode:[eventfd]\n"],
      ["2", "anon_inode:[eventfd]\nanon_inode:inotify\n"],
    ]) {
      const flags = ["exec", "--preserve-fds", count as string];
      const done = Bun.spawnSync([runtime, "--root", lab.root, ...flags, id, "sh", "-c", script], {
        stdio: ["ignore", "pipe", "pipe", counter, watch],
      });
      expect([runtime, done.stderr.toString(), done.stdout.toString()]).toEqual([
        ...[runtime, "", seen as string],
      ]);
    }
  }
  for (const one of made) one.close();
});

test("a sub-cgroup of the container's", () => {
  const kind = "restored, plain";
  const made: string[] = [];
  for (const { lab, id } of twins(kind).both) {
    for (const path of new Set(
      Object.values(lab.state(id).cgroup_paths as Record<string, string>),
    )) {
      mkdirSync(join(path, "sub"));
      made.push(join(path, "sub"));
      for (const file of ["cpuset.cpus", "cpuset.mems"])
        if (path.includes("/cpuset/"))
          writeFileSync(join(path, "sub", file), readFileSync(join(path, file)));
    }
  }
  for (const flags of [["sub"], ["/sub"], ["memory,pids:sub"], ["memory:sub", "pids:/"]]) {
    const words = flags.flatMap((one) => ["--cgroup", one]);
    const { status, stdout } = same(kind, [...words, "ID", "cat", "/proc/self/cgroup"]);
    // cgroup v2 has no controllers to name.
    const named = flags[0]?.includes(":") === true && !existsSync("/sys/fs/cgroup/cpu");
    expect([status, stdout.includes("/sub")]).toEqual(named ? [255, false] : [0, true]);
  }
  for (const path of made) must(run(["rmdir", path]));
});

const V2 = existsSync("/sys/fs/cgroup/cgroup.controllers");

test.skipIf(!V2)("on cgroup v2, where the container's cgroup cannot be joined, init's is", () => {
  for (const { lab, id } of twins("made by runc").both) {
    const file = join(lab.root, id, "state.json");
    const text = JSON.parse(readFileSync(file, "utf8"));
    text.cgroup_paths[""] += "-gone";
    writeFileSync(file, JSON.stringify(text));
  }
  const { status, stdout } = same("made by runc", ["ID", "cat", "/proc/self/cgroup"]);
  expect([status, stdout.includes("-gone")]).toEqual([0, false]);
  const words = ["--cgroup", "x", "ID", "true"];
  for (const twin of twins("made by runc").both) {
    const ran = execOn(twin, words);
    expect([ran.status, ran.stderr]).toEqual([
      255,
      expect.stringContaining("-gone/x/cgroup.procs"),
    ]);
  }
});

test("help tells every flag of runc's", () => {
  const names = (text: string) =>
    [...text.matchAll(/^ +(?:-\w, )?--([a-z-]+)/gm)].map(([, n]) => n);
  const theirs = run(["runc", "exec", "--help"]).stdout.matchAll(/--([a-z-]+)/g);
  const help = names(run([THAW, "exec", "--help"]).stdout);
  for (const [, name] of theirs) expect(help).toContain(name);
});
