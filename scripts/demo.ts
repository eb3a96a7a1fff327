/** `npm start`: a real container, checkpointed by runc and brought back by thaw. @module */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isatty } from "node:tty";
import { Lab, must, run, THAW, traces, waitFor } from "../tests/support/lab.ts";

const root = join(import.meta.dir, "..");
const bold = (text: string) =>
  isatty(1) && (process.env["NO_COLOR"] ?? "") === "" ? `\x1b[1m${text}\x1b[0m` : text;
const step = (text: string) => console.log(`\n${bold(text)}`);
const show = (name: string, value: string | number) => console.log(`  ${name.padEnd(22)}${value}`);

const ROUNDS = 5;

function build(): void {
  step("Building dist/thaw");
  must(run([process.execPath, "scripts/build.ts"], { cwd: root, timeout: 300_000 }));
  show("dist/thaw", must(run([THAW, "--version"])).stdout.split("\n")[0] ?? "");
}

/** The container's processes as the host sees them: pid, parent, command. */
function processTree(pid: number): string[] {
  const line = (one: number, depth: number): string[] => {
    const command = readFileSync(`/proc/${one}/cmdline`, "utf8").split("\0").filter(Boolean);
    const shown = command
      .map((word) => (word.length > 40 ? `${word.slice(0, 37)}...` : word))
      .join(" ");
    const children = readFileSync(`/proc/${one}/task/${one}/children`, "utf8")
      .split(" ")
      .filter(Boolean);
    return [
      `${"  ".repeat(depth)}${one} ${shown}`,
      ...children.flatMap((c) => line(Number(c), depth + 1)),
    ];
  };
  return line(pid, 0);
}

/** Restores by turns with both runtimes; milliseconds of each. */
function race(lab: Lab, bundle: ReturnType<Lab["bundle"]>, id: string, image: string) {
  const times: Record<"thaw" | "runc", number[]> = { thaw: [], runc: [] };
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, file] of [
      ["runc", "runc"],
      ["thaw", THAW],
    ] as const) {
      const start = performance.now();
      const flags = ["restore", "-d", "--bundle", bundle.path, "--image-path", image, id];
      must(run([file, "--root", lab.root, ...flags]));
      times[name].push(performance.now() - start);
      lab.delete(id);
    }
  }
  return times;
}

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

function main(): void {
  build();
  using lab = new Lab();
  const id = lab.id();
  const bundle = lab.bundle();
  const before = traces(lab);
  step("A container that counts, run and checkpointed by runc");
  lab.start(bundle, id);
  waitFor(() => bundle.count() > 10, "the counter");
  const image = lab.checkpoint(id);
  const stopped = bundle.count();
  show("counter at checkpoint", stopped);
  show("processes", "none: the container is gone");

  step("thaw restore");
  must(lab.restore(bundle, image, id));
  waitFor(() => bundle.count() > stopped + 5, "the counter to go on");
  show("counter now", bundle.count());
  const state = JSON.parse(must(lab.runc(["state", id])).stdout);
  show("runc state", `${state.id} is ${state.status}, pid ${state.pid}`);
  for (const [i, line] of processTree(state.pid).entries())
    show(i === 0 ? "process tree" : "", line);
  lab.delete(id);

  step(`The same checkpoint, ${ROUNDS} times by turns`);
  const times = race(lab, bundle, id, image);
  const [thaw, runc] = [median(times.thaw), median(times.runc)];
  show("runc restore, median", `${runc.toFixed(0)} ms`);
  show("thaw restore, median", `${thaw.toFixed(0)} ms (${(thaw / runc).toFixed(2)} of runc's)`);

  step("What is left");
  const left = traces(lab).filter((line) => !before.includes(line));
  show("on the host", left.length === 0 ? "nothing" : left.join("\n"));
  if (left.length > 0 || !existsSync(bundle.rootfs)) process.exitCode = 1;
}

main();
