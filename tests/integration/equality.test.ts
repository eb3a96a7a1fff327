/** What thaw restores equals what runc restores of the same checkpoint. @module */

import { expect, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { type Bundle, countsOn, type Json, Lab, must, run, THAW } from "../support/lab.ts";

/**
 * Three processes: the first counts into a pipe, the second passes it on over a socketpair, the
 * third writes it down, with what it reads from a deleted file, a tmpfs and a volume.
 */
const PROGRAM = `
use strict; $| = 1;
socketpair(my $a, my $b, 1, 1, 0) or die; pipe(my $r, my $w) or die;
open(my $gone, "+>", "/tmp/gone") or die; syswrite($gone, "deleted data"); unlink "/tmp/gone";
open(my $t, ">", "/mnt/t/file") or die; syswrite($t, "tmpfs data"); close $t;
if (!fork) { close $w; close $b; while (sysread($r, my $n, 8)) { syswrite($a, $n) } exit 1 }
if (!fork) {
  close $r; close $w; close $a;
  while (sysread($b, my $n, 8)) {
    sysseek($gone, 0, 0); sysread($gone, my $d, 100);
    open(my $tf, "<", "/mnt/t/file"); my $td = <$tf>; open(my $vf, "<", "/volume/file"); my $vd = <$vf>;
    open(my $o, ">", "/tmp/all.new"); print $o "$d|$td|$vd"; close $o; rename "/tmp/all.new", "/tmp/all";
    open($o, ">", "/tmp/n.new"); print $o $n + 0; close $o; rename "/tmp/n.new", "/tmp/n";
  }
  exit 1;
}
my $i = 0; while (1) { $i++; syswrite($w, sprintf("%08d", $i)); select(undef, undef, undef, 0.05) }
`;

/** perl-base is on every Debian machine; its C library comes along. */
function installPerl(bundle: Bundle): void {
  const perl = Bun.which("perl") ?? "/usr/bin/perl";
  const libraries = must(run(["ldd", perl])).stdout.match(/\/\S+/g) ?? [];
  for (const file of [perl, ...libraries]) {
    const target = join(bundle.rootfs, file === perl ? "bin/perl" : file);
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(file, target);
  }
  const strict = must(run([perl, "-Mstrict", "-e", 'print $INC{"strict.pm"}'])).stdout;
  mkdirSync(join(bundle.rootfs, "inc"));
  copyFileSync(strict, join(bundle.rootfs, "inc/strict.pm"));
  writeFileSync(join(bundle.rootfs, "program.pl"), PROGRAM);
}

function container(lab: Lab): Bundle {
  const volume = join(lab.path, "volume");
  mkdirSync(volume);
  writeFileSync(join(volume, "file"), "volume data");
  const bundle = lab.bundle("", (config) => {
    config.process.args = ["/bin/perl", "-I/inc", "/program.pl"];
    config.process.env.push("COLOUR=blue");
    config.mounts.push({
      destination: "/volume",
      type: "bind",
      source: volume,
      options: ["rbind"],
    });
    config.mounts.push({
      destination: "/mnt/t",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "size=1m"],
    });
    config.linux.resources.memory = { limit: 209715200, swappiness: 10 };
    config.linux.resources.pids = { limit: 20 };
    config.linux.resources.cpu = { shares: 512, quota: 80000, period: 100000 };
    config.annotations = { "org.example": "a<b" };
  });
  installPerl(bundle);
  return bundle;
}

const read = (path: string) => readFileSync(path, "utf8");

/** Pids of a container, in the order of its own pid namespace. */
function tasks(state: Json): number[] {
  const directory = state.cgroup_paths.pids ?? state.cgroup_paths[""];
  const procs = read(join(directory, "cgroup.procs")).split("\n").filter(Boolean);
  const inner = (pid: number) =>
    Number(/^NSpid:.*\t(\d+)$/m.exec(read(`/proc/${pid}/status`))?.[1]);
  return procs.map(Number).sort((a, b) => inner(a) - inner(b));
}

// What the third process opens for a moment, time and again.
const PASSING = / (\/mnt\/t\/file|\/volume\/file|\/tmp\/(all|n)(\.new)?|closed)$/;

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "closed"; // since it was listed
  }
}

