/** Refusals of a configuration, in runc's words (libcontainer/configs/validate). @module */

import { accessSync, existsSync, realpathSync, statSync } from "node:fs";
import { ThawError } from "../errors/errors.ts";
import { wrapFs } from "../linux/libc.ts";
import { mounts } from "../linux/mount.ts";
import type { Config } from "./config.ts";

/**
 * Checks the configuration without touching anything.
 *
 * @throws ThawError with the text runc gives for the same config.json
 */
export function validateConfig(config: Config): void {
  const has = (type: string) => config.namespaces.some((namespace) => namespace.type === type);
  validateRootfs(config.rootfs);
  if (config.hostname !== "" && !has("NEWUTS"))
    throw new ThawError("unable to set hostname without a private UTS namespace");
  if (config.domainname !== "" && !has("NEWUTS"))
    throw new ThawError("unable to set domainname without a private UTS namespace");
  const hides = (config.mask_paths ?? []).length + (config.readonly_paths ?? []).length > 0;
  if (hides && !has("NEWNS"))
    throw new ThawError("unable to restrict sys entries without a private MNT namespace");
  validateUserNamespace(config, has("NEWUSER"));
  validateTimeNamespace(config, has("NEWTIME"));
  for (const key of Object.keys(config.sysctl ?? {})) validateSysctl(key, config);
  if ((config.process_label ?? "") !== "" && !existsSync("/sys/fs/selinux/enforce"))
    throw new ThawError(
      "selinux label is specified in config, but selinux is disabled or not supported",
    );
  validateIntelRdt(config.intel_rdt);
  for (const mount of config.mounts) {
    if (mount.id_mapping !== undefined && mount.device !== "bind")
      throw new ThawError(
        `invalid mount ${mount.destination}: id-mapped mounts are only supported for bind-mounts`,
      );
    if (mount.device === "bind" && mount.data !== "")
      throw new ThawError(
        `invalid mount {Source:${mount.source} Destination:${mount.destination}}: bind mounts cannot have any filesystem-specific options applied`,
      );
  }
}

function validateRootfs(rootfs: string): void {
  const clean = wrapFs(`invalid rootfs: stat ${rootfs}`, () => {
    statSync(rootfs);
    return realpathSync(rootfs);
  });
  if (clean !== rootfs)
    throw new ThawError("invalid rootfs: not an absolute path, or a symlink", {
      hint: `give the real path ${clean} as root.path in config.json`,
    });
  if (!statSync(rootfs).isDirectory())
    throw new ThawError(`invalid rootfs: ${rootfs} is not a directory`);
}

function validateUserNamespace(config: Config, has: boolean): void {
  const mapped = config.uid_mappings !== null || config.gid_mappings !== null;
  const path = config.namespaces.find(({ type }) => type === "NEWUSER")?.path ?? "";
  if (has && path === "" && !mapped)
    throw new ThawError("user namespaces enabled, but no uid mappings found", {
      hint: "set linux.uidMappings and linux.gidMappings in config.json",
    });
}

function validateTimeNamespace(config: Config, has: boolean): void {
  const path = config.namespaces.find(({ type }) => type === "NEWTIME")?.path ?? "";
  if (config.time_offsets !== undefined && !has)
    throw new ThawError(
      "time namespace offsets specified, but time namespace isn't enabled in the config",
    );
  if (config.time_offsets !== undefined && path !== "")
    throw new ThawError(
      "time namespace enabled, but both namespace path and time offsets specified -- you may only provide one",
    );
}

// runc finds resctrl by its mount; L3 and MB are what this host can control.
function validateIntelRdt(rdt: Config["intel_rdt"]): void {
  if (rdt === undefined) return;
  const { closID = "", l3_cache_schema = "", memBwSchema = "" } = rdt;
  if (closID === "." || closID === ".." || closID.includes("/"))
    throw new ThawError(`invalid intelRdt.ClosID ${JSON.stringify(closID)}`);
  if (l3_cache_schema === "" && memBwSchema === "") return;
  const root = mounts().find(({ fstype }) => fstype === "resctrl")?.mountpoint;
  const has = (resource: string) => root !== undefined && existsSync(`${root}/info/${resource}`);
  if (l3_cache_schema !== "" && !has("L3"))
    throw new ThawError(
      "intelRdt.l3CacheSchema is specified in config, but Intel RDT/CAT is not enabled",
    );
  if (memBwSchema !== "" && !has("MB"))
    throw new ThawError(
      "intelRdt.memBwSchema is specified in config, but Intel RDT/MBA is not enabled",
    );
}

const IPC_SYSCTLS = new Set([
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.sem",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
  "kernel.shm_rmid_forced",
]);

function validateSysctl(name: string, config: Config): void {
  const key = name.replaceAll("/", ".");
  const isPrivate = (type: string) => config.namespaces.some((n) => n.type === type);
  if (IPC_SYSCTLS.has(key) || key.startsWith("fs.mqueue.")) {
    if (!isPrivate("NEWIPC"))
      throw new ThawError(
        `sysctl ${JSON.stringify(name)} is not allowed in the hosts ipc namespace`,
      );
  } else if (key.startsWith("net.")) {
    if (!isPrivate("NEWNET"))
      throw new ThawError(`sysctl ${JSON.stringify(name)} not allowed in host network namespace`);
  } else if (key === "kernel.domainname" || key === "kernel.hostname") {
    if (!isPrivate("NEWUTS"))
      throw new ThawError(
        `sysctl ${JSON.stringify(name)} is not allowed in the hosts UTS namespace`,
      );
  } else {
    throw new ThawError(`sysctl ${JSON.stringify(name)} is not in a separate kernel namespace`);
  }
}

/**
 * Checks that the namespaces to join exist and can be joined by a restore.
 *
 * @throws ThawError `Requested network namespace /x does not exist`
 */
export function validateNamespacePaths(config: Config): void {
  for (const { type, path } of config.namespaces) {
    if (path === "") continue;
    if (type === "NEWCGROUP")
      throw new ThawError("Do not know how to handle namespace NEWCGROUP", {
        hint: "CRIU cannot join a cgroup namespace: take the path out of config.json",
      });
    try {
      accessSync(path);
    } catch {
      const word =
        type === "NEWNET" ? "network" : type === "NEWPID" ? "pid" : type.slice(3).toLowerCase();
      throw new ThawError(`Requested ${word} namespace ${path} does not exist`);
    }
  }
}
