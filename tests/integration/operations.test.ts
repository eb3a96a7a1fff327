/**
 * A thousand operations at random on a few containers, a tenth of them killed at a random instant and
 * some two at once: `state`, `list` and `delete -f` deal with whatever comes of it, and afterwards
 * everything is as it was.
 *
 * @module
 */

import { expect, test } from "bun:test";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type Bundle,
  countsOn,
  Lab,
  must,
  processesOf,
  run,
  THAW,
  traces,
} from "../support/lab.ts";
import { steadyBundle } from "../support/steady.ts";

const OPERATIONS = Number(process.env["THAW_OPERATIONS"] ?? 1000);
/** The seed of a run that failed makes the same choices again, though not at the same instants. */
const SEED = Number(process.env["THAW_SEED"] ?? Date.now() % 1_000_000);
const CONTAINERS = 3;
/** Milliseconds within which a kill comes: longer than most operations take. */
const KILLED_WITHIN = 250;

/** mulberry32: numbers from 0 to 1 that a seed repeats. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Subject {
  readonly id: string;
  readonly bundle: Bundle;
  /** Checkpoints that are whole. */
  readonly images: string[];
}

interface Operation {
  readonly name: string;
  readonly argv: readonly string[];
  /** What a success means for the subject. */
  done?(): void;
}

/** How often each is done, of 100. */
const SHARE = {
  restore: 24,
  checkpoint: 12,
  exec: 11,
  pause: 11,
  resume: 14,
  kill: 5,
  delete: 6,
  "delete -f": 8,
  state: 3,
  ps: 3,
  list: 3,
} as const;
type Name = keyof typeof SHARE;
const NAMES = (Object.keys(SHARE) as Name[]).flatMap((name) => Array<Name>(SHARE[name]).fill(name));

class Soak {
  readonly lab: Lab;
  readonly subjects: readonly Subject[];
  readonly succeeded = new Map<string, number>();
  readonly random = randomNumbers(SEED);
  #images = 0;

  constructor(lab: Lab) {
    this.lab = lab;
    this.subjects = Array.from({ length: CONTAINERS }, () => {
      const bundle = steadyBundle(lab);
      const id = lab.id();
      return { id, bundle, images: [lab.checkpointed(bundle, id)] };
    });
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.random() * from.length)] as T;
  }

  operation(): Operation {
    const name = this.pick(NAMES);
    return this.#operation(name, this.pick(this.subjects));
  }

  #operation(name: Name, { id, bundle, images }: Subject): Operation {
    switch (name) {
      case "restore": {
        const image = [
          "--image-path",
          this.pick(images),
          "--work-path",
          join(this.lab.path, "work"),
        ];
        return { name, argv: ["restore", "-d", "--bundle", bundle.path, ...image, id] };
      }
      case "checkpoint": {
        const image = join(this.lab.path, `dump${this.#images++}`);
        const leave = this.random() < 0.5 ? ["--leave-running"] : [];
        const done = () => images.push(image);
        return { name, argv: ["checkpoint", "--image-path", image, ...leave, id], done };
      }
      case "exec":
        return { name, argv: ["exec", id, "echo", "here"] };
      case "kill":
        return { name, argv: ["kill", id, "KILL"] };
      case "delete -f":
        return { name, argv: ["delete", "-f", id] };
      case "list":
        return { name, argv: ["list", "--format", "json"] };
      default:
        return { name, argv: [name, id] };
    }
  }

  /** Runs one, perhaps killed. */
  async run({ name, argv, done }: Operation, killed: boolean): Promise<void> {
    await using thaw = Bun.spawn([THAW, "--root", this.lab.root, ...argv], {
      cwd: "/",
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 60_000,
      killSignal: "SIGABRT",
    });
    const timer = killed
      ? setTimeout(() => thaw.kill("SIGKILL"), this.random() * KILLED_WITHIN)
      : undefined;
    // What exec started may hold the pipes of a thaw that was killed.
    const output = Promise.all([thaw.stdout, thaw.stderr].map((pipe) => new Response(pipe).text()));
    const status = await thaw.exited;
    clearTimeout(timer);
    const [stdout = "", stderr = ""] = await output;
    if (thaw.signalCode === "SIGKILL" && killed) return;
    const told = `${argv.join(" ")}: status ${status} ${stderr}`;
    expect(told).toMatch(status === 0 ? /: status 0 / : /: status (1|255) .*(level=error|\S)/s);
    expect(told).not.toMatch(/TypeError|ReferenceError|RangeError|panic|\bat .*:\d+:\d+/);
    if (status !== 0) return;
    this.succeeded.set(name, (this.succeeded.get(name) ?? 0) + 1);
    if (name === "list") JSON.parse(stdout);
    if (name === "state") expect(JSON.parse(stdout)).toMatchObject({ ociVersion: "1.2.1" });
    done?.();
  }
}

/** Everything in the rootfs with mode, size and hash, except what the counter writes. */
function listing(bundle: Bundle): string {
  const script =
    "find . -path ./tmp -prune -o -printf '%M %p %l\\n' | sort; " +
    "find . -path ./tmp -prune -o -type f -exec sha256sum {} + | sort";
  return run(["sh", "-c", script], { cwd: bundle.rootfs }).stdout;
}

const mounts = () => readFileSync("/proc/self/mountinfo", "utf8");

test(`${OPERATIONS} operations, a tenth of them killed (THAW_SEED=${SEED})`, async () => {
  using lab = new Lab();
  mkdirSync(join(lab.path, "work"));
  const soak = new Soak(lab);
  const files = soak.subjects.map(({ bundle }) => listing(bundle));
  const before = { traces: traces(lab), mounts: mounts() };
  for (let n = 0; n < OPERATIONS; n++) {
    // Now and then two at once.
    const operations =
      soak.random() < 0.1 ? [soak.operation(), soak.operation()] : [soak.operation()];
    await Promise.all(operations.map((it) => soak.run(it, soak.random() < 0.1)));
    expect(mounts()).toBe(before.mounts);
    if (n % 20 > 0) continue;
    must(lab.thaw(["list", "--format", "json"]));
    for (const { id } of soak.subjects)
      expect(lab.thaw(["state", id]).stderr).toMatch(/^$|does not exist/);
  }
  console.log(Object.fromEntries(soak.succeeded));
  // Which ones work depends on what came before; none is to fail always.
  const never = Object.keys(SHARE).filter((name) => !soak.succeeded.has(name));
  expect(never).toEqual([]);

  for (const { id } of soak.subjects)
    expect(lab.thaw(["delete", "-f", id])).toEqual({ status: 0, stdout: "", stderr: "" });
  expect(processesOf(lab)).toEqual([]);
  expect({ traces: traces(lab), mounts: mounts() }).toEqual(before);
  expect(soak.subjects.map(({ bundle }) => listing(bundle))).toEqual(files);
  // And every container comes back still.
  for (const { id, bundle, images } of soak.subjects) {
    must(lab.restore(bundle, images.at(-1) as string, id));
    countsOn(bundle, bundle.count());
    must(lab.thaw(["delete", "-f", id]));
  }
}, 1_200_000);
