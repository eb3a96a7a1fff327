/** The host: directories, programs, other containers, the root filesystem. @module */

import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { cutShort } from "../../support/damage.ts";
import { type Json, must, processesOf, run, waitFor } from "../../support/lab.ts";
import { OWN_ADDRESS } from "../checkpoints.ts";
import type { Call, Given, Row, Says } from "../row.ts";

const BEFORE_IT_RUNS = "found before anything runs; runc finds it when the container has run";

const refused = (
  name: string,
  says: Says,
  make: (given: Given) => Call,
  differs?: string,
): Row => ({
  name,
  make,
  status: 1,
  says,
  ...(differs === undefined ? {} : { differs }),
});

const file = ({ path }: Given): string => {
  writeFileSync(path, "");
  return path;
};

const flags =
  (...list: string[]) =>
  (): Call => ({ flags: list });

const PATH_ROWS: readonly Row[] = [
  {
    ...refused(
      "a bundle that does not exist",
      "chdir /nonexistent/bundle: no such file or directory",
      flags("--bundle", "/nonexistent/bundle"),
    ),
    of: ["bundle"],
  },
  {
    ...refused("a bundle that is a file", /^chdir \S+: not a directory/, (given) => ({
      flags: ["--bundle", file(given)],
    })),
    of: ["bundle"],
  },
  refused(
    "a rootfs that does not exist",
    /^invalid rootfs: stat \S+\/nothing: no such file or directory/,
    ({ bundle }) => {
      bundle.edit((c) => {
        c.root.path = "nothing";
      });
      return {};
    },
  ),
  refused(
    "a rootfs that is a link",
    "invalid rootfs: not an absolute path, or a symlink",
    (given) => {
      const { rootfs } = given.bundle;
      renameSync(rootfs, `${rootfs}.real`);
      symlinkSync(`${rootfs}.real`, rootfs);
      return {};
    },
  ),
  {
    name: "a rootfs with .. in its path",
    make: ({ bundle }) => {
      bundle.edit((c) => {
        c.root.path = "../bundle/rootfs";
      });
      return {};
    },
    status: 0,
  },
  refused(
    "a rootfs that is a file",
    /^invalid rootfs: \S+ is not a directory/,
    ({ bundle }) => {
      renameSync(bundle.rootfs, `${bundle.rootfs}.real`);
      writeFileSync(bundle.rootfs, "");
      return {};
    },
    "refused by what it is; runc fails later, at a mount",
  ),
  {
    ...refused(
      "an image path that does not exist",
      /descriptors.json: no such file or directory/,
      ({ lab }) => ({ flags: ["--image-path", join(lab.path, "no", "image")] }),
    ),
    of: ["image-path"],
  },
  {
    ...refused(
      "an image path that is a file",
      /not a directory/,
      (given) => ({
        flags: ["--image-path", file(given)],
      }),
      "the image that is wanted is named; runc tries to make the directory",
    ),
    of: ["image-path"],
  },
  {
    ...refused(
      "no image path and no ./checkpoint",
      "open /checkpoint/descriptors.json: no such file or directory",
      ({ lab, bundle, id }) => ({
        argv: ["--root", lab.root, "restore", "-d", "-b", bundle.path, id],
        through: [
          "unshare",
          "-m",
          "--propagation",
          "private",
          "sh",
          "-c",
          'mount -t tmpfs none /mnt && cd /mnt && exec "$@"',
          "sh",
        ],
      }),
    ),
    says: "open /mnt/checkpoint/descriptors.json: no such file or directory",
    of: ["image-path"],
  },
  {
    ...refused(
      "a relative image path, which counts from the bundle",
      /img\/descriptors.json: no such file or directory/,
      ({ lab }) => ({
        flags: ["--image-path", "img"],
        through: ["sh", "-c", `cd ${lab.path} && exec "$@"`, "sh"],
      }),
      "the path is shown in full, and no directory is made",
    ),
    of: ["image-path"],
  },
  {
    ...refused(
      "a work path without a parent",
      "mkdir /nonexistent/a/b: no such file or directory",
      flags("--work-path", "/nonexistent/a/b"),
    ),
    of: ["work-path"],
  },
  {
    ...refused(
      "a work path that is a file",
      /^open \S+: not a directory/,
      (given) => ({ flags: ["--work-path", file(given)] }),
      "named before CRIU is asked; runc passes on CRIU's errno 56",
    ),
    of: ["work-path"],
  },
  {
    ...refused(
      "a pid file without a directory",
      "open /nonexistent/.p: no such file or directory",
      flags("--pid-file", "/nonexistent/p"),
    ),
    of: ["pid-file"],
  },
  {
    ...refused(
      "a pid file that is a directory",
      /^open \S+\/path: is a directory/,
      ({ path }) => {
        mkdirSync(path);
        return { flags: ["--pid-file", path] };
      },
      BEFORE_IT_RUNS,
    ),
    of: ["pid-file"],
  },
  {
    name: "what a killed runtime left of its pid file",
    of: ["pid-file"],
    make: ({ lab }) => {
      writeFileSync(join(lab.path, ".pid"), "");
      return { flags: ["--pid-file", join(lab.path, "pid")] };
    },
    look: ({ lab, id }) =>
      existsSync(join(lab.root, id)) &&
      readFileSync(join(lab.path, "pid"), "utf8") === String(lab.state(id).init_process_pid),
    status: 0,
    differs: "ignored: thaw takes another temporary name; runc kills the restored container",
  },
  {
    name: "a pid file, which is written without a newline",
    of: ["pid-file"],
    make: ({ path }) => {
      writeFileSync(path, "before");
      return { flags: ["--pid-file", path] };
    },
    look: ({ lab, id, path }) =>
      readFileSync(path, "utf8") === String(lab.state(id).init_process_pid),
    status: 0,
  },
];

