import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CriuError } from "../../../internal/criu/talk.ts";
import { describe, ThawError } from "../../../internal/errors/errors.ts";
import { explainRestore } from "../../../internal/restore/failure.ts";
import type { RestorePlan } from "../../../internal/restore/plan.ts";

const criu = new CriuError("criu failed: type RESTORE errno 0");
const hook = new ThawError("error running prestart hook #0");
const daemon = new ThawError("criu lazy-pages ended: exit status 1");
const MISSING = "(00.1)      6: Error (criu/files-reg.c:2353): Can't open file data on restore: No";
const CUT = "(00.1)      1: Error (criu/uffd.c:231): uffd: PID sending error: Broken pipe";

test.each([
  ["CRIU fails, and its daemon for want of it", criu, MISSING, "Can't open file data"],
  ["a hook fails, and the daemon for want of CRIU", hook, CUT, "error running prestart hook #0"],
  ["CRIU fails, as its daemon has ended", criu, CUT, "criu lazy-pages ended: exit status 1"],
])("explainRestore() tells what came first when %s", (_, error, line, told) => {
  const directory = mkdtempSync("/tmp/thaw-failure-");
  try {
    const logPath = join(directory, "restore.log");
    writeFileSync(logPath, `${line}\n`);
    const plan = { imagePath: directory, options: { log: { warn: () => {} } } };
    const failure = { error, daemon, logPath, since: 0 };
    const text = describe(explainRestore(failure, plan as unknown as RestorePlan));
    expect(text).toContain(told);
    expect(text.includes("lazy-pages ended")).toBe(told.includes("lazy-pages ended"));
  } finally {
    rmSync(directory, { recursive: true });
  }
});
