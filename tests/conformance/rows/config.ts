/** config.json: what is wrong with it, and what is odd but taken. @module */

import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Json, must, run } from "../../support/lab.ts";
import { namespace } from "../checkpoints.ts";
import type { Call, Given, Row, Says } from "../row.ts";

const OWN_JSON = "the parser's own words for what is no JSON, and the file to correct";

/** Changes config.json. */
const edit =
  (change: (config: Json) => void, call: Call = {}) =>
  ({ bundle }: Given): Call => {
    bundle.edit(change);
    return call;
  };

const text =
  (content: string) =>
  ({ bundle }: Given): Call => {
    writeFileSync(join(bundle.path, "config.json"), content);
    return {};
  };

/** Something else in place of config.json. */
const instead =
  (make: (path: string) => void) =>
  ({ bundle }: Given): Call => {
    const path = join(bundle.path, "config.json");
    rmSync(path);
    make(path);
    return {};
  };

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

const FILE_ROWS: readonly Row[] = [
  refused(
    "no config.json",
    "JSON specification file config.json not found",
    instead(() => {}),
  ),
  refused(
    "a config.json that is a directory",
    "read config.json: is a directory",
    instead((path) => mkdirSync(path)),
  ),
  {
    ...refused(
      "a config.json that is a pipe",
      "config.json is not a regular file",
      instead((path) => must(run(["mkfifo", path]))),
      "refused, where runc waits for a writer for ever",
    ),
    hangs: true,
  },
  refused("an empty config.json", "EOF", text("")),
  refused("a blank config.json", "EOF", text(" \n\t")),
  refused("a config.json of one brace", "unexpected EOF", text("{")),
  refused("a config.json cut in half", "unexpected EOF", ({ bundle }) => {
    const path = join(bundle.path, "config.json");
    truncateSync(path, readFileSync(path).length >> 1);
    return {};
  }),
  refused("a config.json of null", "config cannot be null", text("null")),
  refused("a config.json of {}", "process property must not be empty", text("{}")),
  refused("a config.json that is no JSON", /^invalid/, text("hello"), OWN_JSON),
  refused("a comma too many in config.json", /^invalid/, text('{"a":1,}'), OWN_JSON),
  {
    name: "text behind config.json's object",
    make: ({ bundle }) => {
      const path = join(bundle.path, "config.json");
      writeFileSync(path, `${readFileSync(path, "utf8")}\n{}`);
      return {};
    },
    status: 1,
    says: /^invalid/,
    differs: "refused, where runc reads the first object and no further",
  },
  refused(
    "a config.json of 65 MiB",
    "config.json has 68157440 bytes, more than the 67108864",
    ({ bundle }) => {
      truncateSync(join(bundle.path, "config.json"), 65 << 20);
      return {};
    },
    "refused by its size: the whole file is read into memory",
  ),
  refused(
    "a config.json nested too deep",
    "invalid character '[' exceeded max depth",
    text(`${"[".repeat(1_000_000)}${"]".repeat(1_000_000)}`),
  ),
  refused(
    "a config.json that is a list",
    "json: cannot unmarshal array into Go value of type ",
    text("[]"),
  ),
];

const typed = (name: string, says: Says, change: (config: Json) => void, differs?: string) =>
  refused(name, says, edit(change), differs);

const TYPE_ROWS: readonly Row[] = [
  typed(
    "an ociVersion that is a number",
    "json: cannot unmarshal number into Go struct field Spec.ociVersion of type string",
    (c) => {
      c.ociVersion = 1;
    },
  ),
  typed(
    "arguments that are a string",
    "json: cannot unmarshal string into Go struct field ",
    (c) => {
      c.process.args = "sh";
    },
  ),
  typed("mounts that are an object", "json: cannot unmarshal object into Go struct field ", (c) => {
    c.mounts = {};
  }),
  typed(
    "a limit that is a string",
    "json: cannot unmarshal string into Go struct field LinuxPids.linux.resources.pids.limit",
    (c) => {
      c.linux.resources.pids = { limit: "7" };
    },
  ),
  typed(
    "a limit with a fraction",
    "json: cannot unmarshal number 1.5 into Go struct field ",
    (c) => {
      c.linux.resources.pids = { limit: 1.5 };
    },
  ),
  typed("a negative user", "json: cannot unmarshal number -1 into Go struct field ", (c) => {
    c.process.user.uid = -1;
  }),
  typed(
    "a readonly that is a string",
    "json: cannot unmarshal string into Go struct field ",
    (c) => {
      c.root.readonly = "yes";
    },
  ),
  typed(
    "an annotation that is a number",
    "json: cannot unmarshal number into Go struct field ",
    (c) => {
      c.annotations = { a: 1 };
    },
  ),
  typed("hooks that are a list", "json: cannot unmarshal array into Go struct field ", (c) => {
    c.hooks = [];
  }),
];

