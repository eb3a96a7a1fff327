/** `thaw completion`: what makes a shell complete thaw's command line. @module */

import { defineCommand } from "citty";
import { ThawError } from "../internal/errors/errors.ts";
import { print } from "../internal/log/log.ts";
import type { Command, Commands, Invocation } from "./command.ts";
import { bashScript } from "./completion/bash.ts";
import { fishScript } from "./completion/fish.ts";
import { loadProgram, type Program } from "./completion/program.ts";
import { zshScript } from "./completion/zsh.ts";

const scripts: Readonly<Record<string, (program: Program) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/** The completion command. @param commands what the scripts complete */
export const completionCommand = (commands: Commands): Command => ({
  definition: defineCommand({
    meta: {
      name: "completion",
      description:
        "Prints a script for SHELL (bash, zsh or fish) that makes it complete the commands, flags and values of thaw.",
    },
    run: async ({ data }) => {
      const { parsed } = data as Invocation;
      const script = await completionScript(parsed.positionals[0] ?? "", commands);
      print(script); // half a script must not look like success
      return 0;
    },
  }),
  flags: {},
  usage: "SHELL",
  positionals: 1,
  completes: Object.keys(scripts),
  examples: [
    "# for all users, from the next shell on",
    "thaw completion bash > /usr/share/bash-completion/completions/thaw",
    "thaw completion zsh > /usr/local/share/zsh/site-functions/_thaw",
    "thaw completion fish > /usr/share/fish/vendor_completions.d/thaw.fish",
    "# in this bash only",
    'eval "$(thaw completion bash)"',
  ].join("\n"),
});

/**
 * The script for a shell.
 *
 * @throws ThawError that names the shells there are
 */
export async function completionScript(shell: string, commands: Commands): Promise<string> {
  const script = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined;
  if (script === undefined)
    throw new ThawError(`no completion for shell ${JSON.stringify(shell)}`, {
      hint: "there is one for bash, zsh and fish",
    });
  return script(await loadProgram(commands));
}
