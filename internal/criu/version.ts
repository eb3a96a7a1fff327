/** What a CRIU of some version cannot do. @module */

import { ThawError } from "../errors/errors.ts";
import { type Config, namespacePath } from "../oci/config.ts";

/** What is asked for beside the container's configuration. */
export interface VersionNeeds {
  readonly lsmProfile: string | undefined;
  readonly lsmMountContext: string | undefined;
  readonly tcpClose: boolean;
  readonly lazyPages: boolean;
  /** The file an `org.criu.config` annotation names. */
  readonly configFile: string | undefined;
  /** The checkpoint counts its pages in 64 bits. */
  readonly wideCounts: boolean;
}

interface Need {
  /** The first release that can, as 31200 for 3.12. */
  readonly since: number;
  readonly is: (config: Config, needs: VersionNeeds) => boolean;
  /** runc's words where it has them. */
  readonly message?: string;
  readonly what: string;
}

// The releases are those in which the field came into CRIU's images/rpc.proto. An older CRIU passes
// over what it does not know, and would restore something else than was asked for. A terminal
// (2.12), a namespace with a path (join_ns, 2.3) and inherit_fd (1.6) need less than the least.
const NEEDS: readonly Need[] = [
  {
    since: 31500,
    is: (config) => config.namespaces.some(({ type }) => type === "NEWPID"),
    message:
      "criu lacks support for external pid namespace during the restoration process (old criu version?)",
    what: "a pid namespace",
  },
  { since: 31600, is: (_, needs) => needs.lsmProfile !== undefined, what: "--lsm-profile" },
  {
    since: 31600,
    is: (_, needs) => needs.lsmMountContext !== undefined,
    what: "--lsm-mount-context",
  },
  { since: 31200, is: (_, needs) => needs.tcpClose, what: "--tcp-close" },
  { since: 30500, is: (_, needs) => needs.lazyPages, what: "--lazy-pages" },
  {
    since: 31100,
    is: (config) => (namespacePath(config, "NEWNET") ?? "") !== "",
    what: "a network namespace with a path",
  },
  { since: 31100, is: (_, needs) => needs.configFile !== undefined, what: "org.criu.config" },
  {
    since: 40200,
    is: (_, needs) => needs.wideCounts,
    what: "the checkpoint, made by CRIU 4.2 or newer,",
  },
];

const LEAST = 30000;

/**
 * Refuses a CRIU too old for this container and naming the version needed, in runc's words where
 * runc has them.
 *
 * @param version as 40201 for 4.2.1
 */
export function refuseOldCriu(version: number, config: Config, needs: VersionNeeds): void {
  refuseLeast(version);
  for (const { since, is, message, what } of NEEDS) {
    if (version >= since || !is(config, needs)) continue;
    throw new ThawError(message ?? `${what} requires at least CRIU ${release(since)}`, {
      hint: `this is CRIU ${release(version)}: ${hint(since)}`,
    });
  }
}

/**
 * Refuses a CRIU too old for any dump, in runc's words: it asks for external namespaces also where
 * there are none.
 */
export function refuseOldCriuForDump(version: number): void {
  refuseLeast(version);
  const lacking = version < 31100 ? "net" : version < 31500 ? "pid" : undefined;
  if (lacking !== undefined)
    throw new ThawError(
      `criu lacks support for external ${lacking} namespace during checkpointing process (old criu version?)`,
      { hint: `this is CRIU ${release(version)}: ${hint(31500)}` },
    );
}

function refuseLeast(version: number): void {
  if (version >= LEAST) return;
  throw new ThawError(`CRIU version ${version} must be ${LEAST} or higher`, {
    hint: hint(LEAST),
  });
}

function hint(since: number): string {
  return `install CRIU ${release(since)} or newer, or name one with --criu`;
}

/** 40201 as 4.2.1, and 31500 as 3.15. */
function release(version: number): string {
  const [major, minor, sub] = [Math.floor(version / 10000), Math.floor(version / 100), version];
  return `${major}.${minor % 100}${sub % 100 === 0 ? "" : `.${sub % 100}`}`;
}
