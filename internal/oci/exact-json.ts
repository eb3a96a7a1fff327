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
  const end = endOfFirst(text);
  try {
    return parseExact(text.slice(0, end));
  } catch (cause) {
    if (isCutShort(text)) throw new ThawError("unexpected EOF");
    throw new ThawError(`invalid JSON: ${cause instanceof Error ? cause.message : cause}`);
  }
}

// Strings, of which the last may be open, and brackets.
const TOKEN = /"(?:[^"\\]|\\.)*"?|[[\]{}]/gs;

/** Whether a text has a whole object or list at its beginning, whatever follows. */
export function isWhole(text: string): boolean {
  return endOfFirst(text) < text.length || (/^\s*[[{]/.test(text) && !isCutShort(text));
}

/** Where the object or list that a text begins with ends; of anything else, the text's end. */
function endOfFirst(text: string): number {
  if (!/^\s*[[{]/.test(text)) return text.length;
  let depth = 0;
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    if (token.startsWith('"')) continue;
    depth += token === "[" || token === "{" ? 1 : -1;
    if (depth === 0) return index + 1;
  }
  return text.length;
}

/** Whether a string, a list or an object is still open at the end. */
export function isCutShort(text: string): boolean {
  let depth = 0;
  for (const [token] of text.matchAll(TOKEN)) {
    if (token.startsWith('"')) {
      if (token.length === 1 || !token.endsWith('"') || /[^\\](\\\\)*\\"$/.test(token)) return true;
    } else depth += token === "[" || token === "{" ? 1 : -1;
  }
  return depth > 0;
}
