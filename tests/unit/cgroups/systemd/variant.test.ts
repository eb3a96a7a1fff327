import { expect, test } from "bun:test";
import { annotationProperties } from "../../../../internal/cgroups/systemd/annotations.ts";
import { parseVariant } from "../../../../internal/cgroups/systemd/variant.ts";

test.each([
  ["true", "b", "true"],
  [" false", "b", "false"],
  ["boolean true", "b", "true"],
  ["5", "i", "5"],
  ["-5", "i", "-5"],
  ["+5", "i", "5"],
  ["0x10", "i", "16"],
  ["010", "i", "8"],
  ["1.5", "d", "1.5"],
  ["1e3", "d", "1000"],
  ["double 2", "d", "2"],
  ["@t 5", "t", "5"],
  ["uint64 18446744073709551615", "t", "18446744073709551615"],
  ["byte 255", "y", "255"],
  ["'a b'", "s", "a b"],
  ["'a\\n\\u00e9\\'b\\\\'", "s", "a\né'b\\"],
  ["objectpath '/a'", "o", "/a"],
  ["['a', 'b']", "as", "2 a b"],
  ["[1, 2]", "ai", "2 1 2"],
  ["[uint32 1, 2]", "au", "2 1 2"],
  ["[[1], []]", "aai", "2 1 1 0"],
  ["@as []", "as", "0"],
  ["@a(ss) []", "a(ss)", "0"],
  ["<uint32 5>", "v", "u 5"],
  ["{'a': 1, 'b': 2}", "a{si}", "2 a 1 b 2"],
  ["@a{sv} {'a': <1>}", "a{sv}", "1 a i 1"],
  ["b'a\\x62\\0143'", "ay", "4 97 98 99 0"],
  ["uint64 5 and more", "t", "5"],
])("parseVariant() reads %p", (text, signature, words) => {
  const value = parseVariant(text);
  expect([value.signature, value.words.join(" ")]).toEqual([signature, words]);
});

// Each measured with runc 1.3.6.
test.each([
  ["", "unexpected EOF"],
  ["foo", 'unrecognized type "foo"'],
  ["9999999999", 'strconv.ParseInt: parsing "9999999999": value out of range'],
  ["byte 256", 'strconv.ParseUint: parsing "256": value out of range'],
  ["uint64 -1", 'strconv.ParseUint: parsing "-1": invalid syntax'],
  ["-", 'strconv.ParseInt: parsing "-": invalid syntax'],
  ["@zz 5", 'dbus: invalid signature: "zz" (invalid type character)'],
  ['"abc', "unterminated string"],
  ["b'abc", "unterminated bytestring"],
  ["[]", `can't infer type for "[]"`],
  ["{}", `can't infer type for "{}"`],
  ["[1,2", "unexpected EOF"],
  ["[1 2]", 'unexpected "2"'],
  ['[1, "a"]', `can't parse "a" with given type information`],
  ["<5", 'unexpected ""'],
  ["{'a' 1}", 'unexpected "1"'],
  ["(1,2)", 'unrecognized type "(1,2)"'],
  ["int32 uint32 5", "unexpected type annotation"],
  ["12ab", 'bad number syntax: "12a"'],
  ["]", 'unexpected "]"'],
  ['uint32 "x"', 'invalid type "u" for string'],
  ["string 5", `dbus: can't parse "5" as type "s"`],
  ["boolean 1", `dbus: can't parse "1" as type "b"`],
])("parseVariant() refuses %p in runc's words", (text, message) => {
  expect(() => parseVariant(text)).toThrow(new Error(message));
});

test("parseVariant() ends for whatever it is given", () => {
  for (const text of ["٣", "'\\", "b'\\", "\\", "@", "@a", "[".repeat(1000), "<", "{", "é"])
    expect(() => parseVariant(text)).toThrow();
});

const read = (name: string, text: string) =>
  annotationProperties({ other: "x", [`org.systemd.property.${name}`]: text });

test("annotationProperties() takes its own annotations only, and turns seconds into microseconds", () => {
  expect(annotationProperties(undefined)).toEqual([]);
  expect(read("CollectMode", "'inactive'")).toEqual([
    { name: "CollectMode", signature: "s", words: ["inactive"] },
  ]);
  expect(read("TimeoutStopSec", "uint64 5")).toEqual([
    { name: "TimeoutStopUSec", signature: "t", words: ["5000000"] },
  ]);
  expect(read("TimeoutStopSec", "1.5")[0]?.words).toEqual(["1500000"]);
  expect(read("TimeoutStopSec", "-1")[0]?.words).toEqual(["18446744073708551616"]);
  expect(read("CPUQuotaPerSecUSec", "uint64 5")[0]?.name).toBe("CPUQuotaPerSecUSec");
  expect(read("ASec", "'x'")[0]).toEqual({ name: "ASec", signature: "s", words: ["x"] });
});

test("annotationProperties() refuses in runc's words", () => {
  const message = (name: string, text: string) => {
    try {
      read(name, text);
      return "";
    } catch (error) {
      const { message, cause } = error as Error;
      return cause === undefined ? message : `${message}: ${(cause as Error).message}`;
    }
  };
  const key = "annotation org.systemd.property.";
  expect(message("X", "1")).toBe(`${key}X name incorrect: too short`);
  expect(message("Xa1", "1")).toBe(`${key}Xa1 name incorrect: contains non-alphabetic character`);
  expect(message("TimeoutStopSec", "'a'")).toBe(
    `${key}TimeoutStopSec='a' value parse error: not a number`,
  );
  expect(message("Foo", "[")).toBe(`${key}Foo=[ value parse error: unexpected EOF`);
});
