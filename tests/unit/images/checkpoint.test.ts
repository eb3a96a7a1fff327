import { expect, test } from "bun:test";
import { ThawError } from "../../../internal/errors/errors.ts";
import { readCheckpoint } from "../../../internal/images/checkpoint.ts";
import {
  core,
  entry,
  field,
  image,
  inventory,
  onDisk,
  pagemap,
  record,
  wholeCheckpoint,
} from "./handmade.ts";

/** What readCheckpoint() says of the whole checkpoint with files replaced, without the directory. */
function verdict(changes: Readonly<Record<string, Buffer | undefined>>): string {
  using checkpoint = onDisk(wholeCheckpoint());
  for (const [name, bytes] of Object.entries(changes)) checkpoint.set(name, bytes);
  try {
    readCheckpoint(checkpoint.path);
    return "whole";
  } catch (error) {
    expect(error).toBeInstanceOf(ThawError);
    return (error as Error).message.replaceAll(`${checkpoint.path}/`, "");
  }
}

test("readCheckpoint() takes a whole checkpoint and gives its descriptors", () => {
  using checkpoint = onDisk(wholeCheckpoint());
  expect(readCheckpoint(checkpoint.path)).toEqual({
    descriptors: ["pipe:[1]", "pipe:[2]", "/dev/null"],
    wideCounts: true,
    fileLocks: false,
    tcpConnections: false,
  });
});

test("readCheckpoint() tells of file locks, and sees their image cut short", () => {
  using checkpoint = onDisk(wholeCheckpoint());
  const locks = image("filelocks", record(field(1, 1), field(2, 1), field(3, 1), field(4, 4)));
  checkpoint.set("filelocks.img", locks);
  expect(readCheckpoint(checkpoint.path).fileLocks).toBe(true);
  checkpoint.set("filelocks.img", image("filelocks"));
  expect(readCheckpoint(checkpoint.path).fileLocks).toBe(false);
  expect(verdict({ "filelocks.img": locks.subarray(0, -1) })).toBe("filelocks.img is cut short");
});

test.each(Object.keys(wholeCheckpoint()))("readCheckpoint() misses %s", (name) => {
  expect(verdict({ [name]: undefined })).toBe(`open ${name}: no such file or directory`);
});

const images = Object.keys(wholeCheckpoint()).filter((name) => !/^(pages|descr)/.test(name));

test.each(images)("readCheckpoint() sees %s cut short", (name) => {
  const bytes = wholeCheckpoint()[name] as Buffer;
  for (const length of [3, 7, 9, bytes.length - 1])
    expect(verdict({ [name]: bytes.subarray(0, length) })).toStartWith(`${name} is `);
});

test.each(images)("readCheckpoint() sees %s empty", (name) => {
  expect(verdict({ [name]: Buffer.alloc(0) })).toStartWith(`${name} is `);
});

test.each(images.filter((name) => name !== "inventory.img"))(
  "readCheckpoint() sees another image in the place of %s",
  (name) => {
    const kind = /^[a-z]+/.exec(name)?.[0];
    const other = image("", record(field(1, 1)));
    expect(verdict({ [name]: other })).toBe(`${name} is no CRIU ${kind} image`);
  },
);

test("readCheckpoint() sees a pages image shorter than its pagemap says", () => {
  const short = Buffer.alloc(3 * 4096 - 1);
  expect(verdict({ "pages-7.img": short })).toBe("pages-7.img is cut short: 12287 of 12288 bytes");
  expect(verdict({ "pages-7.img": Buffer.alloc(4 * 4096) })).toBe("whole");
});

test("readCheckpoint() wants no pages image when no page is in it", () => {
  const changes = {
    "pagemap-1.img": pagemap(1, entry(1, 5), entry(2, 5)),
    "pages-1.img": undefined,
  };
  expect(verdict(changes)).toBe("whole");
});

test("readCheckpoint() counts the pages of older CRIUs: the 32-bit count, and in_parent", () => {
  const old = (count: number, ...more: number[][]) => [
    field(1, 0x400000),
    field(2, count),
    ...more,
  ];
  const files = (...entries: number[][][]) => ({
    "pagemap-1.img": pagemap(1, ...entries),
    "pages-1.img": Buffer.alloc(2 * 4096),
  });
  expect(verdict(files(old(2)))).toBe("whole");
  const pagemaps = { "pagemap-1.img": pagemap(1, old(2)), "pagemap-7.img": pagemap(7, old(2)) };
  using checkpoint = onDisk({ ...wholeCheckpoint(), ...pagemaps });
  expect(readCheckpoint(checkpoint.path).wideCounts).toBe(false);
  expect(verdict(files(old(2), old(9, field(3, 1))))).toBe("whole");
  expect(verdict(files(old(3)))).toBe("pages-1.img is cut short: 8192 of 12288 bytes");
  expect(verdict(files(old(3, field(4, 4))))).toContain("cut short");
});