const GLOBAL_ROWS: readonly Row[] = [
  {
    ...refused("a log that cannot be opened", "open /nonexistent/l: no such file", () => ({
      globals: ["--log", "/nonexistent/l", "--log-format", "text"],
    })),
    of: ["log"],
  },
  {
    ...refused("a log that is a directory", /^open \S+: is a directory/, ({ lab }) => ({
      globals: ["--log", lab.path, "--log-format", "text"],
    })),
    of: ["log"],
  },
  {
    ...refused(
      "a log that cannot be opened, in JSON",
      "open /nonexistent/l: no such file",
      () => ({ globals: ["--log", "/nonexistent/l", "--log-format", "json"] }),
      "in text, as nothing reads standard error as JSON",
    ),
    of: ["log", "log-format"],
  },
  {
    ...refused("the root directory as --root", "Option --root argument should not be set", () => ({
      globals: ["--root", "/"],
    })),
    of: ["root"],
  },
  {
    ...refused(
      "an empty --root, in the root directory",
      "Option --root argument should not",
      () => ({
        globals: ["--root="],
      }),
    ),
    of: ["root"],
  },
  {
    ...refused("a --root that is a file", /^mkdir \S+: not a directory/, (given) => ({
      globals: ["--root", file(given)],
    })),
    of: ["root"],
  },
  {
    ...refused("a --root in /proc", "mkdir /proc/rr: no such file or directory", () => ({
      globals: ["--root", "/proc/rr"],
    })),
    of: ["root"],
  },
];

const id =
  (make: (given: Given) => void): ((given: Given) => Call) =>
  (given) => {
    make(given);
    return {};
  };

