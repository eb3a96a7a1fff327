import { expect, test } from "bun:test";
import { explain } from "../../../internal/criu/explain.ts";
import { RULES } from "../../../internal/criu/rules.ts";

const E = (place: string, text: string) => `Error (criu/${place}): ${text}`;

// CRIU 4.2's own lines; then words the cause and the remedy must hold.
test.each<[string, string, string]>([
  [
    E("files-reg.c:2175", "File bin/busybox has bad size 1982258 (expect 1982256)"),
    "/bin/busybox has 1982258 bytes and had 1982256",
    "as it was at the checkpoint",
  ],
  [
    E("files-reg.c:2353", "Can't open file bin/busybox on restore: No such file or directory"),
    "/bin/busybox is missing from the root filesystem",
    "writable layer",
  ],
  [
    E("files-reg.c:2294", "File bin/busybox has bad mode 0100600 (expect 0100755)"),
    "/bin/busybox has mode 0100600 and had 0100755",
    "its old mode back",
  ],
  [
    E("mount.c:3141", "mnt: No mapping for 53:(null) mountpoint"),
    "an external mount that config.json does not",
    "config.json",
  ],
  [
    E(
      "mount-v2.c:634",
      "mnt-v2: Can't stat mountpoint /tmp/.criu.mntns.x/mnt-0000000068/proc: No such file or directory",
    ),
    "the mount point /proc does not exist",
    "make that directory",
  ],
  [
    E("sk-inet.c:912", "inet: Connected TCP socket in image"),
    "established TCP connection",
    "--tcp-established",
  ],
  [
    E("soccr.c:529", "Can't connect inet socket back: Network is unreachable"),
    "(Network is unreachable)",
    "configure the same address",
  ],
  [
    E("net.c:2942", "net: Unable to find an external netns: extRootNetNS"),
    "a network namespace with a path, and config.json gives none",
    "the path of the namespace to restore into",
  ],
  [
    E("cr-restore.c:1164", "Unable to find an external pidns: extRootPidNS"),
    "a pid namespace with a path, and config.json gives none",
    "the path of the namespace to restore into",
  ],
  [
    E("namespaces.c:1693", "Failed to setns when join-ns user:/run/u: Operation not permitted"),
    "cannot join a user namespace",
    "linux.uidMappings",
  ],
  [
    E("namespaces.c:1660", "Can't open ns file /proc/31442/ns/user: Permission denied"),
    "cannot join a user namespace",
    "linux.uidMappings",
  ],
  [
    E("lsm.c:406", "apparmor LSM specified but apparmor not supported by kernel"),
    "does not run apparmor",
    "leave --lsm-profile out",
  ],
  [
    E("lsm.c:397", "invalid argument bogus for --lsm-profile"),
    "bogus is no LSM profile",
    "apparmor:NAME",
  ],
  [E("image.c:94", "Need to set the --tcp-close options."), "made with --tcp-close", "tcp-close"],
  [
    E("image.c:198", "Missing required plugin: amdgpu_plugin"),
    "plugin amdgpu_plugin",
    "CRIU_LIBS_DIR",
  ],
  [
    E("util.c:642", 'execvp("tar", ...) failed: No such file or directory'),
    "the program tar",
    "install tar",
  ],
  [
    E("util.c:642", 'execvp("iptables-restore", ...) failed: No such file or directory'),
    "the program iptables-restore",
    "PATH",
  ],
  [
    E("image.c:554", "Head magic doesn't match for core-1.img"),
    "core-1.img is not the image it should be",
    "copy the checkpoint again",
  ],
  [E("image.c:89", "Not supported images version 9"), "image version 9", "CRIU at least as new"],
  [E("protobuf.c:72", "Unexpected EOF on (empty-image)"), "missing or empty", "--image-path"],
  [E("mount.c:390", "mnt: No root found for tree"), "mountpoints-*.img", "--image-path"],
  [
    "pie: Error (criu/pie/restorer.c:170): can't write lsm profile -2",
    "AppArmor or SELinux profile",
    "--lsm-profile",
  ],
  [
    E("lsm.c:300", "mismatched lsm types and lsm profile specified"),
    "AppArmor or SELinux profile",
    "--lsm-profile",
  ],
  [
    E("sk-unix.c:1912", "External socket found in image. Consider using the --ext-unix-sk option"),
    "unix socket",
    "--ext-unix-sk",
  ],
  [
    E("tty.c:410", "tty: Found slave peer index 3 without correspond master peer"),
    "terminal whose other end",
    "--shell-job",
  ],
  [
    E("cr-restore.c:1237", "Can't fork for 28171: File exists"),
    "pid 28171 is taken",
    "process that has pid 28171",
  ],
  [E("mount.c:753", "mnt: The --root option is required"), "root filesystem", "root.path"],
  [
    E("mount.c:2753", "mnt: New root and old root doesn't have a proper root mount"),
    "root filesystem",
    "root.path",
  ],
  [
    E("uffd.c:349", "uffd: connect to lazy-pages.socket failed: No such file or directory"),
    "the lazy-pages daemon",
    "thaw starts one",
  ],
  [
    E("cr-restore.c:1269", "7 killed by signal 9: Killed"),
    "process 7 was ended by signal 9",
    "memory.limit",
  ],
  [E("cr-restore.c:1269", "7 killed by signal 11"), "signal 11", "images"],
  [E("kerndat.c:1", "kerndat_tcp_repair failed when initializing kerndat"), "loopback", "lo up"],
])("explain() knows %p", (line, cause, remedy) => {
  const known = explain([line], RULES);
  expect(known?.line).toBe(line);
  expect(known?.cause).toContain(cause);
  expect(known?.remedy).toContain(remedy);
  expect(`${known?.cause}${known?.remedy}`).not.toMatch(/\$\d/);
});

test.each(RULES.map((rule) => [rule.example, rule] as const))(
  "a rule knows its own example %p",
  (line, rule) => {
    expect(RULES.find(({ pattern }) => pattern.test(line))).toBe(rule);
    const known = explain([line], RULES);
    expect(`${known?.cause} ${known?.remedy}`).not.toMatch(/\$\d|undefined|\(\)| {2}/);
  },
);

test("explain() takes the first line it knows, not the first line", () => {
  const size = E("files-reg.c:2175", "File a has bad size 1 (expect 2)");
  const lines = [E("x.c:1", "something else"), size, E("mount.c:390", "No root found for tree")];
  expect(explain(lines, RULES)?.line).toBe(size);
});

test("explain() has nothing to say of lines it does not know", () => {
  expect(explain([], RULES)).toBeUndefined();
  expect(explain(["Error (criu/x.c:1): brand new"], RULES)).toBeUndefined();
});

test("explain() puts what CRIU says into the text as it is", () => {
  const line = E("files-reg.c:2175", "File a$1$2 has bad size 1 (expect 2)");
  expect(explain([line], RULES)?.cause).toStartWith("/a$1$2 has 1 bytes");
});

test("explain() knows a file with a space in its name", () => {
  const line = E("files-reg.c:2175", "File var/log/my app.log has bad size 1 (expect 2)");
  expect(explain([line], RULES)?.cause).toStartWith("/var/log/my app.log has 1 bytes");
});
