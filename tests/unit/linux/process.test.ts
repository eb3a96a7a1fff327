import { expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";
import { pipe } from "../../../internal/linux/fd.ts";
import { exitStatus, lookPath, spawn, startTime } from "../../../internal/linux/process.ts";
import { POLLIN, poll } from "../../../internal/linux/signal.ts";

/** Sets environment variables until disposed; undefined removes one. */
function environment(values: Record<string, string | undefined>): Disposable {
  const before = Object.keys(values).map((name) => [name, process.env[name]] as const);
  const set = (name: string, value: string | undefined) => {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  };
  for (const [name, value] of Object.entries(values)) set(name, value);
  return {
    [Symbol.dispose]: () => {
      for (const [name, value] of before) set(name, value);
    },
  };
}

function directory(): Disposable & { path: string } {
  const path = mkdtempSync("/tmp/thaw-process-");
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

/** A file of its own in a directory; executable or not. */
function program(file: string, mode = 0o755): string {
  writeFileSync(file, "#!/bin/sh\n");
  chmodSync(file, mode);
  return file;
}

const sh = (script: string, fds: readonly number[] = [0, 1, 2], env: string[] = []) =>
  spawn({ file: "/bin/sh", argv: ["sh", "-c", script], env, fds });

test.each([
  [0x0000, 0, "exit status 0"],
  [0x0700, 7, "exit status 7"],
  [0xff00, 255, "exit status 255"],
  [0x0001, 129, "signal: hangup"],
  [0x0002, 130, "signal: interrupt"],
  [0x0006, 134, "signal: aborted"],
  [0x0009, 137, "signal: killed"],
  [0x000b, 139, "signal: segmentation fault"],
  [0x000f, 143, "signal: terminated"],
])("exitStatus(0x%x) is %d, in Go's words", (raw, code, text) => {
  expect(exitStatus(raw)).toEqual({ code, text });
});

test("exitStatus() has the shell's code also for a core dump and a signal without a name", () => {
  expect(exitStatus(0x8b).code).toBe(139);
  expect(exitStatus(34).code).toBe(162);
});

test("spawn() runs a program with the arguments, environment and descriptors it is given", () => {
  const output = pipe();
  const child = sh(
    'echo "$0 $A"; ls /proc/self/fd | wc -l; exit 7',
    [0, output.write.fd, 2],
    ["A=b c", "PATH=/usr/bin:/bin"],
  );
  output.write.close();
  expect(child.reap()).toEqual({ code: 7, text: "exit status 7" });
  const buffer = Buffer.alloc(100);
  const length = readSync(output.read.fd, buffer);
  output.read.close();
  // 0, 1, 2 and the directory that ls reads: nothing else leaks.
  expect(buffer.subarray(0, length).toString()).toBe("sh b c\n4\n");
});

test("spawn() gives the child the signals back that Bun ignores", () => {
  const output = pipe();
  const script = "cat /proc/self/status";
  const child = sh(script, [0, output.write.fd, 2], ["PATH=/usr/bin:/bin"]);
  output.write.close();
  child.reap();
  const buffer = Buffer.alloc(8192);
  const text = buffer.subarray(0, readSync(output.read.fd, buffer)).toString();
  output.read.close();
  const ignored = BigInt(`0x${/^SigIgn:\s*(\w+)/m.exec(text)?.[1]}`);
  const byBun = (1n << 12n) | (1n << 24n); // SIGPIPE, SIGXFSZ
  expect(ignored & byBun).toBe(0n);
  expect(BigInt(`0x${/^SigBlk:\s*(\w+)/m.exec(text)?.[1]}`)).toBe(0n);
});

test("spawn() says which file it could not run", () => {
  const start = (file: string) => () => spawn({ file, argv: [file], env: [], fds: [0, 1, 2] });
  expect(start("/nonexistent/x")).toThrow("exec /nonexistent/x: no such file or directory");
  expect(start("/etc/passwd")).toThrow("exec /etc/passwd: permission denied");
});

test("a child is killed and reaped once, and its pidfd is readable when it has ended", async () => {
  const child = sh("exec sleep 100", [0, 1, 2], ["PATH=/usr/bin:/bin"]);
  expect(child.status).toBeUndefined();
  expect(await child.wait({ doing: "test", timeout: 30 })).toBeUndefined();
  child.kill();
  expect(child.status).toEqual({ code: 137, text: "signal: killed" });
  child.kill();
  expect(await child.wait({ doing: "test" })).toEqual({ code: 137, text: "signal: killed" });
  expect(existsSync(`/proc/${child.pid}`)).toBe(false);
});

test("wait() gives the status of a child that ends meanwhile", async () => {
  const child = sh("sleep 0.05; exit 3", [0, 1, 2], ["PATH=/usr/bin:/bin"]);
  expect(await child.wait({ doing: "test" })).toEqual({ code: 3, text: "exit status 3" });
});

test("startTime() is field 22 of /proc/PID/stat, and grows from parent to child", () => {
  const stat = readFileSync("/proc/self/stat", "utf8").split(") ")[1]?.split(" ");
  expect(startTime(process.pid)).toBe(Number(stat?.[19]));
  const child = sh("exec sleep 100", [0, 1, 2], ["PATH=/usr/bin:/bin"]);
  expect(startTime(child.pid)).toBeGreaterThanOrEqual(startTime(process.pid) as number);
  child.kill();
});

test("startTime() is not taken in by a name with parentheses and spaces", () => {
  using home = directory();
  const file = join(home.path, "x) Z 1 (y");
  copyFileSync("/bin/sleep", file);
  chmodSync(file, 0o755);
  const child = spawn({ file, argv: ["sleep", "100"], env: [], fds: [0, 1, 2] });
  expect(readFileSync(`/proc/${child.pid}/stat`, "utf8")).toContain("(x) Z 1 (y)");
  const start = startTime(child.pid);
  child.kill();
  const now = startTime(process.pid) as number;
  expect(start).toBeGreaterThanOrEqual(now);
  expect(start).toBeLessThan(now + 100 * 3600 * 24);
});

test("startTime() has nothing for a zombie and for no process", () => {
  const child = sh("exit 0");
  poll([{ fd: child.pidfd, events: POLLIN }], 5000);
  expect(existsSync(`/proc/${child.pid}`)).toBe(true);
  expect(startTime(child.pid)).toBeUndefined();
  child.reap();
  expect(startTime(child.pid)).toBeUndefined();
  expect(startTime(0x7fffffff)).toBeUndefined();
});

test("lookPath() takes the first executable file on PATH", () => {
  using home = directory();
  const [a, b, c] = ["a", "b", "c"].map((name) => join(home.path, name)) as [
    string,
    string,
    string,
  ];
  for (const path of [a, b, c]) mkdirSync(path);
  mkdirSync(join(a, "criu"));
  const found = program(join(b, "criu"));
  program(join(c, "criu"));
  using _ = environment({ PATH: `/nonexistent:${a}:${b}:${c}` });
  expect(lookPath("criu")).toBe(found);
});

test("lookPath() passes over a file nobody may run", () => {
  using home = directory();
  program(join(home.path, "criu"), 0o644);
  using _ = environment({ PATH: home.path });
  expect(() => lookPath("criu")).toThrow('exec: "criu": executable file not found in $PATH');
});

test("lookPath() never looks in the working directory or another relative one", () => {
  using home = directory();
  program(join(home.path, "criu"));
  const away = relative(process.cwd(), home.path);
  for (const path of ["", ".", ":", away, `./${away}`, `${away}:.:`]) {
    using _ = environment({ PATH: path });
    expect(() => lookPath("criu")).toThrow("executable file not found in $PATH");
  }
});

test("lookPath() looks in the usual directories when there is no PATH", () => {
  using _ = environment({ PATH: undefined });
  expect(lookPath("sh")).toMatch(/^\/(usr\/)?bin\/sh$/);
});

test("childEnvironment() passes every byte on but Bun's own variables", () => {
  const file = join(import.meta.dir, "../../../internal/linux/process.ts");
  const program = `import { childEnvironment } from ${JSON.stringify(file)};
    console.log(childEnvironment().map((entry) => entry.toString("hex")).join(" "));`;
  const shell = 'THAW_TEST=$(printf \'a\\377=b\') BUN_X=1 XBUN_=1 exec "$0" -e "$1"';
  const { stdout } = Bun.spawnSync(["sh", "-c", shell, process.execPath, program]);
  const entries = stdout.toString().trim().split(" ");
  expect(entries).toContain(Buffer.from("THAW_TEST=a\xff=b", "latin1").toString("hex"));
  expect(entries).toContain(Buffer.from("XBUN_=1").toString("hex"));
  const names = entries.map((entry) => Buffer.from(entry, "hex").toString());
  expect(names.filter((name) => name.startsWith("BUN_"))).toEqual([]);
});
