/** Signal names, as `kill` takes them. @module */

import { ThawError } from "../errors/errors.ts";

// Linux's numbers on x64 and arm64; the list is that of Go's golang.org/x/sys/unix.
const NAMES = (
  "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP " +
  "TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
).split(" ");

/**
 * A signal from its number, or its name in any case, with or without SIG; nothing is SIGTERM.
 *
 * @throws ThawError `unknown signal "bogus"`
 */
export function parseSignal(given: string): number {
  const text = given === "" ? "TERM" : given;
  // Go's strconv.Atoi; what does not fit into an int is no number to it.
  if (/^[+-]?\d+$/.test(text) && BigInt.asIntN(64, BigInt(text)) === BigInt(text))
    return Math.max(-1, Math.min(Number(text), 0x7fffffff));
  const number = NAMES.indexOf(text.toUpperCase().replace(/^SIG/, "")) + 1;
  if (number === 0)
    throw new ThawError(`unknown signal ${JSON.stringify(given)}`, {
      hint: "give a name such as SIGTERM, KILL or hup, or a number",
    });
  return number;
}
