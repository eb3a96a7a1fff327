import { expect, test } from "bun:test";
import { parseFlags } from "../../../cmd/flags.ts";
import { globalFlags, readGlobals, refuseRootless } from "../../../cmd/globals.ts";

const globals = (...lines: string[]) =>
  readGlobals(lines.map((line) => parseFlags(line.split(" "), globalFlags, true)));

test("readGlobals() has runc's defaults", () => {
  const { debug, log, systemdCgroup } = readGlobals([]);
  expect({ debug, log, systemdCgroup }).toEqual({
    debug: false,
    log: { path: undefined, format: "text", debug: false },
    systemdCgroup: false,
  });
});

test.skipIf(process.geteuid?.() !== 0)("readGlobals() puts root's state under /run/runc", () => {
  expect(readGlobals([]).root).toBe("/run/runc");
});

test("readGlobals() makes --root absolute and clean", () => {
  expect(globals("--root /a/./b//c/../d/").root).toBe("/a/b/d");
  expect(globals("--root r").root).toBe(`${process.cwd()}/r`);
});

test("readGlobals() lets what stands after the command win", () => {
  const { root, debug } = globals("--root /a --debug", "--root /b --debug=false");
  expect({ root, debug }).toEqual({ root: "/b", debug: false });
});

test.each(["--root /", "--root //", "--root /a/.."])("readGlobals() refuses %p", (line) => {
  expect(() => globals(line)).toThrow("Option --root argument should not be set to /");
});

test.each(["text", "json"] as const)("readGlobals() takes the log format %p", (format) => {
  expect(globals(`--log /l --log-format ${format} --debug`).log).toEqual({
    path: "/l",
    format,
    debug: true,
  });
});

test("readGlobals() takes an empty format and an empty log as not given", () => {
  expect(globals("--log= --log-format=").log).toEqual({
    path: undefined,
    format: "text",
    debug: false,
  });
});

test("readGlobals() refuses an unknown log format in runc's words", () => {
  expect(() => globals("--log-format xml")).toThrow("invalid log-format: xml");
});

test.each(["auto", "true", "0", ""])("refuseRootless() takes --rootless=%s", (mode) => {
  expect(() => refuseRootless(globals(`--rootless=${mode}`))).not.toThrow();
});

test("refuseRootless() refuses another --rootless in Go's words", () => {
  const message = 'strconv.ParseBool: parsing "maybe": invalid syntax';
  expect(() => refuseRootless(globals("--rootless maybe"))).toThrow(message);
});