/** All of a container that a restore has to bring back, without ids that differ by nature. */
function look(state: Json) {
  const pids = tasks(state);
  const anonymous = (text: string) => text.replaceAll(/:\[\d+\]/g, ":[]");
  const isV2 = state.cgroup_paths.devices === undefined;
  const limits = isV2
    ? ["/memory.max", "/pids.max", "/cpu.weight", "/cpu.max"]
    : [
        "memory/memory.limit_in_bytes",
        "memory/memory.swappiness",
        "pids/pids.max",
        "cpu/cpu.shares",
        "cpu/cpu.cfs_quota_us",
        "devices/devices.list",
      ];
  return {
    processes: pids.length,
    mounts: read(`/proc/${pids[0]}/mountinfo`)
      .split("\n")
      .map((line) =>
        line
          .split(" ")
          .slice(3)
          .join(" ")
          .replaceAll(/(shared|master):\d+/g, "$1"),
      ),
    cgroup: pids.map((pid) => read(`/proc/${pid}/cgroup`)),
    limits: limits.map((file) => {
      const [controller = "", name = ""] = file.split("/");
      return read(join(state.cgroup_paths[controller], name)).split("\n").sort();
    }),
    descriptors: pids.map((pid) =>
      readdirSync(`/proc/${pid}/fd`)
        .map((fd) => `${fd} ${anonymous(link(`/proc/${pid}/fd/${fd}`))}`)
        .filter((line) => !PASSING.test(line)),
    ),
    environment: pids.map((pid) => read(`/proc/${pid}/environ`)),
    rlimits: pids.map((pid) => read(`/proc/${pid}/limits`)),
    credentials: pids.map((pid) =>
      read(`/proc/${pid}/status`).match(
        /^(Uid|Gid|Groups|Cap\w+|Seccomp|NoNewPrivs|Sig(Blk|Ign|Cgt)):.*$/gm,
      ),
    ),
    oom: pids.map((pid) => read(`/proc/${pid}/oom_score_adj`)),
  };
}

/** state.json without what differs from one restore to the next. */
function comparable(state: Json): Json {
  const { init_process_pid: pid, init_process_start: _, created: __, ...rest } = state;
  const text = JSON.stringify(rest).replaceAll(`/proc/${pid}/`, "/proc/PID/");
  return JSON.parse(text.replaceAll(/socket:\[\d+\]/g, "socket:[]"));
}

/** The CRIU options of a debug log, each list in one order: Go's maps have none. */
function options(log: string): string[] {
  return [...log.matchAll(/CRIU option (\S+) with value (.*?)"( func=|$)/gm)].map(
    ([, name, value = ""]) => {
      // Go writes one or two blanks between fields, at random.
      const elements = value
        .match(/\b(key|ctrl):\\"[^"]*\\" +\w+:\\"[^"]*\\"/g)
        ?.map((e) => e.replaceAll(/ +/g, " "))
        .sort();
      return `${name} ${elements?.join(" ") ?? value}`;
    },
  );
}

// A systemd host with cgroup v2 has both drivers.
const drivers =
  existsSync("/run/systemd/system") && existsSync("/sys/fs/cgroup/cgroup.controllers")
    ? [[], ["--systemd-cgroup"]]
    : [[]];

test.each(drivers.map((flags) => [flags.join(" "), flags] as const))(
  "a container with pipes, sockets, a deleted file, tmpfs, volume and limits comes back as with runc %s",
  (_, globals) => {
    using lab = new Lab(globals);
    const bundle = container(lab);
    const id = lab.id();
    const image = lab.checkpointed(bundle, id);
    const results = (["runc", THAW] as const).map((file) => {
      const log = join(lab.path, file === "runc" ? "runc.log" : "thaw.log");
      const flags = ["restore", "-d", "--bundle", bundle.path, "--image-path", image, id];
      const before = bundle.count();
      must(run([file, ...globals, "--debug", "--log", log, "--root", lab.root, ...flags]));
      countsOn(bundle, before + 3);
      const state = lab.state(id);
      const seen = look(state);
      const all = read(join(bundle.rootfs, "tmp/all"));
      lab.delete(id);
      return { state: comparable(state), seen, all, options: options(read(log)) };
    });
    const [runc, thaw] = results;
    expect(thaw?.all).toBe("deleted data|tmpfs data|volume data");
    expect(thaw?.seen).toEqual(runc?.seen as never);
    expect(thaw?.seen.processes).toBe(3);
    // The same text: names, order and values, as other tools may read them.
    expect(JSON.stringify(thaw?.state)).toBe(JSON.stringify(runc?.state));
    // ImagesDirFd is a number of the runtime's own; AllowUprobes is newer than runc's copy of the schema.
    const same = (list: string[] = []) =>
      list.filter((line) => !/^(ImagesDirFd|AllowUprobes) /.test(line));
    expect(same(thaw?.options)).toEqual(same(runc?.options));
    expect(thaw?.options.length).toBeGreaterThan(60);
  },
);
