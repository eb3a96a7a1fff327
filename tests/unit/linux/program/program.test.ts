import { expect, test } from "bun:test";
import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { libc } from "../../../../internal/linux/libc.ts";
import {
  AARCH64,
  assembled,
  type Instruction,
  X86_64,
} from "../../../../internal/linux/program/code.ts";
import { layOut } from "../../../../internal/linux/program/image.ts";
import { type Label, Program } from "../../../../internal/linux/program/program.ts";
import { startImage } from "../../../../internal/linux/program/start.ts";
import { packetPair, receivePacket } from "../../../../internal/linux/socket.ts";

/** Runs a program with a socket as descriptor 3, and returns its status and what it sent. */
function run(program: Program) {
  const [ours, theirs] = packetPair();
  const image = layOut(program);
  const child = startImage("test", image.bytes, [0, 1, 2, theirs.fd]);
  theirs.close();
  const { code } = child.reap();
  const packet = receivePacket(ours.fd);
  ours.close();
  return { code, sent: packet === null ? undefined : Buffer.from(packet.bytes), image };
}

const exit = (program: Program, code: number) => program.call("exit_group", [code]);

/** Ends with 99 when a call fails, having sent the record. */
function finish(program: Program): void {
  program.place(program.failed);
  const end = program.label();
  program.call("write", [3, program.record, 16], { failure: end });
  program.place(end);
  exit(program, 99);
}

test("a program works its calls off, in order, and ends with its status", () => {
  const program = new Program();
  const text = program.text("hello");
  program.call("write", [3, text, 5]);
  exit(program, 7);
  finish(program);
  const { code, sent } = run(program);
  expect([code, sent?.toString()]).toEqual([7, "hello"]);
});

test("a result is an argument of a later call, or stays in memory", () => {
  const program = new Program();
  const [fd, length] = [program.result(), program.result()];
  const buffer = program.put(new Uint8Array(100));
  program.call("openat", [-100, program.text("/proc/self/comm"), 0], { into: fd });
  program.call("read", [fd, buffer, 100], { into: length });
  program.call("write", [3, buffer, length]);
  exit(program, 0);
  finish(program);
  expect(run(program).sent?.toString()).toMatch(/^\d+\n$/); // the memfd's number is its name
});

/** A program that goes four ways by the result of a call, and exits with the way's number. */
function fourWays(name: string, words: readonly number[]): number {
  const program = new Program();
  const ways = [1, 2, 3, 4].map(() => program.label()) as [Label, Label, Label, Label];
  const [zero, positive, except, failure] = ways;
  program.call(name, words, { zero, positive, except: [9, except], failure }); // EBADF
  ways.forEach((way, i) => {
    program.place(way);
    exit(program, i + 1);
  });
  finish(program);
  return run(program).code;
}

test("what follows depends on the result: zero, positive, one error, any other", () => {
  expect(fourWays("close", [3])).toBe(1);
  expect(fourWays("getpid", [])).toBe(2);
  expect(fourWays("close", [77])).toBe(3);
  expect(fourWays("fchdir", [2 ** 20])).toBe(3);
  expect(fourWays("chdir", [1])).toBe(4); // EFAULT
});

test("a failed call is told by its index, its errno and what it was for", () => {
  const program = new Program();
  program.doing("first");
  program.call("getpid", []);
  program.doing("second");
  program.call("chdir", [program.text("/nonexistent")]);
  exit(program, 0);
  finish(program);
  const { code, sent, image } = run(program);
  const words = new BigUint64Array(new Uint8Array(sent ?? []).buffer);
  const index = image.indexOf(Number(words[0]));
  expect([code, index, program.doingOf(index), words[1]]).toEqual([99, 1, "second", 2n]);
});

test("compare() tells a byte, jump() goes elsewhere, fail() is a failure", () => {
  for (const [byte, expected] of [
    [65, 1],
    [64, 2],
    [66, 3],
  ] as const) {
    const program = new Program();
    const [same, larger, smaller] = [program.label(), program.label(), program.label()];
    const place = program.put(new Uint8Array([65]));
    program.compare(place, byte, { zero: same, positive: larger, failure: smaller });
    for (const [i, label] of [same, larger, smaller].entries()) {
      program.place(label);
      exit(program, i + 1);
    }
    finish(program);
    expect(run(program).code).toBe(expected);
  }
  const program = new Program();
  const over = program.label();
  program.jump(over);
  exit(program, 1);
  program.place(over);
  program.fail();
  exit(program, 2);
  finish(program);
  expect(run(program).code).toBe(99);
});

