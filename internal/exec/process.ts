/** Stage: the process that is asked for, in the specification's terms. @module */

import { existsSync, readFileSync } from "node:fs";
import type { Container } from "../container/container.ts";
import { ThawError } from "../errors/errors.ts";
import { wrapFs } from "../linux/libc.ts";
import { loadSpec, validateProcess } from "../oci/bundle.ts";
import { decodeFirst } from "../oci/exact-json.ts";
import { checkProcessShape } from "../oci/schema.ts";
import type { SpecProcess } from "../oci/spec.ts";
import type { ExecOptions } from "./options.ts";

/**
 * Reads the process from `--process`, or makes it of config.json's and the options (runc: getProcess).
 * The latter changes the working directory to the bundle.
 *
 * @throws ThawError in runc's words
 */
export function requestedProcess(options: ExecOptions, container: Container): SpecProcess {
  const process =
    options.process === undefined ? ofBundle(options, container) : ofFile(options.process);
  const hint = options.process === undefined ? "correct the options" : `correct ${options.process}`;
  validateProcess(process, hint);
  if (process.selinuxLabel && !existsSync("/sys/fs/selinux/enforce"))
    throw new ThawError(
      "selinux label is specified in config, but selinux is disabled or not supported",
      { hint: "leave the label out on this host" },
    );
  return process;
}

function ofFile(path: string): SpecProcess {
  const text = wrapFs(`open ${path}`, () => readFileSync(path, "utf8")); // a pipe will do, too
  try {
    return checkProcessShape(decodeFirst(text)) as SpecProcess;
  } catch (error) {
    if (!(error instanceof ThawError)) throw error;
    throw new ThawError(error.message, { hint: `correct ${path}` });
  }
}

function ofBundle(options: ExecOptions, { state, bundle }: Container): SpecProcess {
  if (!state.labels.some((label) => label.startsWith("bundle=")))
    throw new ThawError("bundle not found in labels", { hint: "say --process FILE" });
  wrapFs(`chdir ${bundle}`, () => process.chdir(bundle));
  const base = loadSpec().process as SpecProcess;
  if (options.command.length === 0)
    throw new ThawError("exec args cannot be empty", { hint: "say what to execute after the id" });
  for (const gid of options.additionalGids)
    if (gid < 0) throw new ThawError(`additional-gids must be a positive number ${gid}`);
  const added = options.capabilities.length === 0 ? base.capabilities : withMore(base, options);
  return {
    ...base,
    args: options.command,
    env: [...(base.env ?? []), ...options.env],
    terminal: options.terminal,
    user: userOf(base, options),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.appArmor === undefined ? {} : { apparmorProfile: options.appArmor }),
    ...(options.processLabel === undefined ? {} : { selinuxLabel: options.processLabel }),
    ...(options.noNewPrivileges === undefined ? {} : { noNewPrivileges: options.noNewPrivileges }),
    ...(added == null ? {} : { capabilities: added }),
  };
}

// runc: ambient only where there are inheritable ones, without which it cannot be.
function withMore({ capabilities }: SpecProcess, { capabilities: more }: ExecOptions) {
  const sets = capabilities ?? {};
  const and = (name: string) => ({ [name]: [...(sets[name] ?? []), ...more] });
  const ambient = sets["inheritable"] == null ? {} : and("ambient");
  return { ...sets, ...and("bounding"), ...and("effective"), ...and("permitted"), ...ambient };
}

function userOf({ user }: SpecProcess, options: ExecOptions): NonNullable<SpecProcess["user"]> {
  const more = options.additionalGids.map((gid) => Number(BigInt.asUintN(32, gid)));
  const groups = [...(user?.additionalGids ?? []), ...more];
  const base = { ...user, additionalGids: groups };
  if (options.user === undefined) return base;
  const [uid = "", ...rest] = options.user.split(":");
  if (rest.length === 0) return { ...base, uid: id(uid, "uid") };
  return { ...base, gid: id(rest.join(":"), "gid"), uid: id(uid, "uid") };
}

/** Go's strconv.Atoi, and then 32 bits of it. */
function id(text: string, what: string): number {
  const failure = /^[+-]?\d+$/.test(text)
    ? BigInt(text) >= 2n ** 63n || BigInt(text) < -(2n ** 63n)
      ? "value out of range"
      : undefined
    : "invalid syntax";
  if (failure !== undefined)
    throw new ThawError(`bad ${what}: strconv.Atoi: parsing ${JSON.stringify(text)}: ${failure}`, {
      hint: "say --user UID or UID:GID, in numbers",
    });
  return Number(BigInt.asUintN(32, BigInt(text)));
}
