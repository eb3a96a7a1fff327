/** The processes of a container. @module */

import { ThawError } from "../errors/errors.ts";
import { capture } from "../linux/capture.ts";
import { lookPath } from "../linux/process.ts";

/**
 * The lines that the host's ps(1) prints for some processes, below its heading.
 *
 * @param options of ps; without any, `-ef`
 * @throws ThawError with what ps said when it failed; `couldn't find PID field in ps output`
 */
export function psTable(pids: readonly number[], options: readonly string[]): string[] {
  const argv = ["ps", ...(options.length === 0 ? ["-ef"] : options)];
  const { output, status } = capture(lookPath("ps"), argv, true);
  if (status.code !== 0) throw new ThawError(`${status.text}: ${output}`);
  const [heading = "", ...lines] = output.split("\n");
  const column = fields(heading).indexOf("PID");
  if (column === -1)
    throw new ThawError("couldn't find PID field in ps output", {
      hint: "ask ps for the column PID too, such as -o pid,comm",
    });
  const ours = new Set(pids.map(String));
  return [heading, ...lines.filter((line) => ours.has(fields(line)[column] ?? ""))];
}

function fields(line: string): string[] {
  return line.trim().split(/\s+/);
}
