/** All rows of the conformance table, and the count of them. @module */

import { KINDS, type Kind, type KindRow, type Row } from "./row.ts";
import { cgroupRows } from "./rows/cgroup.ts";
import { checkpointRows } from "./rows/checkpoint.ts";
import { configRows } from "./rows/config.ts";
import { execRows } from "./rows/exec.ts";
import { hostRows } from "./rows/host.ts";
import { imageRows } from "./rows/image.ts";
import { lifeRows } from "./rows/life.ts";
import { namespaceRows } from "./rows/namespace.ts";
import { syntaxRows } from "./rows/syntax.ts";

const BY_KIND: Readonly<Record<Kind, readonly Row[]>> = {
  syntax: syntaxRows,
  config: configRows,
  host: hostRows,
  image: imageRows,
  namespace: namespaceRows,
  cgroup: cgroupRows,
  checkpoint: checkpointRows,
  exec: execRows,
  life: lifeRows,
};

/** The table: kind by kind. */
export const TABLE: readonly KindRow[] = KINDS.flatMap((kind) =>
  BY_KIND[kind].map((row) => ({ ...row, kind })),
);

/** How many rows there are of a kind. */
export interface Count {
  readonly kind: Kind | "all";
  readonly rows: number;
  readonly equal: number;
  /** Different on purpose. */
  readonly different: number;
}

/** Counts rows by kind; the sum comes last. */
export function counts(rows: readonly KindRow[] = TABLE): Count[] {
  const count = (kind: Count["kind"], of: readonly KindRow[]) => {
    const different = of.filter(({ differs }) => differs !== undefined).length;
    return { kind, rows: of.length, equal: of.length - different, different };
  };
  const kinds = KINDS.map((kind) =>
    count(
      kind,
      rows.filter((row) => row.kind === kind),
    ),
  );
  return [...kinds, count("all", rows)];
}
