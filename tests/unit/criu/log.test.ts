import { expect, test } from "bun:test";
import { statSync, unlinkSync, writeFileSync } from "node:fs";
import { quoteLog, readLog, realErrors, silentReasons } from "../../../internal/criu/log.ts";

const RLIMIT =
  "(00.376251) Error (criu/util.c:1534): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted";
const CGROUPD =
  "(00.500000)      1: Error (criu/cgroup.c:2055): cg: cgroupd: recv req error: No such file or directory";
const FAILED = "(00.500001) Error (criu/cr-restore.c:2331): Restoring FAILED.";
const SIZE =
  "(00.400000)      1: Error (criu/files-reg.c:2175): File bin/busybox has bad size 1982258 (expect 1982256)";
const PIE = "(00.410000) pie: 1: Error (criu/pie/restorer.c:170): can't write lsm profile -2";

const log = (...lines: string[]) => `${lines.join("\n")}\n`;

test("realErrors() passes over the errors of a healthy restore and the closing one", () => {
  expect(realErrors(log("(00.000055) Version: 4.2.1 (gitid 0)", RLIMIT, CGROUPD, FAILED))).toEqual(
    [],
  );
});

test("realErrors() gives the reasons in order, without time stamps and pids", () => {
  expect(realErrors(log(RLIMIT, SIZE, PIE, CGROUPD, FAILED))).toEqual([
    "Error (criu/files-reg.c:2175): File bin/busybox has bad size 1982258 (expect 1982256)",
    "pie: Error (criu/pie/restorer.c:170): can't write lsm profile -2",
  ]);
});

test("realErrors() is not taken in by words that look alike", () => {
  expect(realErrors(log("(00.1) Errors: 0", "(00.2) Warn  (criu/x.c:1): no Error here"))).toEqual(
    [],
  );
  expect(realErrors("")).toEqual([]);
});

test("silentReasons() gives CRIU's notes of a tmpfs without contents, and no other", () => {
  const note = "(00.397188)      1: No tmpfs-dev-62.tar.gz.img image";
  expect(silentReasons(log("(00.1) No cpuinfo.img image", note, FAILED))).toEqual([
    "No tmpfs-dev-62.tar.gz.img image",
  ]);
});

test("quoteLog() quotes each line with Error and the five before it, as runc does", () => {
  const lines = Array.from({ length: 30 }, (_, i) => `line ${i + 1}`);
  lines[7] = "Error eight";
  lines[10] = "Error eleven";
  lines[24] = "Error twenty-five";
  expect(quoteLog('/w "x"/restore.log', log(...lines))).toEqual([
    '--- Quoting "/w \\"x\\"/restore.log"',
    "3:line 3",
    "4:line 4",
    "5:line 5",
    "6:line 6",
    "7:line 7",
    "8:Error eight",
    "9:line 9",
    "10:line 10",
    "11:Error eleven",
    "...",
    "20:line 20",
    "21:line 21",
    "22:line 22",
    "23:line 23",
    "24:line 24",
    "25:Error twenty-five",
    "---",
  ]);
});

test("quoteLog() leaves empty lines out, and quotes nothing where there is no error", () => {
  expect(quoteLog("/l", log("a", "", "Error b"))).toEqual([
    '--- Quoting "/l"',
    "1:a",
    "3:Error b",
    "---",
  ]);
  expect(quoteLog("/l", log("a", "b"))).toEqual([]);
  expect(quoteLog("/l", "")).toEqual([]);
});

test("readLog() reads the log of this run", () => {
  const path = `/tmp/thaw-restore-${process.pid}.log`;
  writeFileSync(path, "text");
  const written = statSync(path).mtimeMs;
  expect(readLog(path, written)).toBe("text");
  expect(() => readLog(path, written + 1)).toThrow(`criu wrote nothing to ${path}`);
  unlinkSync(path);
});

test("readLog() names the log that is missing", () => {
  expect(() => readLog("/nonexistent/restore.log", 0)).toThrow(
    "open /nonexistent/restore.log: no such file or directory",
  );
});
