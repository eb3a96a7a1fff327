import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { writePidFile } from "../../../internal/state/pid-file.ts";

test("writePidFile() writes the pid without a newline, over an older file", () => {
  const directory = mkdtempSync("/tmp/thaw-pid-");
  const path = join(directory, "init.pid");
  for (const pid of [123456, 7]) {
    writePidFile(path, pid);
    expect(readFileSync(path, "utf8")).toBe(String(pid));
  }
  expect(readdirSync(directory)).toEqual(["init.pid"]);
  unlinkSync(path);
  rmdirSync(directory);
});

test("writePidFile() leaves nothing half-written when it cannot rename", () => {
  const directory = mkdtempSync("/tmp/thaw-pid-");
  expect(() => writePidFile(directory, 7)).toThrow(/^open .*: (is a directory|file exists)$/);
  expect(readdirSync(directory)).toEqual([]);
  const strays = readdirSync("/tmp").filter((name) => name.startsWith(`.${directory.slice(5)}`));
  expect(strays).toEqual([]);
  rmdirSync(directory);
});

test("writePidFile() names the directory that is missing", () => {
  expect(() => writePidFile("/nonexistent/p", 7)).toThrow(
    /^open \/nonexistent\/\.p.*: no such file or directory$/,
  );
});
