/** A program that is a list of system calls: written here, made executable by image.ts. @module */

import { ThawError } from "../../errors/errors.ts";
import { NATIVE, systemCalls } from "../syscalls.ts";

/** Something in the program's memory, whose address is known when the program is laid out. */
export class Place {
  /** Address in the running program. */
  address = 0;
}

/** Bytes of the program. */
export class Data extends Place {
  /** What is there; 8-byte words may be addresses of other places. */
  readonly content: Uint8Array | readonly Word[];
  constructor(content: Uint8Array | readonly Word[]) {
    super();
    this.content = content;
  }
}

/** Where a result goes: as an argument of a call it is that argument's value, once. */
export class Result extends Place {}

/** A call of the program to go on with. */
export class Label extends Place {
  /** Index of the call it stands before. */
  index: number | undefined;
}

/** Eight bytes: a number, or the address of a place. */
export type Word = number | bigint | Place;

/** What follows a call; the next call unless said otherwise. */
export interface Then {
  /** Where the result goes. */
  readonly into?: Data | Result;
  /** After 0. */
  readonly zero?: Label;
  /** After more than 0. */
  readonly positive?: Label;
  /** An error that is no failure, and what follows it. */
  readonly except?: readonly [errno: number, to: Label];
  /** After any other error; the program's `failed` unless said otherwise. */
  readonly failure?: Label;
}

/** A call as it was written. */
export interface Call extends Then {
  readonly number: number;
  readonly arguments: readonly Word[];
}

/** Number of the call that asks no kernel; see code.ts. */
const COMPARE = -1;

/** Writes a program, call by call. */
export class Program {
  /** Of the machine that it is for. */
  readonly abi: "x86_64" | "aarch64";
  readonly calls: Call[] = [];
  readonly data: Data[] = [];
  readonly labels: Label[] = [];
  /** What follows a call that has failed; to be placed. */
  readonly failed = this.label();
  /** The record of the call that failed last: its address and its errno, 8 bytes each. */
  readonly record = new Place();
  #doing: unknown;
  readonly #doings = new Map<number, unknown>();

  constructor(abi: "x86_64" | "aarch64" = NATIVE) {
    this.abi = abi;
  }

  /** Puts bytes, or words, into the program's memory. */
  put(content: Uint8Array | readonly Word[]): Data {
    const data = new Data(content);
    this.data.push(data);
    return data;
  }

  /** A NUL-terminated string in the program's memory. @throws ThawError for one with a NUL in it */
  text(text: string): Data {
    if (text.includes("\0")) throw new ThawError(`${JSON.stringify(text)} contains a NUL byte`);
    return this.put(Buffer.from(`${text}\0`));
  }

  /** A NULL-terminated array of strings, such as argv. */
  texts(texts: readonly string[]): Data {
    return this.put([...texts.map((one) => this.text(one)), 0]);
  }

  /** A result that will be an argument of one call. */
  result(): Result {
    return new Result();
  }

  /** A label, to be placed once. */
  label(): Label {
    const label = new Label();
    this.labels.push(label);
    return label;
  }

  /** Places a label before the next call. */
  place(label: Label): void {
    label.index = this.calls.length;
  }

  /** What the calls from here on do, in words for whoever is told that one has failed. */
  doing(what: unknown): void {
    this.#doing = what;
  }

  /** What a call does; undefined for an index that is none. */
  doingOf(index: number): unknown {
    return this.#doings.get(index);
  }

  /** Adds a system call, by its name. */
  call(name: string, words: readonly Word[], then: Then = {}): void {
    const number = systemCalls().get(name)?.[this.abi];
    if (number === undefined) throw new Error(`${name} is no system call of ${this.abi}`);
    this.#add(number, words, then);
  }

  /** Ends the list as if a call had failed, with errno 1. */
  fail(): void {
    this.compare(this.put(new Uint8Array(1)), 1, {});
  }

  /** Goes on elsewhere. */
  jump(to: Label): void {
    this.compare(this.put(new Uint8Array(1)), 0, { zero: to });
  }

  /** Compares the byte at a place: `zero` when it is that one; else `positive` or `failure`. */
  compare(place: Place, byte: number, then: Then): void {
    this.#add(COMPARE, [place, byte], then);
  }

  #add(number: number, words: readonly Word[], then: Then): void {
    this.#doings.set(this.calls.length, this.#doing);
    this.calls.push({ number, arguments: words, ...then });
  }
}
