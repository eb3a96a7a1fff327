/** Properties of a unit, in the form busctl(1) takes them. Pure. @module */

import { toUint64 } from "../../oci/go.ts";

/** A property: its D-Bus signature, and the words of its value. */
export interface Property {
  readonly name: string;
  readonly signature: string;
  readonly words: readonly string[];
}

/** A property with a boolean value. */
export const boolean = (name: string, value: boolean): Property => ({
  name,
  signature: "b",
  words: [String(value)],
});

/** A property with a string value. */
export const string = (name: string, value: string): Property => ({
  name,
  signature: "s",
  words: [value],
});

/** A property with an unsigned value of 64 bits; a text is passed on as it is. */
export const uint64 = (name: string, value: number | bigint | string): Property => ({
  name,
  signature: "t",
  words: [typeof value === "string" ? value : toUint64(value)],
});
