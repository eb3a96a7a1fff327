/** Restores that cannot work: what is said, and that nothing is left. @module */

import { afterAll, expect, test } from "bun:test";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import {
  type Attempt,
  attempt,
  copyImage,
  criuLog,
  cutShort,
  editInventory,
  expectOneLine,
  fileNamed,
  flip,
  lengthField,
} from "../support/damage.ts";
import { type Bundle, Lab, must, run, traces, waitFor } from "../support/lab.ts";

/** A shell and a sleep, with the pid of init's only child staying the same. */
const STILL = "echo 1 > /tmp/n; while :; do sleep 100000; done";

/** A TCP connection over loopback, which runc sets up in a new network namespace. */
const CONNECTED = `sleep 100000 | nc -l -p 5555 > /tmp/got & sleep 0.2
  (echo hello; sleep 100000) | nc 127.0.0.1 5555 &
  until [ -s /tmp/got ]; do sleep 0.05; done; ${STILL}`;

/** A hook that does what runc does for a new container: the loopback interface is up. */
const LOOPBACK_UP = {
  path: "/bin/sh",
  args: [
    "sh",
    "-c",
    `pid=$(sed 's/.*"pid": *\\([0-9]*\\).*/\\1/') && nsenter -t $pid -n ip link set lo up`,
  ],
  env: [`PATH=${process.env["PATH"]}`],
};

interface Case extends Attempt {
  /** Does what the message asks for; restoring works then. */
  remedy?(): Partial<Attempt>;
}

interface Row {
  readonly name: string;
  /** Makes a checkpoint that cannot be restored as it is. */
  prepare(lab: Lab): Case;
  /** What the message must hold: the thing, the cause, the remedy. */
  readonly says: readonly (string | RegExp)[];
  /** False when it is refused before CRIU is started. */
  readonly criu: boolean;
}

function still(lab: Lab, flags: readonly string[] = []) {
  const bundle = lab.bundle(STILL);
  const id = lab.id();
  return { bundle, id, image: lab.checkpointed(bundle, id, flags) };
}

function connected(lab: Lab, flags: readonly string[], edit?: (bundle: Bundle) => void) {
  const bundle = lab.bundle(CONNECTED);
  edit?.(bundle);
  const id = lab.id();
  return { bundle, id, image: lab.checkpointed(bundle, id, flags) };
}

