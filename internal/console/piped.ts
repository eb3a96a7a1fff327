/** Standard streams of a container we stay with: three pipes (runc: setupProcessPipes). @module */

import { changeOwner, makeNonBlocking, type OwnedFd, pipe } from "../linux/fd.ts";
import { Copy, copyUntilExit, type Foreground } from "./copy.ts";
import { NO_TERMINAL, type Stdio } from "./stdio.ts";

/**
 * Makes the pipes.
 *
 * @param uid host owner of the container's ends, so that its root may open /dev/stdout
 * @param gid host group of them
 * @param waitsForEnds see {@link Foreground}
 */
export function pipedStdio(uid: number, gid: number, waitsForEnds: boolean): Stdio {
  using undo = new DisposableStack();
  const [stdin, stdout, stderr] = [pipe(), pipe(), pipe()];
  for (const { read, write } of [stdin, stdout, stderr]) {
    undo.use(read);
    undo.use(write);
  }
  const theirs: OwnedFd[] = [stdin.read, stdout.write, stderr.write];
  for (const { fd } of theirs) changeOwner(fd, uid, gid);
  for (const { fd } of [stdin.write, stdout.read, stderr.read]) makeNonBlocking(fd);
  const done = undo.move();
  return {
    fds: [stdin.read.fd, stdout.write.fd, stderr.write.fd],
    ...NO_TERMINAL,
    handedOver: () => {
      for (const end of theirs) end.close();
    },
    copyUntilExit: (init, interrupts) =>
      copyUntilExit({
        init,
        interrupts,
        input: new Copy(0, stdin.write.fd, "ours", () => stdin.write.close()),
        outputs: [
          new Copy(stdout.read.fd, 1, "callers", () => stdout.read.close()),
          new Copy(stderr.read.fd, 2, "callers", () => stderr.read.close()),
        ],
        resized: () => {},
        waitsForEnds,
      }),
    [Symbol.dispose]: () => done.dispose(),
  };
}
