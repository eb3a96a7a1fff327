/** Staying with the container: streams, signals, terminals, and its status. @module */

import { expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, Lab, must, run, THAW, waitFor } from "../support/lab.ts";

/** Runs a container in the foreground, so that it has pipes, and checkpoints it. */
function checkpointedForeground(lab: Lab, bundle: Bundle, id: string): string {
  const argv = ["runc", "--root", lab.root, "run", "--bundle", bundle.path, id];
  const first = Bun.spawn(argv, { stdin: "pipe", stdout: "pipe", stderr: "pipe" });
  const ready = () => existsSync(join(bundle.rootfs, "tmp/n")) && lab.status(id) === "running";
  waitFor(ready, "the container");
  const image = lab.checkpoint(id);
  first.kill("SIGKILL");
  return image;
}

const restoreArgv = (lab: Lab, bundle: Bundle, image: string, id: string) => [
  THAW,
  "--root",
  lab.root,
  "restore",
  "--bundle",
  bundle.path,
  "--image-path",
  image,
  id,
];

/** The restore is complete: its record is gone, and the container runs. */
const running = (lab: Lab, id: string) =>
  waitFor(
    () => !existsSync(join(lab.root, id, "thaw.json")) && lab.status(id) === "running",
    "the container",
  );

test("100 MB go through stdin, stdout and stderr whole and in order", async () => {
  using lab = new Lab();
  // It reads nothing until it finds the file, so that all of it passes the restored pipes.
  const script = "touch /tmp/n; until [ -e /tmp/go ]; do sleep 0.05; done; tee /dev/stderr";
  const bundle = lab.bundle(
    script.replaceAll("touch", "echo >").replace("tee", "/bin/busybox tee"),
  );
  const id = lab.id();
  const image = checkpointedForeground(lab, bundle, id);
  const data = Buffer.alloc(100 * 1024 * 1024);
  for (let i = 0; i < data.length; i += 4) data.writeUInt32LE((i * 2654435761) % 2 ** 32, i);
  const input = join(lab.path, "input");
  writeFileSync(input, data);
  writeFileSync(join(bundle.rootfs, "tmp/go"), "");
  const child = Bun.spawn(restoreArgv(lab, bundle, image, id), {
    stdin: Bun.file(input),
    stdout: "pipe",
    stderr: "pipe",
  });
  const read = async (stream: ReadableStream) => Buffer.from(await new Response(stream).bytes());
  const [out, err, status] = await Promise.all([
    read(child.stdout),
    read(child.stderr),
    child.exited,
  ]);
  expect([out.equals(data), err.equals(data)]).toEqual([true, true]);
  expect(status).toBe(0);
}, 120_000);

test("a reader that goes away does not stop the container", async () => {
  using lab = new Lab();
  const script =
    "echo > /tmp/n; until [ -e /tmp/go ]; do sleep 0.05; done; trap '' PIPE; i=0; while [ $i -lt 20000 ]; do echo $i 2>/dev/null; i=$((i+1)); done; exit 5";
  const bundle = lab.bundle(script);
  const id = lab.id();
  const image = checkpointedForeground(lab, bundle, id);
  writeFileSync(join(bundle.rootfs, "tmp/go"), "");
  const argv = restoreArgv(lab, bundle, image, id);
  const child = Bun.spawn(
    [
      "sh",
      "-c",
      '{ "$@" <&3 3<&-; echo $? >&2; } 3</dev/null | head -c 10 >/dev/null',
      "sh",
      ...argv,
    ],
    { stdin: "ignore", stdout: "ignore", stderr: "pipe" },
  );
  expect((await new Response(child.stderr).text()).trim()).toBe("5");
});

