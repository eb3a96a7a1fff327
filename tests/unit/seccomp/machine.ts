/** Runs a seccomp program as the kernel does, on a call. @module */

/** A system call as the filter sees it. */
export interface SystemCall {
  readonly number: number;
  /** AUDIT_ARCH_ of linux/audit.h. */
  readonly arch: number;
  readonly args: readonly bigint[];
}

/** The SECCOMP_RET_ value of a program for a call. */
export function runFilter(program: Uint8Array, { number, arch, args }: SystemCall): number {
  const data = new DataView(new ArrayBuffer(64)); // struct seccomp_data
  data.setUint32(0, number, true);
  data.setUint32(4, arch, true);
  for (const [i, arg] of args.entries())
    data.setBigUint64(16 + 8 * i, BigInt.asUintN(64, arg), true);
  const code = new DataView(program.buffer, program.byteOffset, program.length);
  let a = 0;
  for (let at = 0; at < program.length / 8; at++) {
    const [jt, jf] = [code.getUint8(8 * at + 2), code.getUint8(8 * at + 3)];
    const k = code.getUint32(8 * at + 4, true);
    const jump = (taken: boolean) => {
      at += taken ? jt : jf;
    };
    switch (code.getUint16(8 * at, true)) {
      case 0x20:
        a = data.getUint32(k, true);
        break;
      case 0x54:
        a = (a & k) >>> 0;
        break;
      case 0x06:
        return k;
      case 0x05:
        at += k;
        break;
      case 0x15:
        jump(a === k);
        break;
      case 0x25:
        jump(a > k);
        break;
      case 0x35:
        jump(a >= k);
        break;
      case 0x45:
        jump((a & k) !== 0);
        break;
      default:
        throw new Error(`instruction ${at} is unknown`);
    }
  }
  throw new Error("the program ends without a return");
}
