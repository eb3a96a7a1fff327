/** Checkpoints that are damaged, incomplete, or no checkpoints. @module */

import { mkdirSync, readdirSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cutShort, editInventory, fileNamed, flip, lengthField } from "../../support/damage.ts";
import { must, run } from "../../support/lab.ts";
import type { Call, Given, Row, Says } from "../row.ts";

const BEFORE_CRIU = "refused before CRIU is started, with the image's name and a remedy";
const HANGS = "refused before CRIU is started; with runc CRIU never ends";
const RESTORED = "refused; runc and CRIU say nothing, and what comes back is not the container";

type How = "runc fails too" | "runc hangs" | "runc restores" | "as runc";

/** Damage to one image, that thaw finds by itself. */
function damaged(
  name: string,
  how: string,
  says: string,
  act: (path: string) => void,
  runc: How = "runc fails too",
): Row {
  const reasons = {
    "runc fails too": BEFORE_CRIU,
    "runc hangs": HANGS,
    "runc restores": RESTORED,
    "as runc": undefined,
  };
  const reason = reasons[runc];
  return {
    name: `${name} ${how}`,
    make: ({ image }) => {
      act(fileNamed(image, name));
      return {};
    },
    status: 1,
    says: [name.replace(/[[*].*/, ""), says, /copy the checkpoint again|check --image-path/],
    ...(reason === undefined ? {} : { differs: reason }),
    ...(runc === "runc hangs" ? { hangs: true as const } : {}),
  };
}

const write = (text: string) => (path: string) => writeFileSync(path, text);
const short = (path: string) => cutShort(path);
const empty = (path: string) => truncateSync(path, 0);

/** The images that thaw reads before it starts CRIU; names differ by process and namespace. */
const READ_FIRST = [
  "inventory.img",
  "pstree.img",
  "files.img",
  "core-1.img",
  "ids-1.img",
  "fs-1.img",
  "mm-1.img",
  "mountpoints-*.img",
  "pagemap-1.img",
];

const FOUND_FIRST: readonly Row[] = [
  ...READ_FIRST.flatMap((name) => [
    damaged(name, "missing", "no such file or directory", rmSync),
    damaged(name, "one byte short", "is cut short", short),
    damaged(name, "empty", "is ", empty),
    damaged(name, "of another kind", "is no CRIU ", (path) =>
      flip(path, name === "inventory.img" ? 0 : 4, 4),
    ),
  ]),
  damaged("core-[!1]*.img", "missing", "no such file or directory", rmSync),
  damaged("mm-[!1]*.img", "empty", "is cut short", empty),
  damaged("pages-[!1]*.img", "one byte short", "is cut short", short, "runc hangs"),
  damaged("pages-1.img", "missing", "no such file or directory", rmSync),
  damaged("pages-1.img", "one byte short", "is cut short", short, "runc hangs"),
  damaged(
    "pages-1.img",
    "a page short",
    "is cut short",
    (path) => cutShort(path, 4096),
    "runc hangs",
  ),
  damaged("pages-1.img", "empty", "is cut short: 0 of ", empty, "runc hangs"),
  damaged("descriptors.json", "missing", "no such file or directory", rmSync, "as runc"),
  damaged("descriptors.json", "cut short", "unexpected end of JSON input", write("{"), "as runc"),
  damaged("descriptors.json", "empty", "unexpected end of JSON input", write(""), "as runc"),
  damaged(
    "descriptors.json",
    "an object",
    "json: cannot unmarshal object into Go value of type []string",
    write('{"a":1}'),
    "as runc",
  ),
  damaged(
    "descriptors.json",
    "a list of numbers",
    "json: cannot unmarshal",
    write("[1]"),
    "as runc",
  ),
  damaged("fdinfo-2.img", "missing", "no such file or directory", rmSync, "runc restores"),
  damaged(
    "core-1.img",
    "a pipe",
    "core-1.img",
    (path) => {
      rmSync(path);
      must(run(["mkfifo", path]));
    },
    "runc hangs",
  ),
  {
    name: "images of a newer version",
    make: ({ image }) => {
      // img_version is the first field: 08 02.
      editInventory(image, (message) => Buffer.concat([Buffer.from([8, 9]), message.subarray(2)]));
      return {};
    },
    status: 1,
    says: ["inventory.img", "not supported images version 9", "install a CRIU at least as new"],
    differs: BEFORE_CRIU,
  },
  {
    name: "an image path that is an image",
    make: ({ image }) => ({ flags: ["--image-path", join(image, "pstree.img")] }),
    status: 1,
    says: ["pstree.img", "not a directory"],
    differs: "the image that is wanted is named; runc tries to make the directory",
  },
  {
    name: "an empty image path",
    make: ({ path }) => {
      mkdirSync(path);
      return { flags: ["--image-path", path] };
    },
    status: 1,
    says: "open $LAB/path/descriptors.json: no such file or directory",
  },
  {
    name: "descriptors.json and no image",
    make: ({ path }) => {
      mkdirSync(path);
      writeFileSync(join(path, "descriptors.json"), "[]");
      return { flags: ["--image-path", path] };
    },
    status: 1,
    says: ["inventory.img", "no such file or directory", "copy the checkpoint again"],
    differs: BEFORE_CRIU,
  },
];

/** Damage that only CRIU can find. */
const found = (
  name: string,
  says: Says,
  act: (given: Given) => unknown,
  more: Partial<Row> = {},
): Row => ({
  name,
  make: (given) => (act(given) as Call | undefined) ?? {},
  status: 1,
  criu: true,
  says,
  ...more,
});

const tmpfs = ({ image }: Given) =>
  readdirSync(image)
    .filter((name) => name.startsWith("tmpfs-dev-"))
    .map((name) => join(image, name));

const utsns = ({ image }: Given) => fileNamed(image, "utsns-*.img");

const FOUND_BY_CRIU: readonly Row[] = [
  found(
    "an image of another format that only CRIU reads",
    [
      /Head magic doesn't match for utsns-\d+\.img/,
      /utsns-\d+\.img is not the image it should be/,
      "copy the checkpoint again",
    ],
    (given) => flip(utsns(given), 0, 4),
    {
      remedy: (given) => {
        flip(utsns(given), 0, 4);
        return {};
      },
    },
  ),
  found(
    "an image of another kind that only CRIU reads",
    [/Magic doesn't match for utsns-\d+\.img/, /utsns-\d+\.img is not the image it should be/],
    (given) => flip(utsns(given), 4, 4),
  ),
  found(
    "an empty image that only CRIU reads",
    ["Unexpected EOF", "missing or empty", "copy the checkpoint again"],
    (given) => truncateSync(utsns(given), 0),
  ),
  found(
    "a missing image that only CRIU reads",
    ["Unexpected EOF on", "missing or empty", "copy the checkpoint again"],
    (given) => rmSync(utsns(given)),
  ),
  found(
    "a tmpfs whose contents are missing",
    [
      /errno 0: No tmpfs-dev-\d+\.tar\.gz\.img image; tmpfs-dev-\d+\.tar\.gz\.img, the contents/,
      "missing",
      "copy the checkpoint again",
    ],
    (given) => {
      for (const path of tmpfs(given)) rmSync(path);
    },
  ),
  found("a tmpfs whose contents are cut short", [/tmpfs/, "copy the checkpoint again"], (given) => {
    for (const path of tmpfs(given)) cutShort(path);
  }),
  found(
    "filtered processes without their seccomp image",
    [
      /(stopped|killed) by signal 11|seccomp\.img/,
      "missing",
      /check the images|copy the checkpoint/,
    ],
    ({ image }) => rmSync(join(image, "seccomp.img")),
    { checkpoint: "filtered" },
  ),
  found(
    "a plugin of CRIU's that is not installed",
    [
      "Missing required plugin: amdgpu_plugin",
      "the checkpoint needs CRIU's plugin amdgpu_plugin",
      "install the plugin",
    ],
    ({ image, path }) => {
      const plugins = lengthField(12, lengthField(12, "amdgpu_plugin"));
      editInventory(image, (message) => Buffer.concat([message, plugins]));
      // CRIU looks at the list only when there is a directory of plugins at all.
      mkdirSync(path);
      return { env: { CRIU_LIBS_DIR: path } };
    },
  ),
];

const TAKEN: readonly Row[] = [
  {
    name: "pages more than the page map tells of",
    make: ({ image }) => {
      truncateSync(join(image, "pages-1.img"), 1 << 20);
      return {};
    },
    status: 0,
  },
  {
    name: "no image of the cgroups, which soft needs",
    make: ({ image }) => {
      rmSync(join(image, "cgroup.img"));
      return { flags: ["--manage-cgroups-mode", "ignore"] };
    },
    status: 0,
  },
  {
    name: "no offsets of a time namespace",
    make: ({ image }) => {
      rmSync(fileNamed(image, "timens-*.img"));
      return {};
    },
    status: 0,
  },
  {
    name: "a dump log and statistics gone",
    make: ({ image }) => {
      for (const name of ["dump.log", "stats-dump"]) rmSync(join(image, name));
      return {};
    },
    status: 0,
  },
  {
    name: "a checkpoint that was moved",
    make: ({ image, path }) => {
      renameSync(image, path);
      return { flags: ["--image-path", path] };
    },
    status: 0,
  },
  {
    name: "fewer descriptors than three",
    make: ({ image }) => {
      writeFileSync(join(image, "descriptors.json"), "[]");
      return {};
    },
    status: 0,
  },
  {
    name: "descriptors.json of null",
    make: ({ image }) => {
      writeFileSync(join(image, "descriptors.json"), "null");
      return {};
    },
    status: 0,
  },
];

/** Rows of damaged images. */
export const imageRows: readonly Row[] = [...FOUND_FIRST, ...FOUND_BY_CRIU, ...TAKEN];
