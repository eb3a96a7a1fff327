/** A terminal's settings, put back by somebody who outlives us. @module */

import { pipe } from "./fd.ts";
import { EINTR, libc, memory } from "./libc.ts";
import { layOut } from "./program/image.ts";
import { Program } from "./program/program.ts";
import { startImage } from "./program/start.ts";

const TCGETS = 0x5401;
const TCSETS = 0x5402;
/** The kernel's struct termios (asm-generic/termbits.h). */
const SETTINGS_SIZE = 36;
const NAME = "thaw:[TTY]";

/**
 * Has the settings that a terminal has now put back when this process ends without disposing the
 * result, as by SIGKILL or a crash: the shell that comes next would be in raw mode.
 *
 * A process of some kilobytes, in a session of its own, waits for the end of a pipe. Where it cannot
 * be started (the host forbids executables in memory) there is none.
 *
 * @returns disposing ends that process; the settings are the caller's then
 */
export function keepSettings(fd: number): Disposable {
  const settings = memory(SETTINGS_SIZE);
  if (libc.ioctl(fd, TCGETS, settings.bytes) !== 0) return { [Symbol.dispose]: () => {} };
  using undo = new DisposableStack();
  const ends = pipe();
  undo.use(ends.write);
  using read = ends.read;
  try {
    const image = layOut(keeper(new Uint8Array(settings.bytes)));
    undo.adopt(startImage(NAME, image.bytes, [fd, read.fd]), (child) => child.kill());
  } catch {
    return { [Symbol.dispose]: () => {} };
  }
  return undo.move();
}

/** On 0 the terminal, on 1 the pipe, which nobody writes to. */
function keeper(settings: Uint8Array): Program {
  const program = new Program();
  const [wait, buffer] = [program.label(), program.put(new Uint8Array(8))];
  // Out of reach of what is typed, and allowed to change a terminal that is not its own.
  program.call("setsid", []);
  program.place(wait);
  program.call("read", [1, buffer, 1], { except: [EINTR, wait], positive: wait });
  program.call("ioctl", [0, TCSETS, program.put(settings)]);
  program.place(program.failed);
  program.call("exit_group", [0]);
  return program;
}
