/**
 * The checkpoint command: its flags, and what is refused. That a checkpoint comes back is tested
 * apart: tests/integration/checkpoint.test.ts.
 *
 * @module
 */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Call, Given, Row } from "../row.ts";

const BOOLEANS = [
  "leave-running",
  "tcp-established",
  "tcp-skip-in-flight",
  "link-remap",
  "ext-unix-sk",
  "shell-job",
  "lazy-pages",
  "file-locks",
  "pre-dump",
  "auto-dedup",
];
const STRINGS = [
  "image-path",
  "work-path",
  "parent-path",
  "page-server",
  "manage-cgroups-mode",
  "empty-ns",
];
const NOBODY = "container does not exist";

/** A command line for a container there is not: what is refused for that alone was understood. */
const understood =
  (...flags: string[]) =>
  ({ lab }: Given): Call => ({ argv: ["--root", lab.root, "checkpoint", ...flags, "nobody"] });

/** A command line for the container that runs, with more behind the image and work paths. */
const running =
  (make: (given: Given) => readonly string[]) =>
  (given: Given): Call => {
    const { root, id } = JSON.parse(readFileSync(join(given.bundle.path, "where"), "utf8"));
    const paths = ["--image-path", given.path, "--work-path", `${given.path}-work`];
    return { argv: ["--root", root, "checkpoint", ...paths, ...make(given), id] };
  };

const refused = (name: string, of: string, flags: readonly string[], says: string): Row => ({
  name,
  of: [of],
  checkpoint: "running",
  make: running(() => flags),
  status: 1,
  says,
});

const SYNTAX: readonly Row[] = [
  ...BOOLEANS.map((flag) => ({
    name: `--${flag} in several spellings, twice`,
    of: [flag],
    make: understood(`--${flag}`, `-${flag}`, `--${flag}=false`, `-${flag}=T`),
    status: 1,
    says: NOBODY,
  })),
  {
    name: "--leave-running=yes",
    of: ["leave-running"],
    make: understood("--leave-running=yes"),
    status: 1,
    says: 'invalid boolean value "yes" for -leave-running: parse error',
  },
  ...STRINGS.map((flag) => ({
    name: `--${flag} in both spellings`,
    of: [flag],
    make: understood(`--${flag}`, "x", `-${flag}=y`),
    status: 1,
    says: NOBODY,
  })),
  ...STRINGS.map((flag) => ({
    name: `--${flag} without a value`,
    of: [flag],
    make: ({ lab }: Given): Call => ({ argv: ["--root", lab.root, "checkpoint", `--${flag}`] }),
    status: 1,
    says: `flag needs an argument: -${flag}`,
  })),
  {
    name: "--status-fd -1, runc's own default",
    of: ["status-fd"],
    make: understood("--status-fd", "-1"),
    status: 1,
    says: NOBODY,
  },
  {
    name: "--wait",
    of: ["wait"],
    make: understood("--wait"),
    status: 1,
    says: NOBODY,
    differs:
      "waits for memory that is still arriving; runc does not know the flag, and saves without it",
  },
  {
    name: "flags after the id",
    make: ({ lab }) => ({ argv: ["--root", lab.root, "checkpoint", "nobody", "--leave-running"] }),
    status: 1,
    says: NOBODY,
  },
  { name: "--help", make: () => ({ argv: ["checkpoint", "--help"] }), status: 0 },
  {
    name: "a flag there is not",
    make: understood("--bogus"),
    status: 1,
    says: "flag provided but not defined: -bogus",
  },
  {
    name: "no id",
    make: () => ({ argv: ["checkpoint"] }),
    status: 1,
    says: /"checkpoint" requires exactly 1 argument/,
  },
  {
    name: "two ids",
    make: () => ({ argv: ["checkpoint", "a", "b"] }),
    status: 1,
    says: /"checkpoint" requires exactly 1 argument/,
  },
  {
    name: "an id that cannot be one",
    make: ({ lab }) => ({ argv: ["--root", lab.root, "checkpoint", "a/b"] }),
    status: 1,
    says: "invalid container ID format",
  },
];

