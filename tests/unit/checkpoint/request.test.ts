/** What the integration test's comparison with runc cannot ask for here. */

import { expect, test } from "bun:test";
import { parsePageServer } from "../../../internal/checkpoint/page-server.ts";
import type { CheckpointPlan } from "../../../internal/checkpoint/plan.ts";
import { dumpRequest } from "../../../internal/checkpoint/request.ts";

function request(options: object, plan: object = {}) {
  const container = { state: { rootfs: "/srv/c1/rootfs", init: { pid: 4711, startTime: 1 } } };
  const whole = { options, container, external: [], cgroupsMode: 6, ...plan };
  return dumpRequest(whole as unknown as CheckpointPlan, {
    images: 7,
    work: undefined,
    freezer: undefined,
    externalMounts: [],
  });
}

test("dumpRequest() tracks memory for a parent, and sends its path as it is", () => {
  expect(request({ parentPath: "../1" })).toMatchObject({ parentImg: "../1", trackMem: true });
  expect(request({})).not.toHaveProperty("parentImg");
  expect(request({})).not.toHaveProperty("trackMem");
});

test("dumpRequest() names the page server, a configuration and a freezer only if there are any", () => {
  const pageServer = { address: "192.0.2.7", port: 99 };
  expect(request({}, { pageServer })).toHaveProperty("ps", pageServer);
  for (const field of ["ps", "configFile", "freezeCgroup", "workDirFd"])
    expect(request({})).not.toHaveProperty(field);
});

test.each([
  ["192.0.2.7:99", { address: "192.0.2.7", port: 99 }],
  ["[2001:db8::1]:1234", { address: "2001:db8::1", port: 1234 }],
  ["localhost:65535", { address: "localhost", port: 65535 }],
])("parsePageServer() takes %p apart", (text, server) => {
  expect(parsePageServer(text)).toEqual(server);
});

test.each(["localhost", ":99", "a:", "::1:99", "[::1]", "[]:9", "[a]b:9", "a:b:c"])(
  "parsePageServer() refuses %p",
  (text) => {
    expect(() => parsePageServer(text)).toThrow("Use --page-server ADDRESS:PORT");
  },
);

test.each(["a:x", "a:0", "a:65536", "a:-1", "a:1e3"])(
  "parsePageServer() refuses %p's port",
  (text) => {
    expect(() => parsePageServer(text)).toThrow("Invalid port number");
  },
);
