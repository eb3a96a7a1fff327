/** The other end of a seccomp filter that asks somebody (seccomp_unotify(2)). @module */

import type { Container } from "../container/container.ts";
import { ThawError } from "../errors/errors.ts";
import { takeCopy } from "../linux/pidfd.ts";
import type { Child } from "../linux/process.ts";
import { connectUnix, sendDescriptor } from "../linux/socket.ts";
import { SPEC_VERSION } from "../oci/config.ts";
import type { Profile } from "../seccomp/rules.ts";

/**
 * Copies the listener of a process and sends it to the profile's listener path, with the
 * specification's container process state.
 *
 * @param fd its number in the process
 * @throws ThawError, SyscallError naming the step
 */
export function sendListener(
  { state, id, bundle, annotations }: Container,
  profile: Profile,
  child: Child,
  fd: number,
): void {
  const path = profile.listener_path ?? "";
  if (path === "")
    throw new ThawError("seccomp listenerPath is not set", {
      hint: "set linux.seccomp.listenerPath in config.json, for SCMP_ACT_NOTIFY",
    });
  using listener = takeCopy(child.pidfd, fd);
  if (listener === undefined)
    throw new ThawError(`get fd ${fd} of the seccomp filter from process ${child.pid} failed`);
  const text = JSON.stringify({
    ociVersion: SPEC_VERSION,
    fds: ["seccompFd"],
    pid: child.pid,
    ...(profile.listener_metadata ? { metadata: profile.listener_metadata } : {}),
    state: {
      ociVersion: SPEC_VERSION,
      id,
      status: "running",
      pid: state.init.pid,
      bundle,
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    },
  });
  using socket = connectUnix(path);
  sendDescriptor(socket.fd, text, listener.fd);
}
