import { expect, test } from "bun:test";
import { type Flags, type Parsed, parseBool, parseFlags } from "../../../cmd/flags.ts";
import { globalFlags } from "../../../cmd/globals.ts";
import { restoreCommand } from "../../../cmd/restore.ts";

const flags: Flags = { ...globalFlags, ...restoreCommand.flags };
const parse = (line: string, stopAtFirst = false) =>
  parseFlags(line === "" ? [] : line.split(" "), flags, stopAtFirst);

/** The result as one object: what was given, and nothing else. */
function shown({ booleans, strings, lists, positionals }: Parsed) {
  return { ...Object.fromEntries([...booleans, ...strings, ...lists]), _: positionals };
}

test.each<[string, object]>([
  ["-bundle /b c1", { bundle: "/b", _: ["c1"] }],
  ["-b=/b c1", { bundle: "/b", _: ["c1"] }],
  ["-b /b c1", { bundle: "/b", _: ["c1"] }],
  ["--bundle=/b c1", { bundle: "/b", _: ["c1"] }],
  ["--bundle /b c1", { bundle: "/b", _: ["c1"] }],
  ["-image-path X -detach -no-subreaper c1", fromRunc()],
  ["--no-pivot c1", { "no-pivot": true, _: ["c1"] }],
  ["--no-pivot=true c1", { "no-pivot": true, _: ["c1"] }],
  ["--no-pivot=false c1", { "no-pivot": false, _: ["c1"] }],
  ["--no-subreaper c1", { "no-subreaper": true, _: ["c1"] }],
  ["--empty-ns a --empty-ns b c1", { "empty-ns": ["a", "b"], _: ["c1"] }],
  ["--empty-ns network,pid c1", { "empty-ns": ["network,pid"], _: ["c1"] }],
  ["--detach=false c1", { detach: false, _: ["c1"] }],
  ["--detach false c1", { detach: true, _: ["false", "c1"] }],
  ["--detach true c1", { detach: true, _: ["true", "c1"] }],
  ["-d=true c1", { detach: true, _: ["c1"] }],
  ["-d=T c1", { detach: true, _: ["c1"] }],
  ["--debug=false c1", { debug: false, _: ["c1"] }],
  ["c1 -d", { detach: true, _: ["c1"] }],
  ["c1 -d --debug", { detach: true, debug: true, _: ["c1"] }],
  ["--root R -d c1", { root: "R", detach: true, _: ["c1"] }],
  ["-- c1 --bundle", { _: ["c1", "--bundle"] }],
  ["-- -x", { _: ["-x"] }],
  ["-", { _: ["-"] }],
  ["c1 c2", { _: ["c1", "c2"] }],
  ["-b X --bundle Y c1", { bundle: "Y", _: ["c1"] }],
  ["--bundle X --bundle Y c1", { bundle: "Y", _: ["c1"] }],
  ["--bundle --detach c1", { bundle: "--detach", _: ["c1"] }],
  ["--bundle -- c1", { bundle: "--", _: ["c1"] }],
  ["--bundle= c1", { bundle: "", _: ["c1"] }],
  ["--bundle=a=b c1", { bundle: "a=b", _: ["c1"] }],
  ["", { _: [] }],
])("parseFlags() reads %p as runc does", (line, expected) => {
  expect(shown(parse(line))).toEqual(expected as never);
});

function fromRunc() {
  return { "image-path": "X", detach: true, "no-subreaper": true, _: ["c1"] };
}

test.each([
  ["--nosuch c1", "flag provided but not defined: -nosuch"],
  ["-z c1", "flag provided but not defined: -z"],
  ["-db X c1", "flag provided but not defined: -db"],
  ["-D c1", "flag provided but not defined: -D"],
  ["--image X c1", "flag provided but not defined: -image"],
  ["--imagePath X c1", "flag provided but not defined: -imagePath"],
  ["--preserve-fds x c1", `invalid value "x" for flag -preserve-fds: parse error`],
  ["--keep c1", "flag provided but not defined: -keep"],
  ["--constructor c1", "flag provided but not defined: -constructor"],
  ["--toString=1 c1", "flag provided but not defined: -toString"],
  ["--__proto__ c1", "flag provided but not defined: -__proto__"],
  ["--bundle", "flag needs an argument: -bundle"],
  ["c1 -b", "flag needs an argument: -b"],
  ["-image-path", "flag needs an argument: -image-path"],
  ["-d=yes c1", 'invalid boolean value "yes" for -d: parse error'],
  ["--detach=bad c1", 'invalid boolean value "bad" for -detach: parse error'],
  ["--detach= c1", 'invalid boolean value "" for -detach: parse error'],
  ["---detach c1", "bad flag syntax: ---detach"],
  ["--=x c1", "bad flag syntax: --=x"],
  ["-=x c1", "bad flag syntax: -=x"],
])("parseFlags() refuses %p in runc's words", (line, message) => {
  expect(() => parse(line)).toThrow(
    expect.objectContaining({ name: "UsageError", message }) as never,
  );
});

test("parseFlags() takes an empty argument as a positional", () => {
  expect(shown(parseFlags([""], flags, false))).toEqual({ _: [""] });
});

test("parseFlags() stops at the command when it parses what stands before it", () => {
  const parsed = parseFlags(["-root=/tmp/zz", "restore", "-d", "--nosuch"], globalFlags, true);
  expect(shown(parsed)).toEqual({ root: "/tmp/zz", _: ["restore", "-d", "--nosuch"] });
});

test("parseFlags() ends the global flags at -- before the command", () => {
  const parsed = parseFlags(["--root", "R", "--", "restore", "-d"], globalFlags, true);
  expect(shown(parsed)).toEqual({ root: "R", _: ["restore", "-d"] });
});

test("parseBool() knows Go's words and no others", () => {
  const words = ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"];
  expect(words.map(parseBool)).toEqual([...Array(6).fill(true), ...Array(6).fill(false)]);
  for (const word of ["", "yes", "no", "tRUE", "on", "2", " 1", "true "])
    expect(parseBool(word)).toBeUndefined();
});

test("restoreCommand has every flag of runc restore, and runc's types for them", () => {
  const strings = ["console-socket", "image-path", "work-path", "manage-cgroups-mode", "bundle"];
  const more = ["pid-file", "lsm-profile", "lsm-mount-context", "empty-ns"];
  const booleans = ["tcp-established", "ext-unix-sk", "shell-job", "file-locks", "auto-dedup"];
  const others = ["lazy-pages", "detach", "no-subreaper", "no-pivot"];
  for (const name of [...strings, ...more]) expect(flags[name]?.type).toBe("string");
  for (const name of [...booleans, ...others]) expect(flags[name]?.type).toBe("boolean");
  expect([flags["bundle"]?.alias, flags["detach"]?.alias]).toEqual(["b", "d"]);
  expect(flags["empty-ns"]?.list).toBe(true);
});