const PROCESS_ROWS: readonly Row[] = [
  typed("no process", "process property must not be empty", (c) => {
    delete c.process;
  }),
  typed("an empty cwd", "Cwd property must not be empty", (c) => {
    c.process.cwd = "";
  }),
  typed("a relative cwd", "Cwd must be an absolute path", (c) => {
    c.process.cwd = "tmp";
  }),
  typed("no arguments", "args must not be empty", (c) => {
    c.process.args = [];
  }),
  typed("a null process", "process property must not be empty", (c) => {
    c.process = null;
  }),
  typed("no root", "root must be specified", (c) => {
    delete c.root;
  }),
  typed("an SELinux label, without SELinux", "selinux label is specified in config", (c) => {
    c.process.selinuxLabel = "system_u:system_r:container_t:s0";
  }),
  {
    name: "an unknown capability, an unknown rlimit and a changed user",
    make: edit((c) => {
      c.process.capabilities.bounding.push("CAP_BOGUS");
      c.process.user = { uid: 1, gid: 1, additionalGids: [7] };
      c.process.oomScoreAdj = 100;
      c.process.noNewPrivileges = true;
    }),
    status: 0,
  },
  typed("a rlimit of an unknown type", "wrong rlimit value: RLIMIT_BOGUS", (c) => {
    c.process.rlimits = [{ type: "RLIMIT_BOGUS", hard: 1, soft: 1 }];
  }),
  typed("an I/O priority of an unknown class", 'invalid ioPriority.Class: "BOGUS"', (c) => {
    c.process.ioPriority = { class: "BOGUS", priority: 1 };
  }),
  typed("an I/O priority that is too low", "invalid ioPriority.Priority: 8", (c) => {
    c.process.ioPriority = { class: "IOPRIO_CLASS_BE", priority: 8 };
  }),
  ...(
    [
      ["without a policy", "scheduler policy is required", {}],
      [
        "with a nice of 20",
        "invalid scheduler.nice: 20 when scheduler.policy is SCHED_BATCH",
        { policy: "SCHED_BATCH", nice: 20 },
      ],
      [
        "with a priority it has not",
        "scheduler.priority can only be specified for SchedFIFO or SchedRR policy",
        { policy: "SCHED_OTHER", priority: 1 },
      ],
      [
        "with times it has not",
        "scheduler runtime/deadline/period can only be specified for SchedDeadline policy",
        { policy: "SCHED_FIFO", priority: 1, period: 1 },
      ],
    ] as const
  ).map(([name, says, scheduler]) =>
    typed(`a scheduler ${name}`, says, (c) => {
      c.process.scheduler = scheduler;
    }),
  ),
  typed("CPUs of exec that are none", "bad CPUAffinity.Final: invalid range: 3-1", (c) => {
    c.process.execCPUAffinity = { final: "3-1" };
  }),
];

const FILTER = {
  defaultAction: "SCMP_ACT_ALLOW",
  syscalls: [{ names: ["keyctl"], action: "SCMP_ACT_ERRNO" }],
};

