/** `thaw --version`, in the form go-runc, Podman and Docker read. @module */

import { readSync } from "node:fs";
import { findCriu } from "../internal/criu/binary.ts";
import { pipe } from "../internal/linux/fd.ts";
import { childEnvironment, spawn } from "../internal/linux/process.ts";
import { SPEC_VERSION } from "../internal/oci/config.ts";

// Set by the build (bun build --define).
declare const THAW_VERSION: string;
declare const THAW_COMMIT: string;

/**
 * Lines of `name: value` after the name and version, then the CRIU that is used.
 *
 * @param criu what `--criu` says
 */
export function versionText(criu: string | undefined): string {
  return [
    `thaw version ${THAW_VERSION}`,
    `commit: ${THAW_COMMIT}`,
    `spec: ${SPEC_VERSION}`,
    `criu: ${criuVersion(criu)}`,
    "",
  ].join("\n");
}

function criuVersion(given: string | undefined): string {
  try {
    const file = findCriu(given);
    using scope = new DisposableStack();
    const output = pipe();
    scope.use(output.read);
    scope.use(output.write);
    const argv = ["criu", "--version"];
    const child = spawn({ file, argv, env: childEnvironment(), fds: [0, output.write.fd, 2] });
    output.write.close();
    const bytes = Buffer.from("\0".repeat(4096));
    let length = 0;
    for (let n = -1; n !== 0 && length < bytes.length; length += n)
      n = readSync(output.read.fd, bytes, length, bytes.length - length, null);
    child.reap();
    const found = /^Version: (\S+)/m.exec(bytes.subarray(0, length).toString())?.[1];
    return found === undefined ? `${file} does not run here` : `${found} (${file})`;
  } catch {
    return given === undefined ? "not found on PATH" : `not found (${given})`;
  }
}
