import { expect, test } from "bun:test";
import { DUMP_RULES } from "../../../internal/criu/dump-rules.ts";
import { explain } from "../../../internal/criu/explain.ts";
import { silentReasons } from "../../../internal/criu/log.ts";

const E = (place: string, text: string) => `Error (criu/${place}): ${text}`;

// CRIU 4.2.1's own lines; then words the cause and the remedy must hold.
test.each<[string, string, string]>([
  [
    E("sk-inet.c:200", "inet: Connected TCP socket, consider using --tcp-established option."),
    "established TCP connection",
    "--tcp-established",
  ],
  [E("sk-inet.c:188", "inet: In-flight connection (l) for 1c8f"), "not been accepted", "try again"],
  [
    E(
      "file-lock.c:369",
      "Some file locks are hold by dumping tasks! You can try --file-locks to dump them.",
    ),
    "locked a file",
    "--file-locks",
  ],
  [
    E("files-reg.c:1122", "Can't create link remap for /tmp/my file. Use link-remap option."),
    "/tmp/my file was removed",
    "--link-remap",
  ],
  [
    E("files-reg.c:1031", "Can't dump ghost file /tmp/g of 3145728 size, increase limit"),
    "/tmp/g was removed while it is open, and with 3145728 bytes",
    "ghost-limit",
  ],
  [
    E("files-reg.c:1790", "Can't lookup mount=27 for fd=2 path=/tmp/run err"),
    "descriptor 2 of a process is /tmp/run err, a file outside",
    "/dev/null",
  ],
  [
    E("proc_parse.c:502", "Unknown shit 600 (anon_inode:[io_uring])"),
    "uses io_uring",
    "innodb_use_native_aio=0",
  ],
  [
    E("proc_parse.c:502", "Unknown shit 600 (anon_inode:[bpf])"),
    "mapped anon_inode:[bpf]",
    "without",
  ],
  [
    E("sk-unix.c:771", "unix: External socket is used. Consider using --ext-unix-sk option."),
    "outside of the container",
    "--ext-unix-sk",
  ],
  [
    E("cr-dump.c:1655", "Timeout reached. Try to interrupt: 4711"),
    "process 4711 could not be stopped in time",
    "try again",
  ],
  [
    E("util.c:642", 'execvp("iptables-restore", ...) failed: No such file or directory'),
    "iptables-restore, which is not on PATH",
    "install",
  ],
])("explain() knows %p of a dump", (line, cause, remedy) => {
  const known = explain([line], DUMP_RULES);
  expect(known?.cause).toContain(cause);
  expect(known?.remedy).toContain(remedy);
});

test("only a TCP connection is one that --tcp-skip-in-flight leaves out", () => {
  const line = E("sk-unix.c:590", "unix: In-flight connection on non-listening socket 7");
  expect(explain([line], DUMP_RULES)).toBeUndefined();
});

test("each rule explains its own example, and leaves no group open", () => {
  for (const { example, pattern } of DUMP_RULES) {
    const known = explain([example], DUMP_RULES);
    expect(example).toMatch(pattern);
    expect(`${known?.cause}${known?.remedy}`).not.toMatch(/\$\d|undefined/);
  }
});

test("a page server that does not answer is a reason though CRIU does not call it an error", () => {
  const log =
    "(00.057113) Connecting to server 127.0.0.1:9\n(00.057185) Can't connect to server 127.0.0.1:9\n";
  expect(explain(silentReasons(log), DUMP_RULES)?.cause).toContain("answers on 127.0.0.1:9");
});
