/** The completion script for zsh. @module */

import type { Flag, Flags } from "../flags.ts";
import {
  defaultRoot,
  namesOf,
  type Program,
  type ProgramCommand,
  shellQuote,
  valueKind,
} from "./program.ts";

/** One flag as _arguments takes it: `'(-b --bundle)'{-b=,--bundle=}'[text]:DIR:_directories'`. */
function spec(name: string, flag: Flag): string {
  const value = valueKind(flag);
  const names = namesOf(name, flag).map((one) => (one.length === 1 ? `-${one}` : `--${one}`));
  const words = names.map((one) => (value === "none" ? one : `${one}=`));
  const text = `[${flag.description.replaceAll(/[[\]\\]/g, "\\$&")}]${action(flag)}`;
  if (flag.list)
    return names.length === 1
      ? shellQuote(`*${words}${text}`)
      : `{${words.map((one) => shellQuote(`*${one}`))}}${shellQuote(text)}`;
  if (names.length === 1) return shellQuote(`${words}${text}`);
  return `${shellQuote(`(${names.join(" ")})`)}{${words}}${shellQuote(text)}`;
}

function action(flag: Flag): string {
  const value = valueKind(flag);
  if (value === "none") return "";
  const hint = (flag.valueHint ?? "VALUE").replaceAll(":", "\\:");
  const actions = { directory: "_directories", file: "_files", anything: " " };
  return `:${hint}:${typeof value === "string" ? actions[value] : `(${value.join(" ")})`}`;
}

const specs = (flags: Flags, indent: string) =>
  Object.entries(flags).map(([name, flag]) => indent + spec(name, flag));

function argument({ completes, usage }: ProgramCommand): string {
  if (completes === "containers") return `:${usage}:_thaw_containers`;
  return `:${usage}:${completes === undefined ? `_thaw_free ${usage}` : `(${completes.join(" ")})`}`;
}

function commandCase(command: ProgramCommand): string[] {
  const flags = specs(command.flags, "        ");
  const last = `        ${shellQuote(argument(command))} && ret=0`;
  return [
    `    ${command.name})`,
    `      _arguments -S $globals \\`,
    ...[...flags, last].map((line, i, all) => (i === all.length - 1 ? line : `${line} \\`)),
    "      ;;",
  ];
}

/** The script, a function file for `$fpath`. */
export function zshScript(program: Program): string {
  const { globals, commands } = program;
  const described = commands.map(({ name, description }) => shellQuote(`${name}:${description}`));
  return `\
#compdef thaw
# zsh completion for thaw, made by "thaw completion zsh".

# Offers the containers there are.
_thaw_containers() {
  local directory=\${(Q)opt_args[--root]:-$root} expl
  local -a ids=($directory/*(N-/:t))
  _wanted containers expl container compadd -a ids
}

# An argument nobody can guess. A message would keep zsh from completing a flag in its place.
_thaw_free() {
  [[ $PREFIX = -* ]] || _message $1
}

_thaw() {
  local curcontext=$curcontext state line root ret=1
  local -A opt_args
  local -a globals=(
${specs(globals, "    ").join("\n")}
  )
  _arguments -C -S -A '-*' $globals ':command:->command' '*::argument:->argument' && ret=0
  root=\${(Q)opt_args[--root]:-${defaultRoot(program)}}
  if [[ $state = command ]]; then
    local -a commands=(
${described.map((line) => `      ${line}`).join("\n")}
    )
    _describe -t commands command commands && ret=0
    return ret
  fi
  [[ $state = argument ]] || return ret
  curcontext=\${curcontext%:*}-$words[1]:
  case $words[1] in
${commands.flatMap(commandCase).join("\n")}
  esac
  return ret
}

if [[ $funcstack[1] = _thaw ]]; then _thaw "$@"; else compdef _thaw thaw; fi
`;
}
