/** Whether a document has the types it should have, in the words of Go's encoding/json. @module */

import { ThawError } from "../errors/errors.ts";

/** Names of Go's scalar types. */
type Scalar =
  | "string"
  | "bool"
  | "int"
  | "uint"
  | "int32"
  | "uint16"
  | "uint32"
  | "uint64"
  | "int64";
/** A type: a scalar, a list, a map of strings to something, or a struct of runtime-spec's specs-go. */
export type Shape =
  | Scalar
  | { readonly list: Shape }
  | { readonly map: Shape }
  | { readonly struct: string; readonly fields: Readonly<Record<string, Shape>> };

/**
 * Checks a parsed document.
 *
 * @param hint the remedy, should it be wrong
 * @returns a copy without what is null, as encoding/json leaves it at its zero value; in a list or
 *   a map a null becomes that zero value
 * @throws ThawError `json: cannot unmarshal number into Go struct field Spec.ociVersion of type string`
 */
export function checkShape(value: unknown, shape: Shape, hint: string): unknown {
  return walk(value, shape, { hint, struct: "", path: "" });
}

/** Where in the document: the Go struct around it, and the path as Go names it. */
interface Place {
  readonly hint: string;
  readonly struct: string;
  readonly path: string;
}

function walk(value: unknown, shape: Shape, place: Place): unknown {
  if (typeof shape === "string") {
    checkScalar(value, shape, place);
    return value;
  }
  if ("list" in shape) {
    if (!Array.isArray(value)) throw mismatch(value, shape, place);
    return value.map((element) => orZero(element, shape.list, place));
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw mismatch(value, shape, place);
  const entries = Object.entries(value);
  if ("map" in shape)
    return Object.fromEntries(entries.map(([key, one]) => [key, orZero(one, shape.map, place)]));
  const kept = entries.flatMap(([key, one]) => {
    const name = fieldName(shape.fields, key);
    const field = Object.hasOwn(shape.fields, name) ? shape.fields[name] : undefined;
    if (one === null) return [];
    if (field === undefined) return [[key, one] as const];
    const path = place.path === "" ? name : `${place.path}.${name}`;
    return [[name, walk(one, field, { ...place, struct: shape.struct, path })] as const];
  });
  return Object.fromEntries(kept);
}

// Go takes a key in any case when there is none that fits exactly.
function fieldName(fields: Readonly<Record<string, Shape>>, key: string): string {
  if (Object.hasOwn(fields, key)) return key;
  const same = (name: string) => name.toLowerCase() === key.toLowerCase();
  return Object.keys(fields).find(same) ?? key;
}

function orZero(value: unknown, shape: Shape, place: Place): unknown {
  if (value !== null) return walk(value, shape, place);
  if (shape === "string") return "";
  if (shape === "bool") return false;
  if (typeof shape === "string") return 0;
  return "list" in shape ? [] : {};
}

const RANGES: Readonly<Record<string, readonly [bigint, bigint]>> = {
  int: [-(2n ** 63n), 2n ** 63n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  uint: [0n, 2n ** 64n - 1n],
  uint16: [0n, 2n ** 16n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
};

function checkScalar(value: unknown, shape: Scalar, place: Place): void {
  const kind = shape === "string" ? "string" : shape === "bool" ? "boolean" : "number";
  const found = typeof value === "bigint" ? "number" : typeof value;
  if (found !== kind) throw mismatch(value, shape, place);
  if (typeof value !== "number" && typeof value !== "bigint") return;
  const [least, most] = RANGES[shape] ?? [0n, 0n];
  const whole = typeof value === "bigint" || Number.isInteger(value);
  if (!whole || value < least || value > most)
    throw mismatch(value, shape, place, `number ${value}`);
}

function mismatch(value: unknown, shape: Shape, place: Place, shown?: string): ThawError {
  const kinds: Record<string, string> = { boolean: "bool", bigint: "number" };
  const kind = Array.isArray(value) ? "array" : (kinds[typeof value] ?? typeof value);
  const type = goType(shape);
  const target =
    place.path === ""
      ? `value of type ${type}`
      : `struct field ${place.struct}.${place.path} of type ${type}`;
  return new ThawError(`json: cannot unmarshal ${shown ?? kind} into Go ${target}`, {
    hint: place.hint,
  });
}

function goType(shape: Shape): string {
  if (typeof shape === "string") return shape;
  if ("list" in shape) return `[]${goType(shape.list)}`;
  return "map" in shape ? `map[string]${goType(shape.map)}` : `specs.${shape.struct}`;
}
