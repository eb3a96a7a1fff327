import { expect, test } from "bun:test";
import {
  fstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  unlinkSync,
} from "node:fs";
import { join } from "node:path";
import { format, goJson, goQuote, openLog, rfc3339 } from "../../../internal/log/log.ts";

const NOON = new Date("2026-11-24T13:17:14.987Z");
// The two lines below depend on the zone of the machine only in their time.
const time = rfc3339(NOON);

/** rfc3339() in another zone: a process of its own, since the zone is the process's. */
function inZone(zone: string, date: string): string {
  const code = `import { rfc3339 } from "${import.meta.dir}/../../../internal/log/log.ts";
    process.stdout.write(rfc3339(new Date("${date}")));`;
  const { stdout } = Bun.spawnSync([process.execPath, "-e", code], {
    env: { PATH: process.env["PATH"], TZ: zone },
  });
  return stdout.toString();
}

test.each([
  ["UTC", "2026-11-24T13:17:14Z"],
  ["Asia/Tokyo", "2026-11-24T22:17:14+09:00"],
  ["America/St_Johns", "2026-11-24T09:47:14-03:30"],
  ["Asia/Kathmandu", "2026-11-24T19:02:14+05:45"],
])("rfc3339() writes the local time of %s as Go does", (zone, text) => {
  expect(inZone(zone, "2026-11-24T13:17:14.987Z")).toBe(text);
});

test("rfc3339() follows daylight saving time", () => {
  expect(inZone("Europe/Berlin", "2026-07-01T12:00:00Z")).toBe("2026-07-01T14:00:00+02:00");
});

test("format() writes the text line of logrus", () => {
  const message = "chdir /nonexistent: no such file or directory";
  expect(format("text", "error", message, NOON, "line")).toBe(
    `time="${time}" level=error msg="chdir /nonexistent: no such file or directory"\n`,
  );
});

test("format() leaves a word bare that needs no quotes, as logrus does", () => {
  expect(format("text", "error", "EOF", NOON, "line")).toBe(`time="${time}" level=error msg=EOF\n`);
  expect(format("text", "warning", "a-Z0.9_/@^+", NOON, "line")).toEndWith("msg=a-Z0.9_/@^+\n");
  for (const character of [" ", ":", "=", '"', "\\", "~", "%", "é"])
    expect(format("text", "info", character, NOON, "line")).toContain('msg="');
});

test("format() writes the JSON line of logrus, keys sorted, <>& escaped", () => {
  expect(format("json", "error", 'a "b" <c> & d\n', NOON, "line")).toBe(
    `{"level":"error","msg":"a \\"b\\" \\u003cc\\u003e \\u0026 d\\n","time":"${time}"}\n`,
  );
});

test("format() writes logrus' short form on a terminal, padded to 44 columns", () => {
  expect(format("text", "error", "chdir /nonexistent: no such file", NOON, "colour")).toBe(
    "\x1b[31mERRO\x1b[0m[0000] chdir /nonexistent: no such file             \n",
  );
  const colours = (["debug", "info", "warning"] as const).map((level) =>
    format("text", level, "x", NOON, "colour").slice(0, 13),
  );
  expect(colours).toEqual(["\x1b[37mDEBU\x1b[0m", "\x1b[36mINFO\x1b[0m", "\x1b[33mWARN\x1b[0m"]);
});

test("goJson() escapes what Go's encoding/json escapes", () => {
  expect(goJson("<>&\u2028\u2029é\u{1f600}")).toBe(
    '"\\u003c\\u003e\\u0026\\u2028\\u2029é\u{1f600}"',
  );
  expect(goJson({ a: [1, null, true] })).toBe('{"a":[1,null,true]}');
});

test.each([
  ["plain", '"plain"'],
  ['say "x" \\ y', '"say \\"x\\" \\\\ y"'],
  ["a\x07\b\f\n\r\t\vz", '"a\\a\\b\\f\\n\\r\\t\\vz"'],
  ["\0\x01\x1b\x7f", '"\\x00\\x01\\x1b\\x7f"'],
  ["\u0080\u00ad\u200b\ufeff", '"\\u0080\\u00ad\\u200b\\ufeff"'],
  ["é 漢 \u{1f600}", '"é 漢 \u{1f600}"'],
  ["\u{e0001}", '"\\U000e0001"'],
  ["\uffff", '"\\uffff"'],
])("goQuote() quotes %j as Go's %%q does", (text, quoted) => {
  expect(goQuote(text)).toBe(quoted);
});

test("openLog() appends lines to the file, debug lines only when asked for", () => {
  const directory = mkdtempSync("/tmp/thaw-log-");
  const path = join(directory, "l");
  for (const debug of [false, true]) {
    using log = openLog({ path, format: "json", debug });
    expect(log.isStderr).toBe(false);
    log.debug("hidden at first");
    log.warn("w");
    log.error("e");
  }
  const records = readFileSync(path, "utf8").trimEnd().split("\n");
  const shown = records.map((line) => JSON.parse(line)).map(({ level, msg }) => `${level} ${msg}`);
  expect(shown).toEqual(["warning w", "error e", "debug hidden at first", "warning w", "error e"]);
  expect(statSync(path).mode & 0o133).toBe(0);
  unlinkSync(path);
  rmdirSync(directory);
});

test("openLog() refuses a file it cannot open in runc's words", () => {
  const open = (path: string) => () => openLog({ path, format: "text", debug: false });
  expect(open("/nonexistent/l")).toThrow("open /nonexistent/l: no such file or directory");
  expect(open("/tmp")).toThrow("open /tmp: is a directory");
  expect(open("/dev/null/l")).toThrow("open /dev/null/l: not a directory");
});

test("openLog() writes to standard error without a path, and leaves it open", () => {
  const log = openLog({ path: undefined, format: "text", debug: false });
  expect(log.isStderr).toBe(true);
  log[Symbol.dispose]();
  expect(() => fstatSync(2)).not.toThrow();
});

test("openLog() closes its file", () => {
  const path = `/tmp/thaw-log-${process.pid}`;
  const before = readdirSync("/proc/self/fd").length;
  openLog({ path, format: "text", debug: false })[Symbol.dispose]();
  expect(readdirSync("/proc/self/fd").length).toBe(before);
  unlinkSync(path);
});

test("goQuote() escapes spaces that Go does not print", () => {
  expect(goQuote("a\u00a0b\u3000c\u2028d")).toBe('"a\\u00a0b\\u3000c\\u2028d"');
});
