/** Podman saves memory ahead: needs a kernel that tracks changes of memory. @module */

import { expect, test } from "bun:test";
import { join } from "node:path";
import { expectDocumented } from "../support/calls.ts";
import { Lab, must, waitFor } from "../support/lab.ts";
import { Podman } from "../support/podman.ts";

// The VM is emulated: each call of Podman's takes seconds there.
test("a container is saved ahead, then what has changed, and comes back", () => {
  using lab = new Lab();
  using engine = new Podman(lab, "sid");
  const podman = (...args: string[]) => must(engine.podman(args));
  const document = (flow: string) => expectDocumented("podman.md", flow, engine.recorder.take());
  const counts = (than: number) =>
    waitFor(() => (engine.count("p") ?? 0) > than, "it to count", 60_000);
  engine.start("p", ["--network", "none"]);
  counts(0);
  engine.recorder.take();
  const [ahead, archive] = [join(lab.path, "ahead.tar"), join(lab.path, "p.tar")];
  podman("container", "checkpoint", "--pre-checkpoint", "--export", ahead, "p");
  document("`podman container checkpoint --pre-checkpoint`");
  const reached = engine.count("p") ?? 0;
  counts(reached);
  podman("container", "checkpoint", "--with-previous", "--export", archive, "p");
  document("`podman container checkpoint --with-previous`");
  podman("rm", "p");
  engine.recorder.take();
  podman("container", "restore", "--import-previous", ahead, "--import", archive);
  document("`podman container restore --import-previous --import`");
  counts(reached);
  engine.end("p");
  expect(engine.count("p")).toBeUndefined();
}, 600_000);
