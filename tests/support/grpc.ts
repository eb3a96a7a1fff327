/** One call of gRPC over a unix socket, as far as a test needs it. @module */

import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";

/** A length-delimited field of a protobuf message: a string, bytes or a message. */
export function field(number: number, value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 0x7f) | 0x80);
  }
}

/**
 * Calls a method, and waits for its end.
 *
 * @param method such as /package.Service/Method
 * @throws Error with gRPC's status and message
 */
export async function call(
  socket: string,
  method: string,
  request: Buffer,
  headers: Record<string, string> = {},
): Promise<void> {
  const session = connectHttp2("http://localhost", { createConnection: () => connect(socket) });
  const length = Buffer.alloc(5);
  length.writeUInt32BE(request.length, 1);
  try {
    await new Promise<void>((resolve, reject) => {
      session.on("error", reject);
      const stream = session.request({
        ...{ ":method": "POST", ":path": method, te: "trailers" },
        ...{ "content-type": "application/grpc", ...headers },
      });
      const end = (answer: Record<string, unknown>) => {
        if (answer["grpc-status"] === undefined) return;
        if (answer["grpc-status"] === "0") resolve();
        else reject(new Error(`${method}: ${answer["grpc-status"]} ${answer["grpc-message"]}`));
      };
      stream.on("response", end).on("trailers", end).on("error", reject).resume();
      stream.end(Buffer.concat([length, request]));
    });
  } finally {
    session.close();
  }
}
