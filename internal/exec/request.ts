/** Stage: the plan in the kernel's terms. @module */

import { existsSync, fstatSync, readFileSync } from "node:fs";
import type { Interrupts } from "../linux/signal.ts";
import { hostId } from "../oci/convert.ts";
import { compileProfile } from "../seccomp/filter.ts";
import { homeOf, preparedEnvironment, searchOf } from "./environment.ts";
import type { Inside } from "./namespaces.ts";
import type { ExecPlan } from "./plan.ts";
import type { Steps } from "./steps/steps.ts";

/** What a process is started with. */
export interface StartRequest {
  readonly plan: ExecPlan;
  readonly inside: Inside;
  /** Descriptors of ours that become 0, 1 and 2. */
  readonly stdio: readonly [number, number, number];
  readonly interrupts: Interrupts;
}

/**
 * Makes the steps of a process.
 *
 * @throws ThawError for an environment or a seccomp profile that cannot be
 */
export function stepsOf({ plan, inside, stdio }: StartRequest): Steps {
  const { configuration, container, options, process, uid } = plan;
  const socket = 3 + options.preserveFds;
  const env = preparedEnvironment(process.env, () => homeOf(inside.root, uid));
  const argv = process.args ?? [];
  return {
    socket,
    namespaces: inside.namespaces.map(({ flag, name }, i) => ({ fd: socket + 1 + i, flag, name })),
    labels: labelsOf(plan),
    setsGroups: setsGroups(container.state.init.pid),
    keyring: configuration.no_new_keyring === true ? undefined : `_ses.${container.id}`,
    terminal: plan.terminal,
    noNewPrivileges: plan.noNewPrivileges,
    umask: configuration.umask ?? undefined,
    filter: configuration.seccomp == null ? undefined : compileProfile(configuration.seccomp),
    cwd: plan.cwd,
    capabilities: plan.capabilities,
    owned: [0, 1, 2].filter((fd) => isForUser(stdio[fd] ?? fd, plan)),
    uid,
    gid: plan.gid,
    groups: plan.groups,
    personality: configuration.personality?.domain,
    search: searchOf(argv[0] ?? "", env),
    argv,
    env,
  };
}

const ATTRIBUTES = "/proc/thread-self/attr";

/** The labels of security modules, which the program gets with execve(2). */
function labelsOf({ label, appArmor, configuration }: ExecPlan): Steps["labels"] {
  const labels: Steps["labels"][number][] = [];
  const add = (file: string, text: string, doing: string) =>
    labels.push({
      file: `${ATTRIBUTES}/${file}`,
      text,
      doing: `${doing}: write ${ATTRIBUTES}/${file}`,
    });
  if (label !== "") {
    if (configuration.no_new_keyring !== true) add("keycreate", label, "label the session keyring");
    add("exec", label, "set the SELinux label");
  }
  if (appArmor !== "") {
    const own = existsSync(`${ATTRIBUTES}/apparmor/exec`); // since Linux 5.8
    add(own ? "apparmor/exec" : "exec", `exec ${appArmor}`, "apparmor failed to apply profile");
  }
  return labels;
}

// user_namespaces(7). Older kernels have no such file, and no such prohibition.
function setsGroups(init: number): boolean {
  try {
    return readFileSync(`/proc/${init}/setgroups`, "utf8").trim() !== "deny";
  } catch {
    return true;
  }
}

const DEV_NULL = 0x103; // major 1, minor 3

/** Whether a stream is to be given to the user, who could not open /dev/stdout else. */
function isForUser(fd: number, { uid, configuration }: ExecPlan): boolean {
  const stat = fstatSync(fd);
  if (stat.isCharacterDevice() && stat.rdev === DEV_NULL) return false;
  try {
    return stat.uid !== hostId(mappings(configuration), uid);
  } catch {
    return false; // an unmapped user, which is refused when it is to become that one
  }
}

/** The mappings of user ids; null: there is no user namespace. */
export function mappings({
  namespaces,
  uid_mappings,
}: ExecPlan["configuration"]): Parameters<typeof hostId>[0] {
  return namespaces.some(({ type }) => type === "NEWUSER") ? (uid_mappings ?? []) : null;
}
