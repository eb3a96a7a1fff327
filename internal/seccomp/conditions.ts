/** What a rule of a seccomp profile asks of a system call's arguments. @module */

import { ThawError } from "../errors/errors.ts";
import { and, type Code, type Instruction, load, skip } from "./bpf.ts";

/** One comparison; `mask` is that of MASKED_EQ. */
export interface Condition {
  /** 0 to 5. */
  readonly index: number;
  readonly operator: Operator;
  readonly value: bigint;
  readonly mask: bigint;
}

/** libcontainer's numbers of operators begin with 1, in this order. */
export const OPERATORS = ["EQ", "NE", "GT", "GE", "LT", "LE", "MASKED_EQ"] as const;
type Operator = (typeof OPERATORS)[number];

const ARGUMENTS = 16; // offset in struct seccomp_data
const HALF = 32n;
const low = (value: bigint) => Number(BigInt.asUintN(32, value));
const high = (value: bigint) => Number(BigInt.asUintN(64, value) >> HALF);

/** Jump targets while a rule is written: what follows the comparison, or the end of the rule. */
const [PASS, FAIL] = [1000, 1001];

/**
 * Code that goes on at its end when all conditions hold, else `failing` instructions later.
 *
 * @param wide whether arguments have 64 bits
 */
export function conditionsCode(
  conditions: readonly Condition[],
  wide: boolean,
  failing: number,
): Code {
  let code: Instruction[] = [];
  for (const condition of [...conditions].reverse()) {
    const end = code.length + failing;
    const own = comparison(condition, wide);
    const resolved = own.map(([operation, jt, jf, k], i): Instruction => {
      const left = own.length - 1 - i;
      const distance = (to: number) => (to === PASS ? left : to === FAIL ? left + end : to);
      return [operation, distance(jt), distance(jf), k];
    });
    code = [...resolved, ...code];
  }
  return code;
}

function comparison(condition: Condition, wide: boolean): Instruction[] {
  const { index, operator, value, mask } = condition;
  const offset = ARGUMENTS + 8 * index;
  const lower = last(operator, low(value), low(mask));
  const rest = [load(offset), ...lower];
  if (!wide) return rest;
  const upper = high(value);
  const first: Record<Operator, Instruction[]> = {
    EQ: [skip("==", upper, 0, FAIL)],
    NE: [skip("==", upper, 0, PASS)],
    GT: [skip(">", upper, PASS, 0), skip("==", upper, 0, FAIL)],
    GE: [skip(">", upper, PASS, 0), skip("==", upper, 0, FAIL)],
    LT: [skip(">", upper, FAIL, 0), skip("==", upper, 0, PASS)],
    LE: [skip(">", upper, FAIL, 0), skip("==", upper, 0, PASS)],
    MASKED_EQ: [and(high(mask)), skip("==", upper, 0, FAIL)],
  };
  return [load(offset + 4), ...first[operator], ...rest];
}

/** The comparison of the lower halves, which decides when the upper ones are equal. */
function last(operator: Operator, value: number, mask: number): Instruction[] {
  const code: Record<Operator, Instruction[]> = {
    EQ: [skip("==", value, 0, FAIL)],
    NE: [skip("==", value, FAIL, 0)],
    GT: [skip(">", value, 0, FAIL)],
    GE: [skip(">=", value, 0, FAIL)],
    LT: [skip(">=", value, FAIL, 0)],
    LE: [skip(">", value, FAIL, 0)],
    MASKED_EQ: [and(mask), skip("==", value, 0, FAIL)],
  };
  return code[operator];
}

/** Reads a condition as state.json has it. @throws ThawError for one that cannot be */
export function toCondition(argument: {
  readonly index: number;
  readonly value: number | bigint;
  readonly value_two: number | bigint;
  readonly op: number;
}): Condition {
  const operator = OPERATORS[argument.op - 1];
  if (operator === undefined) throw new ThawError("invalid operator, cannot use in rule");
  if (argument.index > 5)
    throw new ThawError(`syscalls only have up to 6 arguments (${argument.index} given)`);
  const [value, second] = [BigInt(argument.value), BigInt(argument.value_two)];
  const masked = operator === "MASKED_EQ";
  return {
    index: argument.index,
    operator,
    value: masked ? second & value : value, // bits outside of the mask mean nothing
    mask: masked ? value : 0n,
  };
}
