/** Terminals: settings and window size (termios(3), ioctl_tty(2)). @module */

import { check, libc, type Memory, memory } from "./libc.ts";

const TCSANOW = 0;
const TIOCGWINSZ = 0x5413;
const TIOCSWINSZ = 0x5414;
// struct termios of glibc and musl: c_iflag, c_oflag, c_cflag, c_lflag, …
const TERMIOS_SIZE = 64;
const OFLAG = 4;
const OPOST = 0o1;
const ONLCR = 0o4;

function settings(fd: number): Memory {
  const termios = memory(TERMIOS_SIZE);
  check(libc.tcgetattr(fd, termios.bytes), "read the terminal's settings");
  return termios;
}

/**
 * Puts a terminal into raw mode (cfmakeraw(3)) but for output processing, as runc does.
 *
 * @returns disposing puts the old settings back
 */
export function makeRaw(fd: number): Disposable {
  const before = settings(fd);
  const raw = settings(fd);
  libc.cfmakeraw(raw.bytes);
  raw.view.setUint32(OFLAG, raw.view.getUint32(OFLAG, true) | OPOST, true);
  check(libc.tcsetattr(fd, TCSANOW, raw.bytes), "put the terminal into raw mode");
  return { [Symbol.dispose]: () => libc.tcsetattr(fd, TCSANOW, before.bytes) };
}

/** Lets a terminal write `\n` as it is (ONLCR off): the one in front of it adds the `\r`. */
export function clearNewlineMapping(fd: number): void {
  const termios = settings(fd);
  termios.view.setUint32(OFLAG, termios.view.getUint32(OFLAG, true) & ~ONLCR, true);
  check(libc.tcsetattr(fd, TCSANOW, termios.bytes), "set the container's terminal");
}

/** Gives a terminal the window size of another; nothing happens when one has none. */
export function copyWindowSize(from: number, to: number): void {
  const size = memory(8); // struct winsize
  if (libc.ioctl(from, TIOCGWINSZ, size.bytes) === 0) libc.ioctl(to, TIOCSWINSZ, size.bytes);
}

/** Sets a terminal's window size, in characters; below 65536. */
export function setWindowSize(fd: number, height: number, width: number): void {
  const size = memory(8); // struct winsize
  size.view.setUint16(0, height, true);
  size.view.setUint16(2, width, true);
  check(libc.ioctl(fd, TIOCSWINSZ, size.bytes), "set the size of the terminal");
}
