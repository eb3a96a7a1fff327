/** What `state` and `list` say of containers. @module */

import { readdirSync, readFileSync, statSync } from "node:fs";
import { describe } from "../errors/errors.ts";
import { wrapFs } from "../linux/libc.ts";
import { type Container, idsIn, loadContainer, type Status, statusOf } from "./container.ts";

/** A container as runc prints it; the order of the fields is part of it. */
export interface Report {
  readonly ociVersion: string;
  readonly id: string;
  /** 0 once it has stopped. */
  readonly pid: number;
  readonly status: Status;
  readonly bundle: string;
  readonly rootfs: string;
  readonly created: string;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Name of the user the state directory belongs to, or `#uid`; "" where nobody asked. */
  readonly owner: string;
}

/** Describes one container. */
export function reportOf(container: Container, owner = ""): Report {
  const { state, annotations } = container;
  const status = statusOf(container);
  return {
    ociVersion: state.version,
    id: state.id,
    pid: status === "stopped" ? 0 : state.init.pid,
    status,
    bundle: container.bundle,
    rootfs: state.rootfs,
    created: state.created,
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    owner,
  };
}

/**
 * Describes all containers of a root, in the order of their names.
 *
 * @param optional a root that does not exist has no containers; else it is an error
 * @param warn told of each directory that holds no container that can be read
 * @throws SyscallError `open ROOT: no such file or directory`
 */
export function listContainers(
  root: string,
  optional: boolean,
  warn: (message: string) => void,
): Report[] {
  if (optional && statSync(root, { throwIfNoEntry: false }) === undefined) return [];
  wrapFs(`open ${root}`, () => readdirSync(root));
  const users = new Map<number, string>();
  return idsIn(root).flatMap((id) => {
    const stat = statSync(`${root}/${id}`, { throwIfNoEntry: false });
    if (stat === undefined) return []; // deleted meanwhile
    let doing = "load container";
    try {
      const container = loadContainer(root, id);
      doing = "status for";
      return [reportOf(container, userName(stat.uid, users))];
    } catch (error) {
      warn(`${doing} ${id}: ${describe(error)}`);
      return [];
    }
  });
}

/** A user's name in /etc/passwd, or `#uid`. */
function userName(uid: number, known: Map<number, string>): string {
  const found = known.get(uid);
  if (found !== undefined) return found;
  let text = "";
  try {
    text = readFileSync("/etc/passwd", "utf8");
  } catch {
    // A host without one has no names.
  }
  const line = text.split("\n").find((one) => one.split(":")[2] === String(uid));
  const name = line?.split(":")[0] ?? `#${uid}`;
  known.set(uid, name);
  return name;
}
