import { expect, test } from "bun:test";
import { parseMountOptions } from "../../../internal/oci/mount-options.ts";

const none = {
  flags: 0,
  cleared_flags: 0,
  propagation_flags: null,
  data: "",
  rec_attr: null,
  extensions: 0,
  idmap: undefined,
};
const parse = (line: string) => parseMountOptions(line === "" ? [] : line.split(" "));

test.each<[string, object]>([
  ["", {}],
  ["defaults", { data: "defaults" }],
  // The mounts of `runc spec` and the numbers in runc's state.json.
  ["nosuid strictatime mode=755 size=65536k", { flags: 16777218, data: "mode=755,size=65536k" }],
  [
    "nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5",
    { flags: 10, data: "newinstance,ptmxmode=0666,mode=0620,gid=5" },
  ],
  ["nosuid noexec nodev", { flags: 14 }],
  ["nosuid noexec nodev ro", { flags: 15 }],
  ["nosuid noexec nodev relatime ro", { flags: 2097167 }],
  ["bind", { flags: 0x1000 }],
  ["rbind", { flags: 0x5000 }],
  ["rbind ro rprivate", { flags: 0x5001, propagation_flags: [0x44000] }],
  ["rw", { cleared_flags: 1 }],
  ["ro rw", { cleared_flags: 1 }],
  ["rw ro", { flags: 1 }],
  ["noexec exec dev suid", { cleared_flags: 14 }],
  ["nosymfollow", { flags: 256 }],
  ["sync dirsync mand", { flags: 0x10 | 0x80 | 0x40 }],
  ["remount lazytime iversion", { flags: 0x20 | 0x2000000 | 0x800000 }],
  ["private rprivate slave rslave", { propagation_flags: [0x40000, 0x44000, 0x80000, 0x84000] }],
  [
    "shared rshared unbindable runbindable",
    { propagation_flags: [0x100000, 0x104000, 0x20000, 0x24000] },
  ],
  ["tmpcopyup", { extensions: 1 }],
  ["idmap", { idmap: "idmap" }],
  ["bind ridmap", { flags: 0x1000, idmap: "ridmap" }],
  ["rro", { rec_attr: attr(1, 0) }],
  ["rrw", { rec_attr: attr(0, 1) }],
  ["rro rrw", { rec_attr: attr(0, 1) }],
  ["rnosuid rnodev rnoexec", { rec_attr: attr(14, 0) }],
  ["rnosymfollow", { rec_attr: attr(0x200000, 0) }],
  ["constructor", { data: "constructor" }],
  ["__proto__ toString", { data: "__proto__,toString" }],
  ["RO", { data: "RO" }],
])("parseMountOptions() reads %p", (line, expected) => {
  expect(parse(line)).toEqual({ ...none, ...expected } as never);
});

function attr(set: number, clear: number) {
  return { Attr_set: set, Attr_clr: clear, Propagation: 0, Userns_fd: 0 };
}

// mount(2) and mount_setattr(2): what the word sets, and its opposite clears.
test.each<[string, string, number]>([
  ["ro", "rw", 1],
  ["nosuid", "suid", 2],
  ["nodev", "dev", 4],
  ["noexec", "exec", 8],
  ["sync", "async", 0x10],
  ["mand", "nomand", 0x40],
  ["nosymfollow", "symfollow", 0x100],
  ["noatime", "atime", 0x400],
  ["nodiratime", "diratime", 0x800],
  ["silent", "loud", 0x8000],
  ["relatime", "norelatime", 0x200000],
  ["iversion", "noiversion", 0x800000],
  ["strictatime", "nostrictatime", 0x1000000],
  ["lazytime", "nolazytime", 0x2000000],
])("parseMountOptions() sets with %s and clears with %s", (set, clear, flag) => {
  expect(parse(set)).toEqual({ ...none, flags: flag });
  expect(parse(clear)).toEqual({ ...none, cleared_flags: flag });
  expect(parse(`${set} ${clear}`)).toEqual({ ...none, cleared_flags: flag });
  expect(parse(`${clear} ${set}`)).toEqual({ ...none, flags: flag });
});

test.each<[string, string, number]>([
  ["rro", "rrw", 1],
  ["rnosuid", "rsuid", 2],
  ["rnodev", "rdev", 4],
  ["rnoexec", "rexec", 8],
  ["rnodiratime", "rdiratime", 0x80],
  ["rnosymfollow", "rsymfollow", 0x200000],
])("parseMountOptions() sets with %s and clears with %s in the whole tree", (set, clear, flag) => {
  expect(parse(set)).toEqual({ ...none, rec_attr: attr(flag, 0) });
  expect(parse(clear)).toEqual({ ...none, rec_attr: attr(0, flag) });
});

test("parseMountOptions() clears the old access time with a new one (mount_setattr(2))", () => {
  expect(parse("rrelatime").rec_attr).toEqual(attr(0, 0x70));
  expect(parse("rnoatime").rec_attr).toEqual(attr(0x10, 0x70));
  expect(parse("rstrictatime").rec_attr).toEqual(attr(0x20, 0x70));
  expect(parse("ratime").rec_attr).toEqual(attr(0, 0x10));
  expect(parse("rnostrictatime").rec_attr).toEqual(attr(0, 0x20));
});
