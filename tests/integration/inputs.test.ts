/** What a person or a caller can get wrong: one clear line, in runc's words, and nothing touched. @module */

import { afterAll, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { readJsonLog } from "../support/damage.ts";
import {
  type Bundle,
  type Json,
  Lab,
  must,
  type Ran,
  run,
  THAW,
  traces,
  waitFor,
} from "../support/lab.ts";

/** Runs without starting new processes, so that traces stay the same. */
const STILL = "echo 1 > /tmp/n; while :; do sleep 100000; done";

/** One checkpoint for all tests here. */
const shared = (() => {
  let made: { lab: Lab; bundle: Bundle; image: string } | undefined;
  afterAll(() => made?.lab[Symbol.dispose]());
  return () => {
    if (made === undefined) {
      const lab = new Lab();
      const bundle = lab.bundle(STILL);
      made = { lab, bundle, image: lab.checkpointed(bundle, lab.id()) };
    }
    return made;
  };
})();

/** What a row can use. */
interface Given {
  readonly lab: Lab;
  /** A bundle of the row's own. */
  readonly bundle: Bundle;
  readonly image: string;
  readonly id: string;
  /** A path that nothing has, for the row to use. */
  readonly path: string;
}

/** A command line after the program's name. */
interface Call {
  readonly globals?: readonly string[];
  readonly flags?: readonly string[];
  readonly ids?: readonly string[];
  /** All of it, instead of the usual restore. */
  readonly argv?: readonly string[];
  readonly env?: Record<string, string>;
}

interface Row {
  readonly name: string;
  /** Makes the mistake. */
  make(given: Given): Call;
  /** What the message begins with; by default what runc says. */
  readonly says?: string | RegExp;
  /** True when runc's message is another, or it has none. */
  readonly unlikeRunc?: true;
  readonly status?: number;
  /** True when the command line itself is wrong: usage on standard output. */
  readonly usage?: true;
  /** Undoes what `make` did outside of the lab. */
  clean?(given: Given): void;
}

function argvOf(call: Call, { lab, bundle, image, id }: Given, log: string): string[] {
  if (call.argv !== undefined) return [...call.argv];
  const globals = ["--root", lab.root, "--log", log, "--log-format", "json"];
  const paths = ["--bundle", bundle.path, "--image-path", image];
  const flags = call.flags ?? ["-d"];
  return [
    ...globals,
    ...(call.globals ?? []),
    "restore",
    ...paths,
    ...flags,
    ...(call.ids ?? [id]),
  ];
}

/** The last message on standard error, bare or in a line of logrus'. */
function lastMessage({ stderr }: Ran): string {
  const line = stderr.trimEnd().split("\n").at(-1) ?? "";
  if (line.startsWith('{"level":"error"')) return JSON.parse(line).msg;
  const match = /^time="[^"]+" level=error msg=(.*)$/.exec(line);
  if (match === null) return line;
  const text = match[1] as string;
  return text.startsWith('"') ? JSON.parse(text).trimEnd() : text;
}

const config = (change: (config: Json) => void) => (given: Given) => {
  given.bundle.edit(change);
  return {};
};

const configText = (text: string) => (given: Given) => {
  writeFileSync(join(given.bundle.path, "config.json"), text);
  return {};
};

const flags =
  (...more: string[]) =>
  () => ({ flags: ["-d", ...more] });

const ids =
  (...list: string[]) =>
  () => ({ ids: list });

const FROZEN = (id: string) => join("/sys/fs/cgroup/freezer", id);

