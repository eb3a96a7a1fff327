/** `thaw --version`, in the form go-runc, Podman and Docker read. @module */

import { findCriu } from "../internal/criu/binary.ts";
import { capture } from "../internal/linux/capture.ts";
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
    const { output } = capture(file, ["criu", "--version"], false);
    const found = /^Version: (\S+)/m.exec(output)?.[1];
    return found === undefined ? `${file} does not run here` : `${found} (${file})`;
  } catch {
    return given === undefined ? "not found on PATH" : `not found (${given})`;
  }
}