const ROWS: readonly Row[] = [
  {
    name: "a program that has grown",
    prepare(lab) {
      const made = still(lab);
      appendFileSync(join(made.bundle.rootfs, "bin/busybox"), "xx");
      return {
        ...made,
        remedy: () => {
          cutShort(join(made.bundle.rootfs, "bin/busybox"), 2);
          return {};
        },
      };
    },
    says: [
      /File bin\/busybox has bad size \d+ \(expect \d+\)/,
      /\/bin\/busybox has \d+ bytes and had \d+ when the checkpoint was made/,
      "restore the root filesystem",
    ],
    criu: true,
  },
  {
    name: "a program that is missing",
    prepare(lab) {
      const made = still(lab);
      const program = join(made.bundle.rootfs, "bin/busybox");
      renameSync(program, `${program}.away`);
      return {
        ...made,
        remedy: () => {
          renameSync(`${program}.away`, program);
          return {};
        },
      };
    },
    says: [
      "Can't open file bin/busybox on restore: No such file or directory",
      "/bin/busybox is missing from the root filesystem",
      "writable layer",
    ],
    criu: true,
  },
  {
    name: "a program with another mode",
    prepare(lab) {
      const made = still(lab);
      const program = join(made.bundle.rootfs, "bin/busybox");
      chmodSync(program, 0o600);
      return {
        ...made,
        remedy: () => {
          chmodSync(program, 0o755);
          return {};
        },
      };
    },
    says: [
      "File bin/busybox has bad mode 0100600 (expect 0100755)",
      "/bin/busybox has mode 0100600 and had 0100755",
      "give the file its old mode back",
    ],
    criu: true,
  },
  {
    name: "a bind mount that config.json lost",
    prepare(lab) {
      const volume = join(lab.path, "volume");
      mkdirSync(volume);
      const mount = { destination: "/data", source: volume, type: "bind", options: ["rbind"] };
      const bundle = lab.bundle(STILL, (config) => config.mounts.push(mount));
      const id = lab.id();
      const image = lab.checkpointed(bundle, id);
      bundle.edit((config) => config.mounts.pop());
      return {
        bundle,
        id,
        image,
        remedy: () => {
          bundle.edit((config) => config.mounts.push(mount));
          return {};
        },
      };
    },
    says: [/No mapping for \d+:\S+ mountpoint/, "external mount", "add the missing bind mount"],
    criu: true,
  },
  {
    name: "a cgroup mount that config.json lost",
    prepare(lab) {
      const made = still(lab);
      const { mounts } = made.bundle.config();
      made.bundle.edit((config) => {
        config.mounts = mounts.filter(({ type }: { type: string }) => type !== "cgroup");
      });
      return {
        ...made,
        remedy: () => {
          made.bundle.edit((config) => {
            config.mounts = mounts;
          });
          return {};
        },
      };
    },
    says: [/No mapping for \d+:\S+ mountpoint/, "external mount", "cgroup mount to config.json"],
    criu: true,
  },
  {
    name: "the mount point of a mount made inside of the container",
    prepare(lab) {
      const script = `mkdir /inner; mount -t tmpfs none /inner; ${STILL}`;
      const bundle = lab.bundle(script, (config) => {
        for (const set of ["bounding", "effective", "permitted"])
          config.process.capabilities[set].push("CAP_SYS_ADMIN");
        // The default filter of the kernel's security modules is not in the way of mount(2).
        delete config.process.apparmorProfile;
      });
      const id = lab.id();
      const image = lab.checkpointed(bundle, id);
      rmdirSync(join(bundle.rootfs, "inner"));
      return {
        bundle,
        id,
        image,
        remedy: () => {
          mkdirSync(join(bundle.rootfs, "inner"));
          return {};
        },
      };
    },
    says: [
      /Can't stat mountpoint \S+\/inner: No such file or directory/,
      "the mount point /inner does not exist in the root filesystem",
      "make that directory in the rootfs",
    ],
    criu: true,
  },
  {
    name: "a TCP connection without --tcp-established",
    prepare: (lab) => connected(lab, ["--tcp-established"]),
    says: [
      "Connected TCP socket in image",
      "the checkpoint holds an established TCP connection",
      "restore with --tcp-established",
    ],
    criu: true,
  },
  {
    name: "a TCP connection whose address is down",
    prepare(lab) {
      const made = connected(lab, ["--tcp-established"]);
      return {
        ...made,
        flags: ["--tcp-established"],
        remedy: () => {
          made.bundle.edit((config) => {
            config.hooks = { createRuntime: [LOOPBACK_UP] };
          });
          return {};
        },
      };
    },
    says: [
      "Can't connect inet socket back: Network is unreachable",
      "the connection's address is not up in the container's network namespace",
      "configure the same address",
    ],
    criu: true,
  },
  {
    name: "a checkpoint whose connections were closed",
    prepare(lab) {
      const file = join(lab.path, "criu.conf");
      writeFileSync(file, "tcp-close\n");
      const annotate = (value: string) => (bundle: Bundle) =>
        bundle.edit((config) => {
          config.annotations = { "org.criu.config": value };
        });
      const made = connected(lab, [], annotate(file));
      annotate("")(made.bundle);
      return {
        ...made,
        remedy: () => {
          annotate(file)(made.bundle);
          return {};
        },
      };
    },
    says: [
      "Need to set the --tcp-close options",
      "the checkpoint was made with --tcp-close",
      "tcp-close",
    ],
    criu: true,
  },
  {
    name: "a plugin of CRIU's that is not installed",
    prepare(lab) {
      const made = still(lab);
      const plugins = lengthField(12, lengthField(12, "amdgpu_plugin"));
      editInventory(made.image, (message) => Buffer.concat([message, plugins]));
      // CRIU looks at the list only when there is a directory of plugins at all.
      const directory = join(lab.path, "plugins");
      mkdirSync(directory);
      return { ...made, env: { CRIU_LIBS_DIR: directory } };
    },
    says: [
      "Missing required plugin: amdgpu_plugin",
      "the checkpoint needs CRIU's plugin amdgpu_plugin",
      "install the plugin",
    ],
    criu: true,
  },
  {
    name: "no tar on PATH",
    prepare(lab) {
      const made = still(lab);
      expect(readdirSync(made.image).some((name) => name.startsWith("tmpfs-dev-"))).toBe(true);
      const programs = join(lab.path, "programs");
      mkdirSync(programs);
      symlinkSync(Bun.which("criu") as string, join(programs, "criu"));
      return {
        ...made,
        env: { PATH: programs },
        remedy: () => ({ env: { PATH: process.env["PATH"] as string } }),
      };
    },
    says: ['execvp("tar"', "CRIU needs the program tar, which is not on PATH", "install tar"],
    criu: true,
  },
  {
    name: "an image of another format that only CRIU reads",
    prepare(lab) {
      const made = still(lab);
      const image = fileNamed(made.image, "utsns-*.img");
      flip(image, 0, 4);
      return {
        ...made,
        remedy: () => {
          flip(image, 0, 4);
          return {};
        },
      };
    },
    says: [
      /Head magic doesn't match for utsns-\d+\.img/,
      /utsns-\d+\.img is not the image it should be/,
      "copy the checkpoint again",
    ],
    criu: true,
  },
  {
    name: "an image of another kind that only CRIU reads",
    prepare(lab) {
      const made = still(lab);
      flip(fileNamed(made.image, "utsns-*.img"), 4, 4);
      return made;
    },
    says: [
      /Magic doesn't match for utsns-\d+\.img/,
      /utsns-\d+\.img is not the image it should be/,
      "copy the checkpoint again",
    ],
    criu: true,
  },
  {
    name: "an empty image that only CRIU reads",
    prepare(lab) {
      const made = still(lab);
      truncateSync(fileNamed(made.image, "utsns-*.img"), 0);
      return made;
    },
    says: ["Unexpected EOF", "missing or empty", "copy the checkpoint again"],
    criu: true,
  },
  {
    name: "a tmpfs whose contents are missing",
    prepare(lab) {
      const made = still(lab);
      for (const name of readdirSync(made.image))
        if (name.startsWith("tmpfs-dev-")) rmSync(join(made.image, name));
      return made;
    },
    says: [
      /errno 0: No tmpfs-dev-\d+\.tar\.gz\.img image; tmpfs-dev-\d+\.tar\.gz\.img, the contents/,
      "missing",
      "copy the checkpoint again",
    ],
    criu: true,
  },
  {
    name: "a tmpfs whose contents are cut short",
    prepare(lab) {
      const made = still(lab);
      for (const name of readdirSync(made.image))
        if (name.startsWith("tmpfs-dev-")) cutShort(join(made.image, name));
      return made;
    },
    says: [/tmpfs/, "copy the checkpoint again"],
    criu: true,
  },
  {
    name: "filtered processes without their seccomp image",
    prepare(lab) {
      const bundle = lab.bundle(STILL, (config) => {
        config.linux.seccomp = {
          defaultAction: "SCMP_ACT_ALLOW",
          syscalls: [{ names: ["keyctl"], action: "SCMP_ACT_ERRNO" }],
        };
      });
      const id = lab.id();
      const image = lab.checkpointed(bundle, id);
      rmSync(join(image, "seccomp.img"));
      return { bundle, id, image };
    },
    says: [/stopped by signal 11|seccomp\.img/, "missing", /check the images|copy the checkpoint/],
    criu: true,
  },
  {
    name: "a missing image that only CRIU reads",
    prepare(lab) {
      const made = still(lab);
      rmSync(fileNamed(made.image, "utsns-*.img"));
      return made;
    },
    says: ["Unexpected EOF on", "missing or empty", "copy the checkpoint again"],
    criu: true,
  },
  {
    name: "images of a newer version",
    prepare(lab) {
      const made = still(lab);
      // img_version is the first field: 08 02.
      editInventory(made.image, (message) => {
        expect(message.subarray(0, 2)).toEqual(Buffer.from([8, 2]));
        return Buffer.concat([Buffer.from([8, 9]), message.subarray(2)]);
      });
      return made;
    },
    says: ["inventory.img", "not supported images version 9", "install a CRIU at least as new"],
    criu: false,
  },
  {
    name: "no image of the mount table",
    prepare(lab) {
      const made = still(lab);
      rmSync(fileNamed(made.image, "mountpoints-*.img"));
      return made;
    },
    says: [/mountpoints-\d+\.img: no such file or directory/, "checkpoint", "copy the checkpoint"],
    criu: false,
  },
  {
    name: "a pid that is taken, without a pid namespace",
    prepare(lab) {
      const bundle = lab.bundle(STILL, (config) => {
        config.linux.namespaces = config.linux.namespaces.filter(
          ({ type }: { type: string }) => type !== "pid",
        );
      });
      const first = lab.id();
      const image = lab.checkpointed(bundle, first, ["--leave-running"]);
      expect(lab.status(first)).toBe("running");
      return {
        bundle,
        image,
        id: lab.id(),
        remedy: () => {
          expect(lab.status(first)).toBe("running");
          const pid = lab.state(first).init_process_pid;
          lab.delete(first);
          waitFor(() => !existsSync(`/proc/${pid}`), `pid ${pid} to be reaped`);
          return {};
        },
      };
    },
    says: [
      /Can't fork for \d+: File exists/,
      /pid \d+ is taken: the container has no pid namespace of its own/,
      "end (and reap) the process",
    ],
    criu: true,
  },
  {
    name: "pages that are cut short",
    prepare(lab) {
      const made = still(lab);
      cutShort(join(made.image, "pages-1.img"), 4096);
      return made;
    },
    says: [/pages-1\.img is cut short: \d+ of \d+ bytes/, "copy the checkpoint again"],
    criu: false,
  },
  {
    name: "a memory limit that is too small",
    prepare(lab) {
      const script = `x=$(dd if=/dev/zero bs=1048576 count=40 | busybox tr '\\0' a); ${STILL}`;
      const bundle = lab.bundle(script);
      const id = lab.id();
      const image = lab.checkpointed(bundle, id);
      const limit = (bytes: number) =>
        bundle.edit((config) => {
          config.linux.resources.memory = { limit: bytes };
        });
      limit(20 << 20);
      return {
        bundle,
        id,
        image,
        remedy: () => {
          limit(200 << 20);
          return {};
        },
      };
    },
    says: [/\d+ killed by signal 9/, "out of memory", "raise linux.resources.memory.limit"],
    criu: true,
  },
  {
    name: "to start CRIU where the loopback interface is down",
    prepare(lab) {
      const script = 'mount -t tmpfs none /run && exec "$@"'; // CRIU remembers in /run what it found
      const through = ["unshare", "-n", "-m", "--propagation", "private", "sh", "-c", script, "sh"];
      return { ...still(lab), through, remedy: () => ({ through: ["env"] }) };
    },
    says: ["kerndat_tcp_repair failed", "the loopback interface is down", "ip link set lo up"],
    criu: true,
  },
];

