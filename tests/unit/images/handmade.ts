/** Small CRIU images made by hand: a checkpoint of two processes that readCheckpoint() takes. @module */

import { mkdtempSync, rmdirSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { IMG_COMMON_MAGIC, INVENTORY_MAGIC, MAGICS } from "../../../internal/images/wire.ts";

/** A varint of protobuf. */
export function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value % 0x80) | 0x80, ...varint(Math.floor(value / 0x80))];
}

/** A field: a number as a varint, bytes with their length. */
export function field(number: number, value: number | readonly number[]): number[] {
  if (typeof value === "number") return [...varint(number * 8), ...varint(value)];
  return [...varint(number * 8 + 2), ...varint(value.length), ...value];
}

const u32 = (value: number) => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);

/** A record: its length, then the message. */
export function record(...fields: readonly number[][]): number[] {
  const message = fields.flat();
  return [...u32(message.length), ...message];
}

/** An image of a kind. */
export function image(kind: string, ...records: readonly number[][]): Buffer {
  return Buffer.from([...u32(IMG_COMMON_MAGIC), ...u32(MAGICS[kind] ?? 0), ...records.flat()]);
}

/** inventory.img with an image version. */
export function inventory(version: number): Buffer {
  return Buffer.from([...u32(INVENTORY_MAGIC), ...record(field(1, version), field(2, 1))]);
}

/** A task: state 1 is alive, 2 dead. */
export function core(state: number): Buffer {
  const tc = [...field(1, state), ...field(2, 17), ...field(10, [115, 104])];
  return image("core", record(field(1, 1), field(3, tc)));
}

/** pagemap-N.img: the number of its pages image, then entries. */
export function pagemap(pages: number, ...entries: readonly number[][][]): Buffer {
  return image("pagemap", record(field(1, pages)), ...entries.map((entry) => record(...entry)));
}

/** An entry as CRIU 4.2 writes it: address, 0, flags, count. */
export const entry = (flags: number, count: number) => [
  field(1, 0x400000),
  field(2, 0),
  field(4, flags),
  field(5, count),
];

/** The files of a whole checkpoint, by name. */
export function wholeCheckpoint(): Record<string, Buffer> {
  const task = (pid: number) => ({
    [`core-${pid}.img`]: core(1),
    [`ids-${pid}.img`]: image("ids", record(field(1, 1), field(9, 13))),
    [`fs-${pid}.img`]: image("fs", record(field(1, 1), field(2, 2))),
    [`mm-${pid}.img`]: image("mm", record(field(1, 0x400000), field(12, 3))),
    [`pagemap-${pid}.img`]: pagemap(pid, entry(4, 2), entry(4, 1), entry(2, 7), entry(1, 9)),
    [`pages-${pid}.img`]: Buffer.alloc(3 * 4096),
  });
  return {
    "descriptors.json": Buffer.from('["pipe:[1]","pipe:[2]","/dev/null"]'),
    "inventory.img": inventory(2),
    "pstree.img": image(
      "pstree",
      record(field(1, 1), field(2, 0), field(3, 1), field(4, 1), field(5, 1)),
      record(field(1, 7), field(2, 1), field(3, 1), field(4, 1), field(5, [7, 8])),
    ),
    "core-8.img": core(1),
    "files.img": image("files", record(field(1, 1), field(2, 3), field(3, [8, 3]))),
    "mountpoints-13.img": image("mountpoints", record(field(1, 1), field(2, 53))),
    ...task(1),
    ...task(7),
  };
}

/** Image files on disk. */
export interface Checkpoint extends Disposable {
  readonly path: string;
  /** Replaces a file; undefined removes it. */
  set(name: string, bytes: Buffer | undefined): void;
}

/** Writes files into a directory of their own. */
export function onDisk(files: Readonly<Record<string, Buffer>>): Checkpoint {
  const path = mkdtempSync("/tmp/thaw-images-");
  const names = new Set<string>();
  const set = (name: string, bytes: Buffer | undefined) => {
    const file = join(path, name);
    if (bytes !== undefined) {
      writeFileSync(file, bytes);
      names.add(name);
    } else if (names.delete(name)) unlinkSync(file);
  };
  for (const [name, bytes] of Object.entries(files)) set(name, bytes);
  return {
    path,
    set,
    [Symbol.dispose]: () => {
      for (const name of [...names]) set(name, undefined);
      rmdirSync(path);
    },
  };
}
