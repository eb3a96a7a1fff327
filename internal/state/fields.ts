/**
 * Fields of a JSON object, each of the type it must have. What is null or not there is Go's zero
 * value, as encoding/json leaves it.
 *
 * @module
 */

import { ThawError } from "../errors/errors.ts";

/** An object of a document that may be damaged. */
export class Fields {
  /** All of it, as it is. */
  readonly values: Readonly<Record<string, unknown>>;
  readonly #path: string;

  /**
   * @param value the object
   * @param path how errors name its fields: what stands before them
   * @throws ThawError `a wrong PATH`, `no object in it`
   */
  constructor(value: unknown, path = "") {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw new ThawError(path === "" ? "no object in it" : `a wrong ${path}`);
    this.values = value as Readonly<Record<string, unknown>>;
    this.#path = path === "" ? "" : `${path}.`;
  }

  /** @throws ThawError `a wrong NAME`, as all of them */
  text(name: string, otherwise = ""): string {
    return textOf(this.values[name] ?? otherwise, this.#path + name);
  }

  /** A number that cannot be left out. @throws ThawError `no NAME` */
  integer(name: string): number {
    const value = this.values[name];
    if (!Number.isSafeInteger(value)) throw new ThawError(`no ${this.#path}${name}`);
    return value as number;
  }

  /** A number; null when it is not there. */
  number(name: string): number | null {
    const value = this.values[name] ?? null;
    if (value !== null && typeof value !== "number") throw this.#wrong(name);
    return value;
  }

  /** A list of texts; null when it is not there. */
  optionalTexts(name: string): string[] | null {
    return this.has(name) ? this.texts(name) : null;
  }

  /** A list of texts. */
  texts(name: string): string[] {
    return this.#list(name).map((one) => textOf(one ?? "", this.#path + name));
  }

  /** An object; an empty one when it is not there. */
  object(name: string): Fields {
    return new Fields(this.values[name] ?? {}, this.#path + name);
  }

  /** A list of objects. */
  objects(name: string): Fields[] {
    return this.#list(name).map((one) => new Fields(one ?? {}, this.#path + name));
  }

  /** Texts by name. */
  table(name: string): Map<string, string> {
    const entries = Object.entries(this.object(name).values);
    return new Map(entries.map(([key, one]) => [key, textOf(one ?? "", this.#path + name)]));
  }

  /** Whether there is such a field, which is not null. */
  has(name: string): boolean {
    return (this.values[name] ?? null) !== null;
  }

  #list(name: string): unknown[] {
    const value = this.values[name] ?? [];
    if (!Array.isArray(value)) throw this.#wrong(name);
    return value;
  }

  #wrong(name: string): ThawError {
    return new ThawError(`a wrong ${this.#path}${name}`);
  }
}

function textOf(value: unknown, path: string): string {
  if (typeof value !== "string") throw new ThawError(`a wrong ${path}`);
  return value;
}
