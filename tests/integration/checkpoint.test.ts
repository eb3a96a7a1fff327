/** thaw checkpoint: what it saves comes back, by runc and by thaw, and it leaves what runc leaves. */

import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { processId } from "../../internal/state/state.ts";
import {
  type Bundle,
  countsOn,
  type Json,
  Lab,
  must,
  networkNamespace,
  type Ran,
  run,
  THAW,
  traces,
  waitFor,
} from "../support/lab.ts";
import { fullOfMemory } from "../support/memory.ts";
import { steadyBundle } from "../support/steady.ts";

let lab: Lab;
let next = 0;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab[Symbol.dispose]());

const OK: Ran = { status: 0, stdout: "", stderr: "" };
const fresh = (name: string) => join(lab.path, `${name}-${next++}`);

/** `runc restore -d`, its streams away from ours: the container keeps them. */
function restoreByRunc(bundle: Bundle, image: string, id: string, ...flags: string[]): void {
  const argv = ["runc", "--root", lab.root, "restore", "-d", "--bundle", bundle.path];
  const words = [...argv, "--image-path", image, ...flags, id];
  const silent = ["sh", "-c", 'exec "$@" >/dev/null 2>&1', "sh", ...words];
  expect(run(silent).status).toBe(0);
}

/** Files and modes of a directory; what the kernel numbers is left out. */
function listing(path: string): string[] {
  return readdirSync(path)
    .map((name) => `${(statSync(join(path, name)).mode & 0o7777).toString(8)} ${name}`)
    .map((line) => line.replaceAll(/-\d+/g, "-N"))
    .sort();
}

test("what thaw saves is what runc saves, and each restores the other's", () => {
  const volume = fresh("volume");
  mkdirSync(volume);
  const bundle = steadyBundle(lab, (config) => {
    config.mounts.push({ destination: "/data", source: volume, type: "bind", options: ["rbind"] });
  });
  const id = lab.id();
  const before = traces(lab);
  lab.start(bundle, id);
  const images = ["runc", "thaw"].map((by) => {
    const [image, work] = [fresh("deep/image"), fresh("work")];
    const flags = ["--leave-running", "--leave-running", "--work-path", work];
    const args = ["checkpoint", "--image-path", image, ...flags, id];
    expect(by === "runc" ? lab.runc(args) : lab.thaw(args)).toEqual(OK);
    return { image, work };
  });
  const [theirs, own] = images.map(({ image, work }) => ({
    image: listing(image),
    work: listing(work),
    modes: [image, join(image, ".."), work].map((path) => statSync(path).mode.toString(8)),
    descriptors: readFileSync(join(image, "descriptors.json"), "utf8"),
    pages: readdirSync(image).filter((name) => name.startsWith("pages-")).length,
  }));
  expect(own).toEqual(theirs);
  expect(lab.status(id)).toBe("running");
  expect(existsSync(join(lab.root, id, "checkpoint"))).toBe(true);
  expect(countsOn(bundle, bundle.count())).toBe(true);

  // Round and round: each of the two saves what the other has brought back.
  let image = lab.checkpoint(id, [], "thaw");
  expect(lab.status(id)).toBeUndefined();
  restoreByRunc(bundle, image, id);
  countsOn(bundle, bundle.count());
  image = lab.checkpoint(id, [], "thaw");
  expect(lab.restore(bundle, image, id)).toEqual(OK);
  countsOn(bundle, bundle.count());
  image = lab.checkpoint(id, [], "runc");
  expect(lab.restore(bundle, image, id)).toEqual(OK);
  countsOn(bundle, bundle.count());
  image = lab.checkpoint(id, [], "thaw");
  expect(traces(lab)).toEqual(before);
});

