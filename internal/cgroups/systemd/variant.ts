/**
 * Values in the text format of GVariant, as far as runc's D-Bus library reads it
 * (https://docs.gtk.org/glib/gvariant-text-format.html), turned into busctl's arguments. Pure.
 *
 * @module
 */

import { ThawError } from "../../errors/errors.ts";
import { goQuote } from "../../log/log.ts";
import { parseInteger } from "../../oci/go.ts";
import { Tokens } from "./tokens.ts";

/** A D-Bus value: its signature, and the words busctl(1) takes for it. */
export interface Value {
  readonly signature: string;
  readonly words: readonly string[];
}

/**
 * Reads one value; what follows it is ignored, as by runc.
 *
 * @throws ThawError such as `unexpected EOF` or `unrecognized type "foo"`
 */
export function parseVariant(text: string): Value {
  const node = new Parser(text).node();
  const signature = typeOf(node);
  return { signature, words: node.words(signature) };
}

/** A parsed value whose type may be open still. */
interface Node {
  /** The signatures it may have; none: nothing is known. */
  readonly types: readonly string[];
  /** The signature it gets when several are possible; throws when there is none. */
  infer(): string;
  /** As errors show it. */
  readonly text: string;
  /** @throws ThawError when it cannot have this signature */
  words(signature: string): string[];
}

const typeOf = (node: Node): string =>
  node.types.length === 1 ? (node.types[0] as string) : node.infer();

const mismatch = (text: string, signature: string) =>
  new ThawError(`dbus: can't parse ${goQuote(text)} as type ${goQuote(signature)}`);

function cannotInfer(text: string): never {
  throw new ThawError(`can't infer type for ${goQuote(text)}`);
}

const INTEGERS: Record<string, { bits: number; signed: boolean }> = {
  y: { bits: 8, signed: false },
  n: { bits: 16, signed: true },
  q: { bits: 16, signed: false },
  i: { bits: 32, signed: true },
  u: { bits: 32, signed: false },
  x: { bits: 64, signed: true },
  t: { bits: 64, signed: false },
};

function numberNode(text: string, given: string): Node {
  const isDouble = /[.e]/.test(text);
  const words = (signature: string): string[] => {
    if (signature === "d" && Number.isFinite(Number(text))) return [String(Number(text))];
    const type = INTEGERS[signature];
    if (type === undefined) throw mismatch(text, signature);
    if (text.startsWith("0x")) return [String(parseInteger(text.slice(2), type, 16))];
    return [String(parseInteger(text, type, text.startsWith("0") ? 8 : 10))];
  };
  if (given !== "") words(given); // an error of a value comes before one of its surroundings
  return {
    types: given !== "" ? [given] : isDouble ? ["d"] : [...Object.keys(INTEGERS), "d"],
    infer: () => (isDouble ? "d" : "i"),
    text,
    words,
  };
}

function stringNode(text: string, given: string): Node {
  if (!["", "s", "g", "o"].includes(given))
    throw new ThawError(`invalid type ${goQuote(given)} for string`);
  const types = given === "" ? ["s", "g", "o"] : [given];
  const words = (signature: string) => {
    if (!types.includes(signature)) throw mismatch(text, signature);
    return [text];
  };
  return { types, infer: () => "s", text, words };
}

/** A node of one type that is known: a boolean, bytes, a variant. */
function fixedNode(signature: string, given: string, text: string, words: string[]): Node {
  if (given !== "" && given !== signature) throw mismatch(text, given);
  return {
    types: [signature],
    infer: () => signature,
    text,
    words: (wanted) => {
      if (wanted !== signature) throw mismatch(text, wanted);
      return words;
    },
  };
}

/** What two lists have in common; an empty one is not known yet. */
function unite(known: readonly string[], more: readonly string[], text: string) {
  if (known.length === 0 || more.length === 0) return known.length === 0 ? more : known;
  const both = known.filter((type) => more.includes(type));
  if (both.length === 0)
    throw new ThawError(`can't parse ${goQuote(text)} with given type information`);
  return both;
}

function arrayNode(children: readonly Node[], given: string): Node {
  const text = `[${children.map((child) => child.text).join(", ")}]`;
  let types: readonly string[] = given === "" ? [] : [given];
  for (const child of children) {
    const arrays = child.types.map((type) => `a${type}`);
    types = unite(types, arrays, child.text);
  }
  return {
    types,
    infer: () => (children[0] === undefined ? cannotInfer(text) : `a${typeOf(children[0])}`),
    text,
    words: (signature) => {
      if (types.length > 0 && !types.includes(signature)) throw mismatch(text, signature);
      const inner = children.flatMap((child) => child.words(signature.slice(1)));
      return [String(children.length), ...inner];
    },
  };
}