test("what thaw cannot write is no signal to the container", async () => {
  using lab = new Lab();
  const script =
    "trap 'exit 6' PIPE; echo > /tmp/n; until [ -e /tmp/go ]; do sleep 0.05; done; echo x; sleep 1; exit 5";
  const bundle = lab.bundle(script);
  const id = lab.id();
  const image = checkpointedForeground(lab, bundle, id);
  const words = ["sh", "-c", '{ "$@"; echo $? >&2; } | true', "sh"];
  const child = Bun.spawn([...words, ...restoreArgv(lab, bundle, image, id)], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  running(lab, id);
  writeFileSync(join(bundle.rootfs, "tmp/go"), "");
  expect((await new Response(child.stderr).text()).trim()).toBe("5");
});

test("every signal is forwarded once, and the status is the container's", async () => {
  using lab = new Lab();
  const names = ["HUP", "USR1", "USR2", "ALRM", "WINCH", "CONT", "INT", "QUIT"];
  names.push("PIPE", "XFSZ", "TSTP", "TTIN");
  const traps = names.map((name) => `trap 'echo ${name}' ${name}`).join("; ");
  const script = `${traps}; trap 'echo TERM; exit 9' TERM; echo > /tmp/n; while :; do sleep 0.02; done`;
  const bundle = lab.bundle(script);
  const id = lab.id();
  const image = checkpointedForeground(lab, bundle, id);
  const child = Bun.spawn(restoreArgv(lab, bundle, image, id), {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  running(lab, id);
  // WINCH is thaw's own, for the terminal.
  for (const name of names) {
    process.kill(child.pid, `SIG${name}` as NodeJS.Signals);
    await Bun.sleep(150);
  }
  child.kill("SIGTERM");
  const out = await new Response(child.stdout).text();
  expect(out.trim().split("\n")).toEqual([...names.filter((name) => name !== "WINCH"), "TERM"]);
  expect(await child.exited).toBe(9);
  expect(existsSync(join(lab.root, id))).toBe(false);
});

test("a container killed by a signal gives 128 and the signal", async () => {
  using lab = new Lab();
  const bundle = lab.bundle("echo > /tmp/n; while :; do sleep 0.05; done");
  const id = lab.id();
  const image = checkpointedForeground(lab, bundle, id);
  const child = Bun.spawn(restoreArgv(lab, bundle, image, id), {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  running(lab, id);
  lab.runc(["kill", id, "KILL"]);
  expect(await child.exited).toBe(137);
  expect(existsSync(join(lab.root, id))).toBe(false);
});

test("an init that is killed while CRIU still works on it ends the restore", async () => {
  using lab = new Lab();
  const bundle = lab.bundle();
  const id = lab.id();
  const image = lab.checkpointed(bundle, id);
  const argv = restoreArgv(lab, bundle, image, id);
  const child = Bun.spawn(argv, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  // As soon as state.json is there, CRIU has yet to unlock the network and to let the tasks go.
  waitFor(() => lab.status(id) === "running", "state.json");
  lab.runc(["kill", id, "KILL"]);
  const said = await new Response(child.stderr).text();
  const status = await child.exited;
  if (status !== 137) expect(said).toContain("init ended before the restore was complete");
  expect([1, 137]).toContain(status);
  expect(existsSync(join(lab.root, id))).toBe(false);
});

/** Runs a command line on a terminal of its own; script(1) gives it, its own input is a pipe of ours. */
const onTerminal = (command: string) =>
  Bun.spawn(["script", "-qec", `stty rows 41 cols 121; ${command}`, "/dev/null"], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, TERM: "dumb" },
  });

/** Checkpoints a container that has run on a terminal. */
function checkpointedOnTerminal(lab: Lab, bundle: Bundle, id: string): string {
  const first = onTerminal(`runc --root ${lab.root} run --bundle ${bundle.path} ${id}`);
  const ready = () => existsSync(join(bundle.rootfs, "tmp/n")) && lab.status(id) === "running";
  waitFor(ready, "the container");
  const image = lab.checkpoint(id);
  first.kill("SIGKILL");
  return image;
}

const ECHO =
  'echo > /tmp/n; while read line; do echo "got $line $(/bin/busybox stty size)"; [ "$line" = stop ] && exit 6; done';

test("a terminal's settings are put back when thaw is killed, too", async () => {
  using lab = new Lab();
  const bundle = lab.bundle(ECHO, (config) => {
    config.process.terminal = true;
  });
  const id = lab.id();
  const image = checkpointedOnTerminal(lab, bundle, id);
  const noted = (name: string) => readFileSync(join(lab.path, name), "utf8").trim();
  const note = (name: string, command: string) => `${command} > ${join(lab.path, name)}`;
  const restore = `sh -c '${note("pid", "echo $$")}; exec "$@"' sh ${restoreArgv(lab, bundle, image, id).join(" ")}`;
  const lines = [note("tty", "tty"), note("before", "stty -g"), restore, "sleep 0.5"];
  const child = onTerminal([...lines, note("after", "stty -g")].join("; "));
  running(lab, id);
  const raw = () => must(run(["stty", "-F", noted("tty"), "-a"])).stdout.includes("-icanon");
  waitFor(raw, "raw mode");
  process.kill(Number(noted("pid")), "SIGKILL");
  await child.exited;
  expect(noted("after")).toBe(noted("before"));
});

test("a terminal in the foreground: size, keys, output as it is, and settings put back", async () => {
  using lab = new Lab();
  const bundle = lab.bundle(ECHO, (config) => {
    config.process.terminal = true;
  });
  const id = lab.id();
  const image = checkpointedOnTerminal(lab, bundle, id);
  const restore = restoreArgv(lab, bundle, image, id).join(" ");
  const settings = (name: string) => readFileSync(join(lab.path, name), "utf8");
  const child = onTerminal(
    `tty > ${lab.path}/tty; stty -g > ${lab.path}/before; ${restore}; s=$?; stty -g > ${lab.path}/after; exit $s`,
  );
  running(lab, id);
  await Bun.sleep(300);
  child.stdin.write("hello\r");
  await child.stdin.flush();
  await Bun.sleep(500);
  // Whoever changes the size of the window has the kernel send SIGWINCH.
  must(run(["stty", "-F", settings("tty").trim(), "rows", "50", "cols", "70"]));
  await Bun.sleep(300);
  child.stdin.write("again\r");
  await child.stdin.flush();
  await Bun.sleep(500);
  child.stdin.write("stop\r");
  await child.stdin.flush();
  const out = await new Response(child.stdout).text();
  expect(await child.exited).toBe(6);
  expect(out).toContain("got hello 41 121\r\n");
  expect(out).toContain("got again 50 70\r\n");
  expect(out).not.toContain("\r\r\n");
  expect(settings("after")).toBe(settings("before"));
});
