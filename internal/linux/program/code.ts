/**
 * The only machine code in thaw: it works off a list of system calls.
 *
 * A process that enters a container may run neither JavaScript nor the C library: a fork of a
 * program with threads may only call what is safe in a signal handler, and an interpreter is not. So
 * what it has to do is data, and these instructions are all that it runs. For each call of the list
 * (layout: image.ts) they load number and arguments, call the kernel, store the result and go on
 * with one of four calls:
 *
 * | result | goes on with |
 * |---|---|
 * | 0 | `zero` |
 * | more than 0 | `positive` |
 * | the error `errno` of the list | `except` |
 * | any other error | `failure` |
 *
 * A failed call is noted, by its address and errno, in the record before the list. A call with the
 * number -1 asks no kernel: its result is the byte at its first argument, less the second argument.
 *
 * The constants are those of image.ts, and the tests compare the bytes with the text beside them.
 *
 * @module
 */

/** An instruction: its bytes, and how GNU objdump shows it (labels as offsets). */
export type Instruction = readonly [bytes: string, text: string];

/** x86-64: rbx is the call, r12 the record. */
export const X86_64: readonly Instruction[] = [
  ["41 bc 00 04 00 20", "mov r12d,0x20000400"],
  ["49 8d 5c 24 10", "lea rbx,[r12+0x10]"],
  ["48 8b 03", "mov rax,QWORD PTR [rbx]"], // next: 0xb
  ["48 8b 7b 08", "mov rdi,QWORD PTR [rbx+0x8]"],
  ["48 8b 73 10", "mov rsi,QWORD PTR [rbx+0x10]"],
  ["48 8b 53 18", "mov rdx,QWORD PTR [rbx+0x18]"],
  ["4c 8b 53 20", "mov r10,QWORD PTR [rbx+0x20]"],
  ["4c 8b 43 28", "mov r8,QWORD PTR [rbx+0x28]"],
  ["4c 8b 4b 30", "mov r9,QWORD PTR [rbx+0x30]"],
  ["48 83 f8 ff", "cmp rax,0xffffffffffffffff"],
  ["74 37", "je 0x63"], // compare
  ["0f 05", "syscall"],
  ["48 8b 4b 38", "mov rcx,QWORD PTR [rbx+0x38]"], // done: 0x2e
  ["48 89 01", "mov QWORD PTR [rcx],rax"],
  ["48 85 c0", "test rax,rax"],
  ["48 8b 4b 40", "mov rcx,QWORD PTR [rbx+0x40]"],
  ["74 20", "je 0x5e"], // go
  ["48 8b 4b 48", "mov rcx,QWORD PTR [rbx+0x48]"],
  ["79 1a", "jns 0x5e"], // go
  ["48 f7 d8", "neg rax"],
  ["49 89 1c 24", "mov QWORD PTR [r12],rbx"],
  ["49 89 44 24 08", "mov QWORD PTR [r12+0x8],rax"],
  ["48 8b 4b 58", "mov rcx,QWORD PTR [rbx+0x58]"],
  ["48 3b 43 50", "cmp rax,QWORD PTR [rbx+0x50]"],
  ["74 04", "je 0x5e"], // go
  ["48 8b 4b 60", "mov rcx,QWORD PTR [rbx+0x60]"],
  ["48 89 cb", "mov rbx,rcx"], // go: 0x5e
  ["eb a8", "jmp 0xb"], // next
  ["0f b6 07", "movzx eax,BYTE PTR [rdi]"], // compare: 0x63
  ["48 29 f0", "sub rax,rsi"],
  ["eb c3", "jmp 0x2e"], // done
];

/** AArch64: x19 is the call, x20 the record. */
export const AARCH64: readonly Instruction[] = [
  ["14 00 a4 d2", "mov x20, #0x20000000"],
  ["14 80 80 f2", "movk x20, #0x400"],
  ["93 42 00 91", "add x19, x20, #0x10"],
  ["68 02 40 a9", "ldp x8, x0, [x19]"], // next: 0xc
  ["61 0a 41 a9", "ldp x1, x2, [x19, #16]"],
  ["63 12 42 a9", "ldp x3, x4, [x19, #32]"],
  ["65 1a 40 f9", "ldr x5, [x19, #48]"],
  ["1f 05 00 b1", "cmn x8, #0x1"],
  ["20 02 00 54", "b.eq 0x64"], // compare
  ["01 00 00 d4", "svc #0x0"],
  ["69 1e 40 f9", "ldr x9, [x19, #56]"], // done: 0x28
  ["20 01 00 f9", "str x0, [x9]"],
  ["69 22 40 f9", "ldr x9, [x19, #64]"],
  ["40 01 00 b4", "cbz x0, 0x5c"], // go
  ["69 26 40 f9", "ldr x9, [x19, #72]"],
  ["00 01 f8 b6", "tbz x0, #63, 0x5c"], // go
  ["e0 03 00 cb", "neg x0, x0"],
  ["93 02 00 a9", "stp x19, x0, [x20]"],
  ["69 2e 40 f9", "ldr x9, [x19, #88]"],
  ["6a 2a 40 f9", "ldr x10, [x19, #80]"],
  ["1f 00 0a eb", "cmp x0, x10"],
  ["40 00 00 54", "b.eq 0x5c"], // go
  ["69 32 40 f9", "ldr x9, [x19, #96]"],
  ["f3 03 09 aa", "mov x19, x9"], // go: 0x5c
  ["eb ff ff 17", "b 0xc"], // next
  ["00 00 40 39", "ldrb w0, [x0]"], // compare: 0x64
  ["00 00 01 cb", "sub x0, x0, x1"],
  ["ef ff ff 17", "b 0x28"], // done
];

/** The bytes of a list of instructions. */
export function assembled(code: readonly Instruction[]): Buffer {
  return Buffer.from(code.map(([bytes]) => bytes.replaceAll(" ", "")).join(""), "hex");
}