const ROWS: readonly Row[] = [
  // ids
  { name: "an empty id", make: ids(""), says: "container id cannot be empty" },
  ...[".", "..", "a/b", "a b", "é", "a:b", "a\nb", "../../etc", "/", "\x7f"].map((id) => ({
    name: `the id ${JSON.stringify(id)}`,
    make: ids(id),
    says: "invalid container ID format",
  })),
  {
    name: "an id of 300 letters",
    make: ids("r".repeat(300)),
    says: /^lstat \S+r{300}: file name too long/,
    unlikeRunc: true,
  },
  { name: "no id", make: ids(), says: /"restore" requires exactly 1 argument/, usage: true },
  { name: "two ids", make: ids("a", "b"), says: /"restore" requires exactly 1 arg/, usage: true },
  // the command line
  {
    name: "an unknown flag",
    make: () => ({ argv: ["restore", "--foo", "x"] }),
    says: "flag provided but not defined: -foo",
    usage: true,
  },
  {
    name: "an unknown global flag",
    make: () => ({ argv: ["--foo", "restore", "x"] }),
    says: "flag provided but not defined: -foo",
    usage: true,
  },
  {
    name: "a flag without its value",
    make: () => ({ argv: ["restore", "--lsm-mount-context"] }),
    says: "flag needs an argument: -lsm-mount-context",
    usage: true,
  },
  {
    name: "a boolean that is none",
    make: () => ({ argv: ["restore", "-d=maybe", "x"] }),
    says: 'invalid boolean value "maybe" for -d: parse error',
    usage: true,
  },
  {
    name: "a flag with three dashes",
    make: () => ({ argv: ["restore", "---detach", "x"] }),
    says: "bad flag syntax: ---detach",
    usage: true,
  },
  {
    name: "an unknown command",
    make: () => ({ argv: ["frobnicate"] }),
    says: "No help topic for 'frobnicate'",
    status: 3,
  },
  // the bundle
  {
    name: "a bundle that does not exist",
    make: flags("--bundle", "/nonexistent/bundle"),
    says: "chdir /nonexistent/bundle: no such file or directory",
  },
  {
    name: "a bundle that is a file",
    make: ({ path }) => {
      writeFileSync(path, "");
      return { flags: ["-d", "--bundle", path] };
    },
    says: /^chdir \S+: not a directory/,
  },
  {
    name: "no config.json",
    make: ({ bundle }) => {
      rmSync(join(bundle.path, "config.json"));
      return {};
    },
    says: "JSON specification file config.json not found",
  },
  {
    name: "a config.json that is a directory",
    make: ({ bundle }) => {
      rmSync(join(bundle.path, "config.json"));
      mkdirSync(join(bundle.path, "config.json"));
      return {};
    },
    says: "read config.json: is a directory",
  },
  {
    name: "a config.json that is a pipe",
    make: ({ bundle }) => {
      rmSync(join(bundle.path, "config.json"));
      must(run(["mkfifo", join(bundle.path, "config.json")]));
      return {};
    },
    says: /config\.json/,
    unlikeRunc: true,
  },
  { name: "an empty config.json", make: configText(""), says: "EOF" },
  { name: "a blank config.json", make: configText(" \n\t"), says: "EOF" },
  {
    name: "a config.json of one brace",
    make: configText("{"),
    says: "unexpected EOF",
  },
  {
    name: "a config.json cut in half",
    make: ({ bundle }) => {
      const path = join(bundle.path, "config.json");
      truncateSync(path, readFileSync(path).length >> 1);
      return {};
    },
    says: "unexpected EOF",
  },
  { name: "a config.json of null", make: configText("null"), says: "config cannot be null" },
  {
    name: "a config.json that is not JSON",
    make: configText("hello"),
    says: /^invalid/,
    unlikeRunc: true,
  },
  {
    name: "a config.json of 65 MiB",
    make: ({ bundle }) => {
      truncateSync(join(bundle.path, "config.json"), 65 << 20);
      return {};
    },
    says: "config.json has 68157440 bytes, more than the 67108864",
    unlikeRunc: true,
  },
  {
    name: "a config.json nested too deep",
    make: configText(`${"[".repeat(1_000_000)}${"]".repeat(1_000_000)}`),
    says: /./,
    unlikeRunc: true,
  },
  {
    name: "an ociVersion that is a number",
    make: config((c) => {
      c.ociVersion = 1;
    }),
    says: "json: cannot unmarshal number into Go struct field Spec.ociVersion of type string",
  },
  {
    name: "arguments that are a string",
    make: config((c) => {
      c.process.args = "sh";
    }),
    says: "json: cannot unmarshal string into Go struct field ",
    unlikeRunc: true,
  },
  {
    name: "mounts that are an object",
    make: config((c) => {
      c.mounts = {};
    }),
    says: "json: cannot unmarshal object into Go struct field Spec.mounts of type ",
    unlikeRunc: true,
  },
  {
    name: "a limit that is a string",
    make: config((c) => {
      c.linux.resources.pids = { limit: "7" };
    }),
    says: "json: cannot unmarshal string into Go struct field LinuxPids.linux.resources.pids.limit",
    unlikeRunc: true,
  },
  {
    name: "an annotation that is a number",
    make: config((c) => {
      c.annotations = { a: 1 };
    }),
    says: "json: cannot unmarshal number into Go struct field Spec.annotations",
    unlikeRunc: true,
  },
  {
    name: "a config.json that is a list",
    make: configText("[]"),
    says: "json: cannot unmarshal array into Go value of type ",
    unlikeRunc: true,
  },
  {
    name: "no process",
    make: config((c) => {
      delete c.process;
    }),
    says: "process property must not be empty",
  },
  {
    name: "an empty cwd",
    make: config((c) => {
      c.process.cwd = "";
    }),
    says: "Cwd property must not be empty",
  },
  {
    name: "a relative cwd",
    make: config((c) => {
      c.process.cwd = "tmp";
    }),
    says: "Cwd must be an absolute path",
  },
  {
    name: "no arguments",
    make: config((c) => {
      c.process.args = [];
    }),
    says: "args must not be empty",
  },
  {
    name: "no root",
    make: config((c) => {
      delete c.root;
    }),
    says: "root must be specified",
  },
  {
    name: "a rootfs that does not exist",
    make: config((c) => {
      c.root.path = "nothing";
    }),
    says: /^invalid rootfs: stat \S+\/nothing: no such file or directory/,
  },
  {
    name: "a rootfs that is a link",
    make: ({ bundle }) => {
      renameSync(bundle.rootfs, `${bundle.rootfs}.real`);
      symlinkSync(`${bundle.rootfs}.real`, bundle.rootfs);
      return {};
    },
    says: "invalid rootfs: not an absolute path, or a symlink",
  },
  {
    name: "a rootfs that is a file",
    make: ({ bundle }) => {
      renameSync(bundle.rootfs, `${bundle.rootfs}.real`);
      writeFileSync(bundle.rootfs, "");
      return {};
    },
    says: /^invalid rootfs: \S+ is not a directory/,
    unlikeRunc: true,
  },
  // namespaces and the rest of config.json
  {
    name: "a hostname without a UTS namespace",
    make: config((c) => {
      c.linux.namespaces = c.linux.namespaces.filter((n: Json) => n.type !== "uts");
    }),
    says: "unable to set hostname without a private UTS namespace",
  },
  {
    name: "masked paths without a mount namespace",
    make: config((c) => {
      c.linux.namespaces = c.linux.namespaces.filter((n: Json) => n.type !== "mount");
    }),
    says: "unable to restrict sys entries without a private MNT namespace",
  },
  {
    name: "no linux section",
    make: config((c) => {
      delete c.linux;
    }),
    says: "unable to set hostname without a private UTS namespace",
  },
  {
    name: "a namespace twice",
    make: config((c) => {
      c.linux.namespaces.push({ type: "network" });
    }),
    says: 'malformed spec file: duplicated ns {"network" ""}',
  },
  {
    name: "an unknown namespace",
    make: config((c) => {
      c.linux.namespaces.push({ type: "blah" });
    }),
    says: 'namespace {"blah" ""} does not exist',
  },
  {
    name: "a network namespace that does not exist",
    make: config((c) => {
      for (const n of c.linux.namespaces) if (n.type === "network") n.path = "/nonexistent/ns";
    }),
    says: "Requested network namespace /nonexistent/ns does not exist",
  },
  {
    name: "a cgroup namespace to join",
    make: config((c) => {
      c.linux.namespaces.push({ type: "cgroup", path: "/proc/self/ns/cgroup" });
    }),
    says: "Do not know how to handle namespace NEWCGROUP",
  },
  {
    name: "a user namespace without mappings",
    make: config((c) => {
      c.linux.namespaces.push({ type: "user" });
    }),
    says: "user namespaces enabled, but no uid mappings found",
    unlikeRunc: true,
  },
  {
    name: "a sysctl that is not the container's",
    make: config((c) => {
      c.linux.sysctl = { "vm.swappiness": "1" };
    }),
    says: 'sysctl "vm.swappiness" is not in a separate kernel namespace',
  },
  {
    name: "a network sysctl in the host's network",
    make: config((c) => {
      c.linux.sysctl = { "net.ipv4.ip_forward": "1" };
      c.linux.namespaces = c.linux.namespaces.filter((n: Json) => n.type !== "network");
    }),
    says: /^sysctl "net.ipv4.ip_forward" not allowed in host network namespace/,
  },
  {
    name: "an unknown rootfsPropagation",
    make: config((c) => {
      c.linux.rootfsPropagation = "sideways";
    }),
    says: "rootfsPropagation=sideways is not supported",
  },
  {
    name: "a bind mount with options of a filesystem",
    make: config((c) => {
      c.mounts.push({
        destination: "/b",
        source: "/tmp",
        type: "bind",
        options: ["bind", "size=1"],
      });
    }),
    says: /^invalid mount .*bind mounts cannot have any filesystem-specific options applied/,
    unlikeRunc: true,
  },
  {
    name: "a bind mount whose source is missing",
    make: config((c) => {
      c.mounts.push({ destination: "/b", source: "/nonexistent/s", type: "bind", options: [] });
    }),
    says: /\/b.*\/nonexistent\/s: no such file or directory/,
    unlikeRunc: true,
  },
  // terminals
  {
    name: "a terminal, detached, without a console socket",
    make: (given) => {
      given.bundle.edit((c) => {
        c.process.terminal = true;
      });
      return { flags: ["-d"] };
    },
    says: "cannot allocate tty if runc will detach without setting console socket",
  },
  {
    name: "a console socket without a terminal",
    make: flags("--console-socket", "/nonexistent/s"),
    says: "cannot use console socket if runc will not detach or allocate tty",
  },
  {
    name: "a console socket without --detach",
    make: (given) => {
      given.bundle.edit((c) => {
        c.process.terminal = true;
      });
      return { flags: ["--console-socket", "/nonexistent/s"] };
    },
    says: "cannot use console socket if runc will not detach or allocate tty",
  },
  // values of flags
  {
    name: "an unknown --manage-cgroups-mode",
    make: flags("--manage-cgroups-mode", "bogus"),
    says: "invalid manage-cgroups-mode value",
  },
  ...["pid", "network,pid", ""].map((name) => ({
    name: `--empty-ns ${JSON.stringify(name)}`,
    make: flags("--empty-ns", name),
    says: `namespace "${name}" is not supported`,
  })),
  {
    name: "an unknown --log-format",
    make: ({ lab, bundle, image, id }) => ({
      argv: `--root ${lab.root} --log-format xml restore -d -b ${bundle.path} --image-path ${image} ${id}`.split(
        " ",
      ),
    }),
    says: "invalid log-format: xml",
  },
  {
    name: "a log that cannot be opened",
    make: () => ({ globals: ["--log", "/nonexistent/l"] }),
    says: "open /nonexistent/l: no such file or directory",
  },
  {
    name: "a log that is a directory",
    make: ({ lab }) => ({ globals: ["--log", lab.path] }),
    says: /^open \S+: is a directory/,
  },
  {
    name: "the root directory as --root",
    make: () => ({ globals: ["--root", "/"] }),
    says: "Option --root argument should not be set to /",
  },
  {
    name: "a --root that is a file",
    make: ({ path }) => {
      writeFileSync(path, "");
      return { globals: ["--root", path] };
    },
    says: /^mkdir \S+: not a directory/,
  },
  {
    name: "a --root in /proc",
    make: () => ({ globals: ["--root", "/proc/rr"] }),
    says: "mkdir /proc/rr: no such file or directory",
  },
  {
    name: "an unknown --rootless",
    make: () => ({ globals: ["--rootless", "maybe"] }),
    says: 'strconv.ParseBool: parsing "maybe": invalid syntax',
  },
  {
    name: "--systemd-cgroup",
    make: () => ({ globals: ["--systemd-cgroup"] }),
    says: "--systemd-cgroup is not supported yet",
    unlikeRunc: true,
  },
  {
    name: "a work path without a parent",
    make: flags("--work-path", "/nonexistent/a/b"),
    says: "mkdir /nonexistent/a/b: no such file or directory",
  },
  {
    name: "a work path that is a file",
    make: ({ path }) => {
      writeFileSync(path, "");
      return { flags: ["-d", "--work-path", path] };
    },
    says: /^open \S+: not a directory/,
    unlikeRunc: true,
  },
  {
    name: "a pid file without a directory",
    make: flags("--pid-file", "/nonexistent/p"),
    says: "open /nonexistent/.p: no such file or directory",
  },
  ...["bundle", "image-path", "work-path", "pid-file", "console-socket"].map((flag) => ({
    name: `a newline in --${flag}`,
    make: flags(`--${flag}`, "/tmp/a\nb"),
    says: `--${flag} "/tmp/a\\nb" contains a NUL byte or a newline`,
    unlikeRunc: true as const,
  })),
  // the host
  {
    name: "no criu on PATH",
    make: ({ path }) => {
      mkdirSync(path);
      return { env: { PATH: path } };
    },
    says: 'CRIU version check failed: exec: "criu": executable file not found in $PATH',
  },
  {
    name: "a criu that ends at once",
    make: ({ path }) => {
      mkdirSync(path);
      writeFileSync(join(path, "criu"), "#!/bin/sh\nexit 7\n", { mode: 0o755 });
      return { env: { PATH: `${path}:${process.env["PATH"]}` } };
    },
    says: /^CRIU version check failed: .*(exit status 7|broken pipe).*; try "criu check"/,
    unlikeRunc: true,
  },
  {
    name: "the id of a bare directory",
    make: ({ lab, id }) => {
      mkdirSync(join(lab.root, id), { recursive: true });
      return {};
    },
    says: "container with given ID already exists",
    clean({ lab, id }) {
      const directory = join(lab.root, id);
      if (existsSync(directory)) rmdirSync(directory); // unless runc removed it
    },
  },
  {
    name: "a frozen cgroup",
    make: ({ bundle, id }) => {
      bundle.edit((c) => {
        c.linux.cgroupsPath = `/${id}`;
      });
      mkdirSync(FROZEN(id));
      writeFileSync(join(FROZEN(id), "freezer.state"), "FROZEN");
      return {};
    },
    says: "container's cgroup unexpectedly frozen",
    clean: ({ id }) => {
      if (!existsSync(FROZEN(id))) return;
      writeFileSync(join(FROZEN(id), "freezer.state"), "THAWED");
      rmdirSync(FROZEN(id));
    },
  },
];

