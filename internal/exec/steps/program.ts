/**
 * Stage: what the process does on its way into the container, as a list of system calls; pure.
 *
 * The order is runc's (nsexec.c, setns_init_linux.go). Two processes work the list off: the first is
 * thaw's child and joins the namespaces; its child, in the PID namespace, becomes thaw's child, too
 * (CLONE_PARENT), and at last the program. They tell thaw how far they are over a socket, in messages
 * of two words; what fails is told there, too.
 *
 * @module
 */

import { EACCES, ENOSYS } from "../../linux/libc.ts";
import { type Data, Program } from "../../linux/program/program.ts";
import { executeFirst } from "./execute.ts";
import { changingDirectory, failing, MESSAGES, type Steps } from "./steps.ts";
import { applyCapabilities, changeUser, dropBoundingSet } from "./user.ts";

const SIGCHLD = 17;
const CLONE_PARENT = 0x8000;
const AT_FDCWD = -100;
const O_WRONLY_CLOEXEC = 0o2000001;
const FD_CLOEXEC = 1;
const F_SETFD = 2;
const PR_SET_DUMPABLE = 4;
const PR_SET_NAME = 15;
const PR_SET_NO_NEW_PRIVS = 38;
const KEYCTL_JOIN_SESSION_KEYRING = 1;
const TIOCSCTTY = 0x540e;
const SECCOMP_SET_MODE_FILTER = 1;

/** The names of the process before it is the program. */
export const NAME = "thaw:[EXEC]";

/** Writes the program; `doingOf` its calls gives an `Explain`. */
export function programOf(steps: Steps): Program {
  const program = new Program();
  const { socket } = steps;
  joinNamespaces(program, steps);
  becomeLeader(program, steps);
  enterContainer(program, steps);
  const installFilter = filterInstaller(program, steps);
  if (!steps.noNewPrivileges) installFilter();
  const arrived = changeDirectoryFirst(program, steps);
  if (steps.capabilities !== undefined) dropBoundingSet(program, steps.capabilities);
  changeUser(program, steps, arrived);
  if (steps.capabilities !== undefined)
    applyCapabilities(program, steps.capabilities, steps.socket);
  if (steps.personality !== undefined) {
    program.doing(failing("set the execution domain"));
    program.call("personality", [steps.personality]);
  }
  executeFirst(program, steps, () => {
    program.doing(failing("tell thaw"));
    tell(program, socket, MESSAGES.ready);
    if (steps.noNewPrivileges) installFilter();
  });
  program.place(program.failed);
  // What fails here cannot be told.
  const end = program.label();
  program.call("write", [socket, program.record, 16], { failure: end });
  program.place(end);
  program.call("exit_group", [255]);
  return program;
}

/** Sends a message; a result may be its first word. */
function tell(program: Program, socket: number, second: number, first?: Data): void {
  program.call("write", [socket, first ?? program.put([0, second]), 16]);
}

function joinNamespaces(program: Program, { namespaces, labels }: Steps): void {
  program.doing(failing("prepare the process"));
  program.call("prctl", [PR_SET_NAME, program.text(NAME)]);
  // From here on nobody in the container may look into the process (ptrace(2), /proc/PID/fd).
  program.call("prctl", [PR_SET_DUMPABLE, 0]);
  for (const { file, text, doing } of labels) {
    program.doing(failing(doing));
    const fd = program.result();
    program.call("openat", [AT_FDCWD, program.text(file), O_WRONLY_CLOEXEC], { into: fd });
    program.call("write", [fd, program.text(text), Buffer.byteLength(text)]);
  }
  for (const { fd, flag, name } of namespaces) {
    program.doing(failing(`failed to join the ${name} namespace`));
    program.call("setns", [fd, flag]);
    program.call("close", [fd]);
  }
}

