/** Classic BPF as seccomp(2) runs it on struct seccomp_data: instructions, and trees of them. @module */

/** struct sock_filter: code, jump if true, jump if false, constant. Jumps count what is skipped. */
export type Instruction = readonly [code: number, jt: number, jf: number, k: number];

/** A stretch of a program, that is left at its end or by a return. */
export type Code = readonly Instruction[];

const LOAD = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND = 0x54; // BPF_ALU | BPF_AND | BPF_K
const RETURN = 0x06; // BPF_RET | BPF_K
const JUMP = 0x05; // BPF_JMP | BPF_JA
const CONDITIONS = { "==": 0x15, ">": 0x25, ">=": 0x35, "&": 0x45 } as const;
/** The farthest a conditional jump goes. */
const FAR = 255;

/** Loads the 32-bit word at an offset of struct seccomp_data. */
export const load = (offset: number): Instruction => [LOAD, 0, 0, offset];

/** Keeps only these bits. */
export const and = (mask: number): Instruction => [AND, 0, 0, mask];

/** Ends the program with a SECCOMP_RET_ value. */
export const returns = (value: number): Code => [[RETURN, 0, 0, value]];

/** Skips instructions by the outcome of a comparison with the loaded word. */
export const skip = (
  condition: keyof typeof CONDITIONS,
  k: number,
  ifTrue: number,
  ifFalse: number,
): Instruction => [CONDITIONS[condition], ifTrue, ifFalse, k];

/** One stretch if the comparison holds, else another; the other returns always. */
export function choose(
  condition: keyof typeof CONDITIONS,
  k: number,
  ifTrue: Code,
  ifFalse: Code,
): Code {
  const over = ifFalse.length;
  const jump: Code =
    over <= FAR ? [skip(condition, k, over, 0)] : [skip(condition, k, 0, 1), [JUMP, 0, 0, over]];
  return [...jump, ...ifFalse, ...ifTrue];
}

/** The program as the kernel takes it. */
export function encode(code: Code): Uint8Array {
  const bytes = new Uint8Array(8 * code.length);
  const view = new DataView(bytes.buffer);
  code.forEach(([operation, jt, jf, k], i) => {
    view.setUint16(8 * i, operation, true);
    view.setUint8(8 * i + 2, jt);
    view.setUint8(8 * i + 3, jf);
    view.setUint32(8 * i + 4, k, true);
  });
  return bytes;
}
