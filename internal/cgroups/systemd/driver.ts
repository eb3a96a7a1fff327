/**
 * The systemd cgroup driver: systemd makes the cgroup, as that of a transient scope around CRIU,
 * and is told the limits; what it has no property for is written to cgroupfs (runc: libcontainer's
 * cgroups/systemd).
 *
 * @module
 */

import { lstatSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ThawError } from "../../errors/errors.ts";
import { sendSignal } from "../../linux/process.ts";
import { type Interrupts, SIGKILL } from "../../linux/signal.ts";
import type { Cgroup } from "../../oci/config.ts";
import type { CgroupDriver, CgroupRequest, ContainerCgroup } from "../driver.ts";
import { thawBelow } from "../freezer.ts";
import { UNIFIED } from "../hierarchies.ts";
import { refuseLimits, setLimits } from "../limits.ts";
import { enableControllers, enterHierarchy, refuseBusyCgroup, removeCgroups } from "../manager.ts";
import { isV2, mainDirectory, pidsBelow } from "../paths.ts";
import { annotationProperties } from "./annotations.ts";
import { SystemdBus } from "./bus.ts";
import { systemdHost } from "./host.ts";
import { resourceProperties, startProperties } from "./properties.ts";
import type { Property } from "./property.ts";
import { placeByUnit, refuseUnitName, sliceName, unitName, unitPaths } from "./unit.ts";
import { settledUnit } from "./update.ts";

const SYSTEMD = "name=systemd";

/** Has systemd make the cgroup. */
export const systemdDriver: CgroupDriver = {
  place: (spec, id) => {
    annotationProperties(spec.annotations); // what they get wrong comes first, as in runc
    return placeByUnit(spec, id);
  },
  locate: (request) => new Scope(request),
};

/** A container's scope. */
class Scope implements ContainerCgroup {
  readonly paths: ReadonlyMap<string, string>;
  readonly config: Cgroup;
  readonly #unit: string;
  readonly #bus: SystemdBus;
  readonly #extra: readonly Property[];
  readonly #warn: (message: string) => void;

  constructor({ hierarchies, config, annotations, warn }: CgroupRequest) {
    refuseOtherInit();
    this.#unit = unitName(config);
    this.paths = unitPaths(hierarchies, config);
    refuseBusyCgroup(this.paths);
    this.config = { ...settledUnit(config), Systemd: true };
    refuseLimits(this.paths, this.config);
    this.#resources(Number.POSITIVE_INFINITY);
    refuseUnitName(this.#unit);
    this.#bus = new SystemdBus();
    this.#extra = annotationProperties(annotations);
    this.#warn = warn;
  }

  async join(pid: number, interrupts: Interrupts): Promise<AsyncDisposable> {
    await using undo = new AsyncDisposableStack();
    const made: string[] = [];
    const { properties, warnings } = this.#resources(await this.#bus.version());
    for (const warning of warnings) this.#warn(warning);
    await this.#start(pid, interrupts);
    undo.defer(() => this.#remove(made));
    await this.#arrival(pid, interrupts);
    this.#enterRest(pid, made);
    try {
      await this.#bus.set(this.#unit, properties);
    } catch (cause) {
      throw new ThawError("unable to set unit properties", { cause });
    }
    setLimits(this.paths, this.config);
    const done = undo.move();
    return { [Symbol.asyncDispose]: () => done.disposeAsync() };
  }

  #resources(version: number) {
    return resourceProperties(this.config, systemdHost(this.paths, version));
  }

  /** Starts the unit; a failed one of that name is made forgotten, and one that ends waited for. */
  async #start(pid: number, interrupts: Interrupts): Promise<void> {
    const scope = { name: this.config.name ?? "", slice: sliceName(this.config), pid };
    const properties = [...startProperties(scope, isV2(this.paths)), ...this.#extra];
    const deadline = performance.now() + ENDING;
    for (;;) {
      try {
        await this.#bus.start(this.#unit, properties);
        return;
      } catch (cause) {
        // There is no other way to tell: busctl passes the message on, not the error's name.
        const exists = /already (exists|loaded)/.test(String(cause));
        const taken = exists && pidsBelow(mainDirectory(this.paths)).length > 0;
        if (!exists || taken || performance.now() > deadline)
          throw new ThawError(`unable to start unit ${JSON.stringify(this.#unit)}`, {
            cause,
            hint: exists
              ? `see "systemctl status ${this.#unit}": end it, or change linux.cgroupsPath`
              : "linux.cgroupsPath and org.systemd.property annotations in config.json say what to start",
          });
      }
      await this.#bus.resetFailed(this.#unit).catch(() => {}); // gone by itself meanwhile
      await pause(50, "wait for a unit to end", interrupts);
    }
  }

  /** Waits until the process is in the unit's cgroup: then the unit runs. */
  async #arrival(pid: number, interrupts: Interrupts): Promise<void> {
    const unit = this.#unit;
    const directory = this.paths.get(SYSTEMD) ?? this.paths.get(UNIFIED) ?? "";
    const start = performance.now();
    for (let rounds = 1; !processesOf(directory).includes(String(pid)); rounds++) {
      await pause(rounds < 20 ? 1 : 10, `wait for ${unit}`, interrupts);
      if (rounds % 50 !== 0) continue;
      const state = await this.#bus.state(unit);
      const hint = `see "journalctl -u ${unit}" and "systemctl list-jobs"`;
      if (state === "failed" || state === "inactive")
        throw new ThawError(`error creating systemd unit \`${unit}\`: it is ${state}`, { hint });
      if (performance.now() - start > STARTING)
        throw new ThawError(`Timeout waiting for systemd to create ${unit}`, { hint });
    }
  }

