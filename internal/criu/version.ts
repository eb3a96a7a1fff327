/** What a CRIU of some version cannot do. @module */

import { ThawError } from "../errors/errors.ts";
import type { Config } from "../oci/config.ts";

/** What is asked for beside the container's configuration. */
export interface VersionNeeds {
  readonly lsmProfile: string | undefined;
  readonly lsmMountContext: string | undefined;
}

/**
 * Refuses a CRIU too old for this container, in runc's words.
 *
 * @param version as 40201 for 4.2.1
 */
export function refuseOldCriu(version: number, config: Config, needs: VersionNeeds): void {
  if (version < 30000) throw new ThawError(`CRIU version ${version} must be 30000 or higher`);
  if (version < 31500 && config.namespaces.some(({ type }) => type === "NEWPID"))
    throw new ThawError(
      "criu lacks support for external pid namespace during the restoration process (old criu version?)",
      { hint: "install CRIU 3.15 or newer" },
    );
  if (version < 31600 && needs.lsmProfile !== undefined)
    throw new ThawError("--lsm-profile requires at least CRIU 3.16");
  if (version < 31600 && needs.lsmMountContext !== undefined)
    throw new ThawError("--lsm-mount-context requires at least CRIU 3.16");
}
