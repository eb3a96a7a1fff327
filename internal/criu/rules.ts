/**
 * CRIU's errors of a restore that thaw knows, with cause and remedy: the program's table, and the one of
 * docs/troubleshooting.md.
 *
 * @module
 */

/** One error of CRIU. */
export interface Rule {
  /** Found in a line of CRIU's log. */
  readonly pattern: RegExp;
  /** Such a line, without the time, the pid and the place in its source that CRIU puts before it. */
  readonly example: string;
  /** Why it happened; `$1` and so on are groups of the pattern. */
  readonly cause: string;
  /** What to do; with groups too. */
  readonly remedy: string;
}

/** Of a dump and of a restore. */
export const COMMON_RULES: readonly Rule[] = [
  {
    pattern: /execvp\("([^"]+)".*\) failed/,
    example: 'execvp("iptables-restore", ...) failed: No such file or directory',
    cause: "CRIU needs the program $1, which is not on PATH",
    remedy: "install $1, or correct PATH",
  },
  {
    pattern: /kerndat_tcp_repair failed/,
    example: "kerndat_tcp_repair failed when initializing kerndat.",
    cause: "the loopback interface is down in the network namespace CRIU runs in",
    remedy: "ip link set lo up",
  },
];

/**
 * Those of a restore, by CRIU 4.2's texts. The first error line that a rule knows is explained, so the order of rules
 * matters only for lines that two of them match.
 */
