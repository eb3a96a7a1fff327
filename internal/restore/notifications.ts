/** Stage: what thaw does at CRIU's notifications (runc: criuNotifications). @module */

import type { Stdio } from "../console/stdio.ts";
import type { Notification } from "../criu/talk.ts";
import { ThawError } from "../errors/errors.ts";
import { type HookState, runHooks } from "../hooks/hooks.ts";
import type { Interrupts } from "../linux/signal.ts";
import { SPEC_VERSION } from "../oci/config.ts";
import { raiseContainerLoopback } from "./loopback.ts";
import { unexpectedNamespaces } from "./namespaces.ts";
import type { RestorePlan } from "./plan.ts";

/** The story's own part in them. */
export interface NotificationParts {
  readonly plan: RestorePlan;
  readonly interrupts: Interrupts;
  readonly io: Stdio;
  /** Init exists from now on, a child of ours; it may be told more than once. */
  adoptInit(pid: number): void;
  /** Every task is restored and frozen: the moment for state.json. */
  record(pid: number): Promise<void>;
}

/** Answers CRIU's notifications one by one. */
export function notifications(parts: NotificationParts) {
  const { plan, interrupts } = parts;
  return async ({ script, pid, fds }: Notification): Promise<void> => {
    plan.options.log.debug(`notify: ${script}\n`);
    if (script === "setup-namespaces") {
      parts.adoptInit(pid);
      raiseContainerLoopback(plan, pid);
      const { prestart, createRuntime } = plan.config.Hooks;
      const state = hookState(plan, pid);
      await runHooks("prestart", prestart, state, interrupts);
      await runHooks("createRuntime", createRuntime, state, interrupts);
    } else if (script === "orphan-pts-master") {
      const [master] = fds;
      if (master === undefined) throw new ThawError("criu sent no terminal with orphan-pts-master");
      parts.io.receiveMaster(master.fd);
    } else if (script === "post-restore") {
      parts.io.expectMaster();
      parts.adoptInit(pid);
      for (const text of unexpectedNamespaces(plan.config, pid)) plan.options.log.warn(text);
      await parts.record(pid);
    }
  };
}

/** The state hooks read; without a pid once the container is gone. */
export function hookState(plan: RestorePlan, pid?: number): HookState {
  const annotations = plan.spec.annotations;
  return {
    ociVersion: SPEC_VERSION,
    id: plan.id,
    status: "stopped",
    ...(pid === undefined ? {} : { pid }),
    bundle: plan.bundle,
    ...(annotations == null || Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
}
