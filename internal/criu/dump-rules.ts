/** CRIU's errors of a dump that thaw knows, with cause and remedy; rules.ts has those of a restore. @module */

import { COMMON_RULES, type Rule } from "./rules.ts";

/** By CRIU 4.2's texts. */
export const DUMP_RULES: readonly Rule[] = [
  {
    pattern: /Connected TCP socket, consider using/,
    example: "inet: Connected TCP socket, consider using --tcp-established option.",
    cause: "a process has an established TCP connection",
    remedy: "checkpoint with --tcp-established, and restore with it",
  },
  {
    pattern: /inet: In-flight connection \(/,
    example: "inet: In-flight connection (l) for 1c8f",
    cause: "a client is just connecting to a process: the connection has not been accepted yet",
    remedy: "try again, or checkpoint with --tcp-skip-in-flight: that client has to connect anew",
  },
  {
    pattern: /Some file locks are hold by dumping tasks/,
    example: "Some file locks are hold by dumping tasks! You can try --file-locks to dump them.",
    cause: "a process has locked a file",
    remedy: "checkpoint with --file-locks",
  },
  {
    pattern: /Can't create link remap for (.+)\. Use link-remap option/,
    example: "Can't create link remap for /tmp/a. Use link-remap option.",
    cause: "$1 was removed while it is open, and the file has another name still",
    remedy: "checkpoint with --link-remap",
  },
  {
    pattern: /Can't dump ghost file (.+) of (\d+) size, increase limit/,
    example: "Can't dump ghost file /tmp/a of 3145728 size, increase limit",
    cause:
      "$1 was removed while it is open, and with $2 bytes is larger than what CRIU saves of such files",
    remedy:
      'put "ghost-limit 1G" into CRIU\'s configuration (/etc/criu/runc.conf, or the file that the annotation org.criu.config names)',
  },
  {
    pattern: /Can't lookup mount=\d+ for fd=(\d+) path=(.+)/,
    example: "Can't lookup mount=27 for fd=1 path=/var/log/c1.log",
    cause: "descriptor $1 of a process is $2, a file outside of the container",
    remedy: "start the container with pipes, a terminal or /dev/null as its standard streams",
  },
  {
    pattern: /External socket is used\. Consider using --ext-unix-sk/,
    example: "unix: External socket is used. Consider using --ext-unix-sk option.",
    cause: "a process is connected by a unix socket to one outside of the container",
    remedy: "checkpoint with --ext-unix-sk, and restore with it",
  },
  {
    pattern: /Can't dump half of stream unix connection\. name: (.*?); peer name: (.*)/,
    example:
      "unix: Can't dump half of stream unix connection. name: (null); peer name: /run/db.sock",
    cause:
      "a stream connection over a unix socket (own name $1, peer's $2) leads out of the container",
    remedy: "end that connection: one end of it cannot be saved",
  },
  {
    pattern: /Can't dump name-less external socket/,
    example: "unix: Can't dump name-less external socket.",
    cause: "a process holds one end of a socketpair(2) whose other end is outside of the container",
    remedy: "start the container without that descriptor",
  },
  {
    pattern: /Unknown shit \d+ \(anon_inode:\[io_uring\]\)/,
    example: "Unknown shit 600 (anon_inode:[io_uring])",
    cause: "a process uses io_uring, which CRIU cannot save",
    remedy: "have the program do without it (MariaDB: innodb_use_native_aio=0)",
  },
  {
    pattern: /Unknown shit \d+ \((.+)\)/,
    example: "Unknown shit 600 (anon_inode:[perf_event])",
    cause: "a process has mapped $1, which CRIU cannot save",
    remedy: "have the program do without it",
  },
  {
    pattern: /Can't dump file \d+ of that type \[\d+\] \((.+)\)/,
    example: "Can't dump file 5 of that type [20666] (chr 10:200)",
    cause: "a process has a file open of a kind that CRIU cannot save ($1)",
    remedy: "have the program close it",
  },
  {
    pattern:
      /is not a session leader\. Consider using --shell-job|A session leader of (?:zombie process )?\d+\(\d+\) is outside/,
    example: "A session leader of 7(7) is outside of its pid namespace",
    cause: "the session of a process began outside of the container",
    remedy: "checkpoint with --shell-job, and restore with it",
  },
  {
    pattern: /Found dangling tty with sid/,
    example: "tty: Found dangling tty with sid 7 pgid 7 (pts) on peer fd 0.",
    cause: "a process uses a terminal that is not the container's",
    remedy: "checkpoint with --shell-job, and restore with it",
  },
  {
    pattern: /Timeout reached\. Try to interrupt: (\d+)/,
    example: "Timeout reached. Try to interrupt: 4711",
    cause:
      "process $1 could not be stopped in time: it was just starting another, or waits for a disk",
    remedy: "try again",
  },
  {
    pattern: /Unable to freeze cgroup (\S+)/,
    example:
      "Unable to freeze cgroup /sys/fs/cgroup/freezer/c1 (100 x 100ms attempts, timeout: 10s)",
    cause: "the processes in $1 could not be frozen in time: one of them waits for a disk",
    remedy: "try again",
  },
  {
    pattern: /zombie (\d+) \(comm (.+)\) found while seizing/,
    example: "zombie 4711 (comm sh) found while seizing",
    cause: "process $1 ($2) is traced by somebody else, or has just ended",
    remedy: "end what traces it (a debugger, another checkpoint), and try again",
  },
  {
    pattern: /Can't bind \S+ server: (.+)/,
    example: "Can't bind page server: Address already in use",
    cause: "memory cannot be served on that port ($1)",
    remedy: "give another one with --page-server",
  },
  {
    pattern: /Can't connect to server (\S+)/,
    example: "Can't connect to server 192.0.2.7:1234",
    cause: "no criu page-server answers on $1",
    remedy: 'start "criu page-server" there, and see that the port is open',
  },
  {
    pattern: /Open files on overmounted mounts are not supported yet; mount=\d+ fd=(\d+) path=(.+)/,
    example: "Open files on overmounted mounts are not supported yet; mount=7 fd=3 path=/data/a",
    cause: "descriptor $1 of a process is $2, over which something has been mounted since",
    remedy: "close it, or unmount what lies over it",
  },
  {
    pattern: /(\S+) is a fuse mount but not external/,
    example: "/data is a fuse mount but not external",
    cause: "$1 is a FUSE file system that was mounted in the container",
    remedy: "mount it outside, and give it to the container as a bind mount in config.json",
  },
  {
    pattern: /Mount \d+ (\S+) \(master_id: .*has unreachable sharing/,
    example:
      "mnt: Mount 99 ./data (master_id: 7 shared_id: 0) has unreachable sharing. Try --enable-external-masters.",
    cause: "$1 is the slave of a mount outside of the container that config.json does not name",
    remedy: "give it to the container as a bind mount in config.json",
  },
  {
    pattern: /Can't dump nested (\S+) namespace for (\d+)/,
    example: "Can't dump nested net namespace for 4711",
    cause: "process $2 has made itself another $1 namespace",
    remedy: "containers in containers cannot be checkpointed: checkpoint the inner one from inside",
  },
  {
    pattern: /fsnotify: \s*Can't dump that handle/,
    example: "fsnotify: Can't dump that handle",
    cause: "a process watches a file by inotify(7) or fanotify(7) that CRIU cannot find by name",
    remedy: 'put "force-irmap" into CRIU\'s configuration (/etc/criu/runc.conf)',
  },
  {
    pattern: /GODEBUG=multipathtcp=0/,
    example: 'inet: For Go programs, consider using "GODEBUG=multipathtcp=0" to disable MPTCP',
    cause: "a Go program listens with Multipath TCP, which CRIU cannot save",
    remedy: "start it with GODEBUG=multipathtcp=0 in its environment",
  },
  {
    pattern: /Can't dump task (\d+) running in 32-bit mode/,
    example: "Can't dump task 4711 running in 32-bit mode",
    cause: "process $1 is a 32-bit program, which this CRIU cannot save",
    remedy: "use a CRIU with support for it",
  },
  {
    pattern: /page-pipe: splice: -1: Bad file descriptor/,
    example: "page-pipe: splice: -1: Bad file descriptor",
    cause: "this CRIU cannot hand over the memory it has kept (4.2.1 cannot)",
    remedy: "checkpoint without --lazy-pages; a restore with it takes memory from images too",
  },
  {
    pattern: /No space left on device/,
    example: "Can't write page: No space left on device",
    cause: "the file system of the image path, or of the work path, is full",
    remedy: "make room, or give another --image-path",
  },
  ...COMMON_RULES,
];
