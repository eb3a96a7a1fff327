/** Running a program for what it prints. @module */

import { readSync } from "node:fs";
import { pipe } from "./fd.ts";
import { memory } from "./libc.ts";
import { childEnvironment, type ExitStatus, spawn } from "./process.ts";

/** What a program printed, and how it ended. */
export interface Captured {
  readonly output: string;
  readonly status: ExitStatus;
}

/**
 * Runs a program to its end.
 *
 * @param file absolute path of the executable
 * @param errors whether what it writes to standard error is captured too, or goes to ours
 * @throws SyscallError `exec FILE: …`
 */
export function capture(file: string, argv: readonly string[], errors: boolean): Captured {
  using scope = new DisposableStack();
  const { read, write } = pipe();
  scope.use(read);
  scope.use(write);
  const fds = [0, write.fd, errors ? write.fd : 2];
  const child = spawn({ file, argv, env: childEnvironment(), fds });
  scope.defer(() => child.kill());
  write.close();
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = Buffer.from(memory(65_536).bytes.buffer);
    const length = readSync(read.fd, chunk);
    if (length === 0) break;
    chunks.push(chunk.subarray(0, length));
  }
  return { output: Buffer.concat(chunks).toString(), status: child.reap() };
}
