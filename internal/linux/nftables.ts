/** Removing a table of nftables by its netlink interface (linux/netfilter/nf_tables.h). @module */

import { O_NONBLOCK, type OwnedFd, owned } from "./fd.ts";
import { check, ENOENT, EOPNOTSUPP, libc, memory, SyscallError } from "./libc.ts";
import { inNetworkNamespace } from "./namespace.ts";
import { SOCK_CLOEXEC } from "./socket.ts";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const NETLINK_NETFILTER = 12;

const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;
const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG_DELTABLE = 2;
const NFPROTO_INET = 1;
const NFTA_TABLE_NAME = 1;
// struct nlmsghdr and, behind it, struct nfgenmsg
const NLMSG_HDRLEN = 16;
const NFGENMSG_LEN = 4;
// In an answer of type NLMSG_ERROR a negative errno, 0 for success, follows the header.
const NLMSG_ERROR = 2;

const aligned = (length: number) => (length + 3) & ~3;

/**
 * Deletes a table of the inet family with its chains, sets and rules. No program is needed.
 *
 * @param netns a descriptor of the network namespace
 * @returns false when there is no such table
 * @throws SyscallError `delete table inet NAME: …`
 */
export function deleteInetTable(netns: number, name: string): boolean {
  using socket = inNetworkNamespace(netns, netfilterSocket);
  const text = Buffer.from(`${name}\0`);
  const attribute = memory(4 + aligned(text.length));
  attribute.view.setUint16(0, 4 + text.length, true);
  attribute.view.setUint16(2, NFTA_TABLE_NAME, true);
  attribute.bytes.set(text, 4);
  const type = NFNL_SUBSYS_NFTABLES * 256 + NFT_MSG_DELTABLE;
  const batch = Buffer.concat([
    message(NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, 0, NFNL_SUBSYS_NFTABLES),
    message(type, NLM_F_REQUEST | NLM_F_ACK, NFPROTO_INET, 0, attribute.bytes),
    message(NFNL_MSG_BATCH_END, NLM_F_REQUEST, 0, NFNL_SUBSYS_NFTABLES),
  ]);
  const packet = memory(batch.length);
  packet.bytes.set(batch);
  check(Number(libc.send(socket.fd, packet.bytes, batch.length, 0)), `delete table inet ${name}`);
  const reason = answer(socket.fd);
  // Without nf_tables in the kernel there is no table either.
  if (reason === ENOENT || reason === EOPNOTSUPP) return false;
  if (reason !== 0) throw new SyscallError(`delete table inet ${name}`, reason);
  return true;
}

function netfilterSocket(): OwnedFd {
  const type = SOCK_RAW | SOCK_CLOEXEC | O_NONBLOCK;
  return owned(check(libc.socket(AF_NETLINK, type, NETLINK_NETFILTER), "netlink socket"));
}

function message(
  type: number,
  flags: number,
  family: number,
  resource: number,
  attributes: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const { bytes, view } = memory(NLMSG_HDRLEN + NFGENMSG_LEN + attributes.length);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  view.setUint8(NLMSG_HDRLEN, family);
  view.setUint16(NLMSG_HDRLEN + 2, resource, false); // in network byte order
  bytes.set(attributes, NLMSG_HDRLEN + NFGENMSG_LEN);
  return bytes;
}

/** The errno of the first answer; the kernel has put it there before send(2) returned. */
function answer(socket: number): number {
  const { bytes, view } = memory(4096);
  const length = check(Number(libc.read(socket, bytes, bytes.length)), "read from netlink");
  const isError = length >= NLMSG_HDRLEN + 4 && view.getUint16(4, true) === NLMSG_ERROR;
  return isError ? -view.getInt32(NLMSG_HDRLEN, true) : 0;
}
