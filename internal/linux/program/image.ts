/**
 * A program as an ELF executable of its own (elf(5)).
 *
 * Code.ts's instructions are at CODE; at DATA are the record (16 bytes), the calls, a word for
 * results that nobody wants, and what the calls point to.
 *
 * @module
 */

import { AARCH64, assembled, X86_64 } from "./code.ts";
import { type Call, type Data, Place, type Program, Result, type Word } from "./program.ts";

// Addresses whose distance from their place in the file is a whole number of pages of any size.
const CODE = 0x1000_0000;
const DATA = 0x2000_0000;
const CODE_OFFSET = 0x100;
// The instructions know where the record is.
const DATA_OFFSET = 0x400;
const RECORD = DATA + DATA_OFFSET;
const FIRST_CALL = RECORD + 16;
/** Number, six arguments, where the result goes, zero, positive, errno, except, failure. */
const CALL_SIZE = 13 * 8;

const HEADER_SIZE = 64; // Elf64_Ehdr
const SEGMENT_SIZE = 56; // Elf64_Phdr
const PT_LOAD = 1;
const PT_GNU_STACK = 0x6474e551;
const [PF_X, PF_W, PF_R] = [1, 2, 4] as const;
const MACHINES = {
  x86_64: { number: 62, code: X86_64 },
  aarch64: { number: 183, code: AARCH64 },
} as const;

/** An executable file. */
export interface Image {
  readonly bytes: Uint8Array;
  /** The index of the call at an address, as the record has it. */
  indexOf(address: number): number;
}

/** Lays a program out; once. */
export function layOut(program: Program): Image {
  const end = giveAddresses(program);
  const bytes = new Uint8Array(end - DATA);
  const view = new DataView(bytes.buffer);
  const machine = MACHINES[program.abi];
  const code = assembled(machine.code);
  writeHeaders(view, machine.number, code.length, end - RECORD);
  bytes.set(code, CODE_OFFSET);
  program.calls.forEach((call, i) => {
    const next = addressOf(i + 1);
    writeWords(view, addressOf(i) - DATA, wordsOf(call, program, next));
  });
  for (const { address, content } of program.data) {
    if (content instanceof Uint8Array) bytes.set(content, address - DATA);
    else writeWords(view, address - DATA, content);
  }
  return { bytes, indexOf: (address) => (address - FIRST_CALL) / CALL_SIZE };
}

function addressOf(call: number): number {
  return FIRST_CALL + call * CALL_SIZE;
}

/** Tells every place its address. @returns the end of the memory */
function giveAddresses(program: Program): number {
  const { calls, labels, data, record } = program;
  record.address = RECORD;
  for (const label of labels) {
    if (label.index === undefined || label.index >= calls.length)
      throw new Error("a label stands before no call");
    label.address = addressOf(label.index);
  }
  calls.forEach((call, i) => {
    call.arguments.forEach((word, n) => {
      if (!(word instanceof Result)) return;
      if (word.address !== 0) throw new Error("a result is the argument of one call only");
      word.address = addressOf(i) + 8 * (1 + n);
    });
  });
  let end = addressOf(calls.length) + 8;
  for (const one of data) {
    one.address = end;
    end += sizeOf(one);
  }
  return end;
}

function sizeOf({ content }: Data): number {
  return content instanceof Uint8Array ? Math.ceil(content.length / 8) * 8 : content.length * 8;
}

function wordsOf(call: Call, { calls, failed }: Program, next: number): Word[] {
  const six = [...call.arguments, 0, 0, 0, 0, 0, 0].slice(0, 6);
  const [errno, except] = call.except ?? [0, failed];
  return [
    call.number,
    // A result takes the place of its own argument.
    ...six.map((word) => (word instanceof Result ? 0 : word)),
    call.into ?? addressOf(calls.length),
    call.zero ?? next,
    call.positive ?? next,
    errno,
    except,
    call.failure ?? failed,
  ];
}

function writeWords(view: DataView, offset: number, words: readonly Word[]): void {
  words.forEach((word, i) => {
    const value = word instanceof Place ? word.address : word;
    view.setBigUint64(offset + 8 * i, BigInt.asUintN(64, BigInt(value)), true);
  });
}

function writeHeaders(view: DataView, machine: number, code: number, data: number): void {
  const identity = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]; // ELF, 64 bits, little-endian, version 1
  for (const [i, byte] of identity.entries()) view.setUint8(i, byte);
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, machine, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(CODE + CODE_OFFSET), true); // entry
  view.setBigUint64(32, BigInt(HEADER_SIZE), true); // where the segments are told
  view.setUint16(52, HEADER_SIZE, true);
  view.setUint16(54, SEGMENT_SIZE, true);
  view.setUint16(56, 3, true);
  const segments = [
    [PT_LOAD, PF_R | PF_X, CODE_OFFSET, CODE + CODE_OFFSET, code],
    [PT_LOAD, PF_R | PF_W, DATA_OFFSET, RECORD, data],
    [PT_GNU_STACK, PF_R | PF_W, 0, 0, 0],
  ] as const;
  segments.forEach(([type, flags, offset, address, size], i) => {
    const at = HEADER_SIZE + SEGMENT_SIZE * i;
    view.setUint32(at, type, true);
    view.setUint32(at + 4, flags, true);
    view.setBigUint64(at + 8, BigInt(offset), true);
    view.setBigUint64(at + 16, BigInt(address), true);
    view.setBigUint64(at + 24, BigInt(address), true);
    view.setBigUint64(at + 32, BigInt(size), true); // in the file
    view.setBigUint64(at + 40, BigInt(size), true); // in memory
    view.setBigUint64(at + 48, 0x10000n, true);
  });
}