test("what is asked of CRIU is what runc asks for", () => {
  using netns = networkNamespace(`${lab.id()}-net`);
  const bundle = steadyBundle(lab, (config) => {
    const network = config.linux.namespaces.find((ns: Json) => ns.type === "network");
    network.path = netns.path;
    config.annotations = { "org.criu.config": "/nonexistent/criu.conf" };
    symlinkSync("/tmp", join(config.root.path === "rootfs" ? lab.path : "/", "link"));
    config.mounts.push({ destination: "/in/data", source: lab.path, type: "bind", options: [] });
    config.mounts.at(-1).options = ["bind"];
    config.linux.devices = [{ path: "/dev/xyz", type: "c", major: 1, minor: 3, fileMode: 0o666 }];
  });
  const id = lab.id();
  lab.start(bundle, id);
  const flags =
    "--leave-running --tcp-established --tcp-skip-in-flight --link-remap --ext-unix-sk --shell-job --file-locks --auto-dedup --manage-cgroups-mode ignore --empty-ns network";
  const asked = [lab.runc.bind(lab), lab.thaw.bind(lab)].map((by) => {
    const paths = ["--image-path", fresh("image"), "--work-path", fresh("work")];
    const { status, stderr } = by(["--debug", "checkpoint", ...paths, ...flags.split(" "), id]);
    expect(status).toBe(0);
    return [...stderr.matchAll(/msg="(CRIU option (?:\\.|[^"])*|notify: (?:\\.|[^"])*)"/g)]
      .map(([, message = ""]) => message.replaceAll(/ +/g, " "))
      .map((message) => message.replace(/(DirFd with value) \d+/, "$1 N"))
      .filter((message) => !message.includes("AllowUprobes")); // runc knows no option that new
  });
  expect(asked[1]).toEqual(asked[0] ?? []);
  expect(asked[1]?.join("\n")).toMatch(/External with value \[net\[\d+\]:extRootNetNS\]/);
});

test("hooks, cgroups and state: the container is destroyed as by delete", () => {
  const bundle = steadyBundle(lab, (config) => {
    config.hooks = {
      poststop: [{ path: "/bin/sh", args: ["sh", "-c", `cat >> ${lab.path}/poststop`] }],
    };
    config.annotations = { "org.foo": "bar" };
  });
  const id = lab.id();
  const before = traces(lab);
  lab.start(bundle, id);
  expect(lab.thaw(["checkpoint", "--image-path", fresh("image"), id])).toEqual(OK);
  expect(JSON.parse(readFileSync(join(lab.path, "poststop"), "utf8"))).toEqual({
    ociVersion: "1.2.1",
    id,
    status: "stopped",
    bundle: bundle.path,
    annotations: { "org.foo": "bar" },
  });
  expect(traces(lab)).toEqual(before);
});

test("a container that cannot be destroyed is a warning, as with runc: the checkpoint is complete", () => {
  const [runc, thaw] = [lab.runc.bind(lab), lab.thaw.bind(lab)].map((by) => {
    const bundle = steadyBundle(lab, (config) => {
      config.hooks = { poststop: [{ path: "/bin/false" }] };
    });
    const id = lab.id();
    lab.start(bundle, id);
    const { status, stderr } = by(["checkpoint", "--image-path", fresh("image"), id]);
    return {
      status,
      stderr: stderr.replace(/^time="[^"]*"/, "").replace(/stderr:\s*"/, 'stderr: "'),
    };
  });
  expect(thaw).toEqual(runc as never);
  expect(thaw?.stderr).toContain('level=warning msg="unable to destroy container: error running');
});

test("a poststop hook that takes for ever is ended by a signal, and the checkpoint is complete", async () => {
  const [hooked, image] = [fresh("hooked"), fresh("image")];
  const bundle = steadyBundle(lab, (config) => {
    const args = ["sh", "-c", `: > ${hooked}; exec sleep 1000`];
    config.hooks = { poststop: [{ path: "/bin/sh", args }] };
  });
  const id = lab.id();
  const before = traces(lab);
  lab.start(bundle, id);
  const argv = [THAW, "--root", lab.root, "checkpoint", "--image-path", image, id];
  await using thaw = Bun.spawn(argv, {
    stdio: ["ignore", "ignore", "pipe"],
    killSignal: "SIGKILL",
  });
  waitFor(() => existsSync(hooked), "the hook");
  thaw.kill("SIGTERM");
  expect(await Promise.race([thaw.exited, Bun.sleep(20_000)])).toBe(0);
  expect(await new Response(thaw.stderr).text()).toMatch(
    /level=warning msg="unable to destroy container: .*poststop hook #0: .*interrupted by SIGTERM/,
  );
  expect(traces(lab)).toEqual(before);
  bundle.edit((config) => {
    delete config.hooks;
  });
  must(lab.restore(bundle, image, id));
});

