/**
 * The calls of a runtime that a caller makes, recorded, and as a document says they are.
 *
 * docs/containerd.md and docs/podman.md have a table of flows; tests run the flows and compare, so
 * that the tables stay what was seen.
 *
 * @module
 */

import { expect } from "bun:test";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Host } from "./host.ts";
import { THAW } from "./lab.ts";

/**
 * `/usr/local/bin/thaw` of a host: notes down what it is called with, and then is thaw, by the same
 * process.
 */
export class Recorder {
  /** Path on that host. */
  readonly path = "/usr/local/bin/thaw";
  readonly #host: Host;
  readonly #calls: string;

  /** @param calls where they are noted down */
  constructor(host: Host, calls: string) {
    this.#host = host;
    this.#calls = calls;
    this.use(THAW);
  }

  /** Becomes another runtime, under the same name; takes its absolute path. */
  use(runtime: string): void {
    const note = `echo "$*" >>'${this.#calls}'`;
    this.#host.write(this.path, `#!/bin/sh\n${note}\nexec '${runtime}' "$@"\n`, 0o755);
  }

  /** Whether a call with these words has been made since then. */
  called(words: string): boolean {
    return existsSync(this.#calls) && readFileSync(this.#calls, "utf8").includes(words);
  }

  /**
   * The calls since the last time, without global options; paths are `…`, ids `ID`. What is called
   * again at once, as containerd does with a resume that fails, is there once.
   */
  take(): string[] {
    if (!existsSync(this.#calls)) return [];
    const lines = readFileSync(this.#calls, "utf8").trim().split("\n");
    rmSync(this.#calls);
    return lines.map(simplify).filter((call, i, calls) => call !== calls[i - 1]);
  }
}

function simplify(line: string): string {
  const words = line
    .replace(/^(--root \S+ |--log(-format)?[= ]\S+ )*/, "")
    .split(" ")
    .map((word) => word.replace(/^(--\w+=)?\/.*/, "$1…"));
  // The id comes last, and before the signal of kill.
  const at = words[0] === "kill" ? words.length - 2 : words.length - 1;
  if (at > 0 && !words[at]?.startsWith("--")) words[at] = "ID";
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
