/** Of the steps into a container: finding the program, as Go's exec.LookPath does, and executing it. @module */

import { ThawError } from "../../errors/errors.ts";
import { O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../linux/fd.ts";
import { ENOENT, ENOEXEC, strerror } from "../../linux/libc.ts";
import type { Label, Program } from "../../linux/program/program.ts";
import { type Explain, refused, type Steps } from "./steps.ts";

const AT_FDCWD = -100;
const AT_EACCESS = 0x200;
const X_OK = 1;
const STAT_SIZE = 144; // struct stat; of arm64 128

/**
 * Executes the first program found; all else ends the program with what is wrong.
 *
 * @param before writes what comes right before execve(2)
 */
export function executeFirst(program: Program, steps: Steps, before: () => void): void {
  const { name, paths } = steps.search;
  const quoted = JSON.stringify(name);
  const argv = program.texts(steps.argv);
  const env = program.texts(steps.env);
  const missing = refused(
    `exec: ${quoted}: executable file not found in $PATH`,
    "PATH is that of the process: see --env",
  );
  const explained = name.includes("/");
  for (const path of paths) {
    const next = program.label();
    probe(program, path, explained ? quoted : undefined, next);
    if (!explained && !path.startsWith("/")) {
      program.doing(
        refused(`exec: ${quoted}: cannot run executable found relative to current directory`),
      );
      program.fail();
    } else {
      before();
      program.doing(executing(path));
      program.call("execve", [program.text(path), argv, env]);
    }
    program.place(next);
  }
  program.doing(missing);
  program.fail();
}

/**
 * Goes on when the path is that of an executable file.
 *
 * @param quoted the name as it was given, to say what is wrong; undefined: go on at `next`
 */
function probe(program: Program, path: string, quoted: string | undefined, next: Label): void {
  const text = program.text(path);
  const [file, old, executable] = [program.label(), program.label(), program.label()];
  const otherwise = quoted === undefined ? { failure: next } : {};
  program.doing(
    (errno: number) => new ThawError(`exec: ${quoted}: stat ${path}: ${strerror(errno)}`),
  );
  const stat = program.put(new Uint8Array(STAT_SIZE));
  program.call("newfstatat", [AT_FDCWD, text, stat, 0], otherwise);
  program.call("openat", [AT_FDCWD, text, O_PATH | O_CLOEXEC | O_DIRECTORY], { failure: file });
  if (quoted === undefined) program.jump(next);
  else {
    program.doing(refused(`exec: ${quoted}: is a directory`));
    program.fail();
  }
  program.place(file);
  program.doing((errno: number) => new ThawError(`exec: ${quoted}: ${strerror(errno)}`));
  // A seccomp profile may be older than faccessat2.
  program.call("faccessat2", [AT_FDCWD, text, X_OK, AT_EACCESS], {
    zero: executable,
    failure: old,
  });
  program.place(old);
  program.call("faccessat", [AT_FDCWD, text, X_OK], otherwise);
  program.place(executable);
}

function executing(path: string): Explain {
  return (errno) => {
    const hints: Record<number, string> = {
      [ENOEXEC]: "it is no program of this machine's architecture",
      [ENOENT]: "the interpreter or loader that it names is not in the container",
    };
    const hint = hints[errno];
    return new ThawError(`exec ${path}: ${strerror(errno)}`, hint === undefined ? {} : { hint });
  };
}
