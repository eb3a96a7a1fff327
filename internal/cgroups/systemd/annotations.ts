/** Unit properties that config.json asks for by `org.systemd.property.*` annotations. Pure. @module */

import { ThawError } from "../../errors/errors.ts";
import { toUint64 } from "../../oci/go.ts";
import type { Spec } from "../../oci/spec.ts";
import type { Property } from "./property.ts";
import { parseVariant, type Value } from "./variant.ts";

const PREFIX = "org.systemd.property.";
const MICROSECONDS = 1_000_000;

/**
 * Reads them (runc: docs/systemd.md). A name in `Sec` becomes one in `USec`, whose value is in
 * microseconds, as systemd has it on the bus.
 *
 * @throws ThawError `annotation org.systemd.property.X name incorrect: too short`
 */
export function annotationProperties(annotations: Spec["annotations"]): Property[] {
  return Object.entries(annotations ?? {})
    .filter(([key]) => key.startsWith(PREFIX))
    .map(([key, text]) => toProperty(key, text));
}

function toProperty(key: string, text: string): Property {
  const name = key.slice(PREFIX.length);
  const refuse = (reason: string) => new ThawError(`annotation ${key} name incorrect: ${reason}`);
  if (name.length < 3) throw refuse("too short");
  if (!/^[A-Za-z]+$/.test(name)) throw refuse("contains non-alphabetic character");
  try {
    const value = parseVariant(text);
    const stem = /^(.*[a-z])Sec$/.exec(name)?.[1];
    return stem === undefined ? { name, ...value } : { name: `${stem}USec`, ...toUsec(value) };
  } catch (cause) {
    throw new ThawError(`annotation ${key}=${text} value parse error`, {
      cause,
      hint: "values are written as GVariant text, such as uint64 5 or 'inactive-or-failed'",
    });
  }
}

function toUsec({ signature, words: [word = ""] }: Value): Value {
  if (!/^[ynqiuxtd]$/.test(signature)) throw new ThawError("not a number");
  const microseconds =
    signature === "d"
      ? BigInt(Math.trunc(Number(word) * MICROSECONDS))
      : BigInt(word) * BigInt(MICROSECONDS);
  return { signature: "t", words: [toUint64(microseconds)] };
}
