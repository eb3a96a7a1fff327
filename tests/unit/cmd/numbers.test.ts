import { expect, test } from "bun:test";
import { parseDuration, parseGoInteger, parseSize } from "../../../cmd/numbers.ts";

test.each<[string, bigint | undefined]>([
  ["5s", 5_000_000_000n],
  ["1h30m", 5_400_000_000_000n],
  ["-.5s", -500_000_000n],
  ["1.5us", 1500n],
  ["1µs", 1000n],
  ["0", 0n],
  ["+0", 0n],
  ["100ms2ns", 100_000_002n],
  ["2562047h47m16.854775807s", (1n << 63n) - 1n],
  ["2562047h47m16.854775808s", undefined],
  ["5", undefined],
  ["", undefined],
  ["-", undefined],
  [".s", undefined],
  ["1e3s", undefined],
  ["1 s", undefined],
  ["5sx", undefined],
])("parseDuration(%s) is Go's", (text, nanoseconds) => {
  expect(parseDuration(text)).toBe(nanoseconds as bigint);
});

test.each<[string, bigint | undefined]>([
  ["0", 0n],
  ["-5", -5n],
  ["+5", 5n],
  ["0x20", 32n],
  ["-0X1f", -31n],
  ["010", 8n],
  ["0o10", 8n],
  ["0b101", 5n],
  ["1_000", 1000n],
  ["0x_2_0", 32n],
  ["0_7", 7n],
  ["08", undefined],
  ["1__0", undefined],
  ["_1", undefined],
  ["1_", undefined],
  ["", undefined],
  ["1.0", undefined],
  [" 1", undefined],
])("parseGoInteger(%s) is Go's", (text, value) => {
  expect(parseGoInteger(text)).toBe(value as bigint);
});

test.each<[string, bigint | string]>([
  ["512m", 536870912n],
  ["512M", 536870912n],
  ["1.5g", 1610612736n],
  ["1 KiB", 1024n],
  ["1kb", 1024n],
  ["10b", 10n],
  ["100", 100n],
  ["1.9", 1n],
  ["1e3", 1000n],
  ["+5", 5n],
  ["64_000_000", 64000000n],
  ["1_0.2_5k", 10496n],
  ["9000p", -(2n ** 63n)],
  ["x", "invalid size: 'x'"],
  ["", "invalid size: ''"],
  ["-5", "invalid size: '-5'"],
  ["5x", "invalid suffix: 'x'"],
  ["5bb", "invalid suffix: 'bb'"],
  ["5kbb", "invalid suffix: 'kbb'"],
  ["5kibs", "invalid suffix: 'kibs'"],
  [" 64m", 'strconv.ParseFloat: parsing " 64": invalid syntax'],
  ["1__0", 'strconv.ParseFloat: parsing "1__0": invalid syntax'],
  ["1_.5", 'strconv.ParseFloat: parsing "1_.5": invalid syntax'],
  ["1e999x", 'strconv.ParseFloat: parsing "1e999": value out of range'],
  ["-1e999", 'strconv.ParseFloat: parsing "-1e999": value out of range'],
  ["0x10", 'strconv.ParseFloat: parsing "0x10": invalid syntax'],
])("parseSize(%s) is go-units'", (text, bytes) => {
  if (typeof bytes === "string") expect(() => parseSize(text)).toThrow(bytes);
  else expect(parseSize(text)).toBe(bytes);
});
