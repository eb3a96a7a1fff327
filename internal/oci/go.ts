/** Integers as Go's strconv reads them: its errors are part of runc's. Pure. @module */

import { ThawError } from "../errors/errors.ts";
import { goQuote } from "../log/log.ts";

/** What an integer may be. */
export interface IntegerType {
  readonly bits: number;
  readonly signed: boolean;
}

const DIGITS = { 8: "[0-7]+", 10: "[0-9]+", 16: "[0-9a-fA-F]+" } as const;
const PREFIX = { 8: "0o", 10: "", 16: "0x" } as const;

/**
 * strconv.ParseUint and strconv.ParseInt.
 *
 * @throws ThawError `strconv.ParseUint: parsing "x": invalid syntax`
 */
export function parseInteger(text: string, type: IntegerType, base: 8 | 10 | 16 = 10): bigint {
  const { bits, signed } = type;
  const fail = (reason: string) =>
    new ThawError(`strconv.Parse${signed ? "Int" : "Uint"}: parsing ${goQuote(text)}: ${reason}`);
  const match = new RegExp(`^(${signed ? "[+-]?" : ""})(${DIGITS[base]})$`).exec(text);
  if (match === null) throw fail("invalid syntax");
  const size = BigInt(`${PREFIX[base]}${match[2]}`);
  const value = match[1] === "-" ? -size : size;
  const kept = signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
  if (kept !== value) throw fail("value out of range");
  return value;
}

/** A 64-bit unsigned integer: what is negative wraps around, as by a conversion in Go. */
export function toUint64(value: number | bigint): string {
  return String(BigInt.asUintN(64, BigInt(value)));
}
