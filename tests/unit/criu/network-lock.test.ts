import { expect, test } from "bun:test";
import { unlockSteps } from "../../../internal/criu/network-lock.ts";

const LOCK = [
  ":CRIU - [0:0]",
  "-A INPUT -j CRIU",
  "-A INPUT -j CRIU",
  "-A INPUT -p icmp -j ACCEPT",
  "-A OUTPUT -j CRIU",
  "-A CRIU -m mark --mark 0xc114 -j ACCEPT",
  "-A CRIU -j DROP",
];
const saved = (rules: readonly string[], table = "filter") =>
  ["# comment", `*${table}`, ":INPUT ACCEPT [0:0]", ...rules, "COMMIT", "# end", ""].join("\n");

const REMOVED = [
  "*filter\n-D INPUT -j CRIU\n-D INPUT -j CRIU\n-D OUTPUT -j CRIU\n-F CRIU\nCOMMIT\n",
  "*filter\n-X CRIU\nCOMMIT\n",
];

test.each([
  ["a lock, and each jump that a failed restore added", saved(LOCK), REMOVED],
  ["a lock behind another table", saved(["-A PREROUTING -j X"], "nat") + saved(LOCK), REMOVED],
  [
    "a chain that CRIU has emptied",
    saved([":CRIU - [0:0]", "-A INPUT -j CRIU"]),
    ["*filter\n-D INPUT -j CRIU\n-F CRIU\nCOMMIT\n", "*filter\n-X CRIU\nCOMMIT\n"],
  ],
  ["nothing at all", "", []],
  ["rules of others", saved(["-A INPUT -p icmp -j ACCEPT"]), []],
  ["somebody else's chain of that name", saved([...LOCK, "-A CRIU -p tcp -j ACCEPT"]), []],
  ["somebody else's table", saved(LOCK, "nat"), []],
])("from iptables-save with %s", (_, text, steps) => {
  expect(unlockSteps(text)).toEqual(steps);
});
