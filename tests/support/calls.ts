/**
 * The calls of a runtime that a caller makes, recorded, and as a document says they are.
 *
 * docs/containerd.md and docs/podman.md have a table of flows; tests run the flows and compare, so
 * that the tables stay what was seen.
 *
 * @module
 */

import { expect } from "bun:test";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { THAW } from "./lab.ts";

/** A runtime that notes down what it is called with, and then is thaw: the same process. */
export class Recorder {
  /** Path to give to the caller. */
  readonly path: string;
  readonly #calls: string;

  /** Becomes another runtime, under the same name. */
  use(runtime: string): void {
    const note = `echo "$*" >>'${this.#calls}'`;
    writeFileSync(this.path, `#!/bin/sh\n${note}\nexec '${runtime}' "$@"\n`, { mode: 0o755 });
  }

  /** @param directory of its own; the program in it is called `thaw` */
  constructor(directory: string) {
    this.path = join(directory, "thaw");
    this.#calls = join(directory, "calls");
    this.use(THAW);
  }

  /** The calls since the last time, without global options; paths are `…`, ids `ID`. */
  take(): string[] {
    if (!existsSync(this.#calls)) return [];
    const lines = readFileSync(this.#calls, "utf8").trim().split("\n");
    rmSync(this.#calls);
    return lines.map(simplify);
  }
}

function simplify(line: string): string {
  const words = line
    .replace(/^(--root \S+ |--log(-format)?[= ]\S+ )*/, "")
    .split(" ")
    .map((word) => word.replace(/^(--\w+=)?\/.*/, "$1…"));
  // The id comes last, and before the signal of kill.
  const at = words[0] === "kill" ? words.length - 2 : words.length - 1;
  if (words[at] !== "--help") words[at] = "ID";
  return words.join(" ");
}

/** Compares calls with those a document has for a flow, in a row `| flow | versions | calls | … |`. */
export function expectDocumented(document: string, flow: string, calls: readonly string[]): void {
  const text = readFileSync(join(import.meta.dir, "../../docs", document), "utf8");
  const row = text.split("\n").find((line) => line.startsWith(`| ${flow} |`));
  if (process.env["CALLS_SHOW"])
    console.log(`| ${flow} | ${calls.map((c) => `\`${c}\``).join("; ")} |`);
  const documented = [...(row?.split(" | ")[2] ?? "").matchAll(/`([^`]+)`/g)].map(
    ([, call]) => call,
  );
  if (!process.env["CALLS_SHOW"])
    expect({ flow, calls: documented }).toEqual({ flow, calls: [...calls] });
}
