/**
 * Stage: starting the process, from its first step to the program.
 *
 * Whatever fails, and whenever, what was started is ended. When thaw itself is killed, the process
 * ends before it has changed anything, or becomes the program as if nothing had happened.
 *
 * @module
 */

import { writeFileSync } from "node:fs";
import { enterCgroups, enterResctrl } from "../cgroups/enter.ts";
import { describe, ThawError } from "../errors/errors.ts";
import { SyscallError, wrapFs } from "../linux/libc.ts";
import { adopt, type Child } from "../linux/process.ts";
import { type Image, layOut } from "../linux/program/image.ts";
import type { Program } from "../linux/program/program.ts";
import { startImage } from "../linux/program/start.ts";
import { setAffinity, setIoPriority, setLimit, setScheduler } from "../linux/schedule.ts";
import { POLLIN, waitReady } from "../linux/signal.ts";
import { packetPair, receivePacket, sendPacket } from "../linux/socket.ts";
import { ALL_CPUS } from "../oci/scheduling.ts";
import { capabilityName } from "./capabilities.ts";
import { sendListener } from "./listener.ts";
import type { ExecPlan } from "./plan.ts";
import { type StartRequest, stepsOf } from "./request.ts";
import { firstCpus, ioClass, schedulerAttributes } from "./scheduling.ts";
import { NAME, programOf } from "./steps/program.ts";
import { type Explain, MESSAGES } from "./steps/steps.ts";

/**
 * Starts the process and waits until it is the program.
 *
 * @returns the process, our child
 * @throws ThawError in runc's words; InterruptedError
 */
export async function startProcess(request: StartRequest): Promise<Child> {
  const { plan, inside, stdio } = request;
  const { preserveFds } = plan.options;
  using scope = new DisposableStack();
  const [ours, theirs] = packetPair();
  scope.use(ours);
  scope.use(theirs);
  const program = programOf(stepsOf(request));
  const image = layOut(program);
  // The words of debug records are those that runc has for the same moments.
  plan.options.log.debug("=> nsexec container setup");
  const preserved = Array.from({ length: preserveFds }, (_, i) => 3 + i);
  const first = startImage(NAME, image.bytes, [
    ...stdio,
    ...preserved,
    theirs.fd,
    ...inside.namespaces.map(({ fd }) => fd.fd),
  ]);
  scope.defer(() => first.kill());
  theirs.close();
  return await converse({ ...request, scope, socket: ours.fd, first, program, image });
}

interface Conversation extends StartRequest {
  readonly scope: DisposableStack;
  readonly socket: number;
  /** The process that makes the other one, and ends. */
  readonly first: Child;
  readonly program: Program;
  readonly image: Image;
}

/** Answers what the process says, until it is the program: then its end of the socket is closed. */
async function converse(parts: Conversation): Promise<Child> {
  const { plan, scope, socket, first } = parts;
  let child: Child | undefined;
  let ready = false;
  let isProgram = false;
  for (;;) {
    const message = await nextMessage(parts);
    if (message === undefined) break;
    const [value, kind] = message;
    if (kind === MESSAGES.pid) {
      const started = adopt(value);
      child = started;
      const owned = scope.adopt(started, () => (isProgram ? undefined : started.kill()));
      first.reap();
      plan.options.log.debug(`child process in init() (pid ${value})`);
      prepare(plan, owned.pid);
      answer(socket);
    } else if (kind === MESSAGES.ready) {
      ready = true;
      plan.options.log.debug("setns_init: about to exec");
    } else if (kind === MESSAGES.notAmbient)
      plan.options.log.warn(
        `can't raise ambient capability ${capabilityName(value)}: operation not permitted`,
      );
    else if (kind === MESSAGES.listener && child !== undefined) {
      const { seccomp } = plan.configuration;
      if (seccomp != null) sendListener(plan.container, seccomp, child, value);
      answer(socket);
    } else {
      ready = false;
      throw failureOf(parts, value, kind);
    }
  }
  if (child !== undefined && ready) {
    isProgram = true;
    return child;
  }
  const { text } = (child ?? first).reap();
  throw new ThawError(`the process has ended before it was the program: ${text}`, {
    hint: "its limits or its seccomp profile may leave no way to execute a program",
  });
}

async function nextMessage(parts: Conversation): Promise<[number, number] | undefined> {
  const { plan, socket, interrupts } = parts;
  const doing = `start ${plan.process.args?.[0]} in ${plan.container.id}`;
  await waitReady([{ fd: socket, events: POLLIN }], { doing, interrupts });
  try {
    const packet = receivePacket(socket);
    if (packet === null) return undefined;
    const words = new DataView(packet.bytes.buffer);
    return [Number(words.getBigUint64(0, true)), Number(words.getBigUint64(8, true))];
  } catch (error) {
    if (error instanceof SyscallError) return undefined; // it ended with our answer unread
    throw error;
  }
}

function answer(socket: number): void {
  try {
    sendPacket(socket, new Uint8Array(1));
  } catch {
    // That it has ended is told by the socket.
  }
}

function failureOf({ program, image }: Conversation, address: number, errno: number): Error {
  const explain = program.doingOf(image.indexOf(address)) as Explain | undefined;
  return explain?.(errno) ?? new ThawError(`the process failed at ${address}: errno ${errno}`);
}

/** What only thaw can do for the process, as it is outside and may; the order is runc's. */
function prepare(plan: ExecPlan, pid: number): void {
  const { affinity, configuration, container, entrance, process } = plan;
  if (affinity.initial !== undefined) {
    change("error setting initial CPU affinity", affinity.initial);
    plan.options.log.debug(`nsexec: affinity: ${firstCpus(affinity.initial)}`);
  }
  enterCgroups(entrance, pid);
  if (affinity.final !== undefined) change("error setting final CPU affinity", affinity.final);
  else if (affinity.initial === undefined) resetAffinity(plan, pid);
  enterResctrl(container.state.intelRdtPath, pid);
  const score = configuration.oom_score_adj;
  if (score !== undefined) {
    const file = `/proc/${pid}/oom_score_adj`;
    wrapFs(`write ${file}`, () => writeFileSync(file, String(score)));
  }
  schedule(plan, pid, process.scheduler ?? configuration.scheduler);
  for (const { type, soft, hard } of plan.limits)
    attempt(`error setting rlimits for ready process: error setting rlimit type ${type}`, () =>
      setLimit(pid, type, BigInt(soft), BigInt(hard)),
    );

  function change(doing: string, mask: Uint8Array): void {
    attempt(doing, () => setAffinity(pid, mask));
  }
}

/** The cgroup says on which CPUs it runs, not where thaw happened to run (Linux 6.2 keeps that). */
function resetAffinity({ options }: ExecPlan, pid: number): void {
  try {
    setAffinity(pid, ALL_CPUS);
  } catch (error) {
    options.log.warn(`resetting the CPU affinity of pid ${pid} failed: ${describe(error)}`);
  }
}

function schedule(
  { process, configuration }: ExecPlan,
  pid: number,
  scheduler: ExecPlan["configuration"]["scheduler"],
): void {
  if (scheduler != null) {
    const attributes = schedulerAttributes(scheduler);
    attempt("error setting scheduler", () => setScheduler(pid, attributes));
  }
  const io = process.ioPriority ?? configuration.io_priority;
  if (io == null) return;
  const number = ioClass(io.class);
  attempt("failed to set io priority", () => setIoPriority(pid, number, io.priority ?? 0));
}

function attempt(doing: string, action: () => void): void {
  try {
    action();
  } catch (cause) {
    throw new ThawError(doing, { cause });
  }
}
