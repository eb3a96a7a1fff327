/** Manual pages in mdoc(7), made from the tables of a command line. @module */

import type { Flags } from "../../cmd/flags.ts";

/** What stands on a page beside what the tables say. */
export interface Page {
  /** File name without section: `thaw-restore`. */
  readonly name: string;
  /** One line, for whatis(1). */
  readonly summary: string;
  /** Lines of mdoc after the heading. */
  readonly sections: readonly (readonly [heading: string, lines: readonly string[]])[];
}

/**
 * Plain text as mdoc sees it: nothing in it is a request or a macro.
 *
 * @param text one paragraph
 */
export function plain(text: string): string {
  return atLineStart(text.replaceAll("\\", "\\e"));
}

function atLineStart(text: string): string {
  return text.replace(/^(?=[.'])/, "\\&");
}

/** An argument of a macro: quoted, as words like `No` are macros themselves. */
export function argument(text: string): string {
  return `"${plain(text).replaceAll('"', '""')}"`;
}

/** A tagged list. */
export function list(items: readonly (readonly [tag: string, lines: readonly string[]])[]) {
  return [
    ".Bl -tag -width Ds",
    ...items.flatMap(([tag, lines]) => [`.It ${tag}`, ...lines]),
    ".El",
  ];
}

/** Flags with what they take and mean. */
export function flagList(flags: Flags): string[] {
  return list(
    Object.entries(flags).flatMap(([name, flag]) => {
      if (flag.hidden) return [];
      const value = flag.valueHint === undefined ? "" : ` Ar ${flag.valueHint}`;
      const alias = flag.alias === undefined ? "" : `Fl ${flag.alias}${value} , `;
      const more = [
        ...(flag.list ? ["Can be given more than once."] : []),
        ...(flag.default === undefined ? [] : [`Default: ${flag.default}.`]),
      ];
      const text = [sentence(flag.description), ...more.map(plain)];
      return [[`${alias}Fl -${name}${value}`, text] as const];
    }),
  );
}

/** Text of the tables, which starts small and has no period, as a sentence. */
export function sentence(text: string): string {
  return plain(`${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`);
}

/** Examples as the tables have them: comments become text, what follows them is shown as it is. */
export function examples(text: string): string[] {
  const out: string[] = [];
  for (const part of text.split(/^(?=# )/m)) {
    const [, comment, shown] = /^(?:# ([^\n]*)\n)?(.*)$/s.exec(part.trimEnd()) ?? [];
    if (out.length > 0) out.push(".Pp");
    if (comment !== undefined) out.push(sentence(comment).replace(/\.$/, ":"));
    out.push(".Bd -literal -offset 4n", ...(shown ?? "").split("\n").map(plain), ".Ed");
  }
  return out;
}

/** Breaks text as mdoc wants it: a sentence starts a line, and no line is longer than 79 bytes. */
function broken(lines: readonly string[]): string[] {
  let literal = false;
  return lines.flatMap((line) => {
    if (line.startsWith(".Bd -literal")) literal = true;
    if (line === ".Ed") literal = false;
    if (literal || line.startsWith(".")) return [line];
    return line.split(/(?<=[.!?]) (?=[A-Z])/).flatMap((one) => {
      const parts = one.match(/.{1,76}(?: |$)|\S+/g) ?? [one];
      return parts.map((part, i) => (i === 0 ? part.trimEnd() : atLineStart(part.trimEnd())));
    });
  });
}

/**
 * A page.
 *
 * @param date as mdoc writes it: `November 24, 2026`
 */
export function render(page: Page, version: string, date: string): string {
  return [
    '.\\" Made by "npm run docs" from the command tables: change those, or scripts/docs/.',
    `.Dd ${date}`,
    `.Dt ${page.name.toUpperCase()} 8`,
    `.Os thaw ${version}`,
    ".Sh NAME",
    `.Nm ${page.name}`,
    `.Nd ${plain(page.summary)}`,
    ...page.sections.flatMap(([heading, lines]) => [`.Sh ${heading}`, ...broken(lines)]),
    "",
  ].join("\n");
}
