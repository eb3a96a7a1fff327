/** Mount options of config.json as flags of mount(2) (runtime-spec config.md, runc specconv). @module */

import type { Mount } from "./config.ts";

const SYNCHRONOUS = 0x10;
const REC = 0x4000;
const BIND = 0x1000;

// name: [cleared rather than set, flag], by the names of mount(8)
const FLAGS: Record<string, readonly [boolean, number]> = {
  async: [true, SYNCHRONOUS],
  atime: [true, 0x400],
  bind: [false, BIND],
  dev: [true, 0x4],
  diratime: [true, 0x800],
  dirsync: [false, 0x80],
  exec: [true, 0x8],
  iversion: [false, 0x800000],
  lazytime: [false, 0x2000000],
  loud: [true, 0x8000],
  mand: [false, 0x40],
  noatime: [false, 0x400],
  nodev: [false, 0x4],
  nodiratime: [false, 0x800],
  noexec: [false, 0x8],
  noiversion: [true, 0x800000],
  nolazytime: [true, 0x2000000],
  nomand: [true, 0x40],
  norelatime: [true, 0x200000],
  nostrictatime: [true, 0x1000000],
  nosuid: [false, 0x2],
  nosymfollow: [false, 0x100],
  rbind: [false, BIND | REC],
  relatime: [false, 0x200000],
  remount: [false, 0x20],
  ro: [false, 0x1],
  rw: [true, 0x1],
  silent: [false, 0x8000],
  strictatime: [false, 0x1000000],
  suid: [true, 0x2],
  sync: [false, SYNCHRONOUS],
  symfollow: [true, 0x100],
};

const PRIVATE = 0x40000;
const SLAVE = 0x80000;
const SHARED = 0x100000;
const UNBINDABLE = 0x20000;

/** Propagation options as flags of mount(2). */
export const PROPAGATION: Readonly<Record<string, number>> = {
  private: PRIVATE,
  rprivate: PRIVATE | REC,
  slave: SLAVE,
  rslave: SLAVE | REC,
  shared: SHARED,
  rshared: SHARED | REC,
  unbindable: UNBINDABLE,
  runbindable: UNBINDABLE | REC,
};

// mount_setattr(2)
const ATTR_ATIME = 0x70;
const RECURSIVE: Record<string, readonly [boolean, number]> = {
  rro: [false, 0x1],
  rrw: [true, 0x1],
  rnosuid: [false, 0x2],
  rsuid: [true, 0x2],
  rnodev: [false, 0x4],
  rdev: [true, 0x4],
  rnoexec: [false, 0x8],
  rexec: [true, 0x8],
  rnodiratime: [false, 0x80],
  rdiratime: [true, 0x80],
  rrelatime: [false, 0x0],
  rnorelatime: [true, 0x0],
  rnoatime: [false, 0x10],
  ratime: [true, 0x10],
  rstrictatime: [false, 0x20],
  rnostrictatime: [true, 0x20],
  rnosymfollow: [false, 0x200000],
  rsymfollow: [true, 0x200000],
};

const EXT_COPYUP = 1;

/**
 * Every option that is not a file system's own, sorted, as in runc's list: without `idmap`, and with
 * `defaults`, which is handed to the file system all the same.
 */
export const MOUNT_OPTIONS = [FLAGS, PROPAGATION, RECURSIVE, { tmpcopyup: EXT_COPYUP, defaults: 0 }]
  .flatMap(Object.keys)
  .sort();

/** What a list of mount options means. */
export type ParsedOptions = Pick<
  Mount,
  "flags" | "cleared_flags" | "propagation_flags" | "data" | "rec_attr" | "extensions"
> & { readonly idmap: "idmap" | "ridmap" | undefined };

/** Parses mount options; an unknown one is data for the file system, as in runc. */
export function parseMountOptions(options: readonly string[]): ParsedOptions {
  let flags = 0;
  let cleared = 0;
  let extensions = 0;
  let attrSet = 0;
  let attrClear = 0;
  let idmap: "idmap" | "ridmap" | undefined;
  const propagation: number[] = [];
  const data: string[] = [];
  for (const option of options) {
    const flag = Object.hasOwn(FLAGS, option) ? FLAGS[option] : undefined;
    const recursive = Object.hasOwn(RECURSIVE, option) ? RECURSIVE[option] : undefined;
    const spread = Object.hasOwn(PROPAGATION, option) ? PROPAGATION[option] : undefined;
    if (flag !== undefined) {
      const [clear, bit] = flag;
      flags = clear ? flags & ~bit : flags | bit;
      cleared = clear ? cleared | bit : cleared & ~bit;
    } else if (spread !== undefined) {
      propagation.push(spread);
    } else if (recursive !== undefined) {
      const [clear, bit] = recursive;
      attrSet = clear ? attrSet & ~bit : attrSet | bit;
      attrClear = clear ? attrClear | bit : attrClear & ~bit;
      // An access-time setting also clears the old one (mount_setattr(2)).
      if (!clear && (bit & ATTR_ATIME) === bit) attrClear |= ATTR_ATIME;
    } else if (option === "tmpcopyup") extensions |= EXT_COPYUP;
    else if (option === "idmap" || option === "ridmap") idmap = option;
    else data.push(option);
  }
  return {
    flags,
    cleared_flags: cleared,
    propagation_flags: propagation.length === 0 ? null : propagation,
    data: data.join(","),
    rec_attr:
      attrSet === 0 && attrClear === 0
        ? null
        : { Attr_set: attrSet, Attr_clr: attrClear, Propagation: 0, Userns_fd: 0 },
    extensions,
    idmap,
  };
}
