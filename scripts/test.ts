/**
 * The whole test suite: `npm test`. Ends with `N passed, N failed`.
 *
 * Tests in a VM run beside those on this machine, each part's output is printed at its end.
 *
 * `npm test -- NAME…` runs only the parts whose name contains one of the words; THAW_SKIP_VM=1 leaves
 * the VM out, but not where CI is set.
 *
 * @module
 */

import { readdirSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "..");
const wanted = process.argv.slice(2);
const bun = process.execPath;

interface Part {
  readonly name: string;
  readonly argv: readonly string[];
}

const timeout = "--timeout=120000";

/** Runs a command in a mount namespace of its own, after a line of shell has changed it. */
const inNamespace = (change: string) => [
  ...["unshare", "-m", "--propagation", "private", "sh", "-c", `${change} && exec "$@"`, "sh"],
];

/** A systemd host has `/` shared; this machine may not. Mounts are tested both ways. */
const SHARED = inNamespace("mount --make-rshared /");

/** A host with cgroup v2 alone; where the machine is one, this changes nothing. */
const UNIFIED = inNamespace("umount -R -l /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup");

/** Tests of a host unlike this machine, in a VM: slow, as it is emulated. */
const inVm = (name: string, options: readonly string[], tests: readonly string[]): Part => ({
  name: `${name} (in a VM)`,
  argv: [
    ...["env", "THAW_VM_TIMEOUT=1200", "tests/support/vm.sh", ...options],
    ...["--", "tests/support/in-vm.sh", ...tests],
  ],
});
const file = (name: string) => `./tests/integration/${name}.test.ts`;

/** The criu of Debian 12, which does not work on a kernel newer than that one's. */
const OLD_CRIU: Part = {
  name: "criu 3.17 (in a VM)",
  argv: [
    ...["env", "THAW_VM_TIMEOUT=1200", "tests/support/vm-criu.sh", "bookworm"],
    ...["-t", "^restore (brings|takes the command line of p.haul)", file("restore")],
  ],
};

/** Podman, on a kernel that tracks memory. */
const PODMAN_AHEAD: Part = {
  name: "podman pre-dump (in a VM)",
  argv: [
    ...["env", "THAW_VM_TIMEOUT=1200", "tests/support/vm-callers.sh", "sid"],
    file("podman-pre-dump"),
  ],
};

/**
 * Real cgroup v2 hosts with all controllers and a kernel that tracks memory, and what most of them
 * have: systemd as pid 1.
 */
const VMS = [
  OLD_CRIU,
  PODMAN_AHEAD,
  inVm("cgroup2", [], ["cgroup2", "pre-dump"].map(file)),
  inVm(
    "cgroup2 with systemd",
    ["--systemd"],
    // Without those of many restores, which take minutes there.
    ["-t", "^(?!ten |of two |restore takes )", ...["systemd", "restore", "equality"].map(file)],
  ),
];

/** Files that need such a host, and cannot run here. */
const VM_ONLY = ["systemd.test.ts", "pre-dump.test.ts", "podman-pre-dump.test.ts"];

const CHECK: Part = { name: "check", argv: [bun, "scripts/check.ts"] };
const BUILD: Part = { name: "build", argv: [bun, "scripts/build.ts"] };

/** What runs on this machine. */
function hostParts(): Part[] {
  const integration = readdirSync(join(root, "tests/integration"))
    .filter((file) => file.endsWith(".test.ts") && !VM_ONLY.includes(file))
    .sort();
  const files = integration.map((file) => ({
    name: file.replace(".test.ts", ""),
    argv: [
      ...(file.startsWith("cgroup2") ? UNIFIED : []),
      ...[bun, "test", timeout, `./tests/integration/${file}`],
    ],
  }));
  return [
    { name: "unit", argv: [bun, "test", timeout, "./tests/unit"] },
    ...files,
    ...files
      .filter(({ name }) => name.startsWith("mounts"))
      .map(({ name, argv }) => ({ name: `${name} (on a shared /)`, argv: [...SHARED, ...argv] })),
    ...files
      .filter(({ name }) => name === "exec")
      .map(({ name, argv }) => ({ name: `${name} (on cgroup v2)`, argv: [...UNIFIED, ...argv] })),
  ];
}

/** Runs a part, passing its output on, and counts what it reports. */
async function run(part: Part): Promise<{ passed: number; failed: number }> {
  const child = Bun.spawn([...part.argv], {
    cwd: root,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, THAW: join(root, "dist/thaw") },
  });
  const [out, err, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const text = `${out}${err}`;
  process.stdout.write(`\n== ${part.name}\n${text}`);
  const count = (pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? 0);
  const passed = count(/^\s*(\d+) pass$/m) || count(/^checks: (\d+) passed/m);
  const failed = count(/^\s*(\d+) fail$/m) || count(/^checks: .* (\d+) failed$/m);
  if (passed + failed === 0)
    return status === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
  // A run that ended badly without a failed test (a crash, an error between tests) has failed.
  return { passed, failed: status === 0 ? failed : Math.max(1, failed) };
}

let passed = 0;
let failed = 0;
const times: string[] = [];

/** Runs parts one after the other. */
async function lane(parts: readonly Part[]): Promise<void> {
  for (const part of parts) {
    if (wanted.length > 0 && !wanted.some((word) => part.name.includes(word))) continue;
    const start = performance.now();
    const result = await run(part);
    passed += result.passed;
    failed += result.failed;
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    times.push(
      `${seconds.padStart(7)} s  ${part.name}: ${result.passed} passed, ${result.failed} failed`,
    );
  }
}

await lane([BUILD]);
const vms = process.env["THAW_SKIP_VM"] && !process.env["CI"] ? [] : VMS;
// A VM is a machine of its own, and so beside the others. These share cgroups and /tmp, and go in turn.
if (failed === 0) await Promise.all([lane(vms), lane([CHECK, ...hostParts()])]);
console.log(`\n${times.join("\n")}\n`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