  /** What systemd does not manage: v1 controllers it does not know, v2 ones nobody handed down. */
  #enterRest(pid: number, made: string[]): void {
    if (isV2(this.paths)) {
      enableControllers(mainDirectory(this.paths));
      return;
    }
    for (const [controller, directory] of this.paths) {
      if (controller === SYSTEMD || controller === UNIFIED) continue;
      enterHierarchy(controller, directory, pid, made);
    }
  }

  async #remove(made: readonly string[]): Promise<void> {
    thawBelow(this.paths);
    // systemd asks first and waits long; whatever is left here has no right to go on.
    for (const pid of pidsBelow(mainDirectory(this.paths))) sendSignal(pid, SIGKILL);
    try {
      await this.#stop();
    } finally {
      removeCgroups(this.paths, made, true);
    }
  }

  async #stop(): Promise<void> {
    const unit = this.#unit;
    const refused = await this.#bus.stop(unit).then(
      () => undefined,
      (error: unknown) => error,
    );
    const deadline = performance.now() + STARTING;
    const hint = `remove it with "systemctl stop ${unit}; systemctl reset-failed ${unit}"`;
    for (;;) {
      const state = await this.#bus.state(unit);
      if (state === "inactive") return;
      if (state === "failed") return this.#bus.resetFailed(unit);
      if (refused !== undefined)
        throw new ThawError(`unable to stop unit ${unit}`, { cause: refused, hint });
      if (performance.now() > deadline)
        throw new ThawError(`Timed out while waiting for systemd to remove ${unit}`, { hint });
      await Bun.sleep(10);
    }
  }
}

// How long systemd may take to start or stop a unit, in milliseconds (runc's, too).
const STARTING = 30_000;
// How long a unit of the same name may take to end, once there are no processes in it.
const ENDING = 3000;

async function pause(milliseconds: number, doing: string, interrupts: Interrupts): Promise<void> {
  await Bun.sleep(milliseconds);
  await interrupts.check(doing);
}

function processesOf(directory: string): string[] {
  try {
    return readFileSync(join(directory, "cgroup.procs"), "utf8").split("\n");
  } catch {
    return []; // not made yet
  }
}

// sd_booted(3)
function refuseOtherInit(): void {
  const booted = lstatSync("/run/systemd/system", { throwIfNoEntry: false })?.isDirectory();
  if (booted !== true)
    throw new ThawError("systemd not running on this host, cannot use systemd cgroups manager", {
      hint: "leave --systemd-cgroup out",
    });
}
