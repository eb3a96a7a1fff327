import { expect, test } from "bun:test";
import {
  fields,
  IMG_COMMON_MAGIC,
  INVENTORY_MAGIC,
  MAGICS,
  messageField,
  records,
  varintField,
  varintFields,
} from "../../../internal/images/wire.ts";
import { field, record, varint } from "./handmade.ts";

const bytes = (...numbers: (number | number[])[]) => Uint8Array.from(numbers.flat());

test("records() splits CRIU's own pstree.img", () => {
  const hex = "1943565430302750" + "0a00000008011000180120012801" + "0a000000080b100118012001280b";
  const found = records(Uint8Array.from(Buffer.from(hex, "hex")), 8);
  expect(found?.map((one) => [varintField(one, 1, -1), varintFields(one, 5)])).toEqual([
    [1, [1]],
    [11, [11]],
  ]);
});

test("records() takes records of no bytes, and none at all", () => {
  expect(records(bytes(record(), record([1])), 0)?.map((one) => one.length)).toEqual([0, 1]);
  expect(records(bytes(), 0)).toEqual([]);
  expect(records(bytes([1, 2, 3, 4]), 4)).toEqual([]);
});

test("records() says when the last one is cut short", () => {
  const whole = bytes(record([1, 2, 3]), record([4, 5]));
  for (let length = 1; length < whole.length; length++) {
    const cut = records(whole.subarray(0, length), 0);
    if (length === 7) expect(cut?.length).toBe(1);
    else expect(cut).toBeNull();
  }
  expect(records(bytes([0xff, 0xff, 0xff, 0xff, 1]), 0)).toBeNull();
});

test("records() reads a part of a larger buffer", () => {
  const part = bytes([9, 9, 9], record([1, 2])).subarray(3);
  expect(records(part, 0)?.map((one) => [...one])).toEqual([[1, 2]]);
});

test("fields() reads every wire type", () => {
  const message = bytes(
    field(1, 300),
    field(2, [1, 2, 3]),
    [...varint(3 * 8 + 5), 1, 2, 3, 4],
    [...varint(4 * 8 + 1), 1, 2, 3, 4, 5, 6, 7, 8],
    field(1000, 0),
  );
  const shown = [...fields(message)].map(({ number, value }) => [
    number,
    typeof value === "number" ? value : value.length,
  ]);
  expect(shown).toEqual([
    [1, 300],
    [2, 3],
    [3, 4],
    [4, 8],
    [1000, 0],
  ]);
});

test("fields() reads the varint of a 64-bit number", () => {
  const all = [...Array(9).fill(0xff), 1];
  expect([...fields(bytes([8], all))][0]?.value).toBe(2 ** 64);
  expect([...fields(bytes(field(1, 2 ** 53 - 1)))][0]?.value).toBe(2 ** 53 - 1);
});

test.each<[string, number[]]>([
  ["a tag without a value", [8]],
  ["a varint without its end", [8, 0x80]],
  ["a varint of eleven bytes", [8, ...Array(10).fill(0x80), 0]],
  ["bytes shorter than their length", [18, 5, 1, 2]],
  ["a fixed64 cut short", [9, 1, 2, 3]],
  ["a fixed32 cut short", [13, 1]],
  ["a group", [11, 12]],
  ["wire type 7", [15, 0]],
  ["a length beyond all memory", [18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
])("fields() refuses %s", (_, message) => {
  expect(() => [...fields(bytes(message))]).toThrow(RangeError);
});

test("varintField() and messageField() take the first field of their number and kind", () => {
  const message = bytes(field(1, [7]), field(1, 5), field(1, 6), field(2, [8]), field(2, [9]));
  expect(varintField(message, 1, 0)).toBe(5);
  expect(varintField(message, 2, -1)).toBe(-1);
  expect([...(messageField(message, 2) ?? [])]).toEqual([8]);
  expect(messageField(message, 3)).toBeUndefined();
});

test("varintFields() takes numbers packed or not", () => {
  const message = bytes(
    field(5, 1),
    field(5, [...varint(2), ...varint(128), ...varint(300)]),
    field(5, 3),
  );
  expect(varintFields(message, 5)).toEqual([1, 2, 128, 300, 3]);
});

test("MAGICS are CRIU's own (include/magic.h)", () => {
  expect(IMG_COMMON_MAGIC).toBe(0x54564319);
  expect(INVENTORY_MAGIC).toBe(0x58313116);
  expect(MAGICS).toEqual({
    core: 0x55053847,
    fdinfo: 0x56213732,
    filelocks: 0x54323616,
    files: 0x56303138,
    fs: 0x51403912,
    ids: 0x54432030,
    mm: 0x57492820,
    mountpoints: 0x55563928,
    pagemap: 0x56084025,
    pstree: 0x50273030,
  });
});