test("descriptors.json is runc's byte by byte, whatever the names", () => {
  const bundle = steadyBundle(lab);
  const id = lab.id();
  lab.start(bundle, id);
  const image = lab.checkpoint(id);
  const out = join(lab.path, "a&b<c>");
  const argv = [
    THAW,
    "--root",
    lab.root,
    "restore",
    "-d",
    "-b",
    bundle.path,
    "--image-path",
    image,
  ];
  must(run(["sh", "-c", `exec "$@" >"${out}" 2>/dev/null`, "sh", ...argv, id]));
  const [runc, thaw] = [lab.runc.bind(lab), lab.thaw.bind(lab)].map((by) => {
    const path = fresh("image");
    must(by(["checkpoint", "--leave-running", "--image-path", path, id]));
    return readFileSync(join(path, "descriptors.json"), "utf8");
  });
  expect(thaw).toBe(runc as string);
  expect(JSON.parse(thaw ?? "")).toEqual(["/dev/null", out, "/dev/null"]);
});

test("a paused container stays paused, or is destroyed; it runs when it comes back", () => {
  const bundle = steadyBundle(lab);
  const id = lab.id();
  lab.start(bundle, id);
  must(lab.runc(["pause", id]));
  const [one, other] = [fresh("image"), fresh("image")];
  // As containerd does: pause, checkpoint, resume.
  expect(lab.thaw(["checkpoint", "--image-path", one, "--leave-running", id])).toEqual(OK);
  expect(lab.status(id)).toBe("paused");
  must(lab.thaw(["resume", id]));
  countsOn(bundle, bundle.count());
  must(lab.thaw(["pause", id]));
  expect(lab.thaw(["checkpoint", "--image-path", other, id])).toEqual(OK);
  expect(lab.status(id)).toBeUndefined();
  expect(lab.restore(bundle, other, id)).toEqual(OK);
  expect(lab.status(id)).toBe("running");
  countsOn(bundle, bundle.count());
});

