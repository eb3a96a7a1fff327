/** Refusals of a configuration, in runc's words (libcontainer/configs/validate). @module */

import { accessSync, existsSync, realpathSync, statSync } from "node:fs";
import { ThawError } from "../errors/errors.ts";
import { wrapFs } from "../linux/libc.ts";
import { mounts } from "../linux/mount.ts";
import type { Config, Mount } from "./config.ts";
import { validateScheduling } from "./scheduling.ts";

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
  for (const mount of config.mounts) validateMount(mount);
  validateScheduling(config);
}

function validateMount({ source, destination, device, data, id_mapping: map }: Mount): void {
  const invalid = (why: string) =>
    new ThawError(`invalid mount {Source:${source} Destination:${destination}}: ${why}`);
  if (map !== undefined && device !== "bind")
    throw invalid("id-mapped mounts are only supported for bind-mounts");
  if (map !== undefined && (map.uid_mappings === null || map.gid_mappings === null))
    throw invalid("id-mapped mounts must have both uid and gid mappings specified");
  if (device === "bind" && data !== "")
    throw invalid("bind mounts cannot have any filesystem-specific options applied");
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
  const path = config.namespaces.find(({ type }) => type === "NEWUSER")?.path ?? "";
  if (!has || path !== "") return;
  for (const kind of ["uid", "gid"] as const) {
    if ((config[`${kind}_mappings`] ?? []).length === 0)
      throw new ThawError(`user namespaces enabled, but no ${kind} mappings found`, {
        hint: "set linux.uidMappings and linux.gidMappings in config.json",
      });
  }
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

// A key may be written with slashes, and dots where a name has one (sysctl.d(5)).
function withDots(name: string): string {
  if (/[./]/.exec(name)?.[0] !== "/") return name;
  return name.replaceAll(/[./]/g, (sign) => (sign === "." ? "/" : "."));
}

function validateSysctl(name: string, config: Config): void {
  const key = withDots(name);
  const shown = `sysctl ${JSON.stringify(key)}`;
  const isPrivate = (type: string) => config.namespaces.some((n) => n.type === type);
  if (IPC_SYSCTLS.has(key) || key.startsWith("fs.mqueue.")) {
    if (!isPrivate("NEWIPC"))
      throw new ThawError(`${shown} is not allowed in the hosts ipc namespace`);
  } else if (key.startsWith("net.")) {
    if (!isPrivate("NEWNET")) throw new ThawError(`${shown} not allowed in host network namespace`);
  } else if (isPrivate("NEWUTS") && key === "kernel.hostname") {
    throw new ThawError(`${shown} is not allowed as it conflicts with the OCI "hostname" field`);
  } else if (!isPrivate("NEWUTS") || key !== "kernel.domainname") {
    throw new ThawError(`${shown} is not in a separate kernel namespace`);
  }
}

// As config.json calls them.
const WORDS: Readonly<Record<string, string>> = {
  NEWNET: "network",
  NEWPID: "pid",
  NEWIPC: "ipc",
  NEWUTS: "uts",
  NEWNS: "mount",
  NEWUSER: "user",
  NEWTIME: "time",
};

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
      throw new ThawError(`Requested ${WORDS[type] ?? type} namespace ${path} does not exist`);
    }
  }
}