const CONDITIONS: readonly Row[] = [
  {
    name: "a container that has not been started",
    checkpoint: "created",
    make: running(() => []),
    status: 1,
    says: "Container cannot be checkpointed in created state",
  },
  {
    name: "a container that is left running",
    of: ["leave-running"],
    checkpoint: "running",
    make: running(() => ["--leave-running", "--leave-running"]),
    status: 0,
  },
  refused(
    "a --parent-path from the root",
    "parent-path",
    ["--parent-path", "/tmp"],
    "--parent-path must be relative",
  ),
  {
    name: "a --parent-path that is not there",
    of: ["parent-path"],
    checkpoint: "running",
    make: running(() => ["--parent-path", "../nowhere"]),
    status: 1,
    says: /^invalid --parent-path: stat \S+nowhere: no such file or directory/,
  },
  {
    name: "a --parent-path that is a file",
    of: ["parent-path"],
    checkpoint: "running",
    make: running(({ lab }) => {
      writeFileSync(join(lab.path, "file"), "");
      return ["--parent-path", "../file"];
    }),
    status: 1,
    says: /^invalid --parent-path:\s+\S+file: not a directory/,
  },
  {
    name: "a --parent-path, and a kernel that does not track memory",
    of: ["parent-path"],
    checkpoint: "running",
    make: running(({ lab }) => {
      mkdirSync(join(lab.path, "parent"));
      return ["--parent-path", "../parent"];
    }),
    status: 1,
    says: "criu is missing features: [MemTrack]",
    differs: "the feature that is missing is named; runc passes on CRIU's errno 56",
  },
  refused(
    "--pre-dump, and a kernel that does not track memory",
    "pre-dump",
    ["--pre-dump"],
    "criu is missing features: [MemTrack]",
  ),
  ...["localhost", ":99", "localhost:", "a:b:c", "[::1]"].map((server) =>
    refused(
      `the page server ${server}`,
      "page-server",
      ["--page-server", server],
      "Use --page-server ADDRESS:PORT to specify page server",
    ),
  ),
  refused(
    "the page server localhost:xx",
    "page-server",
    ["--page-server", "localhost:xx"],
    "Invalid port number",
  ),
  {
    ...refused(
      "the page server 127.0.0.1:0",
      "page-server",
      ["--page-server", "127.0.0.1:0", "--leave-running"],
      "Invalid port number",
    ),
    differs: "refused; runc takes it for none, and saves memory here",
  },
  refused(
    "a cgroups mode there is not",
    "manage-cgroups-mode",
    ["--manage-cgroups-mode", "zz"],
    "invalid manage-cgroups-mode value",
  ),
  refused(
    "a namespace that cannot be empty",
    "empty-ns",
    ["--empty-ns", "ipc"],
    'namespace "ipc" is not supported',
  ),
  ...["99", "0"].map((fd) =>
    refused(
      `--status-fd ${fd} with --lazy-pages`,
      "status-fd",
      ["--lazy-pages", "--page-server", "127.0.0.1:27999", "--status-fd", fd],
      fd === "0"
        ? "invalid --status-fd argument 0: not writable"
        : "invalid --status-fd argument 99: bad file descriptor",
    ),
  ),
  {
    name: "--status-fd without --lazy-pages",
    of: ["status-fd"],
    checkpoint: "running",
    make: running(() => ["--status-fd", "99", "--leave-running"]),
    status: 0,
  },
  {
    name: "an image path that is a file",
    of: ["image-path"],
    checkpoint: "running",
    make: running(({ path }) => {
      writeFileSync(path, "");
      return [];
    }),
    status: 1,
    says: /^mkdir \S+: not a directory/,
  },
  {
    name: "a work path below nothing",
    of: ["work-path"],
    checkpoint: "running",
    make: running(({ lab }) => ["--work-path", join(lab.path, "a/b")]),
    status: 1,
    says: /^mkdir \S+a\/b: no such file or directory/,
  },
  {
    name: "a newline in the image path",
    of: ["image-path"],
    checkpoint: "running",
    make: running(({ path }) => ["--image-path", `${path}\n`, "--leave-running"]),
    status: 1,
    says: /^--image-path \S+ contains a NUL byte or a newline/,
    differs: "refused by name: it would break the lines of CRIU's options and of the log",
  },
];

/** Rows about the checkpoint command. */
export const checkpointRows: readonly Row[] = [...SYNTAX, ...CONDITIONS];
