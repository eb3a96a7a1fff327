/** The completion script for fish (3.4 or newer). @module */

import type { Flag, Flags } from "../flags.ts";
import { defaultRoot, namesOf, type Program, type ProgramCommand, valueKind } from "./program.ts";

/** A word in single quotes; unlike sh, fish has \\' and \\\\ in there. */
function quote(text: string): string {
  return `'${text.replaceAll(/[\\']/g, "\\$&")}'`;
}

/** Patterns of the flags that take the next word as their value: `restore:bundle`, `*:root`. */
function valuePatterns({ globals, commands }: Program): string {
  const of = (command: string, flags: Flags) =>
    Object.entries(flags)
      .filter(([, flag]) => valueKind(flag) !== "none")
      .flatMap(([name, flag]) => namesOf(name, flag).map((one) => quote(`${command}:${one}`)));
  return [...commands.flatMap(({ name, flags }) => of(name, flags)), ...of("*", globals)].join(" ");
}

function flagLine(command: string | undefined, name: string, flag: Flag): string {
  const value = valueKind(flag);
  const condition = command === undefined ? [] : ["-n", quote(`__thaw_in ${command}`)];
  const values: Record<string, string[]> = {
    none: [],
    anything: ["-x"],
    file: ["-r", "-F"],
    directory: ["-x", "-a", quote("(__fish_complete_directories)")],
  };
  const words = namesOf(name, flag).flatMap((one) => [one.length === 1 ? "-s" : "-l", one]);
  const takes =
    typeof value === "string" ? (values[value] ?? []) : ["-x", "-a", quote(value.join(" "))];
  return ["complete -c thaw", ...condition, ...words, ...takes, "-d", quote(flag.description)].join(
    " ",
  );
}

const flagLines = (command: string | undefined, flags: Flags) =>
  Object.entries(flags).map(([name, flag]) => flagLine(command, name, flag));

function commandLines({ name, description, flags, completes }: ProgramCommand): string[] {
  const words = completes === "containers" ? "(__thaw_containers)" : completes?.join(" ");
  const at = `complete -c thaw -n ${quote(`__thaw_at ${name}`)} -a`;
  return [
    "",
    `complete -c thaw -n __thaw_at -a ${name} -d ${quote(description)}`,
    ...(words === undefined ? [] : [`${at} ${quote(words)}`]),
    ...flagLines(name, flags),
  ];
}

/** The script. */
export function fishScript(program: Program): string {
  return `\
# fish completion for thaw, made by "thaw completion fish".

# The command and its arguments on the line, without flags and their values.
function __thaw_words
    set -l command
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
        else if string match -q -- '-*' $word
            switch "$command:"(string replace -r '^--?' '' -- $word)
                case ${valuePatterns(program)}
                    set skip 1
            end
        else
            test -n "$command"; or set command $word
            echo $word
        end
    end
end

# Whether a command has been typed.
function __thaw_in
    set -l words (__thaw_words)
    test "$words[1]" = $argv[1]
end

# Whether just these words have been typed.
function __thaw_at
    test "$(__thaw_words | string collect)" = "$(string join \\n -- $argv | string collect)"
end

# The containers there are.
function __thaw_containers
    set -l root ${defaultRoot(program)}
    set -l words (commandline -opc)
    for i in (seq (count $words))
        switch $words[$i]
            case -root --root
                set -q words[(math $i + 1)]; and set root $words[(math $i + 1)]
            case '-root=*' '--root=*'
                set root (string replace -r '^--?root=' '' -- $words[$i])
        end
    end
    set -l paths $root/*/
    string replace -r '.*/([^/]+)/$' '$1' -- $paths
end

complete -c thaw -f
${flagLines(undefined, program.globals).join("\n")}
${program.commands.flatMap(commandLines).join("\n").trimStart()}
`;
}
