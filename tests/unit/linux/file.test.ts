import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { writeAtomically } from "../../../internal/linux/file.ts";

test("writeAtomically() replaces a file, and leaves nothing beside it when it cannot", () => {
  const directory = mkdtempSync("/tmp/thaw-file-");
  try {
    writeAtomically(directory, "a", "old");
    writeAtomically(directory, "a", "new");
    expect(readFileSync(join(directory, "a"), "utf8")).toBe("new");
    expect(statSync(join(directory, "a")).mode & 0o777).toBe(0o600);
    mkdirSync(join(directory, "b"));
    expect(() => writeAtomically(directory, "b", "text")).toThrow(
      `write ${directory}/b: is a directory`,
    );
    expect(readdirSync(directory).sort()).toEqual(["a", "b"]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
