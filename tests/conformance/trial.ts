/** One run of one runtime under a row's condition, and what is left afterwards. @module */

import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import {
  type Bundle,
  type Json,
  Lab,
  must,
  openBundle,
  processesOf,
  type Ran,
  run,
  THAW,
  traces,
  waitFor,
} from "../support/lab.ts";
import type { Checkpoint, Checkpoints } from "./checkpoints.ts";
import { type LogLine, type Outcome, readJson, readText, withoutContext } from "./outcome.ts";
import type { Call, Given, Row, Side } from "./row.ts";

/** Where log records go. */
export const LOGS = ["standard error", "text", "json"] as const;
export type LogForm = (typeof LOGS)[number];

/** Milliseconds a runtime may take; one that is known to hang is given less. */
const LIMIT = 20_000;
const HANG_LIMIT = 1_000;

const REMOVED_WITH = "gone: /sys/fs/cgroup/";

/** What a run came to. */
export interface Tried {
  readonly outcome: Outcome;
  readonly ran: Ran;
  /** The last message of level error. */
  readonly message: string;
  /** Whether CRIU was asked to restore. */
  readonly criu: boolean;
  /** What is there and was not, or was and is not. */
  readonly left: readonly string[];
}

/** A fresh copy of a row's condition. */
export class Trial implements Disposable {
  readonly given: Given;
  readonly #row: Row;
  readonly #side: Side;
  readonly #shared: Checkpoint;
  /** Made when the row asks for them; one that changes neither needs none. */
  readonly #copies: { bundle: Bundle | undefined; image: string | undefined };
  #runs = 0;
  #criuBefore: string[] = [];

  constructor(row: Row, side: Side, checkpoints: Checkpoints) {
    const shared = checkpoints.get(row.checkpoint ?? "still");
    const lab = new Lab();
    mkdirSync(lab.root, { mode: 0o711 });
    chmodSync(lab.path, 0o755); // for user namespaces
    this.#row = row;
    this.#side = side;
    this.#shared = shared;
    const copies = {
      bundle: undefined as Bundle | undefined,
      image: undefined as string | undefined,
    };
    const copy = (from: string, name: string) => {
      const to = join(lab.path, name);
      must(run(["cp", "-a", from, to]));
      return to;
    };
    this.#copies = copies;
    this.given = {
      side,
      lab,
      get bundle() {
        copies.bundle ??= openBundle(copy(shared.bundle.path, "bundle"));
        return copies.bundle;
      },
      get image() {
        copies.image ??= copy(shared.image, "image");
        return copies.image;
      },
      id: lab.id(),
      path: join(lab.path, "path"),
    };
  }

  /** Runs the runtime once, in the row's condition. */
  try(form: LogForm, condition: (given: Given) => Call = (given) => this.#row.make?.(given) ?? {}) {
    const { given } = this;
    const { lab } = given;
    const work = join(lab.path, `work${this.#runs}`);
    const log = join(lab.path, `log${this.#runs++}`);
    const call = condition(given);
    const limit = this.#hangs ? HANG_LIMIT : LIMIT;
    this.#criuBefore = criuDirectories();
    const before = this.#everything(log);
    const ran = run(this.#argv(call, form, log, work), {
      timeout: limit,
      ...(call.env === undefined ? {} : { env: call.env }),
    });
    const hung = ran.timedOut === true;
    if (hung) this.#endAll();
    const container = ran.status === 0 ? this.#container() : this.#seen(given);
    if (ran.status === 0) for (const id of this.#ids()) lab.delete(id);
    // What CRIU was given to write to, and mount points, may stay.
    const criu = existsSync(join(work, "restore.log"));
    const after = this.#everything(log);
    const found =
      criu || ran.status === 0 || this.#row.late || this.#row.ends
        ? changes(before.traces, after.traces)
        : changes([...before.traces, ...before.files], [...after.traces, ...after.files]);
    // A container that ran takes its cgroup along, even one that was there before.
    const removed = this.#row.runs ? "gone: " : REMOVED_WITH;
    const left = found.filter((line) => ran.status !== 0 || !line.startsWith(removed));
    const outcome = this.#outcome(ran, form, log, hung, container);
    const errors = outcome.log.filter(({ level }) => level === "error");
    const message = errors.at(-1)?.message ?? outcome.stderr.at(-1) ?? "";
    return { outcome, ran, message, criu, left } satisfies Tried;
  }