for (const row of ROWS) {
  test(`restore refuses ${row.name} and touches nothing`, () => {
    const { lab, image } = shared();
    const path = join(lab.path, lab.id());
    const given = { lab, bundle: lab.bundle(STILL), image, id: lab.id(), path };
    using scope = new DisposableStack();
    const call = row.make(given);
    scope.defer(() => row.clean?.(given));
    const log = join(lab.path, `${given.id}.log`);
    const runcLog = `${log}.runc`;
    const options = { timeout: 20_000, ...(call.env === undefined ? {} : { env: call.env }) };
    const everything = () => [
      ...traces(lab),
      ...run(["find", lab.path])
        .stdout.split("\n")
        .filter((name) => name !== log),
    ];

    const before = everything();
    const ran = run([THAW, ...argvOf(call, given, log)], options);
    expect(everything()).toEqual(before);
    const message = lastMessage(ran);
    expect(ran.stderr.split("\n")).toEqual([expect.stringContaining(message.slice(0, 20)), ""]);
    expect(ran.status).toBe(row.status ?? 1);
    expect(ran.stdout.slice(0, 15)).toBe(row.usage ? "Incorrect Usage" : "");
    if (typeof row.says === "string") expect(message).toStartWith(row.says);
    else if (row.says !== undefined) expect(message).toMatch(row.says);
    if (existsSync(log)) {
      const errors = readJsonLog(log).filter(({ level }) => level === "error");
      expect(errors.map(({ msg }) => msg)).toEqual([message]);
    }
    if (row.unlikeRunc) return;
    const runc = run([Bun.which("runc") as string, ...argvOf(call, given, runcLog)], options);
    scope.defer(() => lab.delete(given.id));
    expect(runc.status).toBe(row.status ?? 1);
    const [own, theirs] = [message, lastMessage(runc)].map((text) =>
      text.replace(/^\S*\/(thaw|runc): /, ""),
    );
    if (own !== theirs) expect(own).toStartWith(`${theirs}; `);
  });
}

