/** OCI hooks: programs of the host, given the container's state on standard input. @module */

import { ThawError } from "../errors/errors.ts";
import { childEnvironment } from "../linux/process.ts";
import { runToEnd } from "../linux/run.ts";
import type { Interrupts } from "../linux/signal.ts";
import type { Hook } from "../oci/config.ts";

/** The OCI state a hook reads (runtime-spec runtime.md, State). */
export interface HookState {
  readonly ociVersion: string;
  readonly id: string;
  readonly status: "stopped";
  readonly pid?: number;
  readonly bundle: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * Runs hooks one after the other, in the calling thread's mount namespace and directory.
 *
 * @param name such as `prestart`, for the error
 * @param interrupts undefined: the hook cannot be interrupted
 * @throws ThawError `error running prestart hook #0: exit status 3, stdout: , stderr: …`
 */
export async function runHooks(
  name: string,
  hooks: readonly Hook[] | null | undefined,
  state: HookState,
  interrupts: Interrupts | undefined,
): Promise<void> {
  for (const [index, hook] of (hooks ?? []).entries()) {
    try {
      await runHook(hook, JSON.stringify(state), interrupts);
    } catch (cause) {
      throw new ThawError(`error running ${name} hook #${index}`, { cause });
    }
  }
}

async function runHook(
  hook: Hook,
  input: string,
  interrupts: Interrupts | undefined,
): Promise<void> {
  const timeout = hook.timeout === null ? undefined : hook.timeout / 1e6;
  const { status, stdout, stderr } = await runToEnd(
    {
      file: hook.path,
      argv: hook.args?.length ? hook.args : [hook.path],
      env: hook.env ?? childEnvironment(), // without `env`, Go passes on the runtime's own
    },
    { input, doing: "run a hook", interrupts, timeout },
  );
  if (status === undefined)
    throw new ThawError(
      `hook ran past specified timeout of ${((timeout ?? 0) / 1000).toFixed(1)}s`,
    );
  if (status.code !== 0)
    throw new ThawError(`${status.text}, stdout: ${stdout}, stderr: ${stderr}`);
}