const TAKEN_ROWS: readonly Row[] = [
  {
    ...refused(
      "the id of a running container",
      "container with given ID already exists",
      id(({ lab, bundle, id }) => lab.start(bundle, id)),
    ),
    look: ({ lab, id }) => lab.status(id),
  },
  {
    ...refused(
      "the id of a paused container",
      "container with given ID already exists",
      id(({ lab, bundle, id }) => {
        lab.start(bundle, id);
        must(lab.runc(["pause", id]));
      }),
    ),
    look: ({ lab, id }) => lab.status(id),
  },
  {
    ...refused(
      "the id of a stopped container",
      "container with given ID already exists",
      id(({ lab, bundle, id }) => {
        lab.start(bundle, id);
        must(lab.runc(["kill", id, "KILL"]));
        waitFor(() => lab.status(id) === "stopped", "the container to stop");
      }),
    ),
    look: ({ lab, id }) => lab.status(id),
  },
  refused(
    "the id of a bare directory",
    "container with given ID already exists",
    id(({ lab, id }) => mkdirSync(join(lab.root, id))),
  ),
];

/** A directory of programs, as PATH. */
const programs = (given: Given, ...names: string[]): Call => {
  mkdirSync(given.path);
  for (const name of names) symlinkSync(Bun.which(name) as string, join(given.path, name));
  return { env: { PATH: given.path } };
};

const fakeCriu = (given: Given, script: string): Call => {
  mkdirSync(given.path);
  writeFileSync(join(given.path, "criu"), script, { mode: 0o755 });
  return { env: { PATH: `${given.path}:${process.env["PATH"]}` } };
};

const hook = (...lines: string[]) => ({
  path: "/bin/sh",
  args: ["sh", "-c", lines.join("\n")],
  env: ["PATH=/usr/bin:/bin:/usr/sbin:/sbin"],
});

const hooks =
  (value: Json) =>
  ({ bundle }: Given): Call => {
    bundle.edit((config) => {
      config.hooks = value;
    });
    return {};
  };

const CRIU_ROWS: readonly Row[] = [
  refused(
    "no criu on PATH",
    'CRIU version check failed: exec: "criu": executable file not found in $PATH',
    (given) => programs(given),
  ),
  refused(
    "a criu that ends at once",
    /^CRIU version check failed: .*(exit status 7|broken pipe)/,
    (given) => fakeCriu(given, "#!/bin/sh\nexit 7\n"),
    "the exit status is told in one line, with a remedy",
  ),
  refused(
    "a criu that is no program",
    /^CRIU version check failed: .*exec format error/,
    (given) => fakeCriu(given, "\0\0\0\0"),
    "CRIU's path is shown once, where runc repeats the system call",
  ),
  {
    name: "no tar on PATH",
    make: (given) => programs(given, "criu"),
    status: 1,
    criu: true,
    says: ['execvp("tar"', "CRIU needs the program tar, which is not on PATH", "install tar"],
    remedy: () => ({}),
  },
  {
    name: "an option in CRIU's configuration file that CRIU does not know",
    make: ({ bundle, path }) => {
      writeFileSync(path, "bogus-opt\n");
      bundle.edit((config) => {
        config.annotations = { "org.criu.config": path };
      });
      return {};
    },
    status: 1,
    late: true,
    says: "criu failed: type RESTORE errno 56",
  },
  {
    name: "an annotation of a configuration file of CRIU's that does not exist",
    make: ({ bundle }) => {
      bundle.edit((config) => {
        config.annotations = { "org.criu.config": "/nonexistent/criu.conf" };
      });
      return {};
    },
    status: 0,
  },
  {
    name: "the loopback interface down where CRIU is started",
    make: () => {
      // CRIU remembers in /run what it found.
      const script = 'mount -t tmpfs none /run && exec "$@"';
      const own = ["unshare", "-n", "-m", "--propagation", "private"];
      return { through: [...own, "sh", "-c", script, "sh"] };
    },
    status: 1,
    criu: true,
    says: ["kerndat_tcp_repair failed", "the loopback interface is down", "ip link set lo up"],
    remedy: () => ({ through: ["env"] }),
  },
  {
    name: "--lazy-pages without a daemon",
    of: ["lazy-pages"],
    make: () => ({ flags: ["--lazy-pages"] }),
    // The daemon and its guardian end when the last page is there.
    look: ({ lab }) =>
      waitFor(() => !processesOf(lab).some((line) => /lazy|guard/.test(line)), "all pages"),
    status: 0,
    differs: "CRIU's daemon is started, and guarded; runc fails",
  },
  {
    name: "an LSM profile that is none",
    of: ["lsm-profile"],
    make: flags("--lsm-profile", "bogus"),
    status: 1,
    criu: true,
  },
  {
    name: "an AppArmor profile where AppArmor is not",
    of: ["lsm-profile"],
    make: flags("--lsm-profile", "apparmor:docker-default"),
    status: 1,
    criu: true,
  },
  {
    name: "an LSM mount context",
    of: ["lsm-mount-context"],
    make: flags("--lsm-mount-context", "system_u:object_r:container_file_t:s0"),
    status: 0,
  },
  {
    name: "all flags for CRIU that change nothing here",
    of: ["tcp-established", "ext-unix-sk", "shell-job", "file-locks"],
    make: flags("--tcp-established", "--ext-unix-sk", "--shell-job", "--file-locks"),
    status: 0,
  },
  {
    name: "--auto-dedup",
    of: ["auto-dedup"],
    make: ({ image }) => ({ flags: ["--auto-dedup", "--image-path", image] }),
    look: ({ image }) =>
      Number(must(run(["stat", "-c", "%b", join(image, "pages-1.img")])).stdout) <
      Number(must(run(["stat", "-c", "%s", join(image, "pages-1.img")])).stdout) / 512,
    status: 0,
  },
  {
    name: "--no-pivot, which is recorded",
    of: ["no-pivot"],
    make: flags("--no-pivot"),
    look: ({ lab, id }) => lab.state(id).config.no_pivot_root,
    status: 0,
  },
  {
    name: "--no-subreaper",
    of: ["no-subreaper"],
    make: flags("--no-subreaper"),
    status: 0,
  },
];

