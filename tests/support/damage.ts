/** Ways to break a checkpoint. @module */

import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The one file of a directory whose name matches a glob pattern. */
export function fileNamed(directory: string, pattern: string): string {
  const glob = new Bun.Glob(pattern);
  const found = readdirSync(directory).filter((name) => glob.match(name));
  if (found.length !== 1) throw new Error(`${pattern} in ${directory}: ${found.join(" ")}`);
  return join(directory, found[0] as string);
}

/** Takes bytes off the end. */
export function cutShort(path: string, bytes = 1): void {
  truncateSync(path, statSync(path).size - bytes);
}

/** Turns over every bit of the bytes at an offset. */
export function flip(path: string, at: number, length: number): void {
  const bytes = readFileSync(path);
  for (let i = at; i < at + length; i++) bytes[i] = (bytes[i] as number) ^ 0xff;
  writeFileSync(path, bytes);
}

/** Rewrites the message of inventory.img: 4 bytes of magic, 4 of length, protobuf. */
export function editInventory(image: string, edit: (message: Buffer) => Buffer): void {
  const path = join(image, "inventory.img");
  const bytes = readFileSync(path);
  const message = edit(bytes.subarray(8));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(message.length);
  writeFileSync(path, Buffer.concat([bytes.subarray(0, 4), length, message]));
}

/** A protobuf field with a length, for numbers and lengths below 128 and 16. */
export function lengthField(number: number, value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  const tag = number * 8 + 2;
  return Buffer.concat([
    Buffer.from(tag < 128 ? [tag] : [(tag & 0x7f) | 0x80, tag >> 7]),
    Buffer.from([bytes.length]),
    bytes,
  ]);
}
