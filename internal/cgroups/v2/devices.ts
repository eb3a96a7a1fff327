/**
 * Device rules as an eBPF program: cgroup v2 has no files for them.
 *
 * The kernel runs it for each use of a device node with a struct bpf_cgroup_dev_ctx
 * (linux/bpf.h): access type, major, minor. It returns 1 to allow.
 *
 * @module
 */

import type { DeviceRule } from "../../oci/config.ts";
import { type DeviceException, deviceAccess } from "../devices.ts";

// Instructions of eBPF (linux/bpf.h, linux/bpf_common.h).
const LOAD_WORD = 0x61;
const AND32 = 0x54;
const SHIFT_RIGHT32 = 0x74;
const MOVE32 = 0xbc;
const JUMP_NOT_EQUAL = 0x55;
const JUMP_NOT_EQUAL_REGISTER = 0x5d;
const JUMP_EQUAL = 0x15;
const MOVE = 0xb7;
const EXIT = 0x95;

const CONTEXT = 1; // r1 holds the context, and then whatever is needed for a moment
const TYPE = 2;
const ACCESS = 3;
const MAJOR = 4;
const MINOR = 5;

const BITS: Record<string, number> = { m: 1, r: 2, w: 4 };
const BLOCK = 98;
const DEV_BLOCK = 1;
const DEV_CHAR = 2;

interface Instruction {
  readonly code: number;
  readonly to?: number;
  readonly from?: number;
  readonly offset?: number;
  readonly value?: number;
}

/** Makes the program for a list of rules: machine code, 8 bytes an instruction. */
export function deviceProgram(rules: readonly DeviceRule[]): Uint8Array {
  const { allowed, exceptions } = deviceAccess(rules);
  const program: Instruction[] = [
    { code: LOAD_WORD, to: TYPE, from: CONTEXT, offset: 0 },
    { code: AND32, to: TYPE, value: 0xffff },
    { code: LOAD_WORD, to: ACCESS, from: CONTEXT, offset: 0 },
    { code: SHIFT_RIGHT32, to: ACCESS, value: 16 },
    { code: LOAD_WORD, to: MAJOR, from: CONTEXT, offset: 4 },
    { code: LOAD_WORD, to: MINOR, from: CONTEXT, offset: 8 },
    ...exceptions.flatMap((exception) => block(exception, allowed)),
    { code: MOVE, to: 0, value: allowed ? 1 : 0 },
    { code: EXIT },
  ];
  return encode(program);
}

/** Decides for one exception, or goes on behind it. */
function block(exception: DeviceException, allowed: boolean): Instruction[] {
  const type = exception.type === BLOCK ? DEV_BLOCK : DEV_CHAR;
  const bits = [...exception.permissions].reduce((sum, p) => sum | (BITS[p] ?? 0), 0);
  const tests: Instruction[] = [{ code: JUMP_NOT_EQUAL, to: TYPE, value: type }];
  if (bits !== 7) {
    tests.push(
      { code: MOVE32, to: CONTEXT, from: ACCESS },
      { code: AND32, to: CONTEXT, value: bits },
    );
    // What is allowed must cover all of the access; what is denied, any of it.
    if (allowed) tests.push({ code: JUMP_EQUAL, to: CONTEXT, value: 0 });
    else tests.push({ code: JUMP_NOT_EQUAL_REGISTER, to: CONTEXT, from: ACCESS });
  }
  if (exception.major !== -1)
    tests.push({ code: JUMP_NOT_EQUAL, to: MAJOR, value: exception.major });
  if (exception.minor !== -1)
    tests.push({ code: JUMP_NOT_EQUAL, to: MINOR, value: exception.minor });
  const verdict = [{ code: MOVE, to: 0, value: allowed ? 0 : 1 }, { code: EXIT }];
  const jumps = [JUMP_NOT_EQUAL, JUMP_NOT_EQUAL_REGISTER, JUMP_EQUAL];
  return [
    ...tests.map((test, i) =>
      jumps.includes(test.code) ? { ...test, offset: tests.length - i - 1 + verdict.length } : test,
    ),
    ...verdict,
  ];
}

function encode(program: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(new ArrayBuffer(8 * program.length));
  const view = new DataView(bytes.buffer);
  program.forEach(({ code, to = 0, from = 0, offset = 0, value = 0 }, i) => {
    view.setUint8(8 * i, code);
    view.setUint8(8 * i + 1, to | (from << 4));
    view.setInt16(8 * i + 2, offset, true);
    view.setInt32(8 * i + 4, value, true);
  });
  return bytes;
}
