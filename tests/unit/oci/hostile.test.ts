import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, ThawError } from "../../../internal/errors/errors.ts";
import { toConfig } from "../../../internal/oci/convert.ts";
import { checkSpecShape } from "../../../internal/oci/schema.ts";
import type { Spec } from "../../../internal/oci/spec.ts";
import { validateConfig, validateNamespacePaths } from "../../../internal/oci/validate.ts";

const text = readFileSync(join(import.meta.dir, "runc/full.json"), "utf8");
const whole = (): Spec => JSON.parse(text).spec;

type Holder = Record<string | number, unknown>;

/** Every place of a document: what holds it, its key, and how to name it. */
function places(value: unknown, name = ""): { holder: Holder; key: string; name: string }[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.keys(value).flatMap((key) => [
    { holder: value as Holder, key, name: `${name}.${key}` },
    ...places((value as Holder)[key], `${name}.${key}`),
  ]);
}

/** What a config.json ends in: undefined, or an error that is not one of thaw's own. */
function crash(spec: Spec): unknown {
  try {
    const checked = checkSpecShape(spec) as Spec;
    const options = { id: "c1", bundle: "/srv/c1", noPivot: false, noNewKeyring: false };
    const { config } = toConfig(checked, options);
    validateConfig({ ...config, rootfs: "/proc" });
    validateNamespacePaths(config);
  } catch (error) {
    if (!(error instanceof ThawError)) return error;
  }
  return undefined;
}

const REPLACEMENTS: readonly unknown[] = [
  null,
  "",
  "x",
  0,
  -1,
  1.5,
  1e300,
  true,
  false,
  [],
  {},
  [null],
  [{}],
  ["x"],
  { x: null },
];

function crashes(replacements: readonly unknown[]): string[] {
  const found: string[] = [];
  for (let i = 0; i < places(whole()).length; i++) {
    for (const replacement of replacements) {
      const spec = whole();
      const { holder, key, name } = places(spec)[i] as ReturnType<typeof places>[number];
      holder[key] = structuredClone(replacement);
      const error = crash(spec);
      if (error !== undefined)
        found.push(`${name} = ${JSON.stringify(replacement)}: ${describe(error)}`);
    }
  }
  return found;
}

test("the whole config.json goes through", () => {
  expect(crash(whole())).toBeUndefined();
});

test("a config.json with anything left out is taken or refused in thaw's own words", () => {
  const found: string[] = [];
  for (let i = 0; i < places(whole()).length; i++) {
    const spec = whole();
    const { holder, key, name } = places(spec)[i] as ReturnType<typeof places>[number];
    if (Array.isArray(holder)) holder.splice(Number(key), 1);
    else delete holder[key];
    const error = crash(spec);
    if (error !== undefined) found.push(`${name}: ${describe(error)}`);
  }
  expect(found).toEqual([]);
});

test("a config.json with anything of a wrong type is refused in thaw's own words", () => {
  expect(crashes(REPLACEMENTS)).toEqual([]);
});
