/** All checks that need no container: `npm run check`. @module */

import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { outOfDate } from "./docs.ts";

const root = join(import.meta.dir, "..");
const bin = (name: string) => join(root, "node_modules", ".bin", name);

/** Name, and the command. */
const CHECKS: readonly (readonly [string, readonly string[]])[] = [
  ["format and lint", [bin("biome"), "ci", "--error-on-warnings", "."]],
  ["types", [bin("tsc"), "--noEmit"]],
  ["imports point one way", [bin("depcruise"), "cmd", "internal", "tests", "scripts"]],
  ["exports are documented", [bin("typedoc")]],
  ["proto lint", [bin("buf"), "lint"]],
  [
    "docs/compatibility.md is up to date",
    [process.execPath, "scripts/compatibility.ts", "--check"],
  ],
];

function run(argv: readonly string[]): string | undefined {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...argv], { cwd: root });
  return exitCode === 0 ? undefined : `${stdout}${stderr}`;
}

/** Generates into a directory of its own and compares. */
function generatedIsCurrent(): string | undefined {
  const fresh = mkdtempSync(join(root, ".gen-"));
  try {
    cpSync(join(root, "buf.gen.yaml"), join(fresh, "buf.gen.yaml"));
    return (
      run([bin("buf"), "generate", "--output", fresh]) ??
      run(["diff", "-r", "internal/criu/gen", join(fresh, "internal/criu/gen")])
    );
  } finally {
    rmSync(fresh, { recursive: true });
  }
}

let failed = 0;
const report = (name: string, problem: string | undefined, start: number) => {
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${problem === undefined ? "ok    " : "FAILED"} ${name} (${seconds} s)`);
  if (problem === undefined) return;
  console.log(problem);
  failed++;
};
for (const [name, argv] of CHECKS) {
  const start = performance.now();
  report(name, run(argv), start);
}
let start = performance.now();
report("generated code is up to date", generatedIsCurrent(), start);
start = performance.now();
report("man pages, completions and docs are up to date", await outOfDate(), start);
console.log(`checks: ${CHECKS.length + 2 - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