const SYSTEM_ROWS: readonly Row[] = [
  typed(
    "a hostname without a UTS namespace",
    "unable to set hostname without a private UTS namespace",
    (c) => namespace(c, "uts"),
  ),
  typed(
    "a domainname without a UTS namespace",
    "unable to set domainname without a private UTS namespace",
    (c) => {
      namespace(c, "uts");
      delete c.hostname;
      c.domainname = "example.org";
    },
  ),
  typed(
    "masked paths without a mount namespace",
    "unable to restrict sys entries without a private MNT namespace",
    (c) => namespace(c, "mount"),
  ),
  typed(
    "read-only paths without a mount namespace",
    "unable to restrict sys entries without a private MNT namespace",
    (c) => {
      namespace(c, "mount");
      delete c.linux.maskedPaths;
    },
  ),
  typed("no linux section", "unable to set hostname without a private UTS namespace", (c) => {
    delete c.linux;
  }),
  {
    name: "no linux section and no hostname",
    make: edit((c) => {
      delete c.linux;
      delete c.hostname;
    }),
    status: 0,
    differs:
      "thaw warns that the container has namespaces of its own, as at the checkpoint; runc is silent",
  },
  typed(
    "a sysctl that is not the container's",
    'sysctl "vm.swappiness" is not in a separate kernel namespace',
    (c) => {
      c.linux.sysctl = { "vm.swappiness": "1" };
    },
  ),
  typed(
    "a network sysctl in the host's network",
    'sysctl "net.ipv4.ip_forward" not allowed in host network namespace',
    (c) => {
      c.linux.sysctl = { "net.ipv4.ip_forward": "1" };
      namespace(c, "network");
    },
  ),
  typed(
    "an ipc sysctl in the host's ipc",
    'sysctl "kernel.msgmax" is not allowed in the hosts ipc namespace',
    (c) => {
      c.linux.sysctl = { "kernel.msgmax": "1" };
      namespace(c, "ipc");
    },
  ),
  typed("a sysctl with slashes", 'sysctl "vm.swappiness" is not in a separate kernel', (c) => {
    c.linux.sysctl = { "vm/swappiness": "1" };
  }),
  typed("kernel.hostname as a sysctl", /sysctl "kernel.hostname" .* conflicts/, (c) => {
    c.linux.sysctl = { "kernel.hostname": "x" };
  }),
  typed("an unknown rootfsPropagation", "rootfsPropagation=sideways is not supported", (c) => {
    c.linux.rootfsPropagation = "sideways";
  }),
  typed("an unknown seccomp action", /SCMP_ACT_BOGUS is not a valid action/, (c) => {
    c.linux.seccomp = { defaultAction: "SCMP_ACT_BOGUS" };
  }),
  typed("an unknown seccomp architecture", /SCMP_ARCH_BOGUS is not a valid arch/, (c) => {
    c.linux.seccomp = { ...FILTER, architectures: ["SCMP_ARCH_BOGUS"] };
  }),
  typed("an unknown seccomp flag", "seccomp flag BOGUS is not known to runc", (c) => {
    c.linux.seccomp = { ...FILTER, flags: ["BOGUS"] };
  }),
  typed(
    "a seccomp flag that runc has not",
    "seccomp flag SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV is not known to runc",
    (c) => {
      c.linux.seccomp = { ...FILTER, flags: ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"] };
    },
  ),
  typed("a device of an unknown type", /./, (c) => {
    c.linux.devices = [{ path: "/dev/x", type: "x", major: 1, minor: 3 }];
  }),
  typed("an unknown personality", /./, (c) => {
    c.linux.personality = { domain: "BOGUS" };
  }),
  {
    name: "flags of a personality, which warn",
    make: edit((c) => {
      c.linux.personality = { domain: "LINUX32", flags: ["X"] };
    }),
    status: 0,
  },
  typed("an Intel RDT schema, without the hardware", /Intel RDT\/CAT is not enabled/, (c) => {
    c.linux.intelRdt = { closID: "x", l3CacheSchema: "L3:0=f" };
  }),
  typed("a closID that is a path", 'invalid intelRdt.ClosID "a/b"', (c) => {
    c.linux.intelRdt = { closID: "a/b" };
  }),
];

const mount = (more: Json) => (config: Json) => {
  config.mounts.push({ destination: "/b", source: "/tmp", type: "bind", options: [], ...more });
};

const IDS = [{ containerID: 0, hostID: 1, size: 1 }];
const DUMPED = "the mount is named by source and destination, not as a dump of Go's structure";

const MOUNT_ROWS: readonly Row[] = [
  typed(
    "a bind mount with options of a filesystem",
    /^invalid mount .*bind mounts cannot have any filesystem-specific options applied/,
    mount({ options: ["bind", "size=1"] }),
    DUMPED,
  ),
  typed(
    "an id-mapped mount that is no bind mount",
    /id-mapped mounts are only supported for bind-mounts/,
    mount({ type: "tmpfs", source: "tmpfs", uidMappings: IDS, gidMappings: IDS }),
    DUMPED,
  ),
  typed(
    "an id-mapped mount without group mappings",
    /id-mapped mounts must have both uid and gid mappings specified/,
    mount({ options: ["bind"], uidMappings: IDS }),
    DUMPED,
  ),
  {
    ...typed(
      "a bind mount whose source is missing",
      "create criu restore mountpoint for /b mount: stat /nonexistent/s: no such file or directory",
      mount({ source: "/nonexistent/s" }),
    ),
    late: true,
  },
  {
    name: "a mount of a relative destination, which warns",
    checkpoint: "volume",
    make: edit((c) => {
      c.mounts[c.mounts.length - 1].destination = "data";
    }),
    status: 0,
    differs: "one warning, where runc adds a dump of Go's structure",
  },
  {
    name: "a mount destination that climbs out of the rootfs, which it cannot",
    make: edit(mount({ destination: "/../../b" })),
    status: 0,
  },
  {
    ...typed(
      "a mount on top of the rootfs",
      /create criu restore mountpoint for \/ mount: mountpoint \S+ is on the top of rootfs/,
      mount({ destination: "/" }),
    ),
    late: true,
  },
  {
    ...typed(
      "a mount inside /proc",
      /rootfs\/proc\/self" cannot be mounted because it is inside \/proc/,
      mount({ destination: "/proc/self" }),
    ),
    late: true,
  },
  {
    ...typed(
      "a directory to bind over a file of the rootfs",
      /mount src=\/tmp, dst=\/bin\/busybox, flags=MS_BIND\|MS_REC: not a directory/,
      mount({ destination: "/bin/busybox" }),
      "the mount is named by its paths, without a descriptor of runc's",
    ),
    late: true,
  },
];

const TAKEN_ROWS: readonly Row[] = [
  ...["0.9.0", "abc", ""].map((version) => ({
    name: `the ociVersion ${JSON.stringify(version)}`,
    make: edit((c) => {
      c.ociVersion = version;
    }),
    status: 0,
  })),
  {
    name: "fields that no one knows",
    make: edit((c) => {
      c.bogus = { a: [1] };
      c.linux.bogus = "x";
      c.process.bogus = null;
    }),
    status: 0,
  },
  {
    name: "keys in other letter cases",
    make: ({ bundle }) => {
      const path = join(bundle.path, "config.json");
      const text = readFileSync(path, "utf8").replace('"hostname"', '"HostName"');
      writeFileSync(path, text);
      return {};
    },
    status: 0,
  },
  {
    name: "a byte order mark before config.json",
    make: ({ bundle }) => {
      const path = join(bundle.path, "config.json");
      writeFileSync(path, `\ufeff${readFileSync(path, "utf8")}`);
      return {};
    },
    status: 1,
    says: /^invalid/,
    differs: OWN_JSON,
  },
  {
    name: "annotations, which become labels",
    make: edit((c) => {
      c.annotations = { "org.example": 'a<b>&"' };
    }),
    status: 0,
  },
  {
    name: "a read-only rootfs in config.json",
    make: edit((c) => {
      c.root.readonly = true;
    }),
    status: 0,
  },
  {
    name: "a container that was not read from its own bundle's config.json",
    make: edit((c) => {
      c.process.args = ["/bin/other"];
      c.process.env = [];
      c.hostname = "other";
    }),
    status: 0,
  },
  {
    name: "a device, and a limit beyond 32 bits",
    make: edit((c) => {
      c.linux.devices = [
        { path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 438, uid: 0, gid: 0 },
      ];
      c.linux.resources.memory = { limit: 2 ** 40 };
    }),
    status: 0,
  },
  {
    name: "sections that are empty",
    make: edit((c) => {
      c.mounts = c.mounts.map((m: Json) => ({ ...m, options: m.options ?? [] }));
      c.linux.readonlyPaths = [];
      c.linux.sysctl = {};
      c.hooks = {};
    }),
    status: 0,
  },
];

const terminal = (config: Json) => {
  config.process.terminal = true;
};

const TERMINAL_ROWS: readonly Row[] = [
  typed(
    "a terminal, detached, without a console socket",
    "cannot allocate tty if runc will detach without setting console socket",
    terminal,
  ),
  {
    ...refused(
      "a console socket without a terminal",
      "cannot use console socket if runc will not detach or allocate tty",
      () => ({ flags: ["--console-socket", "/nonexistent/s"] }),
    ),
    of: ["console-socket"],
  },
  {
    ...refused(
      "a console socket without --detach",
      "cannot use console socket if runc will not detach or allocate tty",
      edit(terminal, { detach: false, flags: ["--console-socket", "/nonexistent/s"] }),
    ),
    of: ["console-socket", "detach"],
  },
  {
    ...refused(
      "a console socket that does not exist",
      "dial unix /nonexistent/s: connect: no such file or directory",
      edit(terminal, { flags: ["--console-socket", "/nonexistent/s"] }),
    ),
    of: ["console-socket"],
  },
  {
    ...refused(
      "a console socket that is a file",
      /^dial unix \S+: connect: connection refused/,
      ({ bundle, path }) => {
        bundle.edit(terminal);
        writeFileSync(path, "");
        return { flags: ["--console-socket", path] };
      },
    ),
    of: ["console-socket"],
  },
];

/** Rows of config.json. */
export const configRows: readonly Row[] = [
  ...FILE_ROWS,
  ...TYPE_ROWS,
  ...PROCESS_ROWS,
  ...SYSTEM_ROWS,
  ...MOUNT_ROWS,
  ...TAKEN_ROWS,
  ...TERMINAL_ROWS,
];
