/**
 * systemd's D-Bus interface (org.freedesktop.systemd1(5)), through its own busctl(1).
 *
 * busctl waits for the answer to a call, not for the job that the call starts: what a job is to do
 * is looked for instead.
 *
 * @module
 */

import { ThawError } from "../../errors/errors.ts";
import { childEnvironment, lookPath } from "../../linux/process.ts";
import { runToEnd } from "../../linux/run.ts";
import type { Property } from "./property.ts";
import { unitObject } from "./unit.ts";

const SERVICE = "org.freedesktop.systemd1";
const MANAGER = [SERVICE, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"];
// Seconds: a systemd that does not answer a call for so long will not.
const PATIENCE = 30;

/** systemd's manager, as far as a container needs it. */
export class SystemdBus {
  readonly #busctl: string;

  /**
   * Finds busctl.
   *
   * @throws ThawError when it is not on PATH
   */
  constructor() {
    try {
      this.#busctl = lookPath("busctl");
    } catch (cause) {
      throw new ThawError("systemd cgroups need busctl", {
        cause,
        hint: "install busctl (it comes with systemd), put its directory on PATH, or leave --systemd-cgroup out",
      });
    }
  }

  /**
   * systemd's version: 252 for `252.39-1~deb12u1`.
   *
   * @throws ThawError when systemd cannot be reached
   */
  async version(): Promise<number> {
    try {
      const text = await this.#run(["get-property", ...MANAGER, "Version"]);
      const version = /\d+/.exec(text)?.[0];
      if (version === undefined) throw new ThawError(`no version: ${text}`);
      return Number(version);
    } catch (cause) {
      throw new ThawError("unable to ask systemd for its version", {
        cause,
        hint: 'the system bus has to run: see "systemctl status dbus.socket"',
      });
    }
  }

  /**
   * Asks for a transient unit to be started.
   *
   * @throws ThawError with systemd's reason; then there is no such unit, or it is another's
   */
  async start(unit: string, properties: readonly Property[]): Promise<void> {
    const words = [unit, "replace", ...propertyWords(properties), "0"];
    await this.#call("StartTransientUnit", "ssa(sv)a(sa(sv))", words);
  }

  /** Changes properties of a unit until it ends. */
  async set(unit: string, properties: readonly Property[]): Promise<void> {
    await this.#call("SetUnitProperties", "sba(sv)", [unit, "true", ...propertyWords(properties)]);
  }

  /** Asks for a unit to be stopped. */
  async stop(unit: string): Promise<void> {
    await this.#call("StopUnit", "ss", [unit, "replace"]);
  }

  /** Lets systemd forget a unit that failed. */
  async resetFailed(unit: string): Promise<void> {
    await this.#call("ResetFailedUnit", "s", [unit]);
  }

  /** ActiveState of a unit; `inactive` when there is none. */
  async state(unit: string): Promise<string> {
    const object = [SERVICE, unitObject(unit), "org.freedesktop.systemd1.Unit"];
    const text = await this.#run(["get-property", ...object, "ActiveState"]);
    return /"(.*)"/.exec(text)?.[1] ?? text;
  }

  async #call(method: string, signature: string, words: readonly string[]): Promise<void> {
    await this.#run(["call", ...MANAGER, method, signature, ...words]);
  }

  /** Not interrupted: whether systemd has done what it was asked for has to be known. */
  async #run(words: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await runToEnd(
      {
        file: this.#busctl,
        argv: ["busctl", "--system", `--timeout=${PATIENCE}`, "--", ...words],
        env: childEnvironment(),
      },
      {
        input: "",
        doing: "ask systemd",
        interrupts: undefined,
        timeout: (PATIENCE + 5) * 1000,
      },
    );
    if (status?.code === 0) return stdout.trim();
    const said = stderr.trim().replace(/^Call failed: /, "");
    throw new ThawError(said === "" ? `busctl: ${status?.text ?? "no answer"}` : said);
  }
}

function propertyWords(properties: readonly Property[]): string[] {
  const words = properties.flatMap(({ name, signature, words }) => [name, signature, ...words]);
  return [String(properties.length), ...words];
}
