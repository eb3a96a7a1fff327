/** The completion script for bash (4.1 or newer, no package beside it). @module */

import type { Flags } from "../flags.ts";
import { defaultRoot, namesOf, type Program, type ProgramCommand, valueKind } from "./program.ts";

// A flag may mean something else after another command, so the command stands before it.
function flagCases(command: string, flags: Flags): string[] {
  const cases = new Map<string, string[]>();
  for (const [name, flag] of Object.entries(flags)) {
    const value = valueKind(flag);
    if (value === "none") continue;
    const kind = typeof value === "string" ? value : `word values=(${value.join(" ")})`;
    const patterns = namesOf(name, flag).map((one) => `${command}:${one}`);
    cases.set(kind, [...(cases.get(kind) ?? []), ...patterns]);
  }
  return [...cases].map(([kind, patterns]) => `    ${patterns.join(" | ")}) kind=${kind} ;;`);
}

function longFlags(flags: Flags): string {
  return Object.keys(flags)
    .map((name) => `--${name}`)
    .join(" ");
}

function commandCases(commands: readonly ProgramCommand[]): string[] {
  return commands.flatMap(({ name, flags }) =>
    Object.keys(flags).length === 0 ? [] : [`    ${name}) _thaw_offer ${longFlags(flags)} ;;`],
  );
}

function argumentCases(commands: readonly ProgramCommand[]): string[] {
  return commands.flatMap(({ name, completes }) => {
    if (completes === undefined) return [];
    const offer =
      completes === "containers" ? "_thaw_containers" : `_thaw_offer ${completes.join(" ")}`;
    return [`    ${name}) ${offer} ;;`];
  });
}

const SPLIT = `\
# words: what is typed up to the cursor. bash splits at "=" and ":" too; this undoes it.
# last: the part of the last word that bash will put the completion in place of.
_thaw_split() {
  local line=\${COMP_LINE:0:COMP_POINT} i glued
  words=()
  for ((i = 0; i <= COMP_CWORD; i++)); do
    glued=
    ((i == 0)) || [[ $line == [[:space:]]* ]] || glued=1
    line=\${line#"\${line%%[![:space:]]*}"}
    last=\${COMP_WORDS[i]}
    ((i < COMP_CWORD)) || last=$line
    line=\${line#"$last"}
    if [[ $glued ]]; then words[\${#words[@]} - 1]+=$last; else words+=("$last"); fi
  done
}

# Offers those of its arguments that begin with what is typed.
_thaw_offer() {
  local word
  for word; do [[ $word != "$typed"* ]] || COMPREPLY+=("$prefix$word"); done
}

# Offers the containers there are.
_thaw_containers() {
  local path
  for path in "$root"/*/; do
    path=\${path%/}
    [[ ! -d $path ]] || _thaw_offer "\${path##*/}"
  done
}
`;

const MAIN = `\
# Offers the value of a flag; bash itself completes paths.
_thaw_value() {
  case $kind in
    directory) compopt -o dirnames ;;
    file) compopt -o default ;;
    word) _thaw_offer "\${values[@]}" ;;
  esac
}

_thaw() {
  local words last command= root=@ROOT@ ended= given=0 pending= i word flag kind values
  local typed prefix=
  COMPREPLY=()
  _thaw_split
  for ((i = 1; i < \${#words[@]} - 1; i++)); do
    word=\${words[i]}
    if [[ $ended || $word != -?* ]]; then
      if [[ $command ]]; then ((given += 1)); else command=$word ended=; fi
    elif [[ $word == -- ]]; then
      ended=1
    else
      flag=\${word#-} flag=\${flag#-}
      _thaw_flag "$command" "\${flag%%=*}"
      [[ $kind != none ]] || continue
      if [[ $flag != *=* ]]; then
        ((i += 1))
        ((i < \${#words[@]} - 1)) || { pending=1; break; }
        flag+="=\${words[i]}"
      fi
      [[ $flag != root=* ]] || root=\${flag#*=}
    fi
  done
  word=\${words[\${#words[@]} - 1]} typed=$word
  if [[ $pending ]]; then
    _thaw_value
  elif [[ ! $ended && $word == -*=* ]]; then
    typed=\${word#*=} prefix=\${word%%=*}=
    flag=\${prefix#-} flag=\${flag#-}
    _thaw_flag "$command" "\${flag%=}"
    _thaw_value
  elif [[ ! $ended && $word == -* ]]; then
    _thaw_flags "$command"
  elif [[ ! $command ]]; then
    _thaw_offer @COMMANDS@
  elif ((given == 0)); then
    _thaw_argument "$command"
  fi
  # Of \`--flag=value\` bash keeps what stands before \`last\`.
  [[ $last == [=:] ]] || word=\${word%"$last"}
  COMPREPLY=("\${COMPREPLY[@]#"$word"}")
}

complete -F _thaw thaw
`;

/** The script. */
export function bashScript(program: Program): string {
  const { globals, commands } = program;
  return [
    '# bash completion for thaw, made by "thaw completion bash".',
    "",
    SPLIT,
    "# kind: what follows a flag of a command.",
    "_thaw_flag() {",
    "  kind=none values=()",
    '  case "$1:$2" in',
    ...commands.flatMap(({ name, flags }) => flagCases(name, flags)),
    ...flagCases("*", globals),
    "  esac",
    "}",
    "",
    "_thaw_flags() {",
    '  case "$1" in',
    ...commandCases(commands),
    "  esac",
    `  _thaw_offer ${longFlags(globals)}`,
    "}",
    "",
    "_thaw_argument() {",
    '  case "$1" in',
    ...argumentCases(commands),
    "  esac",
    "}",
    "",
    MAIN.replace("@ROOT@", defaultRoot(program)).replace(
      "@COMMANDS@",
      commands.map(({ name }) => name).join(" "),
    ),
  ].join("\n");
}
