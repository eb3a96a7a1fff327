/** containerd with thaw as its runtime: the oldest in use, and the newest. @module */

import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expectDocumented } from "../support/calls.ts";
import { Containerd, IMAGE } from "../support/containerd.ts";
import { SUITES } from "../support/host.ts";
import { Lab, must, THAW, waitFor } from "../support/lab.ts";
import { CONNECTED, steadyScript } from "../support/steady.ts";

const EXAMPLE = join(import.meta.dir, "../../examples/containerd.sh");

describe.each([...SUITES])("containerd of Debian %s", (suite) => {
  let lab: Lab;
  let containerd: Containerd;
  beforeAll(() => {
    lab = new Lab();
    containerd = new Containerd(lab, suite);
  });
  afterEach(() => void containerd.recorder.take());
  afterAll(() => {
    containerd[Symbol.dispose]();
    lab[Symbol.dispose]();
  });

  const ctr = (...args: string[]) => must(containerd.ctr(args));
  const counts = (id: string, than: number) =>
    waitFor(() => containerd.count(id) > than, `${id} to count`);
  const start = (id: string, options: readonly string[] = [], script?: string) => {
    const command = script === undefined ? [] : ["sh", "-c", script];
    const runtime = ["--runc-binary", containerd.recorder.path];
    ctr("run", "-d", ...runtime, ...options, IMAGE, id, ...command);
    waitFor(() => containerd.exec(id, ["cat", "/tmp/n"]).stdout.length === 8, `${id} to count`);
    containerd.recorder.take();
  };
  const document = (flow: string) =>
    expectDocumented("containerd.md", flow, containerd.recorder.take());
  /** Checkpoints a container into an image, ends it, and returns what it had counted. */
  const checkpoint = (id: string, image: string) => {
    ctr("container", "checkpoint", "--rw", "--image", "--task", id, image);
    document("`ctr container checkpoint --rw --image --task`");
    const reached = containerd.count(id);
    containerd.end(id);
    containerd.recorder.take();
    return reached;
  };
  const RESTORE = ["container", "restore", "--live", "--rw"];

  test("a container's life", async () => {
    ctr("run", "-d", "--runc-binary", containerd.recorder.path, IMAGE, "life");
    document("`ctr run -d`");
    expect(ctr("task", "exec", "--exec-id", "e", "life", "echo", "hello").stdout).toBe("hello\n");
    document("`ctr task exec`");
    const screen = join(lab.path, "exec.screen");
    const exec = ["task", "exec", "-t", "--exec-id", "t", "life", "sh", "-c", "'tty; exit 7'"];
    await containerd.onTerminal(exec, screen).exited;
    expect(readFileSync(screen, "utf8")).toMatch(/^\/dev\/pts\/\d+\r$/m);
    document("`ctr task exec -t`");
    expect(ctr("task", "metrics", "life").stdout).toContain("memory.");
    document("`ctr task metrics`");
    ctr("task", "pause", "life");
    expect(containerd.task("life")?.status).toBe("PAUSED");
    ctr("task", "resume", "life");
    expect(containerd.task("life")?.status).toBe("RUNNING");
    document("`ctr task pause`, `resume`");
    expect(ctr("task", "ps", "life").stdout).toContain(String(containerd.task("life")?.pid));
    document("`ctr task ps`");
    await containerd.update("life", { memory: { limit: 64 << 20 } });
    const flows = {
      bookworm: "`Tasks.Update` of 1.6, as by nerdctl and Kubernetes",
      sid: "`Tasks.Update`, as by nerdctl and Kubernetes",
    };
    document(flows[suite]);
    expect(ctr("task", "metrics", "life").stdout).toMatch(/memory\.\w*limit\w* +67108864/);
    containerd.end("life");
    document("`ctr task kill`, `delete`");
  });

  test("every process of a container is killed", () => {
    start("all");
    ctr("task", "kill", "--all", "-s", "KILL", "all");
    waitFor(() => containerd.task("all")?.status === "STOPPED", "it to stop");
    expect(ctr("task", "delete", "all").stderr).toContain("exit code 137");
    ctr("container", "delete", "all");
    document("`ctr task kill --all`, `delete`");
  });

  // Not in containerd 1.6.
  if (suite === "sid")
    test("containerd asks what the runtime supports", () => {
      const runtime = ["--runc-binary", containerd.recorder.path];
      const { stdout } = ctr("plugins", "inspect-runtime", ...runtime);
      expect(JSON.parse(stdout).Features.annotations).toMatchObject({
        "org.opencontainers.runc.checkpoint.enabled": "true",
      });
      document("`ctr plugins inspect-runtime`");
    });

  test("task checkpoint leaves the task running, or ends it", () => {
    start("task");
    const paths = (name: string) => {
      const directory = join(lab.path, name);
      return ["--image-path", directory, "--work-path", `${directory}-work`];
    };
    const reached = containerd.count("task");
    containerd.recorder.take();
    ctr("task", "checkpoint", ...paths("stay"), "task");
    document("`ctr task checkpoint --image-path --work-path`");
    counts("task", reached);
    containerd.recorder.take();
    ctr("task", "checkpoint", "--exit", ...paths("leave"), "task");
    waitFor(() => containerd.task("task")?.status === "STOPPED", "the task to end");
    ctr("task", "delete", "task");
    ctr("container", "delete", "task");
    document("`ctr task checkpoint --exit --image-path --work-path`");
    for (const name of ["stay", "leave"])
      expect(existsSync(join(lab.path, name, "inventory.img"))).toBe(true);
  });

  test("a container comes back from its image under another name, again and again", () => {
    start("n0");
    // containerd 1.6 leaves CRIU's files out of the second image, with runc too.
    for (let round = 0; round < (suite === "bookworm" ? 1 : 2); round++) {
      const reached = checkpoint(`n${round}`, `localhost/ck:${round}`);
      ctr(...RESTORE, `n${round + 1}`, `localhost/ck:${round}`);
      document("`ctr container restore --live --rw`");
      counts(`n${round + 1}`, reached);
      containerd.recorder.take();
    }
    // The shim finds it in its cgroups, and waits for it: it has become its parent.
    const last = suite === "bookworm" ? "n1" : "n2";
    expect(ctr("task", "metrics", last).stdout).toContain("memory.");
    ctr("task", "pause", last);
    expect(containerd.task(last)?.status).toBe("PAUSED");
    ctr("task", "resume", last);
    ctr("task", "kill", "-s", "9", last);
    waitFor(() => containerd.task(last)?.status === "STOPPED", "it to stop");
    expect(ctr("task", "delete", last).stderr).toContain("exit code 137");
    ctr("container", "delete", last);
  });

  test("a container with a terminal comes back onto another", () => {
    const screen = (name: string) => join(lab.path, `${name}.screen`);
    const text = (name: string) =>
      existsSync(screen(name)) ? readFileSync(screen(name), "utf8") : "";
    const ticks = (name: string, than: number) => {
      const last = () => Number([...text(name).matchAll(/tick (\d+)\r/g)].at(-1)?.[1] ?? 0);
      waitFor(() => last() > than, `${name} to go on from ${than}`);
    };
    const run = ["run", "-t", "--runc-binary", containerd.recorder.path, IMAGE, "screen"];
    const script = ["sh", "-c", `'${steadyScript('echo "tick $i"')}'`];
    containerd.onTerminal([...run, ...script], screen("screen"));
    ticks("screen", 3);
    document("`ctr run -t`");
    const reached = checkpoint("screen", "localhost/ck:screen");
    containerd.onTerminal([...RESTORE, "again", "localhost/ck:screen"], screen("again"));
    if (suite === "bookworm") {
      // The ctr of 1.6 gives no console socket.
      const refused = "cannot allocate tty if runc will detach without setting console socket";
      waitFor(() => text("again").includes(refused), "the refusal");
      ctr("task", "delete", "again");
      ctr("container", "delete", "again");
      return;
    }
    ticks("again", reached);
    document("`ctr container restore --live --rw` of a container with a terminal");
    containerd.end("again");
  });

  test("a TCP connection comes back when org.criu.config says so, else ctr tells why not", () => {
    const options = join(lab.path, "criu.conf");
    writeFileSync(options, "tcp-established\n");
    start("tcp", ["--annotation", `org.criu.config=${options}`], CONNECTED);
    const reached = checkpoint("tcp", "localhost/ck:tcp");
    writeFileSync(options, "");
    const failed = containerd.ctr([...RESTORE, "back", "localhost/ck:tcp"]);
    expect(failed.status).toBe(1);
    expect(failed.stderr).toContain("OCI runtime restore failed: criu failed: type RESTORE");
    expect(failed.stderr).toContain("the checkpoint holds an established TCP connection;");
    document("a restore that fails");
    // Not --force: the ctr of 1.6 then waits for ever, with runc too.
    ctr("task", "delete", "back");
    ctr("container", "delete", "back");

    writeFileSync(options, "tcp-established\n");
    ctr(...RESTORE, "back", "localhost/ck:tcp");
    counts("back", reached);
    const received = () =>
      Number(must(containerd.exec("back", ["sh", "-c", "tail -n 1 /tmp/received"])).stdout);
    waitFor(() => received() > reached + 5, "data over the connection");
    containerd.end("back");
  });

  const RUNTIMES = { runc: "runc", thaw: THAW };
  test.each([
    ["runc", "thaw"],
    ["thaw", "runc"],
  ] as const)("what %s ran and checkpointed %s restores", (first, second) => {
    containerd.recorder.use(RUNTIMES[first]);
    start("mixed");
    const reached = checkpoint("mixed", "localhost/ck:mixed");
    containerd.recorder.use(RUNTIMES[second]);
    ctr(...RESTORE, "back", "localhost/ck:mixed");
    counts("back", reached);
    containerd.recorder.use(THAW);
    containerd.end("back");
    ctr("image", "delete", "localhost/ck:mixed");
  });

  test("a container of the runc on PATH is restored by a thaw of that name in front of it", () => {
    const name = "/usr/local/sbin/runc";
    const run = (id: string) => {
      ctr("run", "-d", IMAGE, id);
      counts(id, 0);
    };
    run("nameless");
    const image = "localhost/ck:nameless";
    ctr("container", "checkpoint", "--rw", "--image", "--task", "nameless", image);
    const reached = containerd.count("nameless");
    containerd.end("nameless");
    must(containerd.host.run(["ln", "-s", THAW, name]));
    expect(must(containerd.host.run(["runc", "--version"])).stdout).toStartWith("thaw version");
    ctr(...RESTORE, "back", image);
    counts("back", reached);
    containerd.end("back");
    run("again"); // the real one is found behind it
    containerd.end("again");
    must(containerd.host.run(["rm", name]));
  });

  // Takes its time, so that people can follow; one version will do.
  if (suite === "sid")
    test("examples/containerd.sh runs", () => {
      const { stdout } = must(containerd.host.run(["sh", EXAMPLE, IMAGE], { env: containerd.env }));
      const [, here, back] = /^here: at (\d+)\ngone: 0 .*\nback: at (\d+)\n$/.exec(stdout) ?? [];
      expect(Number(here)).toBeGreaterThan(0);
      expect(Number(back)).toBeGreaterThan(Number(here));
    });

  test("nothing is left on the host but what containerd itself leaves", () => {
    const own = /^\d+ containerd$|^\/run\/(ctrd-checkpoint|criu\.kdat)/;
    expect(containerd.host.leftovers().filter((trace) => !own.test(trace))).toEqual([]);
  });
});
