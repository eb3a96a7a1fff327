/** Memory saved ahead, while the container runs: needs a kernel that tracks changes of memory. */

import { expect, test } from "bun:test";
import { existsSync, lstatSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { countsOn, Lab } from "../support/lab.ts";
import { steadyBundle } from "../support/steady.ts";

const OK = { status: 0, stdout: "", stderr: "" };

// Far more memory than the shell's own, which stays as it is.
const LARGE =
  "large=0123456789abcdef; i=0; while [ $i -lt 18 ]; do large=$large$large; i=$((i+1)); done; ";

const pagesIn = (image: string) =>
  readdirSync(image)
    .filter((name) => name.startsWith("pages-"))
    .reduce((sum, name) => sum + statSync(join(image, name)).size, 0);

test("a dump after a pre-dump saves what has changed, and comes back", () => {
  using lab = new Lab();
  const bundle = steadyBundle(lab, undefined, LARGE);
  const id = lab.id();
  lab.start(bundle, id);
  const image = (n: number) => join(lab.path, `image${n}`);
  const dump = (n: number, ...flags: string[]) =>
    lab.thaw([
      "checkpoint",
      "--image-path",
      image(n),
      "--work-path",
      join(lab.path, `w${n}`),
      ...flags,
      id,
    ]);
  expect(dump(1, "--pre-dump")).toEqual(OK);
  expect(lab.status(id)).toBe("running");
  countsOn(bundle, bundle.count());
  expect(pagesIn(image(1))).toBeGreaterThan(4 << 20);
  expect(existsSync(join(image(1), "descriptors.json"))).toBe(false);
  // Half a chain is no checkpoint.
  const half = lab.restore(bundle, image(1), lab.id());
  expect(half.status).toBe(1);
  expect(half.stderr).toContain("descriptors.json: no such file or directory");

  expect(dump(2, "--parent-path", "../image1")).toEqual(OK);
  expect(lab.status(id)).toBeUndefined();
  expect(lstatSync(join(image(2), "parent")).isSymbolicLink()).toBe(true);
  expect(readlinkSync(join(image(2), "parent"))).toBe("../image1");
  expect(pagesIn(image(2))).toBeLessThan(1 << 20);
  expect(lab.restore(bundle, image(2), id)).toEqual(OK);
  countsOn(bundle, bundle.count());
});
