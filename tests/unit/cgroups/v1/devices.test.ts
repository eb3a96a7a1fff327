import { expect, test } from "bun:test";
import { deviceWrites } from "../../../../internal/cgroups/v1/devices.ts";
import { createDevices } from "../../../../internal/oci/devices.ts";

/** A rule written as devices.allow takes it, with + or - before it. */
function rule(text: string) {
  const [sign, type = "", numbers = "", permissions = ""] = text.split(" ");
  const [major, minor] = numbers.split(":").map((n) => (n === "*" ? -1 : Number(n)));
  return {
    type: type.charCodeAt(0),
    major: major as number,
    minor: minor as number,
    permissions,
    allow: sign === "+",
  };
}

const writes = (...rules: string[]) => deviceWrites(rules.map(rule));
const DENY = { first: "devices.deny", exceptions: "devices.allow" };
const ALLOW = { first: "devices.allow", exceptions: "devices.deny" };

test("deviceWrites() denies all and allows runc's eleven, for the rules of runc spec", () => {
  const { rules } = createDevices([]);
  expect(deviceWrites([rule("- a *:* rwm"), ...rules])).toEqual({
    ...DENY,
    lines: [
      "c *:* m",
      "b *:* m",
      "c 1:3 rwm",
      "c 1:8 rwm",
      "c 1:7 rwm",
      "c 5:0 rwm",
      "c 1:5 rwm",
      "c 1:9 rwm",
      "c 136:* rwm",
      "c 5:2 rwm",
      "c 10:200 rwm",
    ],
  } as never);
});

test("deviceWrites() denies what no rule allows, as runc does", () => {
  expect(deviceWrites([])).toEqual({ ...DENY, lines: [] } as never);
  expect(writes("+ c 1:3 rwm")).toEqual({ ...DENY, lines: ["c 1:3 rwm"] } as never);
});

test("deviceWrites() allows all when a rule does", () => {
  expect(writes("+ c 1:3 rwm", "+ a *:* rwm")).toEqual({ ...ALLOW, lines: [] } as never);
});

test("deviceWrites() denies exceptions from allowing all", () => {
  expect(writes("+ a *:* rwm", "- b 8:0 w")).toEqual({ ...ALLOW, lines: ["b 8:0 w"] } as never);
});

test("deviceWrites() forgets what stood before a rule for all", () => {
  expect(writes("- a *:* rwm", "+ c 1:3 rwm", "- a *:* rwm", "+ c 1:5 r")).toEqual({
    ...DENY,
    lines: ["c 1:5 r"],
  } as never);
});

test("deviceWrites() adds up permissions, in the kernel's order", () => {
  expect(writes("- a *:* rwm", "+ c 1:3 m", "+ c 1:3 w", "+ c 1:3 r").lines).toEqual(["c 1:3 rwm"]);
});

test("deviceWrites() takes back what a later rule denies", () => {
  expect(writes("- a *:* rwm", "+ c 1:3 rwm", "- c 1:3 w").lines).toEqual(["c 1:3 rm"]);
  expect(writes("- a *:* rwm", "+ c 1:3 rwm", "- c 1:3 rwm").lines).toEqual([]);
});
