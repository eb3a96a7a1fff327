/** Of the steps into a container: who the process is, and what it may (runc: finalizeNamespace). @module */

import { ThawError } from "../../errors/errors.ts";
import { EINVAL, ENOENT, SyscallError, strerror } from "../../linux/libc.ts";
import type { Data, Program } from "../../linux/program/program.ts";
import type { CapabilitySets } from "../capabilities.ts";
import {
  changingDirectory,
  type Explain,
  failing,
  MESSAGES,
  refused,
  type Steps,
} from "./steps.ts";

const PR_SET_KEEPCAPS = 8;
const PR_CAPBSET_DROP = 24;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_RAISE = 2;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;
const CAPABILITY_VERSION_3 = 0x20080522;
const KEEP = -1; // chown(2): this id stays
const PATH_MAX = 4096;
const ESCAPE =
  "current working directory is outside of container mount namespace root -- possible container breakout detected";

/** Drops what is not in the bounding set. */
export function dropBoundingSet(program: Program, { bounding, last }: CapabilitySets): void {
  program.doing(failing("unable to apply bounding set"));
  for (let number = 0; number <= last; number++) {
    if (((bounding >> BigInt(number)) & 1n) === 0n)
      program.call("prctl", [PR_CAPBSET_DROP, number]);
  }
}

/**
 * Becomes the user, keeping capabilities for {@link applyCapabilities}.
 *
 * @param arrived a word whose lowest byte is 0 when the working directory has been entered
 */
export function changeUser(program: Program, steps: Steps, arrived: Data): void {
  const { uid, gid, groups, owned, setsGroups } = steps;
  program.doing(failing("unable to set keep caps"));
  program.call("prctl", [PR_SET_KEEPCAPS, 1, 0, 0, 0]);
  for (const fd of owned) {
    // As in runc: a stream that cannot be given to the user is left as it is.
    const next = program.label();
    program.call("fchown", [fd, uid, KEEP], { failure: next });
    program.place(next);
  }
  const unable = "unable to setup user";
  if (setsGroups) {
    program.doing(failing(`${unable}: setgroups`));
    const list = program.put(new Uint8Array(Uint32Array.from(groups).buffer));
    program.call("setgroups", [groups.length, list]);
  }
  program.doing(unmapped(unable, "gid", gid));
  program.call("setgid", [gid]);
  program.doing(unmapped(unable, "uid", uid));
  program.call("setuid", [uid]);
  changeDirectoryAfter(program, steps, arrived);
  program.doing(failing("unable to clear keep caps"));
  program.call("prctl", [PR_SET_KEEPCAPS, 0, 0, 0, 0]);
}

function unmapped(unable: string, what: "uid" | "gid", id: number): Explain {
  return (errno) =>
    errno === EINVAL
      ? new ThawError(`${unable}: cannot set${what} to unmapped ${what} ${id} in user namespace`, {
          hint: "say --user with ids that the container has",
        })
      : new SyscallError(`${unable}: set${what}`, errno);
}

/** Tries again as the user, and makes sure that the directory is one of the container's. */
function changeDirectoryAfter(program: Program, { cwd }: Steps, arrived: Data): void {
  const [there, inside, outside] = [program.label(), program.label(), program.label()];
  const again = program.label();
  program.doing(changingDirectory(cwd));
  program.compare(arrived, 0, { zero: there, positive: again, failure: again });
  program.place(again);
  program.call("chdir", [program.text(cwd)]);
  program.place(there);
  // CVE-2024-21626: of a directory outside of its root the kernel says "(unreachable)/…".
  const path = program.put(new Uint8Array(PATH_MAX));
  program.doing((errno: number) =>
    errno === ENOENT
      ? new ThawError(ESCAPE)
      : new ThawError(`failed to verify if current working directory is safe: ${strerror(errno)}`),
  );
  program.call("getcwd", [path, PATH_MAX]);
  program.compare(path, "/".charCodeAt(0), { zero: inside, positive: outside, failure: outside });
  program.place(outside);
  program.doing(refused(ESCAPE));
  program.fail();
  program.place(inside);
}

/** Sets all sets of capabilities; the bounding set has been dropped to before. */
export function applyCapabilities(program: Program, sets: CapabilitySets, socket: number): void {
  const { effective, permitted, inheritable, ambient, last } = sets;
  const words = (shift: bigint) =>
    [effective, permitted, inheritable].map((set) => Number((set >> shift) & 0xffffffffn));
  const data = Uint32Array.from([...words(0n), ...words(32n)]); // struct __user_cap_data_struct[2]
  program.doing(
    (errno: number) =>
      new ThawError(`unable to apply caps: can't apply capabilities: ${strerror(errno)}`, {
        hint: "effective and inheritable capabilities must be permitted ones, and thaw must have them",
      }),
  );
  const header = program.put([CAPABILITY_VERSION_3]); // its second half is the pid: 0, itself
  program.call("capset", [header, program.put(new Uint8Array(data.buffer))]);
  program.doing(failing("unable to apply caps"));
  const cleared = program.label();
  program.call("prctl", [PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0], {
    except: [EINVAL, cleared],
  });
  program.place(cleared);
  for (let number = 0; number <= last; number++) {
    if (((ambient >> BigInt(number)) & 1n) === 0n) continue;
    // One that cannot be raised is no reason not to start.
    const [warn, next] = [program.label(), program.label()];
    const words = [PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0];
    program.call("prctl", words, { zero: next, failure: warn });
    program.place(warn);
    program.call("write", [socket, program.put([number, MESSAGES.notAmbient]), 16]);
    program.place(next);
  }
}