function dictNode(entries: readonly (readonly [Node, Node])[], given: string): Node {
  const text = `{${entries.map(([key, value]) => `${key.text}: ${value.text}`).join(", ")}}`;
  if (given !== "" && given.length < 5)
    throw new ThawError(`invalid signature ${goQuote(given)} for dict type`);
  let keys: readonly string[] = given === "" ? [] : [given.slice(2, 3)];
  let values: readonly string[] = given === "" ? [] : [given.slice(3, -1)];
  for (const [key, value] of entries) {
    keys = unite(keys, key.types, key.text);
    values = unite(values, value.types, value.text);
  }
  const types = keys.flatMap((key) => values.map((value) => `a{${key}${value}}`));
  const first = entries[0];
  return {
    types,
    infer: () =>
      first === undefined ? cannotInfer(text) : `a{${typeOf(first[0])}${typeOf(first[1])}}`,
    text,
    words: (signature) => {
      if (types.length > 0 && !types.includes(signature)) throw mismatch(text, signature);
      const [key, value] = [signature.slice(2, 3), signature.slice(3, -1)];
      const inner = entries.flatMap(([k, v]) => [...k.words(key), ...v.words(value)]);
      return [String(entries.length), ...inner];
    },
  };
}

class Parser {
  readonly #tokens: Tokens;

  constructor(text: string) {
    this.#tokens = new Tokens(text);
  }

  node(given = ""): Node {
    const { kind, text } = this.#tokens.next();
    if (kind === "end") throw new ThawError("unexpected EOF");
    if (kind === "number") return numberNode(text, given);
    if (kind === "string") return stringNode(unescaped(text.slice(1, -1)), given);
    if (kind === "bytes") return bytesNode(text, given);
    if (kind === "boolean") return fixedNode("b", given, text, [text]);
    if (kind === "type") {
      if (given !== "") throw new ThawError("unexpected type annotation");
      return this.node(text);
    }
    if (text === "[")
      return arrayNode(
        this.#list("]", () => this.node()),
        given,
      );
    if (text === "{")
      return dictNode(
        this.#list("}", () => this.#entry()),
        given,
      );
    if (text === "<") return this.#variant(given);
    throw new ThawError(`unexpected ${goQuote(text)}`);
  }

  #list<T>(end: string, item: () => T): T[] {
    const start = this.#tokens.at;
    if (this.#tokens.next().text === end) return [];
    this.#tokens.at = start;
    const items: T[] = [];
    for (;;) {
      items.push(item());
      const { kind, text } = this.#tokens.next();
      if (kind === "end") throw new ThawError("unexpected EOF");
      if (text === end) return items;
      if (text !== ",") throw new ThawError(`unexpected ${goQuote(text)}`);
    }
  }

  #entry(): readonly [Node, Node] {
    const key = this.node();
    const { kind, text } = this.#tokens.next();
    if (kind === "end") throw new ThawError("unexpected EOF");
    if (text !== ":") throw new ThawError(`unexpected ${goQuote(text)}`);
    return [key, this.node()];
  }

  #variant(given: string): Node {
    const inner = this.node();
    const { text } = this.#tokens.next();
    if (text !== ">") throw new ThawError(`unexpected ${goQuote(text)}`);
    const signature = typeOf(inner);
    return fixedNode("v", given, `<${inner.text}>`, [signature, ...inner.words(signature)]);
  }
}

const ESCAPES: Record<string, string> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  "\n": "",
};

function unescaped(text: string): string {
  return text.replaceAll(/\\(u.{0,4}|U.{0,8}|.)/gsu, (_, word: string) => {
    const letter = word.charAt(0);
    if (letter !== "u" && letter !== "U") return ESCAPES[word] ?? word;
    const digits = word.slice(1);
    if (digits.length < (letter === "u" ? 4 : 8)) throw new ThawError("short unicode escape");
    const code = parseInteger(digits, { bits: 32, signed: false }, 16);
    return code > 0x10ffffn ? "\ufffd" : String.fromCodePoint(Number(code));
  });
}

/** `b'…'`: bytes with a NUL at their end. */
function bytesNode(text: string, given: string): Node {
  const bytes = [...Buffer.from(text.slice(2, -1), "utf8")];
  const out: number[] = [];
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    if (byte !== 0x5c) {
      out.push(byte);
      continue;
    }
    const letter = String.fromCharCode(bytes[++i] as number);
    const length = letter === "x" ? 2 : letter === "0" ? 3 : 0;
    if (length === 0) {
      out.push((ESCAPES[letter] || letter).charCodeAt(0));
      continue;
    }
    const digits = String.fromCharCode(...bytes.slice(i + 1, i + 1 + length));
    if (digits.length < length) throw new ThawError("short escape");
    const base = letter === "x" ? 16 : 8;
    out.push(Number(parseInteger(digits, { bits: 8, signed: false }, base)));
    i += length;
  }
  out.push(0);
  return fixedNode("ay", given, text, [String(out.length), ...out.map(String)]);
}
