/** `--preserve-fds N`, which Podman sends for LISTEN_FDS: checked, and nothing leaks. @module */

import { expect, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { Lab, must, run, THAW, traces, waitFor } from "../support/lab.ts";
import { steadyBundle } from "../support/steady.ts";

test("--preserve-fds is accepted, checked, and hands nothing on", () => {
  using lab = new Lab();
  const bundle = steadyBundle(lab);
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const restore = (count: string, opened: string, flags = ["-d"]) => {
    const argv = [THAW, "--root", lab.root, "restore", ...flags, "-b", bundle.path];
    const words = [...argv, "--image-path", image, "--preserve-fds", count, id];
    return run(["bash", "-c", `exec "$@" ${opened}`, "bash", ...words]);
  };
  for (const [count, opened] of [
    ["1", "3</etc/hostname"],
    ["3", "3</etc/hostname 4</etc/hostname 5</etc/passwd"],
    ["0", ""],
  ] as const) {
    expect(restore(count, opened)).toEqual({ status: 0, stdout: "", stderr: "" });
    const directory = `/proc/${lab.state(id).init_process_pid}/fd`;
    const links = readdirSync(directory).map((fd) => readlinkSync(join(directory, fd)));
    expect([...new Set(links)].sort()).toEqual(["/dev/null", "/tmp/wait"]);
    lab.delete(id);
  }
  const before = traces(lab);
  for (const [count, opened, flags, says] of [
    ["1", "", ["-d"], "unable to stat preserved-fd 0 (of 1): no such file or directory"],
    ["2", "3</etc/hostname", ["-d"], "unable to stat preserved-fd 1 (of 2)"],
    ["1000000000", "3</etc/hostname", [], "descriptor 4 is not open"],
    ["x", "", ["-d"], 'invalid value \\"x\\" for flag -preserve-fds: parse error'],
    ["-1", "", ["-d"], "for flag -preserve-fds: parse error"],
    ["99999999999999999999", "", ["-d"], "value out of range"],
  ] as const) {
    const ran = restore(count, opened, [...flags]);
    expect(ran.status).toBe(1);
    expect(ran.stderr).toContain(says);
  }
  expect(traces(lab)).toEqual(before);
});

test("--preserve-fds in the foreground", async () => {
  using lab = new Lab();
  const bundle = steadyBundle(lab);
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const argv = [THAW, "--root", lab.root, "restore", "-b", bundle.path, "--image-path", image];
  const words = [...argv, "--preserve-fds", "3", id];
  const opened = "3</etc/hostname 4</etc/hostname 5</etc/passwd";
  const thaw = Bun.spawn(["bash", "-c", `exec "$@" ${opened}`, "bash", ...words], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  waitFor(() => lab.status(id) === "running", "the container", 30_000);
  waitFor(() => !readdirSync(join(lab.root, id)).includes("thaw.json"), "the end of the restore");
  must(lab.runc(["kill", id, "KILL"]));
  expect(await thaw.exited).toBe(137);
});
