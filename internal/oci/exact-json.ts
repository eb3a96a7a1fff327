/** JSON whose integers keep their 64 bits, as Go's encoding/json reads and writes them. @module */

import { ThawError } from "../errors/errors.ts";

/**
 * JSON.parse, but integers that a double cannot hold (limits of "unlimited", seccomp masks) become
 * bigints.
 *
 * @throws SyntaxError
 */
export function parseExact(text: string): unknown {
  return JSON.parse(text, exact as (key: string, value: unknown) => unknown);
}

function exact(_key: string, value: unknown, context: { source: string }): unknown {
  const rounded =
    typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value);
  return rounded && /^-?\d+$/.test(context.source) ? BigInt(context.source) : value;
}

/**
 * The first value of a text, as json.Decoder reads it: what follows is left alone.
 *
 * @throws ThawError in Go's words: `EOF` for nothing, `unexpected EOF` for half a value
 */
export function decodeFirst(text: string): unknown {
  if (text.trim() === "") throw new ThawError("EOF");
  const end = new FirstValue().take(text) ?? text.length;
  try {
    return parseExact(text.slice(0, end));
  } catch (cause) {
    if (isCutShort(text)) throw new ThawError("unexpected EOF");
    throw new ThawError(`invalid JSON: ${cause instanceof Error ? cause.message : cause}`);
  }
}

/** Whether a string, a list or an object is still open at the end. */
export function isCutShort(text: string): boolean {
  const first = new FirstValue();
  return first.take(text) === undefined && first.isOpen;
}

/** encoding/json takes no more lists and objects inside of each other. */
const MAX_DEPTH = 10_000;

/** Looks for the end of the object or list that a text begins with, piece by piece. */
export class FirstValue {
  #depth = 0;
  #inString = false;
  #escaped = false;
  #isOther = false;

  /** Whether a string, a list or an object has begun and not ended. */
  get isOpen(): boolean {
    return this.#depth > 0 || this.#inString;
  }

  /**
   * Looks at the next piece.
   *
   * @returns where in it the value ends; undefined when it does not, and of anything else than an
   *   object or a list
   * @throws ThawError `exceeded max depth`
   */
  take(piece: string): number | undefined {
    for (let i = 0; i < piece.length; i++) {
      const char = piece.charAt(i);
      if (this.#inString) this.#string(char);
      else if (char === '"') {
        this.#inString = true;
        this.#isOther ||= this.#depth === 0;
      } else if (char === "[" || char === "{") {
        if (++this.#depth > MAX_DEPTH)
          throw new ThawError(`invalid character '${char}' exceeded max depth`);
      } else if (char === "]" || char === "}") {
        if (--this.#depth === 0 && !this.#isOther) return i + 1;
      } else this.#isOther ||= this.#depth === 0 && !/\s/.test(char);
    }
    return undefined;
  }

  #string(char: string): void {
    if (this.#escaped) this.#escaped = false;
    else if (char === "\\") this.#escaped = true;
    else if (char === '"') this.#inString = false;
  }
}