const ANSWERED =
  "CRIU is answered that the hook failed, and undoes its work; runc closes the connection";

const HOOK_ROWS: readonly Row[] = [
  {
    name: "a prestart hook that fails",
    make: hooks({ prestart: [hook("echo out", "echo because >&2", "exit 3")] }),
    status: 1,
    criu: true,
    says: /error running prestart hook #0: exit status 3, stdout: out.*, stderr: because/,
    differs: ANSWERED,
  },
  {
    name: "a createRuntime hook that does not exist",
    make: hooks({ createRuntime: [{ path: "/nonexistent/hook" }] }),
    status: 1,
    criu: true,
    says: /error running createRuntime hook #0: /,
    differs: ANSWERED,
  },
  {
    name: "a hook that runs past its timeout",
    make: hooks({ prestart: [{ ...hook("exec sleep 100"), timeout: 1 }] }),
    status: 1,
    criu: true,
    differs: ANSWERED,
    says: /hook ran past specified timeout of 1.0s/,
  },
  {
    name: "hooks that restore does not run, and a poststop hook",
    make: ({ bundle, path }) => {
      const names = ["createContainer", "startContainer", "poststart"];
      bundle.edit((config) => {
        config.hooks = {
          ...Object.fromEntries(names.map((name) => [name, [hook(`echo ${name} >> ${path}`)]])),
          poststop: [hook(`echo poststop >> ${path}`)],
          prestart: [hook(`echo prestart >> ${path}`)],
        };
      });
      return {};
    },
    look: ({ path }) => readFileSync(path, "utf8"),
    status: 0,
  },
  {
    name: "NOTIFY_SOCKET, for a container that was run with it",
    checkpoint: "notify",
    make: () => ({ env: { NOTIFY_SOCKET: "/nonexistent" } }),
    look: ({ lab, id }) => readdirSync(join(lab.root, id)).sort(),
    status: 0,
  },
  {
    name: "no NOTIFY_SOCKET, for a container that was run with it",
    checkpoint: "notify",
    make: () => ({}),
    status: 1,
    criu: true,
    says: [/No mapping for \d+:\S+ mountpoint/, "external mount"],
    remedy: () => ({ env: { NOTIFY_SOCKET: "/nonexistent" } }),
  },
];