export const RULES: readonly Rule[] = [
  {
    pattern: /File (.+) has bad size (\d+) \(expect (\d+)\)/,
    example: "File bin/busybox has bad size 1982259 (expect 1982256)",
    cause: "/$1 has $2 bytes and had $3 when the checkpoint was made",
    remedy: "restore the root filesystem (or volume) as it was at the checkpoint",
  },
  {
    pattern: /Can't open file (.+) on restore: No such file or directory/,
    example: "Can't open file bin/busybox on restore: No such file or directory",
    cause: "/$1 is missing from the root filesystem",
    remedy: "carry the container's writable layer (rootfs diff) along with the checkpoint",
  },
  {
    pattern: /File (.+) has bad mode (\d+) \(expect (\d+)\)/,
    example: "File bin/busybox has bad mode 0100600 (expect 0100755)",
    cause: "/$1 has mode $2 and had $3 when the checkpoint was made",
    remedy: "give the file its old mode back (was it unpacked under another umask?)",
  },
  {
    pattern: /No mapping for \d+:(\S+) mountpoint/,
    example: "mnt: No mapping for 53:(null) mountpoint",
    cause: "the checkpoint has an external mount that config.json does not",
    remedy: "add the missing bind mount, device or cgroup mount to config.json",
  },
  {
    pattern: /Can't stat mountpoint \S*?mnt-\d+(\/.+?)?: No such file/,
    example:
      "mnt-v2: Can't stat mountpoint /tmp/.criu.mntns.x/mnt-0000000068/proc: No such file or directory",
    cause: "the mount point $1 does not exist in the root filesystem",
    remedy: "make that directory in the rootfs",
  },
  {
    pattern: /Connected TCP socket in image/,
    example: "inet: Connected TCP socket in image",
    cause: "the checkpoint holds an established TCP connection",
    remedy: "restore with --tcp-established",
  },
  {
    pattern: /Can't (?:bind|connect) inet socket back: (.+)/,
    example: "Can't connect inet socket back: Network is unreachable",
    cause: "the connection's address is not up in the container's network namespace ($1)",
    remedy: "configure the same address there (a network hook or CNI) before CRIU restores sockets",
  },
  {
    pattern: /Need to set the --tcp-close options/,
    example: "Need to set the --tcp-close options.",
    cause: "the checkpoint was made with --tcp-close",
    remedy: "restore with --tcp-close",
  },
  {
    pattern: /Missing required plugin: (\S+)/,
    example: "Missing required plugin: amdgpu_plugin",
    cause: "the checkpoint needs CRIU's plugin $1",
    remedy: "install the plugin where this criu looks for it (CRIU_LIBS_DIR)",
  },
  {
    pattern: /(?:Head m|M)agic doesn't match for (\S+)/,
    example: "Head magic doesn't match for core-1.img",
    cause: "$1 is not the image it should be: damaged, or of another CRIU",
    remedy: "copy the checkpoint again from where it was made",
  },
  {
    pattern: /Read \d+ bytes while \d+ expected (?:from|on) (?:\S*\/)?(\S+?):?(?: |$)/,
    example: "Read 12 bytes while 48 expected from /var/lib/ckpt/c1/fs-1.img: Success",
    cause: "$1 is cut short",
    remedy: "copy the checkpoint again from where it was made",
  },
  {
    pattern: /Failed unpacking object \S+ from (?:\S*\/)?(\S+)/,
    example: "Failed unpacking object 0x7ffd5e0 from /var/lib/ckpt/c1/mm-1.img",
    cause: "$1 is damaged",
    remedy: "copy the checkpoint again from where it was made",
  },
  {
    pattern: /Img trimmed|BUG at criu\/bfd/,
    example: "Img trimmed 0/4096",
    cause: "an image of the checkpoint is cut short",
    remedy: "copy the checkpoint again from where it was made",
  },
  {
    pattern:
      /tar: Error is not recoverable|tar: Child returned status|gzip: .*(?:unexpected end|not in gzip)/,
    example: "gzip: stdin: unexpected end of file",
    cause: "the contents of a tmpfs (tmpfs-*.img) are damaged",
    remedy: "copy the checkpoint again from where it was made",
  },
  {
    pattern: /No (tmpfs-dev-\S+) image/,
    example: "No tmpfs-dev-46.tar.gz.img image",
    cause: "$1, the contents of a tmpfs, is missing",
    remedy: "copy the checkpoint again from where it was made",
  },
  {
    pattern: /cg: No set \d+ found/,
    example: "cg: No set 1 found",
    cause: "the image of the cgroups (cgroup.img) is missing or of another checkpoint",
    remedy: "copy the checkpoint again, or restore with --manage-cgroups-mode ignore",
  },
  {
    pattern: /Can't mount at (.+?): (?:Not a directory|No such file)/,
    example: "mnt-v2: Can't mount at /tmp/.criu.mntns.x/mnt-0000000071: Not a directory",
    cause:
      "what is mounted at $1 is not of the kind it was: a file and a directory, or it is missing",
    remedy: "make the source of that bind mount as it was at the checkpoint",
  },
  {
    pattern: /Can't move \d+ into (\S+).*No space left on device/,
    example: "cg: Can't move 1 into cpuset//c1/cgroup.procs (-1/28): No space left on device",
    cause: "the cpuset $1 has no CPUs or memory nodes",
    remedy: "restore with --manage-cgroups-mode ignore",
  },
  {
    pattern: /Can't move \d+ into (\S+).*Bad file descriptor|Cgroup dir (\S+) doesn't exist/,
    example: "cg: Cgroup dir cpu,cpuacct/c1 doesn't exist",
    cause: "the checkpoint comes from a host with another layout of cgroups ($1$2)",
    remedy: "restore with --manage-cgroups-mode ignore",
  },
  {
    pattern: /CPU instruction capabilities do not match|CPU xfeatures has unsupported bits/,
    example: "cpu: CPU instruction capabilities do not match run time",
    cause: "this host's CPU lacks instructions the checkpointed processes use",
    remedy: "restore on a host with the same kind of CPU or a newer one",
  },
  {
    pattern: /Not supported images version (\d+)/,
    example: "Not supported images version 9",
    cause: "the checkpoint has image version $1, made by a newer CRIU",
    remedy: "install a CRIU at least as new as the one that made it",
  },
  {
    pattern: /Unexpected EOF/,
    example: "Unexpected EOF on (empty-image)",
    cause: "an image of the checkpoint is missing or empty",
    remedy: "check --image-path, and copy the checkpoint again",
  },
  {
    pattern: /No root found for tree/,
    example: "mnt: No root found for tree",
    cause: "the image of the mount table (mountpoints-*.img) is missing",
    remedy: "check --image-path, and copy the checkpoint again",
  },
  {
    pattern: /can't write lsm profile|mismatched lsm types|lsm profile specified/i,
    example: "mismatched lsm types and lsm profile specified",
    cause: "the AppArmor or SELinux profile of the checkpoint cannot be set on this host",
    remedy: "load the profile here, or name another with --lsm-profile TYPE:NAME",
  },
  {
    pattern: /LSM specified but (\w+) not supported by kernel/,
    example: "apparmor LSM specified but apparmor not supported by kernel",
    cause: "this host's kernel does not run $1",
    remedy: "leave --lsm-profile out, or restore on a host with $1",
  },
  {
    pattern: /invalid argument (\S+) for --lsm-profile/,
    example: "invalid argument bogus for --lsm-profile",
    cause: "$1 is no LSM profile",
    remedy: "give --lsm-profile apparmor:NAME or selinux:LABEL",
  },
  {
    pattern: /Unable to find an external netns: extRootNetNS/,
    example: "net: Unable to find an external netns: extRootNetNS",
    cause:
      "the container was checkpointed in a network namespace with a path, and config.json gives none",
    remedy:
      'give the "network" entry of linux.namespaces the path of the namespace to restore into',
  },
  {
    pattern: /Unable to find an external pidns: extRootPidNS/,
    example: "Unable to find an external pidns: extRootPidNS",
    cause:
      "the container was checkpointed in a pid namespace with a path, and config.json gives none",
    remedy: 'give the "pid" entry of linux.namespaces the path of the namespace to restore into',
  },
  {
    pattern: /Failed to setns when join-ns user:|Can't open ns file \S+\/ns\/user:/,
    example: "Failed to setns when join-ns user:/run/userns: Operation not permitted",
    cause:
      "CRIU cannot join a user namespace with a path: it makes one with the checkpoint's mappings",
    remedy:
      'take the path out of the "user" entry of linux.namespaces, and give its mappings as linux.uidMappings and linux.gidMappings',
  },
  {
    pattern: /External socket (?:found|is used)|Consider using the --ext-unix-sk option/,
    example:
      "unix: External socket found in image. Consider using the --ext-unix-sk option to allow restoring it.",
    cause: "the checkpoint holds a unix socket connected to a process outside of the container",
    remedy: "restore with --ext-unix-sk",
  },
  {
    pattern: /Found slave peer index (\d+) without correspond/,
    example: "tty: Found slave peer index 3 without correspond master peer",
    cause: "the checkpoint uses a terminal whose other end was outside of the container",
    remedy: "restore with a terminal, or with --shell-job",
  },
  {
    pattern: /Can't fork for (\d+): File exists/,
    example: "Can't fork for 28171: File exists",
    cause: "pid $1 is taken: the container has no pid namespace of its own",
    remedy: "end (and reap) the process that has pid $1, then restore again",
  },
  {
    pattern: /--root option is required|doesn't have a proper root mount/,
    example: "mnt-v2: The --root option is required to restore a mount namespace",
    cause: "the root filesystem is not a mount that CRIU can use",
    remedy: "check root.path in config.json: nothing may be mounted over it",
  },
  {
    pattern: /connect to lazy-pages\.socket failed/,
    example: "uffd: connect to lazy-pages.socket failed: No such file or directory",
    cause: "the lazy-pages daemon in the work directory has ended",
    remedy: "restore again: thaw starts one where none listens",
  },
  {
    pattern: /(\d+) (?:killed|stopped) by signal (\d+)/,
    example: "7 killed by signal 9: Killed",
    cause:
      "process $1 was ended by signal $2 while it was restored: out of memory, or a missing image",
    remedy: "raise linux.resources.memory.limit, see the kernel log, and check the images",
  },
  ...COMMON_RULES,
];