/** `restore -d` of the shared checkpoint, after which no trace may be new; returns the message. */
function refusedUntouched(bundle: Bundle, id: string, more: readonly string[] = []): string {
  const { lab, image } = shared();
  const before = traces(lab);
  const ran = lab.restore(bundle, image, id, more);
  expect(traces(lab)).toEqual(before);
  expect(ran.status).toBe(1);
  expect(ran.stderr.split("\n")).toHaveLength(2);
  return lastMessage(ran);
}

test("restore refuses the id of a running container, which goes on as before", () => {
  const { lab } = shared();
  const bundle = lab.bundle(STILL);
  const id = lab.id();
  lab.start(bundle, id);
  const state = lab.state(id);
  expect(refusedUntouched(bundle, id)).toStartWith("container with given ID already exists");
  must(lab.runc(["pause", id]));
  expect(refusedUntouched(bundle, id)).toStartWith("container with given ID already exists");
  must(lab.runc(["resume", id]));
  expect(lab.state(id)).toEqual(state);
  expect(lab.status(id)).toBe("running");
  must(lab.runc(["kill", id, "KILL"]));
  waitFor(() => lab.status(id) === "stopped", "the container to stop");
  expect(refusedUntouched(bundle, id)).toStartWith("container with given ID already exists");
  lab.delete(id);
});

