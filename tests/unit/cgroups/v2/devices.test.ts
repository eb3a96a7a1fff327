import { expect, test } from "bun:test";
import { deviceProgram } from "../../../../internal/cgroups/v2/devices.ts";
import type { DeviceRule } from "../../../../internal/oci/config.ts";
import { createDevices } from "../../../../internal/oci/devices.ts";

/** Runs the few instructions the program uses, as the kernel does, on one access. */
function verdict(
  code: Uint8Array,
  access: { type: number; bits: number; major: number; minor: number },
): number {
  const view = new DataView(code.buffer);
  const context: Record<number, number> = {
    0: (access.bits << 16) | access.type,
    4: access.major,
    8: access.minor,
  };
  const r = [0, 0, 0, 0, 0, 0];
  for (let i = 0; ; i++) {
    const op = view.getUint8(8 * i);
    const to = view.getUint8(8 * i + 1) & 15;
    const from = view.getUint8(8 * i + 1) >> 4;
    const offset = view.getInt16(8 * i + 2, true);
    const value = view.getInt32(8 * i + 4, true);
    const at = (n: number) => r[n] as number;
    if (op === 0x95) return at(0);
    if (op === 0x61) r[to] = context[offset] as number;
    else if (op === 0x54) r[to] = at(to) & value;
    else if (op === 0x74) r[to] = at(to) >>> value;
    else if (op === 0xbc) r[to] = at(from);
    else if (op === 0xb7) r[to] = value;
    else if (op === 0x55) i += at(to) !== value ? offset : 0;
    else if (op === 0x15) i += at(to) === value ? offset : 0;
    else if (op === 0x5d) i += at(to) !== at(from) ? offset : 0;
    else throw new Error(`instruction 0x${op.toString(16)}`);
  }
}

const BLOCK = 1;
const CHAR = 2;
const [M, R, W] = [1, 2, 4] as const;
const rule = (
  type: string,
  major: number,
  minor: number,
  permissions: string,
  allow: boolean,
): DeviceRule => ({
  type: type.charCodeAt(0),
  major,
  minor,
  permissions,
  allow,
});

test("deviceProgram() denies all but what a container's rules allow", () => {
  const rules = [rule("a", -1, -1, "rwm", false), ...createDevices([]).rules];
  const code = deviceProgram(rules);
  const table: [number, number, number, number, number][] = [
    [CHAR, 1, 3, R | W, 1], // /dev/null
    [CHAR, 1, 3, M, 1],
    [CHAR, 136, 77, R | W, 1], // any pty
    [CHAR, 10, 229, R, 0], // /dev/fuse
    [CHAR, 10, 229, M, 1], // any node may be made
    [CHAR, 10, 229, M | R, 0],
    [BLOCK, 254, 0, R, 0],
    [BLOCK, 254, 0, M, 1],
    [BLOCK, 1, 3, R, 0], // /dev/null is no block device
  ];
  for (const [type, major, minor, bits, allowed] of table)
    expect([type, major, minor, bits, verdict(code, { type, major, minor, bits })]).toEqual([
      type,
      major,
      minor,
      bits,
      allowed,
    ]);
});

test("deviceProgram() denies any part of a denied access when all is allowed", () => {
  const code = deviceProgram([rule("a", -1, -1, "rwm", true), rule("b", 8, -1, "w", false)]);
  expect(verdict(code, { type: BLOCK, major: 8, minor: 1, bits: R })).toBe(1);
  expect(verdict(code, { type: BLOCK, major: 8, minor: 1, bits: R | W })).toBe(0);
  expect(verdict(code, { type: BLOCK, major: 9, minor: 1, bits: W })).toBe(1);
});
