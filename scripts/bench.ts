/**
 * Side by side: thaw and runc, whole process, by turns in one run. Prints ratios of medians.
 *
 * `npm run bench -- [ROUNDS]`
 *
 * @module
 */

import { Lab, must, run, THAW } from "../tests/support/lab.ts";

const rounds = Number(process.argv[2] ?? 40);

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** Runs both by turns, the first one alternating, and prints the ratio. */
function compare(name: string, times: number, once: (file: string) => number): void {
  const taken: Record<"thaw" | "runc", number[]> = { thaw: [], runc: [] };
  const files = [
    ["thaw", THAW],
    ["runc", "runc"],
  ] as const;
  for (let round = 0; round < times; round++) {
    for (const [who, file] of round % 2 === 0 ? files : [...files].reverse())
      taken[who].push(once(file));
  }
  const pairs = taken.thaw.map((value, i) => value / (taken.runc[i] ?? Number.NaN));
  const ratio = median(taken.thaw) / median(taken.runc);
  const shown = (who: "thaw" | "runc") => `${who} ${median(taken[who]).toFixed(1)} ms`;
  console.log(
    `${name.padEnd(12)} thaw/runc ${ratio.toFixed(2)} (median of pairs ${median(pairs).toFixed(2)}; ${shown("thaw")}, ${shown("runc")}, ${times} pairs)`,
  );
}

function timed(argv: readonly string[]): number {
  const start = performance.now();
  must(run(argv));
  return performance.now() - start;
}

compare("--help", rounds, (file) => timed([file, "--help"]));
compare("--version", rounds, (file) => timed([file, "--version"]));
{
  using lab = new Lab();
  const bundle = lab.bundle();
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  compare("restore -d", Math.ceil(rounds / 2), (file) => {
    const flags = ["restore", "-d", "--bundle", bundle.path, "--image-path", image, id];
    const milliseconds = timed([file, "--root", lab.root, ...flags]);
    lab.delete(id);
    return milliseconds;
  });
}
