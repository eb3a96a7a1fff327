/** examples/by-hand.sh: the commands of docs/by-hand.md. @module */

import { expect, test } from "bun:test";
import { join } from "node:path";
import { Host } from "../support/host.ts";
import { Lab, must, THAW } from "../support/lab.ts";
import { steadyBundle } from "../support/steady.ts";

test("examples/by-hand.sh runs", () => {
  using lab = new Lab();
  using host = new Host();
  host.write("/usr/local/bin/thaw", `#!/bin/sh\nexec '${THAW}' "$@"\n`, 0o755);
  const bundle = steadyBundle(lab, (config) => {
    config.linux.cgroupsPath = `/${lab.id()}`;
  });
  const example = join(import.meta.dir, "../../examples/by-hand.sh");
  const { stdout } = must(host.run(["sh", example, bundle.path]));
  const id = "thaw-example-\\d+";
  expect(stdout).toMatch(
    new RegExp(`^gone: 0 .*\nback: ${id} is running, pid \\d+\nUID .*\nroot `),
  );
  expect(host.leftovers().filter((trace) => !trace.startsWith("/run/criu.kdat"))).toEqual([]);
});