test("restore refuses a cgroup in use, in runc's words", () => {
  const { lab, image } = shared();
  const [user, other] = [lab.id(), lab.id()];
  const bundle = lab.bundle(STILL, (config) => {
    config.linux.cgroupsPath = `/${user}`;
  });
  lab.start(bundle, user);
  const message = refusedUntouched(bundle, other);
  const runc = lab.runc(["restore", "-d", "-b", bundle.path, "--image-path", image, other]);
  expect(message).toStartWith(`${lastMessage(runc)}; `);
  expect(message).toContain("container's cgroup is not empty: 2 process(es) found");
  expect(lab.status(user)).toBe("running");
  lab.delete(user);
});

test("restore refuses a pid file that is a directory before anything runs", () => {
  const { lab } = shared();
  const directory = join(lab.path, lab.id());
  mkdirSync(join(directory, "pid"), { recursive: true });
  const work = join(lab.path, lab.id());
  const flags = ["--pid-file", join(directory, "pid"), "--work-path", work];
  const message = refusedUntouched(lab.bundle(STILL), lab.id(), flags);
  expect(message).toStartWith(`open ${directory}/pid: is a directory`);
  expect(readdirSync(directory)).toEqual(["pid"]);
});

test("restore does not mind what a killed one left of its pid file", () => {
  const { lab, bundle, image } = shared();
  const file = join(lab.path, "init.pid");
  writeFileSync(join(lab.path, ".init.pid"), "");
  const id = lab.id();
  expect(must(lab.restore(bundle, image, id, ["--pid-file", file])).stderr).toBe("");
  expect(readFileSync(file, "utf8")).toBe(String(lab.state(id).init_process_pid));
  lab.delete(id);
});

