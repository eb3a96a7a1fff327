/** `--page-server`: where memory goes, or is fetched from. @module */

import { ThawError } from "../errors/errors.ts";

/** A page server, as CRIU is told of it. */
export interface PageServer {
  readonly address: string;
  readonly port: number;
}

/**
 * Reads `ADDRESS:PORT`; an IPv6 address stands in brackets (Go's net.SplitHostPort).
 *
 * @throws ThawError in runc's words
 */
export function parsePageServer(given: string | undefined): PageServer | undefined {
  if (given === undefined) return undefined;
  const match = /^(?:\[([^[\]]+)\]|([^:[\]]+)):([^:[\]]+)$/.exec(given);
  const address = match?.[1] ?? match?.[2];
  const port = match?.[3];
  if (address === undefined || port === undefined)
    throw new ThawError("Use --page-server ADDRESS:PORT to specify page server", {
      hint: `${JSON.stringify(given)} is not of that form`,
    });
  if (!/^\d+$/.test(port) || Number(port) < 1 || Number(port) > 65535)
    throw new ThawError("Invalid port number", {
      hint: `${JSON.stringify(port)} is not from 1 to 65535`,
    });
  return { address, port: Number(port) };
}
