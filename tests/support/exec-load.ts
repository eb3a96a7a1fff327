/**
 * Executes programs in a container from one process that does everything else, too: threads that
 * allocate, compile and read files while it starts them. `exec-load.ts ROOT ID COUNT`.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { exec } from "../../internal/exec/exec.ts";
import { libc, memory } from "../../internal/linux/libc.ts";
import { openLog } from "../../internal/log/log.ts";

const [root = "", id = "", count = "0"] = process.argv.slice(2);

const source = `
  let kept = [];
  const work = () => {
    for (let i = 0; i < 200; i++) kept.push({ i, text: String(i).repeat(50), list: new Array(100).fill(i) });
    if (kept.length > 5000) kept = [];
    const f = new Function("a", "return a * " + Math.random() + " + " + Date.now());
    for (let i = 0; i < 1000; i++) f(i);
    setTimeout(work, 0);
  };
  work();
`;
const worker = new Worker(URL.createObjectURL(new Blob([source])));

let reads = 0;
let ended = false;
async function read(): Promise<void> {
  while (!ended) {
    await Promise.all(
      ["/proc/self/maps", "/etc/passwd", import.meta.path].map((file) => Bun.file(file).text()),
    );
    reads++;
  }
}
const readers = [read(), read()];

const log = openLog({ path: undefined, format: "text", debug: false });
const base = {
  id,
  root,
  log,
  process: undefined,
  cwd: undefined,
  env: [],
  user: undefined,
  additionalGids: [],
  capabilities: [],
  noNewPrivileges: undefined,
  processLabel: undefined,
  appArmor: undefined,
  terminal: false,
  detach: true,
  pidFile: undefined,
  consoleSocket: undefined,
  pidfdSocket: undefined,
  preserveFds: 0,
  ignorePaused: false,
  cgroups: [],
};

/** The status of a child that has ended, or undefined. */
function reap(): number | undefined {
  const status = memory(4);
  const pid = libc.waitpid(-1, status.bytes, 1);
  return pid > 0 ? status.view.getInt32(0, true) : undefined;
}

const statuses = new Map<number, number>();
let pending = 0;
const collect = () => {
  for (let status = reap(); status !== undefined; status = reap()) {
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    pending--;
  }
};
const own = readFileSync("/proc/self/status", "utf8").match(/^FDSize.*$/m)?.[0];
for (let i = 0; i < Number(count); i++) {
  const garbage = Array.from({ length: 2000 }, (_, n) => ({ n, text: `${n}`.repeat(20) }));
  await exec({
    ...base,
    command: ["/bin/sh", "-c", `echo ${i} >> /tmp/load; exit ${garbage.length % 7}`],
  });
  pending++;
  if (i % 50 === 0) Bun.gc(true);
  collect();
}
while (pending > 0) {
  await Bun.sleep(5);
  collect();
}
ended = true;
await Promise.all(readers);
worker.terminate();
console.log(JSON.stringify({ statuses: [...statuses], reads: reads > 0, own }));
