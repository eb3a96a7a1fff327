/** The words of GVariant's text format. Pure. @module */

import { ThawError } from "../../errors/errors.ts";
import { goQuote } from "../../log/log.ts";

const TYPES: Record<string, string> = {
  boolean: "b",
  byte: "y",
  int16: "n",
  uint16: "q",
  int32: "i",
  uint32: "u",
  int64: "x",
  uint64: "t",
  double: "d",
  string: "s",
  objectpath: "o",
  signature: "g",
};

/** What a token is. */
export type Kind = "end" | "number" | "string" | "bytes" | "boolean" | "type" | "mark";
/** A word of the text; for a type annotation, its signature. */
export interface Token {
  readonly kind: Kind;
  readonly text: string;
}

const NUMBER = /[+-]?(?:0x[0-9a-fA-F]*|[0-9]*)(?:\.[0-9]*)?(?:[eE][+-]?[0-9]*)?/y;

/** Reads a text word by word, so that a mistake is found only once it is come to. */
export class Tokens {
  readonly #text: string;
  /** Offset of the next token. */
  at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /**
   * The next token.
   *
   * @throws ThawError `unterminated string`, `unrecognized type "foo"`
   */
  next(): Token {
    while (/\s/.test(this.#text.charAt(this.at))) this.at++;
    const rest = this.#text.slice(this.at);
    const take = (kind: Kind, text: string): Token => {
      this.at += text.length;
      return { kind, text };
    };
    if (rest === "") return { kind: "end", text: "" };
    if (/^[[\]{}<>:,]/.test(rest)) return take("mark", rest.charAt(0));
    const quoted = /^(b?)(?=['"])/.exec(rest);
    if (quoted !== null) {
      const bytes = quoted[1] === "b";
      const whole = /^b?(['"])(?:\\.|(?!\1)[^\\])*\1/su.exec(rest);
      if (whole === null) throw new ThawError(`unterminated ${bytes ? "bytestring" : "string"}`);
      return take(bytes ? "bytes" : "string", whole[0]);
    }
    if (/^[0-9+-]/.test(rest)) return take("number", numberAt(rest));
    const boolean = /^(true|false)/.exec(rest)?.[0];
    if (boolean !== undefined) return take("boolean", boolean);
    const word = /^\S+/.exec(rest)?.[0] ?? "";
    this.at += word.length;
    return { kind: "type", text: typeNamed(word) };
  }
}

function numberAt(rest: string): string {
  NUMBER.lastIndex = 0;
  const text = NUMBER.exec(rest)?.[0] ?? "";
  if (/^\p{L}/u.test(rest.slice(text.length)))
    throw new ThawError(`bad number syntax: ${goQuote(rest.slice(0, text.length + 1))}`);
  return text;
}

const COMPLETE = /^(?:a*[ybnqiuxtdsogvh])*$/;

function typeNamed(word: string): string {
  if (!word.startsWith("@")) {
    if (!Object.hasOwn(TYPES, word)) throw new ThawError(`unrecognized type ${goQuote(word)}`);
    return TYPES[word] as string;
  }
  const signature = word.slice(1);
  let reduced = signature; // from the inside out: a structure or an entry counts as one type
  for (let before = ""; before !== reduced; ) {
    before = reduced;
    reduced = reduced.replaceAll(/\((?:a*[ybnqiuxtdsogvh])+\)/g, "v");
    reduced = reduced.replaceAll(/a\{[ybnqiuxtdsogh]a*[ybnqiuxtdsogvh]\}/g, "v");
  }
  if (!COMPLETE.test(reduced))
    throw new ThawError(`dbus: invalid signature: ${goQuote(signature)} (invalid type character)`);
  return signature;
}
