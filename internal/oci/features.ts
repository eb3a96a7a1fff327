/**
 * What thaw supports, as the specification's features.md and runc's `features` say it.
 *
 * It speaks for what thaw does itself: bringing containers back and handling them. What it leaves to
 * runc, such as making containers, is as the host's runc does it.
 *
 * @module
 */

import { CAPABILITIES } from "./capabilities.ts";
import { SPEC_VERSION } from "./config.ts";
import { NAMESPACES } from "./convert.ts";
import { MOUNT_OPTIONS } from "./mount-options.ts";
import { ACTIONS, ARCHITECTURES, OPERATORS } from "./seccomp.ts";

// In the order in which they are run.
const HOOKS = [
  "prestart",
  "createRuntime",
  "createContainer",
  "startContainer",
  "poststart",
  "poststop",
];
const SECCOMP_FLAGS = [
  "SECCOMP_FILTER_FLAG_TSYNC",
  "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
  "SECCOMP_FILTER_FLAG_LOG",
];
const ENABLED = { enabled: true };

/** The document, in runc's order. @param version thaw's own */
export function features(version: string, commit: string): object {
  const named = (prefix: string, names: readonly string[]) =>
    names.map((name) => `${prefix}${name}`).sort();
  return {
    ociVersionMin: "1.0.0",
    ociVersionMax: SPEC_VERSION,
    hooks: HOOKS,
    mountOptions: MOUNT_OPTIONS,
    linux: {
      namespaces: Object.keys(NAMESPACES).sort(),
      capabilities: CAPABILITIES,
      cgroup: { v1: true, v2: true, systemd: true, systemdUser: false, rdma: true },
      seccomp: {
        enabled: true,
        actions: named("SCMP_ACT_", ACTIONS),
        operators: named("SCMP_CMP_", OPERATORS),
        archs: named("SCMP_ARCH_", Object.keys(ARCHITECTURES)),
        knownFlags: SECCOMP_FLAGS,
        supportedFlags: SECCOMP_FLAGS,
      },
      apparmor: ENABLED,
      selinux: ENABLED,
      // Recorded, and left to runc where the host has it.
      intelRdt: { enabled: false },
      mountExtensions: { idmap: ENABLED },
    },
    annotations: {
      "org.opencontainers.runc.checkpoint.enabled": "true",
      "thaw.commit": commit,
      "thaw.version": version,
    },
    potentiallyUnsafeConfigAnnotations: ["bundle", "org.systemd.property.", "org.criu.config"],
  };
}
