import { expect, test } from "bun:test";
import { blockedLocks } from "../../../internal/linux/locks.ts";

test("blockedLocks() tells who waits for whom, as /proc/locks does", () => {
  const text = [
    "1: POSIX  ADVISORY  WRITE 19421 00:2a:102 0 EOF",
    "2: POSIX  ADVISORY  WRITE 19359 00:2a:104 0 EOF",
    "2: -> POSIX  ADVISORY  WRITE 19421 00:2a:104 0 EOF",
    "2:  -> POSIX  ADVISORY  READ 19422 00:2a:104 0 EOF",
    "3: OFDLCK ADVISORY  READ -1 fe:00:16064577 201 201",
    "3: -> FLOCK  ADVISORY  WRITE 7 fe:00:16064577 0 EOF",
    "",
  ];
  expect(blockedLocks(text.join("\n"))).toEqual([
    { waiter: 19421, holder: 19359, inode: 104 },
    { waiter: 19422, holder: 19359, inode: 104 },
    { waiter: 7, holder: -1, inode: 16064577 },
  ]);
});

test.each(["", "\n", "what is this\n"])("blockedLocks() finds none in %j", (text) => {
  expect(blockedLocks(text)).toEqual([]);
});