for (const { name, prepare, says, criu } of ROWS) {
  test(`restore refuses ${name}, says why, and leaves nothing`, () => {
    using lab = new Lab();
    const { remedy, ...made } = prepare(lab);
    const before = traces(lab);
    const tried = attempt(lab, made);
    const message = expectOneLine(tried, tried.log);
    for (const part of says) {
      if (typeof part === "string") expect(message).toContain(part);
      else expect(message).toMatch(part);
    }
    expect(criuLog(tried) !== undefined).toBe(criu);
    if (criu) expect(message).toContain(`CRIU's log: ${join(tried.work, "restore.log")}`);
    else expect(existsSync(tried.work)).toBe(false);
    expect(traces(lab)).toEqual(before);
    if (remedy === undefined) return;
    const again = attempt(lab, { ...made, ...remedy() });
    expect(again).toMatchObject({ status: 0, stderr: "" });
    expect(lab.status(made.id)).toBe("running");
    lab.delete(made.id);
  });
}

test("restore makes the mount points of config.json that the root filesystem lost", () => {
  using lab = new Lab();
  const { bundle, id, image } = still(lab);
  for (const name of ["proc", "sys", "dev"]) rmdirSync(join(bundle.rootfs, name));
  expect(attempt(lab, { bundle, id, image })).toMatchObject({ status: 0, stderr: "" });
  expect(lab.status(id)).toBe("running");
  lab.delete(id);
});

