import { expect, test } from "bun:test";
import {
  describe,
  findCause,
  InterruptedError,
  ThawError,
} from "../../../internal/errors/errors.ts";

test("describe() joins an error with its causes, outermost first", () => {
  const inner = new ThawError("open /x: no such file or directory");
  const middle = new Error("read the image", { cause: inner });
  expect(describe(new ThawError("restore c1", { cause: middle }))).toBe(
    "restore c1: read the image: open /x: no such file or directory",
  );
});

test("describe() tells what failed first before the clean-up that failed after it", () => {
  const criu = new ThawError("restore c1", { cause: new Error("criu failed") });
  const both = new SuppressedError(new Error("unmount /b: busy"), criu);
  expect(describe(both)).toBe("restore c1: criu failed; then, cleaning up: unmount /b: busy");
});

test("describe() tells the errors of a stack in the order in which they came", () => {
  const fail = (message: string) => () => {
    throw new Error(message);
  };
  let caught: unknown;
  try {
    using stack = new DisposableStack();
    stack.defer(fail("third"));
    stack.defer(fail("second"));
    fail("first")();
  } catch (error) {
    caught = error;
  }
  expect(describe(caught)).toBe("first; then, cleaning up: second; then, cleaning up: third");
});

test("describe() keeps the order when two clean-ups failed and nothing before them", () => {
  const nested = new SuppressedError(new Error("c1"), new Error("c2"));
  expect(describe(new SuppressedError(nested, new Error("body")))).toBe(
    "body; then, cleaning up: c2; then, cleaning up: c1",
  );
});

test("describe() puts the hints after the message, innermost first", () => {
  const inner = new ThawError("criu failed", { hint: "read the log" });
  expect(describe(new ThawError("restore c1", { cause: inner, hint: "try again" }))).toBe(
    "restore c1: criu failed; read the log; try again",
  );
});

test("describe() gives one line whatever the messages hold", () => {
  const hook = new ThawError("exit status 3, stdout: , stderr: one\n  two\r\n\n");
  expect(describe(new ThawError("prestart hook #0", { cause: hook }))).toBe(
    "prestart hook #0: exit status 3, stdout: , stderr: one two",
  );
});

test("describe() takes anything that can be thrown", () => {
  expect(["text", 7, null, undefined].map(describe)).toEqual(["text", "7", "null", "undefined"]);
  expect(describe(new ThawError("a", { cause: "b" }))).toBe("a: b");
  expect(describe(new ThawError("a", { cause: null }))).toBe("a: null");
});

test("InterruptedError says what was interrupted and by which signal", () => {
  const error = new InterruptedError("SIGTERM", "restore c1");
  expect(describe(error)).toBe("restore c1: interrupted by SIGTERM");
  expect([error.name, error.signal]).toEqual(["InterruptedError", "SIGTERM"]);
});

test("findCause() looks through causes and behind clean-up errors", () => {
  const interrupted = new InterruptedError("SIGINT", "wait");
  const wrapped = new ThawError("restore c1", { cause: new Error("talk", { cause: interrupted }) });
  const both = new SuppressedError(new Error("rmdir"), wrapped);
  expect(findCause(both, InterruptedError)).toBe(interrupted);
  expect(findCause(new Error("x"), InterruptedError)).toBeUndefined();
  expect(findCause("text", InterruptedError)).toBeUndefined();
});