test("mistakes in writing a program are found before it runs", () => {
  const unplaced = new Program();
  exit(unplaced, 0);
  expect(() => layOut(unplaced)).toThrow("a label stands before no call");
  expect(() => new Program().call("frobnicate", [])).toThrow("frobnicate is no system call");
  expect(() => new Program().text("a\0b")).toThrow("contains a NUL byte");
  const twice = new Program();
  const result = twice.result();
  twice.call("close", [result]);
  twice.call("close", [result]);
  finish(twice);
  expect(() => layOut(twice)).toThrow("the argument of one call only");
});

test("however many descriptors a program gets, its own file is none of them", () => {
  const program = new Program();
  exit(program, 5);
  finish(program);
  const fds = Array.from({ length: 100 }, () => 0);
  expect(startImage("test", layOut(program).bytes, fds).reap().code).toBe(5);
});

test("nobody can write to the file of a running program", () => {
  const program = new Program();
  program.call("read", [3, program.put(new Uint8Array(1)), 1]);
  exit(program, 0);
  finish(program);
  const [ours, theirs] = packetPair();
  const child = startImage("test", layOut(program).bytes, [0, 1, 2, theirs.fd]);
  theirs.close();
  expect(() => writeFileSync(`/proc/${child.pid}/exe`, "x")).toThrow();
  const fd = openSync(`/proc/${child.pid}/exe`, "r");
  expect(libc.fcntl(fd, 1034, 0)).toBe(0xf); // F_GET_SEALS: all of them, also once it has ended
  closeSync(fd);
  expect(readFileSync(`/proc/${child.pid}/exe`).subarray(0, 4).toString("latin1")).toBe("\x7fELF");
  ours.close();
  child.reap();
});

/** What objdump says of bytes; undefined when it does not know the machine. */
function disassembled(tool: string, machine: readonly string[], code: readonly Instruction[]) {
  const file = `/tmp/thaw-code-${process.pid}`;
  writeFileSync(file, assembled(code));
  const argv = [tool, "-D", "-b", "binary", ...machine, file];
  const { stdout, exitCode } = Bun.spawnSync(argv, { stderr: "ignore" });
  unlinkSync(file);
  if (exitCode !== 0) return undefined;
  return [...stdout.toString().matchAll(/^ +[0-9a-f]+:\t([0-9a-f ]+?) *\t(.*)$/gm)].map(
    ([, , text = ""]) =>
      text
        .replace(/\s*(\/\/|<).*$/, "")
        .replaceAll(/\s+/g, " ")
        .trim(),
  );
}

const texts = (code: readonly Instruction[]) => code.map(([, text]) => text);

test.skipIf(Bun.which("objdump") === null)(
  "the bytes for x86-64 are the instructions beside them",
  () => {
    const found = disassembled("objdump", ["-m", "i386:x86-64", "-M", "intel"], X86_64);
    expect(found).toEqual(texts(X86_64));
  },
);

const ARM_OBJDUMP = process.env["AARCH64_OBJDUMP"] ?? "aarch64-linux-gnu-objdump";

test.skipIf(Bun.which(ARM_OBJDUMP) === null)("the bytes for AArch64 are, too", () => {
  const found = disassembled(ARM_OBJDUMP, ["-m", "aarch64"], AARCH64);
  expect(found).toEqual(texts(AARCH64));
});

const QEMU = process.env["QEMU_AARCH64"] ?? "qemu-aarch64-static";

test.skipIf(Bun.which(QEMU) === null)("a program for AArch64 goes the same ways", () => {
  const program = new Program("aarch64");
  const [fd, opened, bad, ended] = [
    program.result(),
    program.label(),
    program.label(),
    program.label(),
  ];
  const buffer = program.put(new Uint8Array(5));
  program.call("openat", [-100, program.text("/proc/self/exe"), 0], { into: fd, positive: opened });
  program.place(opened);
  program.call("read", [fd, buffer, 4]);
  program.call("close", [77], { except: [9, bad] });
  program.fail();
  program.place(bad);
  program.compare(buffer, 0x7f, { zero: ended });
  program.fail();
  program.place(ended);
  program.call("write", [1, program.text("works"), 5]);
  program.call("chdir", [program.text("/nonexistent")]);
  program.place(program.failed);
  program.call("write", [1, program.record, 16]);
  exit(program, 42);
  const file = `/tmp/thaw-arm-${process.pid}`;
  writeFileSync(file, layOut(program).bytes);
  chmodSync(file, 0o755);
  const { stdout, exitCode } = Bun.spawnSync([QEMU, file]);
  unlinkSync(file);
  expect(exitCode).toBe(42);
  expect(stdout.subarray(0, 5).toString()).toBe("works");
  expect(stdout.readBigUInt64LE(13)).toBe(2n);
  expect(existsSync(file)).toBe(false);
});