/** A checkpoint that each of the following tests damages a copy of. */
const whole = (() => {
  let made: { lab: Lab; bundle: Bundle; image: string } | undefined;
  afterAll(() => made?.lab[Symbol.dispose]());
  return () => {
    if (made === undefined) {
      const lab = new Lab();
      made = { lab, ...still(lab) };
    }
    return made;
  };
})();

/** The images that thaw reads before it starts CRIU; names differ by process and namespace. */
const READ_FIRST = [
  "inventory.img",
  "pstree.img",
  "files.img",
  "core-1.img",
  "ids-1.img",
  "fs-1.img",
  "mm-1.img",
  "mountpoints-*.img",
  "pagemap-1.img",
];

interface Damage {
  readonly name: string;
  /** Breaks a copy of the checkpoint; the path to give instead of the copy, if another. */
  damage(image: string): string | undefined;
  readonly says: readonly (string | RegExp)[];
}

function damageFile(name: string, how: string, says: string, act: (path: string) => void): Damage {
  return {
    name: `${name} ${how}`,
    damage(image) {
      act(fileNamed(image, name));
      return undefined;
    },
    says: [name.replace(/[[*].*/, ""), says, /copy the checkpoint again|check --image-path/],
  };
}

function write(text: string) {
  return (path: string) => writeFileSync(path, text);
}

const DAMAGE: readonly Damage[] = [
  ...READ_FIRST.flatMap((name) => [
    damageFile(name, "missing", "no such file or directory", rmSync),
    damageFile(name, "one byte short", "is cut short", (path) => cutShort(path)),
    damageFile(name, "empty", "is ", (path) => truncateSync(path, 0)),
    damageFile(name, "of another kind", "is no CRIU ", (path) =>
      flip(path, name === "inventory.img" ? 0 : 4, 4),
    ),
  ]),
  damageFile("core-[!1]*.img", "missing", "no such file or directory", rmSync),
  damageFile("mm-[!1]*.img", "empty", "is cut short", (path) => truncateSync(path, 0)),
  damageFile("pages-[!1]*.img", "one byte short", "is cut short", (path) => cutShort(path)),
  damageFile("pages-1.img", "missing", "no such file or directory", rmSync),
  damageFile("pages-1.img", "one byte short", "is cut short", (path) => cutShort(path)),
  damageFile("pages-1.img", "empty", "is cut short: 0 of ", (path) => truncateSync(path, 0)),
  damageFile("descriptors.json", "missing", "no such file or directory", rmSync),
  damageFile("descriptors.json", "cut short", "unexpected end of JSON input", write("{")),
  damageFile("descriptors.json", "empty", "unexpected end of JSON input", write("")),
  damageFile(
    "descriptors.json",
    "an object",
    "json: cannot unmarshal object into Go value of type []string",
    write('{"a":1}'),
  ),
  damageFile("descriptors.json", "a list of numbers", "json: cannot unmarshal", write("[1]")),
  {
    // CRIU takes it for a process without descriptors, and succeeds.
    ...damageFile("fdinfo-2.img", "missing", "no such file or directory", rmSync),
  },
  {
    ...damageFile("core-1.img", "a pipe", "core-1.img", (path) => {
      rmSync(path);
      must(run(["mkfifo", path]));
    }),
  },
  {
    name: "the image path, which is a file",
    damage: (image) => join(image, "pstree.img"),
    says: ["pstree.img", "not a directory"],
  },
  {
    name: "the image path, which does not exist",
    damage: (image) => join(image, "nothing"),
    says: ["nothing/descriptors.json: no such file or directory", "--image-path"],
  },
];

for (const { name, damage, says } of DAMAGE) {
  test(`restore refuses ${name}, without starting CRIU`, () => {
    const { lab, bundle, image: original } = whole();
    const image = copyImage(original, join(lab.path, lab.id()));
    const path = damage(image) ?? image;
    const before = traces(lab);
    const tried = attempt(lab, { bundle, image: path, id: lab.id() });
    const message = expectOneLine(tried, tried.log);
    for (const part of says) {
      if (typeof part === "string") expect(message).toContain(part);
      else expect(message).toMatch(part);
    }
    expect(existsSync(tried.work)).toBe(false);
    expect(tried.milliseconds).toBeLessThan(1500);
    expect(traces(lab)).toEqual(before);
  });
}

test("the checkpoint that was damaged in copies can be restored", () => {
  const { lab, bundle, image } = whole();
  const id = lab.id();
  expect(attempt(lab, { bundle, image, id })).toMatchObject({ status: 0, stderr: "" });
  lab.delete(id);
});
