import { CString, type Pointer, read } from "bun:ffi";
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import os from "node:os";
import * as libcModule from "../../../internal/linux/libc.ts";
import {
  check,
  cstring,
  cstringArray,
  hasErrno,
  libc,
  memory,
  SyscallError,
  strerror,
  wrapFs,
} from "../../../internal/linux/libc.ts";

test.each([
  [1, "operation not permitted"],
  [2, "no such file or directory"],
  [3, "no such process"],
  [13, "permission denied"],
  [16, "device or resource busy"],
  [17, "file exists"],
  [20, "not a directory"],
  [21, "is a directory"],
  [22, "invalid argument"],
  [28, "no space left on device"],
  [36, "file name too long"],
  [40, "too many levels of symbolic links"],
  [74, "bad message"],
  [104, "connection reset by peer"],
])("strerror(%d) has Go's words", (errno, text) => {
  expect(strerror(errno)).toBe(text);
});

test("check() names the call and gives the reason as Go words it", () => {
  const change = () => check(libc.chdir(cstring("/nonexistent")), "chdir /nonexistent");
  expect(change).toThrow("chdir /nonexistent: no such file or directory");
});

test("check() passes a result on", () => {
  expect(check(0, "x")).toBe(0);
  expect(check(7, "x")).toBe(7);
});

test("check() keeps each errno apart over many calls", () => {
  for (let i = 0; i < 2000; i++) {
    expect(errnoOf(() => check(libc.close(-1), "close"))).toBe(9);
    expect(errnoOf(() => check(libc.chdir(cstring("/nonexistent")), "chdir"))).toBe(2);
  }
});

function errnoOf(action: () => unknown): number | undefined {
  try {
    action();
  } catch (error) {
    if (error instanceof SyscallError) return error.errno;
  }
  return undefined;
}

test("wrapFs() rewords an error of node:fs as runc words it", () => {
  expect(() => wrapFs("open /nonexistent", () => readFileSync("/nonexistent"))).toThrow(
    expect.objectContaining({
      name: "SyscallError",
      errno: 2,
      message: "open /nonexistent: no such file or directory",
    }) as never,
  );
  expect(wrapFs("x", () => 7)).toBe(7);
});

test("wrapFs() passes an error on that is none of the kernel's", () => {
  const own = new RangeError("mine");
  const action = () => {
    throw own;
  };
  expect(() => wrapFs("x", action)).toThrow(own);
});

test("hasErrno() knows the errors of libc and of node:fs", () => {
  expect(hasErrno(new SyscallError("x", 2), 2)).toBe(true);
  expect(hasErrno(Object.assign(new Error(), { errno: -2 }), 2)).toBe(true);
  expect(hasErrno(new Error(), 2)).toBe(false);
});

test("cstring() refuses a NUL, which would cut a path short", () => {
  expect(() => cstring("/etc\0/passwd")).toThrow('"/etc\\u0000/passwd" contains a NUL byte');
  expect([...cstring("é")]).toEqual([0xc3, 0xa9, 0]);
  expect([...cstring("")]).toEqual([0]);
});

test("cstringArray() ends with NULL and points at its strings", () => {
  const { bytes, view, owned } = cstringArray(["one", "", "three"]);
  expect(bytes.length).toBe(32);
  const at = (i: number) => Number(view.getBigUint64(8 * i, true)) as Pointer;
  expect([0, 1, 2].map((i) => String(new CString(at(i))))).toEqual(["one", "", "three"]);
  expect(at(3)).toBe(0 as Pointer);
  expect(read.u8(at(0), 3)).toBe(0);
  expect(owned.length).toBe(3);
  expect(() => cstringArray(["a\0b"])).toThrow("NUL");
});

test("memory() is zeroed, and its two views are the same bytes", () => {
  const { bytes, view } = memory(16);
  expect([...bytes]).toEqual(Array(16).fill(0));
  view.setUint32(4, 0x01020304, true);
  expect([...bytes.subarray(4, 8)]).toEqual([4, 3, 2, 1]);
});

test("errno constants are the kernel's (asm-generic/errno-base.h)", () => {
  const { constants } = os;
  const names = ["ENOENT", "EINTR", "EAGAIN", "EEXIST", "ENOTDIR", "EINVAL", "EBUSY", "ESRCH"];
  for (const name of [...names, "ECHILD", "ELOOP"] as const) {
    const known = (constants.errno as Record<string, number>)[name] as number;
    const ours = (libcModule as unknown as Record<string, number | undefined>)[name];
    if (ours !== undefined) expect([name, ours]).toEqual([name, known]);
  }
});