/** Whether init holds a lock of a file. */
const holdsLock = ({ lab, id }: Given) =>
  new RegExp(` ${lab.state(id).init_process_pid} `).test(readFileSync("/proc/locks", "utf8"));

const busybox = ({ bundle }: Given) => join(bundle.rootfs, "bin/busybox");

const ROOTFS_ROWS: readonly Row[] = [
  {
    name: "a program that has grown",
    make: (given) => {
      appendFileSync(busybox(given), "xx");
      return {};
    },
    status: 1,
    criu: true,
    says: [
      /File bin\/busybox has bad size \d+ \(expect \d+\)/,
      /\/bin\/busybox has \d+ bytes and had \d+ when the checkpoint was made/,
      "restore the root filesystem",
    ],
    remedy: (given) => {
      cutShort(busybox(given), 2);
      return {};
    },
  },
  {
    name: "a program that is missing",
    make: (given) => {
      renameSync(busybox(given), `${busybox(given)}.away`);
      return {};
    },
    status: 1,
    criu: true,
    says: [
      "Can't open file bin/busybox on restore: No such file or directory",
      "/bin/busybox is missing from the root filesystem",
      "writable layer",
    ],
    remedy: (given) => {
      renameSync(`${busybox(given)}.away`, busybox(given));
      return {};
    },
  },
  {
    name: "a program with another mode",
    make: (given) => {
      chmodSync(busybox(given), 0o600);
      return {};
    },
    status: 1,
    criu: true,
    says: [
      "File bin/busybox has bad mode 0100600 (expect 0100755)",
      "/bin/busybox has mode 0100600 and had 0100755",
      "give the file its old mode back",
    ],
    remedy: (given) => {
      chmodSync(busybox(given), 0o755);
      return {};
    },
  },
  {
    name: "the mount points of config.json gone from the root filesystem",
    make: ({ bundle }) => {
      for (const name of ["proc", "sys", "dev"]) rmdirSync(join(bundle.rootfs, name));
      return {};
    },
    look: ({ bundle }) => readdirSync(bundle.rootfs).sort(),
    status: 0,
  },
  {
    name: "a bind mount that config.json lost",
    checkpoint: "volume",
    make: ({ bundle }) => {
      bundle.edit((config) => config.mounts.pop());
      return {};
    },
    status: 1,
    criu: true,
    says: [/No mapping for \d+:\S+ mountpoint/, "external mount", "add the missing bind mount"],
    remedy: ({ lab, bundle }) => {
      const source = join(lab.path, "another");
      mkdirSync(source);
      bundle.edit((config) =>
        config.mounts.push({ destination: "/data", source, type: "bind", options: ["rbind"] }),
      );
      return {};
    },
  },
  {
    name: "the mount point of a mount made inside of the container gone",
    checkpoint: "inner",
    make: ({ bundle }) => {
      rmdirSync(join(bundle.rootfs, "inner"));
      return {};
    },
    status: 1,
    criu: true,
    says: [
      /Can't stat mountpoint \S+\/inner: No such file or directory/,
      "the mount point /inner does not exist in the root filesystem",
      "make that directory in the rootfs",
    ],
    remedy: ({ bundle }) => {
      mkdirSync(join(bundle.rootfs, "inner"));
      return {};
    },
  },
  {
    name: "file locks, without --file-locks",
    of: ["file-locks"],
    checkpoint: "locked",
    make: () => ({}),
    look: holdsLock,
    status: 0,
  },
  {
    name: "file locks, with --file-locks",
    of: ["file-locks"],
    checkpoint: "locked",
    make: flags("--file-locks"),
    look: holdsLock,
    status: 0,
  },
];

