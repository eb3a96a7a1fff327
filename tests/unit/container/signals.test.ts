import { expect, test } from "bun:test";
import { parseSignal } from "../../../internal/container/signals.ts";

test.each([
  ["", 15],
  ["KILL", 9],
  ["sigkill", 9],
  ["SigUsr1", 10],
  ["SYS", 31],
  ["9", 9],
  ["+10", 10],
  ["0", 0],
  ["-1", -1],
  ["64", 64],
  ["4294967305", 0x7fffffff],
] as const)("%p is signal %d", (text, number) => {
  expect(parseSignal(text)).toBe(number);
});

test.each(["bogus", "SIG", "SIGSIGHUP", "RTMIN", "IOT", "0x9", "1.5", "9 ", "9".repeat(20)])(
  "%p is none",
  (text) => {
    expect(() => parseSignal(text)).toThrow(`unknown signal ${JSON.stringify(text)}`);
  },
);
