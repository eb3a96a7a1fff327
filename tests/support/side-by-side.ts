/**
 * runc and thaw doing the same to twins: two containers made alike, one handled by runc, the other
 * by thaw, and what each says, made comparable.
 *
 * @module
 */

import { expect } from "bun:test";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Lab, type Ran, run, THAW } from "./lab.ts";

/** One of the two. */
export interface Twin {
  readonly lab: Lab;
  readonly id: string;
  /** The runtime that handles it. */
  readonly runtime: string;
}

/** Two containers made alike; disposing ends both. */
export class Twins implements Disposable {
  readonly runc: Twin;
  readonly thaw: Twin;

  /**
   * @param make makes the container of one of them, if there is to be one
   * @param globals options before every command, such as --systemd-cgroup
   */
  constructor(make?: (lab: Lab, id: string) => void, globals: readonly string[] = []) {
    const twin = (runtime: string): Twin => {
      const lab = new Lab(globals);
      const id = lab.id();
      make?.(lab, id);
      return { lab, id, runtime };
    };
    this.runc = twin("runc");
    this.thaw = twin(THAW);
  }

  /** Both of them. */
  get both(): readonly [Twin, Twin] {
    return [this.runc, this.thaw];
  }

  /**
   * Runs a command on each by its runtime; status, output, errors and log must be the same.
   *
   * @param line words separated by spaces; ID is the container's id
   * @returns what thaw did
   */
  same(line: string): Ran {
    const [byRunc, byThaw] = this.both.map((twin) => observed(twin, line));
    expect({ line, ...byThaw?.comparable }).toEqual({ line, ...byRunc?.comparable });
    return byThaw?.ran as Ran;
  }

  [Symbol.dispose](): void {
    for (const { lab } of this.both) lab[Symbol.dispose]();
  }
}

interface Observed {
  readonly ran: Ran;
  readonly comparable: object;
}

function observed(twin: Twin, line: string): Observed {
  const { lab, id, runtime } = twin;
  const words = line.split(" ").map((word) => (word === "ID" ? id : word));
  const pid = pidOf(twin);
  const log = join(lab.path, "log.json");
  rmSync(log, { force: true });
  const base = [runtime, "--root", lab.root, ...lab.globals];
  const ran = run([...base, "--log", log, "--log-format", "json", ...words]);
  const records = existsSync(log) ? readFileSync(log, "utf8").split("\n").filter(Boolean) : [];
  const plain = (text: string) => normal(text, twin, pid);
  return {
    ran,
    comparable: {
      status: ran.status,
      stdout: plain(ran.stdout),
      // runc quotes over several lines, thaw in one.
      stderr: plain(
        ran.stderr.split("\n").map(withoutHint).join(" ").replaceAll(/\s+/g, " ").trim(),
      ),
      log: records
        .map((record) => JSON.parse(record))
        .map(({ level, msg }) => [level, plain(withoutHint(msg).replaceAll(/\s+/g, " ").trim())]),
    },
  };
}

/** thaw says more behind a semicolon; before it are the words that callers match. */
const withoutHint = (text: string) => text.split("; ")[0] ?? "";

/** The pid in the state, which the status of a stopped container no longer shows. */
function pidOf({ lab, id }: Twin): number {
  try {
    return lab.state(id).init_process_pid;
  } catch {
    return 0;
  }
}

/** Without what differs between any two containers; columns of a table keep their width. */
function normal(text: string, { lab, id }: Twin, pid: number): string {
  return text
    .replaceAll(`${String(pid).padEnd(12)}`, "PID         ")
    .replaceAll(new RegExp(`\\b${pid}\\b`, "g"), "PID")
    .replaceAll(lab.path, "/LAB")
    .replaceAll(id, "ID")
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z( *)/g, (_, gap: string) => `TIME${gap && "   "}`)
    .replaceAll(/^CREATED +/gm, "CREATED   ")
    .replaceAll(/CREATED +OWNER/g, "CREATED   OWNER");
}
