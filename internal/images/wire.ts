/**
 * CRIU image files: framing and the few fields that decide whether an image is whole.
 *
 * https://criu.org/Images: magic numbers, then records of a 32-bit length and a protobuf message,
 * all little-endian.
 *
 * @module
 */

/** Start of every image but the inventory (CRIU include/magic.h, IMG_COMMON). */
export const IMG_COMMON_MAGIC = 0x54564319;
/** inventory.img has this alone. */
export const INVENTORY_MAGIC = 0x58313116;

/** Second magic number by the name before the first `-` or `.` of the file. */
export const MAGICS: Readonly<Record<string, number>> = {
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
};

/** Splits the records of an image. @returns null when the last one is cut short */
export function records(bytes: Uint8Array, start: number): Uint8Array[] | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Uint8Array[] = [];
  for (let at = start; at < bytes.length; ) {
    if (at + 4 > bytes.length) return null;
    const end = at + 4 + view.getUint32(at, true);
    if (end > bytes.length) return null;
    found.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return found;
}

/** A field of a message: a number for varints, bytes for anything with a length. */
export interface Field {
  readonly number: number;
  readonly value: number | Uint8Array;
}

/** Reads a message field by field. @throws RangeError when it is cut short or malformed */
export function* fields(message: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = message[at++];
      if (byte === undefined || shift > 2 ** 63) throw new RangeError("message is cut short");
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    const type = tag % 8;
    if (type === 0) yield { number, value: varint() };
    else {
      const length = type === 2 ? varint() : type === 1 ? 8 : type === 5 ? 4 : Number.NaN;
      if (!(at + length <= message.length)) throw new RangeError("message is cut short");
      yield { number, value: message.subarray(at, at + length) };
      at += length;
    }
  }
}

/** The first varint with this number, or `otherwise`. */
export function varintField(message: Uint8Array, number: number, otherwise: number): number {
  for (const field of fields(message)) {
    if (field.number === number && typeof field.value === "number") return field.value;
  }
  return otherwise;
}

/** The first embedded message with this number. */
export function messageField(message: Uint8Array, number: number): Uint8Array | undefined {
  for (const field of fields(message)) {
    if (field.number === number && typeof field.value !== "number") return field.value;
  }
  return undefined;
}

/** All varints with this number, packed or not. */
export function varintFields(message: Uint8Array, number: number): number[] {
  const found: number[] = [];
  for (const field of fields(message)) {
    if (field.number !== number) continue;
    if (typeof field.value === "number") found.push(field.value);
    else for (const { value } of unpack(field.value)) found.push(value);
  }
  return found;
}

function* unpack(bytes: Uint8Array): Generator<{ value: number }> {
  let value = 0;
  let shift = 1;
  for (const byte of bytes) {
    value += (byte & 0x7f) * shift;
    shift *= 128;
    if (byte >= 0x80) continue;
    yield { value };
    value = 0;
    shift = 1;
  }
}