  get #hangs(): boolean {
    return this.#row.hangs === true && this.#side === "runc";
  }

  #argv(call: Call, form: LogForm, log: string, work: string): string[] {
    const { lab, id } = this.given;
    const bundle = this.#copies.bundle ?? this.#shared.bundle;
    const image = this.#copies.image ?? this.#shared.image;
    const program = this.#side === "runc" ? (Bun.which("runc") as string) : THAW;
    const logging = form === "standard error" ? [] : ["--log", log, "--log-format", form];
    // The mounts of a runtime that will be killed are its own.
    const own = this.#hangs ? ["unshare", "-m", "--propagation", "slave"] : [];
    const head = [...own, ...(call.through ?? []), program, ...logging];
    if (call.argv !== undefined) return [...head, ...call.argv];
    const restore = ["restore", ...(call.detach === false ? [] : ["-d"])];
    const paths = ["--bundle", bundle.path, "--image-path", image, "--work-path", work];
    const rest = [...restore, ...paths, ...(call.flags ?? []), ...(call.ids ?? [id])];
    return [...head, "--root", lab.root, ...(call.globals ?? []), ...rest];
  }

  #everything(log: string): { traces: string[]; files: string[] } {
    const { lab } = this.given;
    if (this.#side === "runc") return { traces: [], files: [] };
    const directories = [lab.path, this.#shared.bundle.path, this.#shared.image];
    const files = directories.flatMap((path) =>
      readdirSync(path, { recursive: true }).map((name) => join(path, String(name))),
    );
    return { traces: traces(lab), files: files.filter((name) => name !== log) };
  }

  #ids(): string[] {
    return readdirSync(this.given.lab.root);
  }

  /** The container that runs now: its state, and what the row looks at. */
  #container(): Json {
    const { lab, id } = this.given;
    const [name = id] = this.#ids();
    if (!existsSync(join(lab.root, name, "state.json"))) return undefined;
    const state = lab.state(name);
    const { init_process_pid: pid, init_process_start: _, created: __, ...rest } = state;
    const text = JSON.stringify(rest).replaceAll(`/proc/${pid}/`, "/proc/PID/");
    return {
      status: JSON.parse(must(lab.runc(["state", "--", name])).stdout).status,
      state: JSON.parse(this.#normal(text.replaceAll(/(socket|pipe):\[\d+\]/g, "$1:[]"))),
      seen: this.#seen({ ...this.given, id: name }),
    };
  }

  #seen(given: Given): Json {
    const seen = this.#row.look?.(given);
    return seen === undefined ? undefined : JSON.parse(this.#normal(JSON.stringify(seen)));
  }

  #outcome(ran: Ran, form: LogForm, log: string, hung: boolean, container: Json): Outcome {
    const text = existsSync(log) ? readFileSync(log, "utf8") : "";
    const stderr = readText(this.#normal(ran.stderr));
    const normal = (lines: readonly LogLine[]) =>
      withoutContext(lines.map((line) => ({ ...line, message: this.#normal(line.message) })));
    const records = form === "json" ? readJson(text) : readText(text).records;
    if (form === "text" && readText(text).rest.length > 0)
      throw new Error(`the log holds lines that are no records: ${text}`);
    return {
      status: hung ? undefined : ran.status,
      stdout: withoutPids(this.#normal(ran.stdout)),
      stderr: stderr.rest,
      log: [...normal(records), ...normal(stderr.records)],
      ...(container === undefined ? {} : { container }),
    };
  }

  /** Text without paths of this run, ids and numbers that differ by nature. */
  #normal(text: string): string {
    const name = this.given.lab.path.slice("/tmp/".length);
    return text
      .replaceAll(this.given.lab.path, "$LAB")
      .replaceAll(new RegExp(`${name}-\\d+`, "g"), "$ID")
      .replaceAll(name, "$NAME")
      .replaceAll(/\$LAB\/(work|log)\d+/g, "$$LAB/$1")
      .replaceAll(/^\S*\b(runc|thaw): /gm, "$$0: ")
      .replaceAll(/"time":"[^"]+"/g, '"time":"T"')
      .replaceAll(/fd\/\d+/g, "fd/N")
      .replaceAll(/\.criu\.mntns\.\w+/g, ".criu.mntns.X")
      .replaceAll(/(pid|process) \d+/g, "$1 N");
  }

  /** Ends what a hung runtime started: all of it works in this lab. */
  #endAll(): void {
    const { lab } = this.given;
    const pids = () => processesOf(lab).map((line) => Number(line.split(" ")[0]));
    waitFor(() => {
      for (const pid of pids()) run(["kill", "-9", String(pid)]);
      return pids().length === 0;
    }, "processes of a hung runtime to end");
    for (const name of criuDirectories().filter((name) => !this.#criuBefore.includes(name)))
      rmdirSync(join("/tmp", name));
  }

  [Symbol.dispose](): void {
    this.#row.clean?.(this.given);
    this.given.lab[Symbol.dispose]();
  }
}

/** What state, list and ps print, without pids and times, and as if these were of one length. */
function withoutPids(text: string): string {
  return text
    .replaceAll(/("pid": ?)[1-9]\d*/g, "$1N")
    .replaceAll(/^\[[\d,]+\]$/gm, (pids) => pids.replaceAll(/\d+/g, "N"))
    .replaceAll(/(\$ID +)[1-9]\d* +/g, "$1N ")
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z *|CREATED +/g, "TIME ");
}

function changes(before: readonly string[], after: readonly string[]): string[] {
  return [
    ...after.filter((line) => !before.includes(line)).map((line) => `new: ${line}`),
    ...before.filter((line) => !after.includes(line)).map((line) => `gone: ${line}`),
  ];
}

/** CRIU's temporary directories. */
function criuDirectories(): string[] {
  return readdirSync("/tmp").filter((name) => name.startsWith(".criu."));
}