const TCP_ROWS: readonly Row[] = [
  {
    name: "a TCP connection without --tcp-established",
    of: ["tcp-established"],
    checkpoint: "connected",
    make: () => ({}),
    status: 1,
    differs: "refused before CRIU is started: the connection is kept for a restore with the flag",
    says: [
      /the checkpoint \S+ holds an established TCP connection/,
      "restore with --tcp-established",
    ],
    remedy: flags("--tcp-established"),
  },
  {
    name: "a TCP connection over 127.0.0.1",
    of: ["tcp-established"],
    checkpoint: "connected",
    make: flags("--tcp-established"),
    status: 0,
    differs: "lo is raised, as for a new container; runc leaves it down, and CRIU fails",
  },
  {
    name: "a TCP connection whose address is not there",
    of: ["tcp-established"],
    checkpoint: "addressed",
    make: flags("--tcp-established"),
    status: 1,
    criu: true,
    differs: "lo is up, so that CRIU fails at another step than with runc",
    says: [
      /inet socket back|bind/,
      "the connection's address is not up in the container's network namespace",
      "configure the same address",
    ],
    remedy: ({ bundle }) => {
      const pid = `pid=$(sed 's/.*"pid": *\\([0-9]*\\).*/\\1/')`;
      const add = hook(`${pid} && nsenter -t $pid -n ip address add ${OWN_ADDRESS}/32 dev lo`);
      bundle.edit((config) => {
        config.hooks = { createRuntime: [{ ...add, env: [`PATH=${process.env["PATH"]}`] }] };
      });
      return { flags: ["--tcp-established"] };
    },
  },
  {
    name: "a checkpoint whose connections were closed",
    of: ["tcp-close"],
    checkpoint: "closed",
    make: ({ bundle }) => {
      bundle.edit((config) => {
        config.annotations = { "org.criu.config": "" };
      });
      return {};
    },
    status: 1,
    criu: true,
    says: ["Need to set the --tcp-close options", "the checkpoint was made with --tcp-close"],
    remedy: () => ({ flags: ["--tcp-close"] }),
  },
  {
    name: "no terminal in the checkpoint, though config.json says so",
    of: ["console-socket"],
    make: ({ bundle, path }) => {
      bundle.edit((config) => {
        config.process.terminal = true;
      });
      const listener = Bun.listen({ unix: path, socket: { data() {} } });
      listener.unref();
      return { flags: ["--console-socket", path] };
    },
    status: 1,
    criu: true,
    says: "the checkpoint has no terminal, though config.json says so",
    differs: "refused; with runc the container runs, and whoever waits for the terminal hangs",
  },
  {
    name: "the foreground, for a container that ends",
    of: ["detach"],
    checkpoint: "ending",
    make: ({ bundle }) => {
      writeFileSync(join(bundle.rootfs, "tmp/end"), "");
      return { detach: false };
    },
    look: ({ lab }) => readdirSync(lab.root),
    status: 7,
    ends: true,
  },
];

const OTHER_ROWS: readonly Row[] = [
  refused(
    "a caller who is not root",
    /./,
    ({ lab }) => {
      chmodSync(lab.path, 0o777);
      return { through: ["setpriv", "--reuid", "1000", "--clear-groups"] };
    },
    "refused at once: runc has no rootless restore either, and fails later",
  ),
  {
    name: "standard input, output and error closed",
    make: () => ({ through: ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"] }),
    status: 0,
  },
];

/** Rows of the host. */
export const hostRows: readonly Row[] = [
  ...PATH_ROWS,
  ...GLOBAL_ROWS,
  ...TAKEN_ROWS,
  ...CRIU_ROWS,
  ...HOOK_ROWS,
  ...ROOTFS_ROWS,
  ...TCP_ROWS,
  ...OTHER_ROWS,
];
