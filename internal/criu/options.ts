/** CRIU's options as plain values: the rest of thaw never sees generated code. @module */

import type { MessageInitShape } from "@bufbuild/protobuf";
import { type DescField, ScalarType } from "@bufbuild/protobuf";
import { ThawError } from "../errors/errors.ts";
import { goQuote } from "../log/log.ts";
import { CgroupMode, OptsSchema } from "./gen/criu/rpc_pb.ts";

/** Options of a request; a field that is present travels, also when it is false or 0. */
export type CriuOptions = MessageInitShape<typeof OptsSchema> & { imagesDirFd: number };

/**
 * The value of `--manage-cgroups-mode`; "" leaves the choice to CRIU.
 *
 * @throws ThawError `invalid manage-cgroups-mode value`
 */
export function manageCgroupsMode(word: string): CgroupMode {
  const modes: Record<string, CgroupMode> = {
    "": CgroupMode.DEFAULT,
    soft: CgroupMode.SOFT,
    full: CgroupMode.FULL,
    strict: CgroupMode.STRICT,
    ignore: CgroupMode.IGNORE,
  };
  const mode = Object.hasOwn(modes, word) ? modes[word] : undefined;
  if (mode === undefined)
    throw new ThawError("invalid manage-cgroups-mode value", {
      hint: `${JSON.stringify(word)} is none of soft, full, strict and ignore`,
    });
  return mode;
}

/** runc does not manage network devices: the namespace is always dumped and restored empty. */
export const EMPTY_NETWORK = 0x40000000; // CLONE_NEWNET

/**
 * Refuses a namespace that CRIU cannot leave empty.
 *
 * @throws ThawError `namespace "ipc" is not supported`
 */
export function refuseEmptyNamespaces(names: readonly string[]): void {
  for (const name of names) {
    if (name !== "network")
      throw new ThawError(`namespace ${JSON.stringify(name)} is not supported`);
  }
}

/**
 * CRIU's configuration file: the one an annotation names, none when it is empty, else runc's.
 * CRIU passes over one that is not there.
 */
export function criuConfigFile(
  annotations: Readonly<Record<string, string>> | null | undefined,
): string | undefined {
  const named = annotations?.["org.criu.config"];
  return named === undefined ? "/etc/criu/runc.conf" : named || undefined;
}

/** The options one by one, as runc's debug log prints them: `CRIU option LogLevel with value 4`. */
export function describeOptions(options: CriuOptions): string[] {
  const values = options as unknown as Record<string, unknown>;
  return OptsSchema.fields.map((field) => {
    const value = values[field.localName] ?? defaultValue(field);
    return `CRIU option ${goName(field.name)} with value ${goValue(field, value)}`;
  });
}

function goName(name: string): string {
  return name.replaceAll(/(^|_)([a-z])/g, (_, __, letter: string) => letter.toUpperCase());
}

function defaultValue(field: DescField): unknown {
  if (field.fieldKind === "list") return [];
  if (field.fieldKind === "message") return undefined;
  const declared = field.fieldKind === "map" ? undefined : field.getDefaultValue();
  if (declared !== undefined) return declared;
  if (field.fieldKind === "enum") return field.enum.values[0]?.number;
  if (field.scalar === ScalarType.BOOL) return false;
  return field.scalar === ScalarType.STRING ? "" : 0;
}

// Go prints a message in protobuf text format, a list in brackets, an enum by name.
function goValue(field: DescField, value: unknown): string {
  if (field.fieldKind === "list") return `[${(value as unknown[]).map(goElement).join(" ")}]`;
  if (field.fieldKind === "message") return value === undefined ? "<nil>" : goElement(value);
  if (field.fieldKind === "enum")
    return field.enum.values.find(({ number }) => number === value)?.name ?? String(value);
  return String(value);
}

function goElement(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  return Object.entries(value)
    .filter(([name]) => !name.startsWith("$"))
    .map(([name, field]) => {
      const snake = name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      return `${snake}:${typeof field === "string" ? goQuote(field) : field}`;
    })
    .join(" ");
}
