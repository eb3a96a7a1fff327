/** Containers with a terminal, detached: the master arrives at the console socket. @module */

import { expect, test } from "bun:test";
import { readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { consoleSocket } from "../support/console-socket.ts";
import { type Json, Lab, must, waitFor } from "../support/lab.ts";

/** Prints a number again and again, and writes down what is typed. */
const SCRIPT = `(i=0; while :; do i=$((i+1)); echo "tick $i"; echo $i > /tmp/n; sleep 0.05; done) & while read line; do echo "got $line" > /tmp/line; done`;

const withTerminal = (config: Json) => {
  config.process.terminal = true;
};

test.each(["runc", "thaw"] as const)(
  "checkpointed by %s, the terminal's master arrives at the console socket and works",
  (by) => {
    using lab = new Lab();
    const bundle = lab.bundle(SCRIPT, withTerminal);
    const id = lab.id();
    {
      using first = consoleSocket(join(lab.path, "first.sock"));
      must(
        lab.runc([
          "run",
          "-d",
          "--bundle",
          bundle.path,
          "--console-socket",
          join(lab.path, "first.sock"),
          id,
        ]),
      );
      first.master();
      waitFor(() => bundle.count() > 3, "the container");
      const image = lab.checkpoint(id, [], by);
      using second = consoleSocket(join(lab.path, "second.sock"));
      const before = bundle.count();
      must(lab.restore(bundle, image, id, ["--console-socket", join(lab.path, "second.sock")]));
      const { fd, text } = second.master();
      expect(text).toBe("orphan-pts-master");
      const buffer = Buffer.alloc(65536);
      waitFor(() => bundle.count() > before + 3, "the counter");
      expect(buffer.subarray(0, readSync(fd, buffer)).toString()).toMatch(/tick \d+\r\n/);
      Bun.write(Bun.file(fd), "hello\n");
      waitFor(() => readOr(join(bundle.rootfs, "tmp/line")) === "got hello\n", "the line typed");
      lab.delete(id);
    }
  },
);

const readOr = (path: string) => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
};

test("a checkpoint without a terminal is refused when config.json promises one", () => {
  using lab = new Lab();
  const bundle = lab.bundle();
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  bundle.edit(withTerminal);
  using socket = consoleSocket(join(lab.path, "c.sock"));
  void socket;
  const ran = lab.restore(bundle, image, id, ["--console-socket", join(lab.path, "c.sock")]);
  expect(ran.status).toBe(1);
  expect(ran.stderr).toContain("the checkpoint has no terminal, though config.json says so");
  expect(lab.status(id)).toBeUndefined();
});

test("a console socket that is not there is named", () => {
  using lab = new Lab();
  const bundle = lab.bundle();
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  bundle.edit(withTerminal);
  const ran = lab.restore(bundle, image, id, ["--console-socket", "/nonexistent/s"]);
  expect(ran.status).toBe(1);
  expect(ran.stderr).toContain("dial unix /nonexistent/s: connect: no such file or directory");
});
