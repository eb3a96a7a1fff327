/** A containerd of one's own, with thaw as its runtime. @module */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Recorder } from "./calls.ts";
import { call, field } from "./grpc.ts";
import { Host, type Suite } from "./host.ts";
import { imageArchive } from "./image-archive.ts";
import { type Lab, must, type Ran, type RunOptions, waitFor } from "./lab.ts";
import { steadyScript } from "./steady.ts";

/** The image that counts in /tmp/n. */
export const IMAGE = "localhost/counter:1";

/** containerd on a host of its own; disposing ends both. */
export class Containerd implements Disposable {
  readonly host: Host;
  readonly recorder: Recorder;
  readonly #lab: Lab;
  readonly #socket: string;

  /** Starts containerd without its Kubernetes plugin, and imports {@link IMAGE}. */
  constructor(lab: Lab, suite: Suite) {
    this.#lab = lab;
    this.#socket = join(lab.path, "containerd.sock");
    using undo = new DisposableStack();
    // Where it puts what it forgets to remove.
    this.host = undo.use(new Host(suite, { XDG_RUNTIME_DIR: "/run" }));
    this.recorder = new Recorder(this.host, join(lab.path, "calls"));
    const config = join(lab.path, "containerd.toml");
    writeFileSync(config, this.#config(suite));
    this.host.start(["containerd", "--config", config], join(lab.path, "containerd.log"));
    waitFor(() => this.ctr(["version"]).status === 0, `containerd of ${suite}`);
    const archive = imageArchive(join(lab.path, "image"), IMAGE, lab.bundle().rootfs, [
      ...["sh", "-c", steadyScript()],
    ]);
    must(this.ctr(["image", "import", archive]));
    undo.move();
  }

  #config(suite: Suite): string {
    const plugins = ["grpc.v1.cri", "cri.v1.runtime", "cri.v1.images"];
    return [
      `version = ${suite === "bookworm" ? 2 : 3}`,
      `root = "${this.#lab.path}/containerd"`,
      `state = "${this.#lab.path}/containerd-state"`,
      `disabled_plugins = ${JSON.stringify(plugins.map((name) => `io.containerd.${name}`))}`,
      "[grpc]",
      `address = "${this.#socket}"`,
    ].join("\n");
  }

  /** What tells ctr where containerd is, and the namespace: the parent of the containers' cgroups. */
  get env(): Record<string, string> {
    return {
      CONTAINERD_ADDRESS: this.#socket,
      CONTAINERD_NAMESPACE: `${this.#lab.path.slice(5)}-ctr`,
    };
  }

  /** Runs ctr. */
  ctr(args: readonly string[], options: RunOptions = {}): Ran {
    return this.host.run(["ctr", ...args], { ...options, env: this.env });
  }

  /** Starts ctr on a terminal, what it shows going to a file. */
  onTerminal(args: readonly string[], screen: string): Bun.Subprocess {
    const variables = Object.entries(this.env).map(([name, value]) => `${name}=${value}`);
    const command = ["env", ...variables, "ctr", ...args].join(" ");
    return this.host.start(["script", "-qfec", command, screen], "/dev/null");
  }

  /** What `ctr task list` says of a container: its pid on that host and its status. */
  task(id: string): { pid: number; status: string } | undefined {
    const lines = must(this.ctr(["task", "list"])).stdout.split("\n");
    const [, pid, status] =
      lines.map((line) => line.split(/\s+/)).find(([name]) => name === id) ?? [];
    return status === undefined ? undefined : { pid: Number(pid), status };
  }

  /** Runs a command in a container. */
  exec(id: string, argv: readonly string[]): Ran {
    const name = `exec-${Math.random().toString(36).slice(2)}`;
    return this.ctr(["task", "exec", "--exec-id", name, id, ...argv]);
  }

  /** What the counter in a container has reached. */
  count(id: string): number {
    return Number(must(this.exec(id, ["sh", "-c", "cat /tmp/n 2>/dev/null || :"])).stdout);
  }

  /** Changes limits of a container, which ctr has no command for. @throws what containerd answers */
  async update(id: string, resources: object): Promise<void> {
    const type = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";
    const any = Buffer.concat([field(1, type), field(2, JSON.stringify(resources))]);
    const request = Buffer.concat([field(1, id), field(2, any)]);
    await call(this.#socket, "/containerd.services.tasks.v1.Tasks/Update", request, {
      "containerd-namespace": this.env["CONTAINERD_NAMESPACE"] ?? "",
    });
  }

  /** Ends a container and removes it; its checkpoints stay. */
  end(id: string): void {
    must(this.ctr(["task", "kill", "-s", "9", id]));
    waitFor(() => (this.task(id)?.status ?? "STOPPED") === "STOPPED", `${id} to stop`);
    // A ctr that waits in the foreground removes both, maybe before these do.
    this.ctr(["task", "delete", id]);
    const isKnown = () =>
      must(this.ctr(["container", "list", "-q"]))
        .stdout.split("\n")
        .includes(id);
    if (isKnown()) this.ctr(["container", "delete", id]);
    waitFor(() => !isKnown(), `${id} to go`);
  }

  [Symbol.dispose](): void {
    this.host[Symbol.dispose]();
  }
}

/** Options of `ctr run` that make a program the runtime. */
export const withRuntime = (path: string): string[] => ["--runc-binary", path];
