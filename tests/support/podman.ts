/** A Podman of one's own, with thaw as its runtime. @module */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Recorder } from "./calls.ts";
import { Host, type Suite } from "./host.ts";
import { imageArchive } from "./image-archive.ts";
import { type Lab, must, type Ran, type RunOptions, run } from "./lab.ts";
import { steadyScript } from "./steady.ts";

/** The image that counts in /tmp/n. */
export const IMAGE = "localhost/counter:1";

// The lines the documentation tells people to write.
const EXAMPLE = join(import.meta.dir, "../../examples/containers.conf");

/** Podman on a host of its own, its files in a lab; disposing ends the host. */
export class Podman implements Disposable {
  readonly host: Host;
  readonly recorder: Recorder;
  readonly #lab: Lab;

  /** Makes the host, and loads {@link IMAGE}. */
  constructor(lab: Lab, suite: Suite) {
    this.#lab = lab;
    using undo = new DisposableStack();
    this.host = undo.use(
      new Host(suite, { HOME: join(lab.path, "home"), PODMAN_IGNORE_CGROUPSV1_WARNING: "1" }),
    );
    this.recorder = new Recorder(this.host, join(lab.path, "calls"));
    const settings = (name: string, text: string) =>
      this.host.write(join("/etc/containers", name), text);
    settings("policy.json", '{"default":[{"type":"insecureAcceptAnything"}]}');
    settings("storage.conf", this.#storage());
    settings("containers.conf", this.#config());
    settings("containers.conf.d/thaw.conf", readFileSync(EXAMPLE, "utf8"));
    this.load(IMAGE, lab.bundle().rootfs, ["sh", "-c", steadyScript("echo $i")]);
    undo.move();
  }

  #storage(): string {
    const settings = {
      driver: "overlay",
      graphroot: `${this.#lab.path}/graph`,
      runroot: "/run/containers/storage",
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name} = "${value}"`);
    return `[storage]\n${lines.join("\n")}\n`;
  }

  // Limits no higher than any machine's: not every one may raise them.
  #config(): string {
    const bin = must(this.host.run(["sh", "-c", 'dirname "$(command -v podman)"'])).stdout.trim();
    return `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
helper_binaries_dir = ["${bin}"]
conmon_path = ["${bin}/conmon"]
[network]
network_backend = "netavark"
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

  /** What the counter in a container has reached; undefined before it starts. */
  count(name: string): number | undefined {
    const read = `cat /proc/$(podman inspect --format '{{.State.Pid}}' ${name})/root/tmp/n`;
    const { stdout } = this.host.run(["sh", "-c", read]);
    return stdout.length === 8 ? Number(stdout) : undefined;
  }

  /** Ends a container, if it runs, and removes it. */
  end(name: string): void {
    must(this.podman(["rm", "--force", "--time", "0", name]));
  }

  [Symbol.dispose](): void {
    this.host[Symbol.dispose]();
    // Podman's own cgroup stays, for the next container; a machine's own Podman makes it anew.
    const empty = "find /sys/fs/cgroup/*/libpod_parent -depth -type d -exec rmdir {} + 2>/dev/null";
    run(["sh", "-c", empty]);
  }
}
