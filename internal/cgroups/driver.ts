/** What a cgroup driver does, and the usual one, which writes to cgroupfs itself. @module */

import type { Interrupts } from "../linux/signal.ts";
import { placeByPath } from "../oci/cgroup-config.ts";
import type { Cgroup, PlaceCgroup } from "../oci/config.ts";
import type { Spec } from "../oci/spec.ts";
import { cgroupPaths, type Hierarchy } from "./hierarchies.ts";
import { refuseLimits } from "./limits.ts";
import { joinCgroup, refuseBusyCgroup } from "./manager.ts";

/** What decides where a container's cgroup is and how it is made. */
export interface CgroupRequest {
  /** Those of the host. */
  readonly hierarchies: readonly Hierarchy[];
  /** `cgroups` of the configuration, placed by the same driver. */
  readonly config: Cgroup;
  readonly id: string;
  readonly annotations: Spec["annotations"];
  /** Takes what a person should know though nothing failed. */
  readonly warn: (message: string) => void;
}

/** The cgroup a container is to come into. */
export interface ContainerCgroup {
  /** Controller to absolute directory, as state.json records them. */
  readonly paths: ReadonlyMap<string, string>;
  /** `config.cgroups` as state.json records it. */
  readonly config: Cgroup;
  /**
   * Makes it, moves a process into it and sets the limits.
   *
   * @param pid a process of ours; what it starts is in the cgroup too
   * @returns disposing ends what is in the cgroup and removes it
   * @throws ThawError when that is not possible; what was made is removed
   */
  join(pid: number, interrupts: Interrupts): Promise<Disposable | AsyncDisposable>;
}

/** A way to make cgroups. */
export interface CgroupDriver {
  readonly place: PlaceCgroup;
  /**
   * Decides where the cgroup is, without side effects.
   *
   * @throws ThawError when it is in use, or for limits that this host cannot have
   */
  locate(request: CgroupRequest): ContainerCgroup;
}

/** Writes to cgroupfs itself. */
export const cgroupfsDriver: CgroupDriver = {
  place: placeByPath,
  locate: ({ hierarchies, config, id }) => {
    const paths = cgroupPaths(hierarchies, config.path ?? config.name ?? id);
    refuseBusyCgroup(paths);
    refuseLimits(paths, config);
    return { paths, config, join: async (pid) => joinCgroup(paths, config, pid) };
  },
};
