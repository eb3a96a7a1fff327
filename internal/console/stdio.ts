/** The container's standard input, output and error: what all ways have in common. @module */

import { ThawError } from "../errors/errors.ts";
import { AT_FDCWD, O_RDWR, openAt } from "../linux/fd.ts";
import type { Child, ExitStatus } from "../linux/process.ts";
import type { Interrupts } from "../linux/signal.ts";
import { connectUnix, sendDescriptor } from "../linux/socket.ts";

/** What CRIU, and so the container, gets as 0, 1 and 2. */
export interface Stdio extends Disposable {
  readonly fds: readonly [number, number, number];
  /** CRIU hands over the master of the container's terminal (orphan-pts-master). */
  receiveMaster(master: number): void;
  /** Every task is there: throws when a terminal was promised and none has come. */
  expectMaster(): void;
  /** Closes thaw's copies of the container's ends, once the container has them. */
  handedOver(): void;
  /** Copies until init has ended and all it wrote is through. Only for a container we stay with. */
  copyUntilExit(init: Child, interrupts: Interrupts): Promise<ExitStatus>;
}

/**
 * Refuses a console socket that nobody will send a terminal to, and a terminal that nobody gets.
 *
 * @throws ThawError in runc's words
 */
export function refuseTerminal(
  terminal: boolean,
  { detach, consoleSocket }: { detach: boolean; consoleSocket: string | undefined },
): void {
  if (consoleSocket !== undefined && !(detach && terminal))
    throw new ThawError("cannot use console socket if runc will not detach or allocate tty");
  if (terminal && detach && consoleSocket === undefined)
    throw new ThawError("cannot allocate tty if runc will detach without setting console socket");
}

/** A detached container gets the caller's own 0, 1 and 2 (runc: inheritStdio). */
export function inheritedStdio(): Stdio {
  return {
    fds: [0, 1, 2],
    ...NO_TERMINAL,
    handedOver: () => {},
    copyUntilExit: notCopied,
    [Symbol.dispose]: () => {},
  };
}

/** For containers without a terminal; a master that comes all the same is closed by the caller. */
export const NO_TERMINAL: Pick<Stdio, "receiveMaster" | "expectMaster"> = {
  receiveMaster: () => {},
  expectMaster: () => {},
};

const notCopied = () => Promise.reject(new Error("a detached container is not copied from"));

/**
 * A detached container with a terminal: its master goes to the console socket, and CRIU gets
 * /dev/null (runc: setupIO). The socket is connected at once, so that a wrong path fails early.
 *
 * @param path of the listening AF_UNIX stream socket
 * @param name what the master is called; runc's for a restored container
 * @throws SyscallError `dial unix P: connect: …`
 */
export function consoleSocketStdio(path: string, name = "orphan-pts-master"): Stdio {
  using undo = new DisposableStack();
  const socket = undo.use(connectUnix(path));
  const none = undo.use(openAt(AT_FDCWD, "/dev/null", O_RDWR));
  let sent = false;
  const done = undo.move();
  return {
    fds: [none.fd, none.fd, none.fd],
    receiveMaster: (master) => {
      // Receivers want between 1 and 4095 bytes and exactly one descriptor.
      sendDescriptor(socket.fd, name, master);
      sent = true;
    },
    expectMaster: () => {
      if (!sent) throw missingTerminal();
    },
    handedOver: () => done.dispose(),
    copyUntilExit: notCopied,
    [Symbol.dispose]: () => done.dispose(),
  };
}

/** A terminal was promised and none has come: a shim would wait for it for ever. */
export function missingTerminal(): ThawError {
  return new ThawError("the checkpoint has no terminal, though config.json says so", {
    hint: "set process.terminal to false in config.json",
  });
}
