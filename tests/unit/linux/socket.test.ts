import { dlopen, ptr } from "bun:ffi";
import { expect, test } from "bun:test";
import { closeSync, fstatSync, openSync } from "node:fs";
import { libc, memory } from "../../../internal/linux/libc.ts";
import { POLLIN, poll } from "../../../internal/linux/signal.ts";
import {
  finishSending,
  packetPair,
  receivePacket,
  sendPacket,
} from "../../../internal/linux/socket.ts";

const { sendmsg } = dlopen("libc.so.6", {
  sendmsg: { args: ["i32", "ptr", "i32"], returns: "i64" },
}).symbols;

/** Sends a text with descriptors, as CRIU sends a terminal (SCM_RIGHTS). */
function sendWithFds(socket: number, text: string, fds: readonly number[]): void {
  const body = memory(text.length);
  body.bytes.set(Buffer.from(text));
  const iov = memory(16);
  iov.view.setBigUint64(0, BigInt(ptr(body.bytes)), true);
  iov.view.setBigUint64(8, BigInt(text.length), true);
  const length = 16 + 4 * fds.length;
  const control = memory((length + 7) & ~7);
  control.view.setBigUint64(0, BigInt(length), true);
  control.view.setInt32(8, 1, true); // SOL_SOCKET
  control.view.setInt32(12, 1, true); // SCM_RIGHTS
  fds.forEach((fd, i) => {
    control.view.setInt32(16 + 4 * i, fd, true);
  });
  const header = memory(56);
  header.view.setBigUint64(16, BigInt(ptr(iov.bytes)), true);
  header.view.setBigUint64(24, 1n, true);
  header.view.setBigUint64(32, BigInt(ptr(control.bytes)), true);
  header.view.setBigUint64(40, BigInt(control.bytes.length), true);
  expect(Number(sendmsg(socket, header.bytes, 0))).toBe(text.length);
}

const pattern = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7) % 251);
const FD_CLOEXEC = 1;
const flags = (fd: number) => libc.fcntl(fd, 1, 0); // F_GETFD

test.each([1, 100, 4096, 40_960, 100_001, 212_992, 500_000])(
  "a packet of %d bytes arrives whole",
  (length) => {
    const [a, b] = packetPair();
    using _a = a;
    using _b = b;
    sendPacket(a.fd, pattern(length));
    const packet = receivePacket(b.fd);
    expect(packet?.bytes.length).toBe(length);
    expect(Bun.hash(packet?.bytes ?? "")).toBe(Bun.hash(pattern(length)));
    expect(packet?.fds).toEqual([]);
  },
);

test("packets keep their borders", () => {
  const [a, b] = packetPair();
  using _a = a;
  using _b = b;
  for (const text of ["one", "two", "three"]) sendPacket(a.fd, Buffer.from(text));
  const received = [1, 2, 3].map(() => Buffer.from(receivePacket(b.fd)?.bytes ?? []).toString());
  expect(received).toEqual(["one", "two", "three"]);
});

test("sendPacket() sends a view of a larger buffer, and only that", () => {
  const [a, b] = packetPair();
  using _a = a;
  using _b = b;
  sendPacket(a.fd, Buffer.from("xxhelloyy").subarray(2, 7));
  expect(Buffer.from(receivePacket(b.fd)?.bytes ?? []).toString()).toBe("hello");
});

test("both ends are close-on-exec", () => {
  const [a, b] = packetPair();
  using _a = a;
  using _b = b;
  expect([flags(a.fd), flags(b.fd)]).toEqual([FD_CLOEXEC, FD_CLOEXEC]);
});

test("descriptors come along with a packet, close-on-exec, and are the same files", () => {
  const [a, b] = packetPair();
  using _a = a;
  using _b = b;
  const sent = [openSync("/dev/null", "r"), openSync("/dev/zero", "r"), openSync("/proc", "r")];
  sendWithFds(a.fd, "orphan-pts-master", sent);
  const packet = receivePacket(b.fd);
  expect(Buffer.from(packet?.bytes ?? []).toString()).toBe("orphan-pts-master");
  const received = packet?.fds.map(({ fd }) => fd) ?? [];
  expect(received.map((fd) => [fstatSync(fd).ino, fstatSync(fd).rdev])).toEqual(
    sent.map((fd) => [fstatSync(fd).ino, fstatSync(fd).rdev]),
  );
  expect(received.map(flags)).toEqual([FD_CLOEXEC, FD_CLOEXEC, FD_CLOEXEC]);
  for (const fd of packet?.fds ?? []) fd.close();
  for (const fd of sent) closeSync(fd);
});

test("looking at a packet's length takes none of its descriptors", () => {
  const [a, b] = packetPair();
  using _a = a;
  using _b = b;
  for (const path of ["/dev/null", "/dev/zero"]) {
    const fd = openSync(path, "r");
    sendWithFds(a.fd, path, [fd]);
    closeSync(fd);
  }
  for (const path of ["/dev/null", "/dev/zero"]) {
    const packet = receivePacket(b.fd);
    expect(Buffer.from(packet?.bytes ?? []).toString()).toBe(path);
    expect(packet?.fds.length).toBe(1);
    for (const fd of packet?.fds ?? []) fd.close();
  }
});

test("receivePacket() gives null when the peer has closed or has finished sending", () => {
  const [a, b] = packetPair();
  using _b = b;
  sendPacket(a.fd, Buffer.from("last"));
  finishSending(a.fd);
  expect(receivePacket(b.fd)?.bytes.length).toBe(4);
  expect(receivePacket(b.fd)).toBeNull();
  a.close();
  expect(receivePacket(b.fd)).toBeNull();
});

test("sendPacket() fails with EPIPE, and without a signal, when the peer is gone", () => {
  const [a, b] = packetPair();
  using _a = a;
  b.close();
  expect(() => sendPacket(a.fd, Buffer.from("x"))).toThrow("write to criu: broken pipe");
});

test("receivePacket() fails when the peer ended with our packet unread", () => {
  const [a, b] = packetPair();
  using _a = a;
  sendPacket(a.fd, Buffer.from("unread"));
  b.close();
  expect(() => receivePacket(a.fd)).toThrow("read from criu: connection reset by peer");
});

test("poll() sees a packet, and nothing before there is one", () => {
  const [a, b] = packetPair();
  using _a = a;
  using _b = b;
  const watch = [
    { fd: b.fd, events: POLLIN },
    { fd: -1, events: POLLIN },
  ];
  expect(poll(watch, 0)).toEqual([0, 0]);
  sendPacket(a.fd, Buffer.from("x"));
  expect(poll(watch, 1000)).toEqual([POLLIN, 0]);
});
