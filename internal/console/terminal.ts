/** The terminal of a container we stay with, joined with the caller's (runc: tty.go). @module */

import { isatty } from "node:tty";
import { ThawError } from "../errors/errors.ts";
import { AT_FDCWD, duplicate, makeNonBlocking, O_RDWR, type OwnedFd, openAt } from "../linux/fd.ts";
import { keepSettings } from "../linux/keeper.ts";
import { clearNewlineMapping, copyWindowSize, makeRaw } from "../linux/terminal.ts";
import { Copy, copyUntilExit } from "./copy.ts";
import { missingTerminal, type Stdio } from "./stdio.ts";

/**
 * Finds the caller's terminal: the first of 2, 1 and 0 that is one, else /dev/tty.
 *
 * It is raw, and the container's terminal has its size, while the container is stayed with; the
 * old settings are put back when that ends, the result is disposed, or this process is killed.
 *
 * @param settings whose the container's terminal has when it comes: a new one's are set at once, so
 *   that no program sees others; those that CRIU has yet to restore, when the container has it
 * @throws SyscallError `open /dev/tty: no such device or address`
 */
export function terminalStdio(settings: "new" | "restored"): Stdio {
  using undo = new DisposableStack();
  const inherited = [2, 1, 0].find((fd) => isatty(fd));
  const host = inherited ?? undo.use(openAt(AT_FDCWD, "/dev/tty", O_RDWR)).fd;
  const none = undo.use(openAt(AT_FDCWD, "/dev/null", O_RDWR));
  const done = undo.move();
  let master: OwnedFd | undefined;
  const set = (fd: number) => {
    // With ONLCR, which CRIU has restored or a new one has, two would make `\r\r\n`.
    clearNewlineMapping(fd);
    copyWindowSize(host, fd);
  };
  const received = (): OwnedFd => {
    if (master === undefined) throw missingTerminal();
    return master;
  };
  return {
    fds: [none.fd, none.fd, none.fd],
    receiveMaster: (fd) => {
      if (master !== undefined) throw new ThawError("criu sent a second terminal");
      master = done.use(duplicate(fd, 3));
      if (settings === "new") set(fd);
    },
    expectMaster: () => void received(),
    handedOver: () => {
      const { fd } = received();
      if (settings === "restored") set(fd);
      makeNonBlocking(fd);
    },
    copyUntilExit: async (init, interrupts) => {
      const { fd } = received();
      using _kept = keepSettings(host);
      using _raw = makeRaw(host);
      return await copyUntilExit({
        init,
        interrupts,
        // The master has one descriptor for both ways; it is closed with everything else.
        input: new Copy(0, fd, "ours", () => {}),
        outputs: [new Copy(fd, 1, "callers", () => {})],
        resized: () => copyWindowSize(host, fd),
        waitsForEnds: false,
      });
    },
    [Symbol.dispose]: () => done.dispose(),
  };
}