test("restore tells of an option in CRIU's configuration file that CRIU does not know", () => {
  const { lab } = shared();
  const file = join(lab.path, "bogus.conf");
  writeFileSync(file, "bogus-opt\n");
  const bundle = lab.bundle(STILL, (config) => {
    config.annotations = { "org.criu.config": file };
  });
  const { image } = shared();
  const before = traces(lab);
  const ran = lab.restore(bundle, image, lab.id(), ["--work-path", join(lab.path, lab.id())]);
  expect(traces(lab)).toEqual(before);
  expect(ran.status).toBe(1);
  expect(ran.stderr).toContain("criu: unrecognized option '--bogus-opt'\n");
  expect(lastMessage(ran)).toStartWith("criu failed: type RESTORE errno 56");
});

interface Spelling {
  readonly name: string;
  argv(given: { root: string; bundle: string; image: string; id: string }): string[];
  readonly stderr?: string;
}

const SPELLINGS: readonly Spelling[] = [
  {
    name: "one dash",
    argv: ({ root, bundle, image, id }) =>
      ["-root", root, "restore", "-detach", "-no-subreaper", "-image-path", image].concat([
        "-bundle",
        bundle,
        id,
      ]),
  },
  {
    name: "an equals sign",
    argv: ({ root, bundle, image, id }) => [
      `--root=${root}`,
      "restore",
      "-d=true",
      `-b=${bundle}`,
      `--image-path=${image}`,
      id,
    ],
  },
  {
    name: "Go's booleans",
    argv: ({ root, bundle, image, id }) =>
      ["--debug=F", "--systemd-cgroup=0", "--root", root, "restore", "--detach=T"].concat([
        "-shell-job=false",
        "--lazy-pages=0",
        "-b",
        bundle,
        "--image-path",
        image,
        id,
      ]),
  },
  {
    name: "a flag given twice",
    argv: ({ root, bundle, image, id }) =>
      ["--root", "/nonexistent", "--root", root, "restore", "-d=false", "-d"].concat([
        "--image-path",
        "/nonexistent",
        "--image-path",
        image,
        "-b",
        "/nonexistent",
        "--bundle",
        bundle,
        "--empty-ns",
        "network",
        "--empty-ns=network",
        id,
      ]),
  },
  {
    name: "flags after the id",
    argv: ({ root, bundle, image, id }) => [
      "--root",
      root,
      "restore",
      id,
      "-d",
      "--image-path",
      image,
      "--bundle",
      bundle,
    ],
  },
  {
    name: "global flags after the command",
    argv: ({ root, bundle, image, id }) =>
      ["restore", "--root", root, "-d", "--image-path", image, "--bundle", bundle, id].concat([
        "--log-format",
        "json",
      ]),
  },
  {
    name: "two dashes before the id",
    argv: ({ root, bundle, image, id }) => [
      "--root",
      root,
      "--",
      "restore",
      "-d",
      "--image-path",
      image,
      "-b",
      bundle,
      "--",
      id,
    ],
  },
];

for (const { name, argv, stderr } of SPELLINGS) {
  test(`restore takes ${name}`, () => {
    const { lab, bundle, image } = shared();
    const id = lab.id();
    const ran = run([THAW, ...argv({ root: lab.root, bundle: bundle.path, image, id })]);
    expect(ran).toEqual({ status: 0, stdout: "", stderr: stderr ?? "" });
    expect(lab.status(id)).toBe("running");
    lab.delete(id);
  });
}
