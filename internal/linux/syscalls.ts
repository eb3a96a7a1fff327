/** The numbers of system calls by their names (syscalls(2)). @module */

import table from "./syscalls.txt" with { type: "text" };

/** Ways to call the kernel that have numbers of their own, in the order of the table's columns. */
export const ABIS = ["x86_64", "x32", "x86", "aarch64", "arm"] as const;

/** One of {@link ABIS}. */
export type Abi = (typeof ABIS)[number];

/** The ABI of this program, and of the programs it makes. */
export const NATIVE = process.arch === "arm64" ? "aarch64" : "x86_64";

/** Each name to its numbers, one for each ABI; undefined where the ABI has no such call. */
export type SystemCalls = ReadonlyMap<string, Readonly<Partial<Record<Abi, number>>>>;

let read: SystemCalls | undefined;

/** All system calls. The number of an x32 call is without that ABI's bit 30. */
export function systemCalls(): SystemCalls {
  read ??= new Map(
    table
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => {
        const [name = "", ...numbers] = line.split(" ");
        const known = ABIS.flatMap((abi, i) =>
          numbers[i] === "-" ? [] : [[abi, Number(numbers[i])] as const],
        );
        return [name, Object.fromEntries(known)] as const;
      }),
  );
  return read;
}
