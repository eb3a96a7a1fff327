/** A Podman of one's own, with thaw as its runtime. @module */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Recorder } from "./calls.ts";
import { Host, type Suite } from "./host.ts";
import { imageArchive } from "./image-archive.ts";
import { type Lab, must, type Ran, type RunOptions, run } from "./lab.ts";
import { steadyScript } from "./steady.ts";

/** The image that counts in /tmp/n. */
export const IMAGE = "localhost/counter:1";

/** Podman on a host of its own, its files in a lab; disposing ends the host. */
export class Podman implements Disposable {
  readonly host: Host;
  readonly recorder: Recorder;
  readonly #lab: Lab;

  /** Makes the host, and loads {@link IMAGE}. */
  constructor(lab: Lab, suite: Suite) {
    this.#lab = lab;
    this.recorder = new Recorder(lab.path);
    const { path } = lab;
    this.host = new Host(suite, {
      CONTAINERS_CONF: join(path, "containers.conf"),
      CONTAINERS_STORAGE_CONF: join(path, "storage.conf"),
      HOME: join(path, "home"),
      PODMAN_IGNORE_CGROUPSV1_WARNING: "1",
      TMPDIR: "/run",
    });
    using undo = new DisposableStack();
    undo.use(this.host);
    const settings = join(path, "home/.config/containers");
    mkdirSync(settings, { recursive: true });
    writeFileSync(join(settings, "policy.json"), '{"default":[{"type":"insecureAcceptAnything"}]}');
    writeFileSync(join(path, "containers.conf"), this.#config());
    const storage = { driver: "overlay", graphroot: `${path}/graph`, runroot: "/run/containers" };
    const lines = Object.entries(storage).map(([name, value]) => `${name} = "${value}"`);
    writeFileSync(join(path, "storage.conf"), `[storage]\n${lines.join("\n")}\n`);
    this.load(IMAGE, lab.bundle().rootfs, ["sh", "-c", steadyScript("echo $i")]);
    undo.move();
  }

  // Podman of bookworm would raise limits that a machine may not let it.
  #config(): string {
    const bin = must(this.host.run(["sh", "-c", 'dirname "$(command -v podman)"'])).stdout.trim();
    return `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "thaw"
runtime_supports_json = ["thaw"]
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "/run/libpod"
helper_binaries_dir = ["${bin}"]
conmon_path = ["${bin}/conmon"]
[engine.runtimes]
thaw = ["${this.recorder.path}"]
[network]
network_backend = "netavark"
network_config_dir = "${this.#lab.path}/networks"
`;
  }

  /** Makes an image of one layer. */
  load(name: string, rootfs: string, command: readonly string[]): void {
    const archive = imageArchive(join(this.#lab.path, "image"), name, rootfs, command);
    must(this.podman(["load", "-i", archive]));
    run(["rm", archive]);
  }

  /** Runs podman. */
  podman(args: readonly string[], options: RunOptions = {}): Ran {
    return this.host.run(["podman", ...args], options);
  }

  /** `podman run -d` in a cgroup that goes with the lab; returns the id. */
  start(name: string, options: readonly string[], image = IMAGE, command: readonly string[] = []) {
    const cgroup = ["--cgroup-parent", `/${this.#lab.path.slice(5)}-podman`];
    const argv = ["run", "-d", "--name", name, ...cgroup, ...options, image, ...command];
    return must(this.podman(argv)).stdout.trim();
  }

  /** What the counter in a container has reached. */
  count(name: string): number {
    return Number(must(this.podman(["exec", name, "cat", "/tmp/n"])).stdout);
  }

  /** Ends a container, if it runs, and removes it. */
  end(name: string): void {
    must(this.podman(["rm", "--force", "--time", "0", name]));
  }

  [Symbol.dispose](): void {
    this.host[Symbol.dispose]();
  }
}