/** The first process makes the second, and ends. */
function becomeLeader(program: Program, { socket }: Steps): void {
  const inside = program.label();
  const message = program.put([0, MESSAGES.pid]);
  program.doing(failing("make a process in the container's PID namespace"));
  program.call("clone", [CLONE_PARENT | SIGCHLD], { into: message, zero: inside });
  program.doing(failing("tell thaw"));
  tell(program, socket, MESSAGES.pid, message);
  program.call("exit_group", [0]);
  program.place(inside);
}

/** The second process waits for thaw, which moves it into the cgroups and sets limits. */
function enterContainer(program: Program, steps: Steps): void {
  const { socket, setsGroups, keyring, terminal, noNewPrivileges, umask } = steps;
  program.doing(failing("become root in the container"));
  program.call("setsid", []);
  program.call("setuid", [0]);
  program.call("setgid", [0]);
  if (setsGroups) program.call("setgroups", [0, 0]);
  waitForThaw(program, socket);
  closeOthers(program, socket);
  if (keyring !== undefined) {
    program.doing(failing("unable to join session keyring"));
    const next = program.label();
    const words = [KEYCTL_JOIN_SESSION_KEYRING, program.text(keyring)];
    program.call("keyctl", words, { except: [ENOSYS, next] });
    program.place(next);
  }
  if (terminal) {
    program.doing(failing("make the terminal the controlling one"));
    program.call("ioctl", [0, TIOCSCTTY, 0]);
  }
  if (noNewPrivileges) {
    program.doing(failing("set no_new_privs"));
    program.call("prctl", [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0]);
  }
  if (umask !== undefined) program.call("umask", [umask]);
}

/** Reads a byte; when thaw has ended there is none, and nothing must be begun. */
function waitForThaw(program: Program, socket: number): void {
  const [end, next] = [program.label(), program.label()];
  program.doing(failing("wait for thaw"));
  const byte = program.put(new Uint8Array(1));
  program.call("read", [socket, byte, 1], { zero: end, positive: next, failure: end });
  program.place(end);
  program.call("exit_group", [255]);
  program.place(next);
}

/** What the program finds open is what it was given: the socket ends with execve(2). */
function closeOthers(program: Program, socket: number): void {
  const next = program.label();
  program.doing(failing("close descriptors"));
  // Since Linux 5.9; there is nothing to close but what is closed already.
  program.call("close_range", [socket + 1, 0xffffffff, 0], { failure: next });
  program.place(next);
  program.call("fcntl", [socket, F_SETFD, FD_CLOEXEC]);
}

/** @returns what writes the calls that install the filter; where there are several ways, in each */
function filterInstaller(program: Program, { filter, socket }: Steps): () => void {
  if (filter === undefined) return () => {};
  const fprog = program.put([filter.program.length / 8, program.put(filter.program)]);
  const message = program.put([0, MESSAGES.listener]);
  return () => {
    program.doing(failing("unable to init seccomp: error loading seccomp filter"));
    program.call("seccomp", [SECCOMP_SET_MODE_FILTER, filter.flags, fprog], { into: message });
    if (!filter.notifies) return;
    tell(program, socket, MESSAGES.listener, message);
    waitForThaw(program, socket);
    letGo(program, socket + 1); // the lowest that was free
  };
}

/** Closes a listener: one that this process held itself would keep its calls waiting when the agent is gone. */
function letGo(program: Program, listener: number): void {
  const [next, old] = [program.label(), program.label()];
  // Rather than close(2), which the filter is likelier to ask about.
  program.call("close_range", [listener, listener, 0], { zero: next, failure: old });
  program.place(old);
  program.call("close", [listener], { failure: next });
  program.place(next);
}

/**
 * Goes to the working directory before there is another user: root may enter what the user may not,
 * and, as the other way round is possible too (a volume), it is tried again after.
 *
 * @returns a word whose lowest byte is 0 when it is there
 */
function changeDirectoryFirst(program: Program, { cwd }: Steps): Data {
  const result = program.put([1]);
  const next = program.label();
  program.doing(changingDirectory(cwd));
  program.call("chdir", [program.text(cwd)], { into: result, except: [EACCES, next] });
  program.place(next);
  return result;
}
