/** Numbers as Go's flags and docker's go-units read them. Pure. @module */

import { ThawError } from "../internal/errors/errors.ts";
import { goQuote } from "../internal/log/log.ts";

const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1000n,
  µs: 1000n, // U+00B5
  μs: 1000n, // U+03BC
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};
const MOST = (1n << 63n) - 1n;

/** time.ParseDuration: `1h30m`, `-.5s`, `0`. @returns nanoseconds; undefined for what is no duration */
export function parseDuration(text: string): bigint | undefined {
  const { sign, body } = /^(?<sign>[+-]?)(?<body>.*)$/s.exec(text)?.groups ?? {};
  if (body === undefined || body === "") return undefined;
  if (body === "0") return 0n;
  let sum = 0n;
  let rest = body;
  while (rest !== "") {
    const part = /^(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/.exec(rest);
    const [all = "", whole = "", fraction = "", unit = ""] = part ?? [];
    if (part === null || whole + fraction === "") return undefined;
    const size = UNITS[unit] ?? 0n;
    sum += BigInt(whole || 0) * size;
    sum += (BigInt(fraction || 0) * size) / 10n ** BigInt(fraction.length);
    rest = rest.slice(all.length);
  }
  if (sum > (sign === "-" ? MOST + 1n : MOST)) return undefined;
  return sign === "-" ? -sum : sum;
}

/** strconv.ParseInt with base 10: `-5`, `010` is 10. @returns undefined for no integer */
export function parseDecimal(text: string): bigint | undefined {
  return /^[+-]?\d+$/.test(text) ? BigInt(text) : undefined;
}

const INTEGER =
  /^([+-]?)(0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO]?(?:_?[0-7])+|0|[1-9](?:_?\d)*)$/;

/** strconv.ParseInt with base 0: `-5`, `1_000`, `0x20`, `010` is 8. @returns undefined for no integer */
export function parseGoInteger(text: string): bigint | undefined {
  const [all, sign, found = ""] = INTEGER.exec(text) ?? [];
  if (all === undefined) return undefined;
  const digits = found.replaceAll("_", "");
  const size = BigInt(/^0\d/.test(digits) ? `0o${digits.slice(1)}` : digits);
  return sign === "-" ? -size : size;
}

const FACTORS: Readonly<Record<string, number>> = {
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  p: 2 ** 50,
};

/**
 * A size such as `512m`, `1.5 GiB` or `100000` (docker's go-units, RAMInBytes).
 *
 * @returns bytes
 * @throws ThawError `invalid size: '-5'`, `invalid suffix: 'x'`
 */
export function parseSize(text: string): bigint {
  const { number = "", suffix = "" } =
    /^(?<number>.*[\d. ])(?<suffix>[^\d. ]*)$/s.exec(text)?.groups ?? {};
  if (number === "") throw new ThawError(`invalid size: '${text}'`);
  const digits = number.endsWith(" ") ? number.slice(0, -1) : number;
  const fail = (reason: string) =>
    new ThawError(`strconv.ParseFloat: parsing ${goQuote(digits)}: ${reason}`);
  // An underscore separates digits.
  const plain = digits.replaceAll(/(?<=\d)_(?=\d)/g, "");
  if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(plain)) throw fail("invalid syntax");
  const size = Number(plain);
  if (!Number.isFinite(size)) throw fail("value out of range");
  if (size < 0) throw new ThawError(`invalid size: '${text}'`);
  const small = suffix.toLowerCase();
  const factor = small === "" || small === "b" ? 1 : FACTORS[small.charAt(0)];
  if (
    suffix.length > 3 ||
    factor === undefined ||
    !/^(.?|.b|.ib)$/.test(small) ||
    /^b./.test(small)
  )
    throw new ThawError(`invalid suffix: '${suffix.length > 3 ? suffix : small}'`, {
      hint: "a size is a number with k, m, g, t or p",
    });
  // What is too large becomes the least of int64, as by a conversion in Go on amd64.
  const bytes = size * factor;
  return bytes >= 2 ** 63 ? -(2n ** 63n) : BigInt(Math.trunc(bytes));
}
