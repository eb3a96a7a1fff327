import { expect, test } from "bun:test";
import { refuseOldCriu, type VersionNeeds } from "../../../internal/criu/version.ts";
import { describe } from "../../../internal/errors/errors.ts";
import type { Config } from "../../../internal/oci/config.ts";

const NOTHING: VersionNeeds = {
  lsmProfile: undefined,
  lsmMountContext: undefined,
  tcpClose: false,
  lazyPages: false,
  configFile: undefined,
  wideCounts: false,
};

interface Row {
  readonly name: string;
  readonly needs?: Partial<VersionNeeds>;
  readonly namespace?: { readonly type: string; readonly path: string };
  /** The first that can, and the one before. */
  readonly since: readonly [number, string];
  readonly before: number;
  readonly says: string;
}

const PIDS =
  "criu lacks support for external pid namespace during the restoration process (old criu version?)";
const ROWS: readonly Row[] = [
  {
    name: "anything",
    since: [30000, "3.0"],
    before: 21299,
    says: "CRIU version 21299 must be 30000 or higher",
  },
  {
    name: "a pid namespace",
    namespace: { type: "NEWPID", path: "" },
    since: [31500, "3.15"],
    before: 31400,
    says: PIDS,
  },
  {
    name: "a network namespace with a path",
    namespace: { type: "NEWNET", path: "/run/netns/x" },
    since: [31100, "3.11"],
    before: 31000,
    says: "a network namespace with a path requires at least CRIU 3.11",
  },
  {
    name: "--lsm-profile",
    needs: { lsmProfile: "apparmor:x" },
    since: [31600, "3.16"],
    before: 31501,
    says: "--lsm-profile requires at least CRIU 3.16",
  },
  {
    name: "--lsm-mount-context",
    needs: { lsmMountContext: "x" },
    since: [31600, "3.16"],
    before: 31501,
    says: "--lsm-mount-context requires at least CRIU 3.16",
  },
  {
    name: "--tcp-close",
    needs: { tcpClose: true },
    since: [31200, "3.12"],
    before: 31199,
    says: "--tcp-close requires at least CRIU 3.12",
  },
  {
    name: "--lazy-pages",
    needs: { lazyPages: true },
    since: [30500, "3.5"],
    before: 30400,
    says: "--lazy-pages requires at least CRIU 3.5",
  },
  {
    name: "org.criu.config",
    needs: { configFile: "/x" },
    since: [31100, "3.11"],
    before: 31000,
    says: "org.criu.config requires at least CRIU 3.11",
  },
  {
    name: "a checkpoint of CRIU 4.2",
    needs: { wideCounts: true },
    since: [40200, "4.2"],
    before: 40101,
    says: "the checkpoint, made by CRIU 4.2 or newer, requires at least CRIU 4.2",
  },
];

test.each(ROWS)("$name needs CRIU $since", ({ needs, namespace, since, before, says }) => {
  const config = { namespaces: namespace === undefined ? [] : [namespace] } as unknown as Config;
  const refuse = (version: number) =>
    refuseOldCriu(version, config, { ...NOTHING, ...(needs ?? {}) });
  expect(() => refuse(since[0])).not.toThrow();
  let said = "";
  try {
    refuse(before);
  } catch (error) {
    said = describe(error);
  }
  expect(said).toStartWith(`${says}; `);
  expect(said).toEndWith(`install CRIU ${since[1]} or newer, or name one with --criu`);
});