test("memory is served, whoever waits is told, and a signal ends that: the container goes on", async () => {
  const bundle = steadyBundle(lab);
  const id = lab.id();
  lab.start(bundle, id);
  const [image, work, status] = [fresh("image"), fresh("work"), fresh("status")];
  must(run(["mkfifo", status]));
  const port = String(20000 + (process.pid % 10000));
  const flags = ["--lazy-pages", "--page-server", `127.0.0.1:${port}`, "--status-fd", "5"];
  const argv = [THAW, "--root", lab.root, "checkpoint", "--image-path", image];
  const words = [...argv, "--work-path", work, ...flags, id];
  const thaw = Bun.spawn(["sh", "-c", `exec 5>${status}; exec "$@"`, "sh", ...words], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  // One byte, and then the end: it is closed as soon as it was written to.
  const told = run(["timeout", "30", "od", "-c", status]).stdout;
  expect(told.replaceAll(/\s+/g, " ").trim()).toBe("0000000 \\0 0000001");
  expect(existsSync(join(image, "descriptors.json"))).toBe(true);
  const stopped = bundle.count();
  const second = lab.thaw(["checkpoint", "--image-path", fresh("image"), id]);
  expect(second.status).toBe(1);
  expect(second.stderr).toMatch(/process \d+ \(sh\) is traced by process \d+ \(criu\); end that/);
  expect(bundle.count()).toBe(stopped);

  thaw.kill("SIGTERM");
  expect(await thaw.exited).toBe(1);
  expect(await new Response(thaw.stderr).text()).toContain("checkpoint: interrupted by SIGTERM");
  countsOn(bundle, stopped);
  const { init_process_pid: init } = lab.state(id);
  const rules = must(run(["nsenter", "-t", String(init), "-n", "iptables", "-S"])).stdout;
  expect(rules).not.toContain("CRIU");
  expect(existsSync(image)).toBe(false);
  expect(readdirSync(work)).toEqual(["dump.log"]);
});

test("a container whose memory is still arriving is not checkpointed before it is there", async () => {
  const bytes = 512 * 1024 * 1024; // enough to stop it in the middle; an idle one fails at SIGCONT
  const memory = fullOfMemory(lab, bytes);
  const id = lab.id();
  expect(lab.restore(memory.bundle, memory.image, id, ["--lazy-pages"])).toEqual(OK);
  const mark = join(lab.root, id, "lazy-pages.json");
  const guardian = JSON.parse(readFileSync(mark, "utf8")).guardian.pid;
  const children = readFileSync(`/proc/${guardian}/task/${guardian}/children`, "utf8");
  const daemon = Number(children.split(" ")[0]);
  process.kill(daemon, "SIGSTOP"); // nothing arrives
  const image = fresh("image");
  const refused = lab.thaw(["checkpoint", "--image-path", image, id]);
  expect(refused.status).toBe(1);
  expect(refused.stderr).toMatch(/not all memory of \S+ has arrived .*; wait for it with --wait/);
  expect(existsSync(image)).toBe(false);
  // Told also when nobody has made a note.
  must(run(["mv", mark, `${mark}.away`]));
  const found = lab.thaw(["checkpoint", "--image-path", image, id]);
  expect(found.stderr).toMatch(/not all memory .*; process \d+ still gets pages by userfaultfd/);
  must(run(["mv", `${mark}.away`, mark]));

  const waiting = Bun.spawn(
    [THAW, "--root", lab.root, "checkpoint", "--wait", "--image-path", image, id],
    { stdio: ["ignore", "ignore", "ignore"] },
  );
  await Bun.sleep(500);
  expect(existsSync(image)).toBe(false);
  expect(waiting.exitCode).toBe(null);
  process.kill(daemon, "SIGCONT");
  expect(await waiting.exited).toBe(0);
  expect(lab.restore(memory.bundle, image, id)).toEqual(OK);
  memory.go();
  memory.done();
  expect(memory.written()).toEqual({ same: bytes, length: bytes });
});

test("a container that ends while its memory is waited for has stopped, whatever is missing", async () => {
  const bundle = steadyBundle(lab);
  const id = lab.id();
  lab.start(bundle, id);
  const guardian = processId(process.pid);
  writeFileSync(join(lab.root, id, "lazy-pages.json"), JSON.stringify({ version: 1, guardian }));
  const argv = [THAW, "--root", lab.root, "checkpoint", "--wait", "--image-path", fresh("image")];
  const thaw = Bun.spawn([...argv, id], { stdio: ["ignore", "ignore", "pipe"] });
  await Bun.sleep(500);
  expect(thaw.exitCode).toBe(null);
  must(lab.runc(["kill", id, "KILL"]));
  expect(await thaw.exited).toBe(1);
  expect(await new Response(thaw.stderr).text()).toContain(
    "cannot be checkpointed in stopped state",
  );
});

test("an older checkpoint in the directory is replaced by a new one, and by nothing half-made", () => {
  const bundle = steadyBundle(lab);
  const id = lab.id();
  lab.start(bundle, id);
  const image = lab.checkpoint(id, ["--leave-running"], "thaw");
  writeFileSync(join(image, "note.txt"), "the owner's");
  const refused = ["--page-server", "127.0.0.1:9"];
  const failed = lab.thaw(["checkpoint", "--image-path", image, ...refused, id]);
  expect(failed.status).toBe(1);
  expect(failed.stderr).toContain("no criu page-server answers on 127.0.0.1:9");
  expect(existsSync(join(image, "note.txt"))).toBe(true);
  for (const by of [lab.thaw.bind(lab), lab.runc.bind(lab)]) {
    const other = ["restore", "-d", "-b", bundle.path, "--image-path", image, lab.id()];
    expect(by(other).stderr).toContain("descriptors.json: no such file or directory");
  }
  expect(lab.thaw(["checkpoint", "--image-path", image, id])).toEqual(OK);
  expect(lab.restore(bundle, image, id)).toEqual(OK);
});