test("readCheckpoint() leaves pages of a parent checkpoint to the parent", () => {
  expect(verdict({ "pagemap-1.img": pagemap(1, entry(5, 100), entry(4, 3)) })).toBe("whole");
});

test("readCheckpoint() wants no memory of a dead process", () => {
  const gone = Object.fromEntries(
    ["ids", "fs", "mm", "pagemap", "pages"].map((kind) => [`${kind}-7.img`, undefined]),
  );
  expect(verdict({ ...gone, "core-7.img": core(2) })).toBe("whole");
  expect(verdict({ ...gone, "core-7.img": core(1) })).toContain("no such file or directory");
});

test("readCheckpoint() does not look for the threads of a dead process, which CRIU makes up", () => {
  const zombie = Buffer.from(record(field(1, 9), field(5, 703400832)));
  const tree = Buffer.concat([wholeCheckpoint()["pstree.img"] as Buffer, zombie]);
  expect(verdict({ "pstree.img": tree, "core-9.img": core(2) })).toBe("whole");
  expect(verdict({ "pstree.img": tree, "core-9.img": core(1) })).toContain("core-703400832.img");
});

test("readCheckpoint() looks for the core of every thread", () => {
  expect(verdict({ "core-8.img": undefined })).toBe("open core-8.img: no such file or directory");
});

test("readCheckpoint() refuses a checkpoint without processes", () => {
  expect(verdict({ "pstree.img": image("pstree") })).toBe("pstree.img holds no process");
});

test("readCheckpoint() refuses images of a newer CRIU in CRIU's words", () => {
  expect(verdict({ "inventory.img": inventory(9) })).toBe(
    "inventory.img: not supported images version 9",
  );
  expect(verdict({ "inventory.img": inventory(1) })).toBe("whole");
});

test.each([
  ["{", "unexpected end of JSON input"],
  ["", "unexpected end of JSON input"],
  ['{"a":1}', "json: cannot unmarshal object into Go value of type []string"],
  ["null", "whole"],
  ["[]", "whole"],
  ['["","",""]', "whole"],
])("readCheckpoint() says of descriptors.json %p: %s", (text, message) => {
  expect(verdict({ "descriptors.json": Buffer.from(text) })).toBe(message);
});

test("readCheckpoint() hints at the image path when there is no checkpoint", () => {
  let error: unknown;
  try {
    readCheckpoint("/nonexistent");
  } catch (caught) {
    error = caught;
  }
  expect(error).toMatchObject({
    message: "open /nonexistent/descriptors.json: no such file or directory",
    hint: expect.stringContaining("--image-path"),
  });
});

/** Numbers that look random and are the same in every run (xorshift32). */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** One of the damages that disks, copies and attackers do. */
function damage(bytes: Buffer, next: (below: number) => number): Buffer {
  const at = next(bytes.length + 1);
  const copy = Buffer.from(bytes);
  switch (next(6)) {
    case 0:
      return copy.subarray(0, at);
    case 1:
      return Buffer.concat([copy.subarray(0, at), Buffer.from([next(256)]), copy.subarray(at)]);
    case 2:
      return Buffer.concat([copy.subarray(0, at), copy.subarray(Math.min(at + 1, copy.length))]);
    case 3:
      copy.fill(next(2) * 0xff, at, Math.min(at + next(8), copy.length));
      return copy;
    case 4:
      for (let i = at; i < Math.min(at + 4, copy.length); i++) copy[i] = next(256);
      return copy;
    default:
      if (at < copy.length) copy[at] = (copy[at] as number) ^ (1 << next(8));
      return copy;
  }
}

test("readCheckpoint() sees a broken message inside a record", () => {
  const inside = image("core", record(field(1, 1), field(3, [8])));
  expect(verdict({ "core-7.img": inside })).toBe("core-7.img holds a broken record");
  const head = inventory(2).subarray(0, 4);
  const broken = Buffer.concat([head, Buffer.from(record([8, 0x80]))]);
  expect(verdict({ "inventory.img": broken })).toBe("inventory.img holds a broken record");
});

test("readCheckpoint() answers 2,000 damaged checkpoints with a ThawError or takes them", () => {
  const files = wholeCheckpoint();
  const names = Object.keys(files).filter((name) => !name.startsWith("pages"));
  using checkpoint = onDisk(files);
  const next = random(20261124);
  const unexpected: string[] = [];
  let refused = 0;
  for (let i = 0; i < 2000; i++) {
    const name = names[next(names.length)] as string;
    const whole = files[name] as Buffer;
    let bytes = whole;
    for (let times = 1 + next(3); times > 0; times--) bytes = damage(bytes, next);
    checkpoint.set(name, bytes);
    try {
      readCheckpoint(checkpoint.path);
    } catch (error) {
      refused++;
      if (!(error instanceof ThawError)) unexpected.push(`#${i} ${name}: ${error}`);
    }
    checkpoint.set(name, whole);
  }
  expect(unexpected).toEqual([]);
  expect(refused).toBeGreaterThan(500);
});
