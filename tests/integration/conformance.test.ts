/** runc and thaw, side by side: each row of the conformance table with both, in the same run. @module */

import { afterAll, expect, test } from "bun:test";
import { Checkpoints } from "../conformance/checkpoints.ts";
import { COMMANDS, flagEntries, RUNC_FLAGS, THAW_FLAGS } from "../conformance/flags.ts";
import { differences } from "../conformance/outcome.ts";
import type { KindRow, Says } from "../conformance/row.ts";
import { commandOf } from "../conformance/row.ts";
import { counts, TABLE } from "../conformance/table.ts";
import { LOGS, type LogForm, Trial, type Tried } from "../conformance/trial.ts";
import { must, run } from "../support/lab.ts";

const checkpoints = new Checkpoints();
const passed: KindRow[] = [];

afterAll(() => {
  checkpoints[Symbol.dispose]();
  const line = (...cells: (string | number)[]) =>
    cells.map((cell, i) => String(cell).padEnd(i === 0 ? 12 : 11)).join("");
  console.log(`\n${line("conformance", "rows", "equal", "different on purpose")}`);
  for (const { kind, rows, equal, different } of counts(passed))
    console.log(line(kind, rows, equal, different));
});

/** A row that starts no CRIU is quick, and is run with more than one form of log. */
function forms(row: KindRow): readonly LogForm[] {
  if (row.once) return ["standard error"];
  if (row.status === 0 || row.ends || row.criu || row.late || row.kind === "image") return ["json"];
  if (row.kind === "syntax" || row.kind === "checkpoint") return ["json"];
  return row.kind === "host" ? LOGS : ["standard error", "json"];
}

function expectSays(message: string, says: Says): void {
  const [first, ...more] = typeof says === "string" || says instanceof RegExp ? [says] : says;
  if (typeof says === "string") expect(message).toStartWith(says);
  else
    for (const part of [first, ...more]) {
      if (typeof part === "string") expect(message).toContain(part);
      else if (part !== undefined) expect(message).toMatch(part);
    }
}

/** What thaw owes whatever happens. */
function expectThaw(row: KindRow, { outcome, message, criu, left }: Tried, form: LogForm): void {
  const { status } = outcome;
  expect({ status, message, left }).toEqual({ status, message, left: [] });
  expect({ message, status: outcome.status }).toEqual({ message, status: row.status });
  if (row.says !== undefined) expectSays(message, row.says);
  if (row.status === 0 || row.ends) return;
  expect({ message, criu }).toEqual({ message, criu: row.criu ?? false });
  if (row.criu && message.startsWith("criu failed"))
    expect(message).toContain("CRIU's log: $LAB/work/restore.log");
  // One line says why, in the log and on standard error.
  const errors = outcome.log.filter(({ level }) => level === "error");
  expect(errors.map((line) => line.message)).toEqual(outcome.log.length === 0 ? [] : [message]);
  expect(outcome.log.at(-1)?.message ?? message).toBe(message);
  if (form !== "standard error" && outcome.stderr.length > 0)
    expect(outcome.stderr.at(-1)).toBe(message.trimEnd());
}

for (const row of TABLE) {
  test(`${row.kind}: ${commandOf(row)} with ${row.name}`, () => {
    for (const form of forms(row)) {
      using thaw = new Trial(row, "thaw", checkpoints);
      using runc = new Trial(row, "runc", checkpoints);
      const own = thaw.try(form);
      const theirs = runc.try(form);
      const found = differences(theirs.outcome, own.outcome);
      if (process.env["CONFORMANCE_SHOW"])
        console.log(`## ${row.name} (${form})\n${found.join("\n")}\n  = ${own.message}`);
      expectThaw(row, own, form);
      if (row.differs === undefined) expect(found.join("\n")).toBe("");
      else expect(found).not.toEqual([]);
      if (row.hangs) expect(theirs.outcome.status).toBeUndefined();
      if (row.remedy === undefined) continue;
      const again = thaw.try(form, row.remedy);
      expect(again.ran).toMatchObject({ status: 0, stderr: "" });
      expect(again.left).toEqual([]);
    }
    passed.push(row);
  });
}

test("every flag of thaw's is in a row, and every row has a name of its own", () => {
  const names = TABLE.map((row) => `${row.kind} ${commandOf(row)} ${row.name}`);
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  for (const command of COMMANDS) {
    const rows = TABLE.filter((row) => commandOf(row) === command);
    const covered = new Set(rows.flatMap((row) => row.of ?? []));
    const own = Object.keys(THAW_FLAGS[command]);
    const all = [...Object.keys(THAW_FLAGS.global), ...own];
    const needed = command === "restore" ? all : own;
    expect(needed.filter((flag) => !covered.has(flag))).toEqual([]);
    expect([...covered].filter((flag) => !all.includes(flag))).toEqual([]);
  }
});

test("every flag of runc's is one of thaw's", () => {
  const inHelp = (...argv: string[]) =>
    [...must(run(["runc", ...argv, "--help"])).stdout.matchAll(/^ +--([a-z0-9-]+)/gm)].map(
      ([, name]) => name,
    );
  for (const command of COMMANDS)
    expect(inHelp(command).sort()).toEqual([...RUNC_FLAGS[command]].sort());
  expect(inHelp().sort()).toEqual([...RUNC_FLAGS.global].sort());
  for (const which of [...COMMANDS, "global"] as const) {
    const names = flagEntries(which).map(({ name }) => name.replace(/^.*--/, ""));
    const theirs: readonly string[] = RUNC_FLAGS[which];
    expect(theirs.filter((name) => !names.includes(name))).toEqual([]);
  }
  // What runc does not have differs for a reason.
  const every = ([...COMMANDS, "global"] as const).flatMap((which) => flagEntries(which));
  const own = every.filter(({ runc }) => !runc);
  expect(own.filter(({ differs }) => differs.length === 0)).toEqual([]);
});
