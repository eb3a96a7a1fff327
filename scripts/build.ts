/**
 * Builds `dist/thaw`, one executable.
 *
 * Bun's own environment variables would let whoever sets them run code in thaw before its first
 * line, and no build flag turns them off. Their names are overwritten in the finished file, with
 * names of the same length that no environment can hold. The number of places is checked: a
 * new Bun that has other places must be looked at first.
 *
 * @module
 */

import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "..");

/** Names to overwrite, and how many places Bun 1.4.5 has of each (longer names count). */
const NAMES = { BUN_OPTIONS: 2, BUN_BE_BUN: 1, BUN_INSPECT: 11 } as const;

function run(argv: readonly string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...argv], { cwd: root });
  if (exitCode !== 0) throw new Error(`${argv.join(" ")}: ${stderr.toString()}`);
  return stdout.toString().trim();
}

function commit(): string {
  const { exitCode, stdout } = Bun.spawnSync(["git", "describe", "--always", "--dirty"], {
    cwd: root,
  });
  return exitCode === 0 ? stdout.toString().trim() : "unknown";
}

/** Overwrites the names; throws when a count differs. */
export function closeEnvironment(file: Buffer): void {
  for (const [name, places] of Object.entries(NAMES)) {
    let found = 0;
    for (let at = file.indexOf(name); at !== -1; at = file.indexOf(name, at + 1)) {
      found++;
      // In JavaScript source a NUL would be a syntax error; that code is reached only through the
      // other places.
      const inSource = file.subarray(at - 4, at).toString() === "env.";
      file[at] = inSource ? "X".charCodeAt(0) : 0;
    }
    if (found !== places)
      throw new Error(
        `${name} is in ${found} places of the executable, not ${places}: look at each`,
      );
  }
}

function build(): void {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  mkdirSync(join(root, "dist"), { recursive: true });
  const output = join(root, "dist", `.thaw.${process.pid}`);
  run([
    process.execPath,
    "build",
    "--compile",
    "--target=bun-linux-x64",
    "--bytecode",
    "--minify",
    "--splitting",
    "--format=esm",
    "--no-compile-autoload-dotenv",
    "--no-compile-autoload-bunfig",
    "--no-compile-autoload-tsconfig",
    "--no-compile-autoload-package-json",
    `--define=THAW_VERSION=${JSON.stringify(version)}`,
    `--define=THAW_COMMIT=${JSON.stringify(commit())}`,
    "--outfile",
    output,
    "cmd/main.ts",
  ]);
  const file = readFileSync(output);
  closeEnvironment(file);
  writeFileSync(output, file);
  chmodSync(output, 0o755);
  renameSync(output, join(root, "dist", "thaw"));
}

if (import.meta.main) build();
