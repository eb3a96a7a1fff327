import { expect, test } from "bun:test";
import { nearest } from "../../../internal/container/nearest.ts";

const NAMES = ["database", "database2", "web", "0123456789abcdef", "0123ffff"];

test.each([
  ["databse", ["database", "database2"]],
  ["datab", ["database", "database2"]],
  ["wbe", []],
  ["wed", ["web"]],
  ["0123", ["0123456789abcdef", "0123ffff"]],
  ["nothing", []],
] as const)("%p may have meant %p", (wrong, meant) => {
  expect(nearest(wrong, NAMES)).toEqual([...meant]);
});

test("at most three are named", () => {
  expect(nearest("c", ["c1", "c2", "c3", "c4"])).toEqual(["c1", "c2", "c3"]);
});

test("nothing is like a name of two letters", () => {
  expect(nearest("xx", ["xy", "x"])).toEqual([]);
});
