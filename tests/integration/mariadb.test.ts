/** The story thaw is for: a database moves, and its clients do not notice. @module */

import { expect, test } from "bun:test";
import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
} from "node:fs";
import { join } from "node:path";
import { type Bundle, type Json, Lab, must, type Ran, run, THAW, traces } from "../support/lab.ts";
import {
  Client,
  database,
  expectUnbroken,
  type Row,
  rowsOf,
  SERVER,
  SOCKET,
  session,
  startDatabase,
  VERDICT,
  WHOLE,
  waitPatiently,
  wire,
} from "../support/mariadb.ts";

const ROUNDS = 3;

/** InnoDB holds locks on its files. */
const DUMP = ["--tcp-established", "--file-locks"];

const setNetwork = (config: Json, path: string) => {
  config.linux.namespaces.find((ns: Json) => ns.type === "network").path = path;
};

/** `thaw restore` with p.haul's command line: in the bundle, options before the id. */
function haul(
  lab: Lab,
  bundle: Bundle,
  image: string,
  id: string,
  tcp: readonly string[] = ["--tcp-established"],
): Ran {
  const work = join(lab.path, "work");
  mkdirSync(work, { recursive: true });
  const globals = ["--log", join(lab.path, "log"), "--log-format", "json"];
  const paths = ["--image-path", image, "--work-path", work];
  const flags = [...tcp, "--ext-unix-sk", "--empty-ns", "network", "--file-locks"];
  const args = [...globals, "restore", "-d", ...paths, ...flags];
  return lab.thaw([...args, "--pid-file", join(lab.path, "pid"), id], { cwd: bundle.path });
}

test("a database moves from host to host, and a client over the network goes on", () => {
  using lab = new Lab();
  using net = wire(lab);
  let here = database(lab, SERVER, (config) => setNetwork(config, net.hosts[0]));
  let there = lab.bundle(SERVER, (config) => setNetwork(config, net.hosts[1]));
  rmSync(there.rootfs, { recursive: true });
  const id = lab.id();
  startDatabase(lab, here, id);
  using client = new Client(lab, net);
  waitPatiently(() => client.rows().length > 5, "the first rows");
  for (let round = 0; round < ROUNDS; round++) {
    const image = lab.checkpoint(id, DUMP, round % 2 === 0 ? "thaw" : "runc");
    const before = client.rows().length;
    renameSync(here.rootfs, there.rootfs);
    [here, there] = [there, here];
    net.move();
    Bun.sleepSync(200);
    expect(client.rows()).toHaveLength(before);
    expect(haul(lab, here, image, id)).toEqual({ status: 0, stdout: "", stderr: "" });
    net.open();
    const pid = lab.state(id).init_process_pid;
    expect(readFileSync(join(lab.path, "pid"), "utf8")).toBe(String(pid));
    waitPatiently(() => client.rows().length > before + 5, `rows after restore ${round}`);
  }
  expect(client.errors()).toBe("");
  expectUnbroken(client.rows());
  expect(client.query(VERDICT)).toEqual({ status: 0, stdout: WHOLE, stderr: "" });
  // The server ends in order, as one that has never moved.
  must(client.query("shutdown"));
  waitPatiently(() => lab.status(id) === "stopped", "the server to shut down");
  lab.delete(id);
});

/** Server and client in one container. */
const BOTH = [
  "mariadbd &",
  `while ! [ -S ${SOCKET} ]; do sleep 0.1; done`,
  `${session("mariadb --host=127.0.0.1")} >/tmp/client 2>/tmp/errors`,
].join("\n");

/** A database with a client in the same container, which has written some rows. */
function selfContained(lab: Lab): { bundle: Bundle; id: string; rows: () => Row[] } {
  const bundle = database(lab, BOTH);
  const rows = () => rowsOf(join(bundle.rootfs, "tmp/client"));
  const id = lab.id();
  startDatabase(lab, bundle, id);
  waitPatiently(() => rows().length > 5, "the first rows");
  return { bundle, id, rows };
}

/** The session inside has gone on without a complaint, and the table is whole. */
function expectWhole(lab: Lab, bundle: Bundle, id: string, rows: readonly Row[]): void {
  expect(readFileSync(join(bundle.rootfs, "tmp/errors"), "utf8")).toBe("");
  expectUnbroken(rows);
  const query = ["mariadb", "--host=127.0.0.1", "--skip-ssl-verify-server-cert", "-BN", "-e"];
  expect(must(lab.runc(["exec", id, ...query, VERDICT, "test"])).stdout).toBe(WHOLE);
}

test("a database moves with a client over 127.0.0.1, which runc cannot bring back", () => {
  using lab = new Lab();
  const { bundle, id, rows } = selfContained(lab);
  for (let round = 0; round < ROUNDS; round++) {
    const image = lab.checkpoint(id, DUMP, "thaw");
    const before = rows().length;
    if (round === 0) {
      const runc = ["restore", "-d", "--bundle", bundle.path, "--image-path", image, ...DUMP, id];
      expect(lab.runc(runc).stderr).toContain("Network is unreachable");
    }
    expect(haul(lab, bundle, image, id)).toEqual({ status: 0, stdout: "", stderr: "" });
    waitPatiently(() => rows().length > before + 5, `rows after restore ${round}`);
  }
  expectWhole(lab, bundle, id, rows());
  lab.delete(id);
});

test("restores that fail say why and harm nothing: the database comes back afterwards", () => {
  using lab = new Lab();
  const { bundle, id, rows } = selfContained(lab);
  const image = lab.checkpoint(id, DUMP);
  const before = rows().length;
  const clean = traces(lab);
  const withoutTcp = haul(lab, bundle, image, id, []);
  expect(withoutTcp).toMatchObject({ status: 1, stdout: "" });
  expect(withoutTcp.stderr).toContain(
    "holds an established TCP connection; restore with --tcp-established,",
  );
  // Somebody has written to the data directory since.
  const table = join(bundle.rootfs, "var/lib/mysql/test/t.ibd");
  const { size } = statSync(table);
  appendFileSync(table, "x");
  const changed = haul(lab, bundle, image, id);
  expect(changed).toMatchObject({ status: 1, stdout: "" });
  expect(changed.stderr).toContain(
    `/var/lib/mysql/test/t.ibd has ${size + 1} bytes and had ${size} when the checkpoint was made;`,
  );
  expect(traces(lab)).toEqual(clean);

  truncateSync(table, size);
  must(haul(lab, bundle, image, id));
  waitPatiently(() => rows().length > before + 5, "rows after the restore");
  expectWhole(lab, bundle, id, rows());
  lab.delete(id);
});

test("with --tcp-close the client is told, and the server takes new ones", () => {
  using lab = new Lab();
  using net = wire(lab);
  const bundle = database(lab, SERVER, (config) => setNetwork(config, net.hosts[0]));
  const id = lab.id();
  startDatabase(lab, bundle, id);
  using client = new Client(lab, net);
  waitPatiently(() => client.rows().length > 5, "the first rows");
  // A client that waits for an answer would wait on: nothing tells it that none will come.
  client.signal("SIGSTOP");
  Bun.sleepSync(300);
  const image = lab.checkpoint(id, DUMP);
  // Forgetting the flag costs nothing: the connection's packets are still dropped.
  expect(haul(lab, bundle, image, id, [])).toMatchObject({ status: 1 });
  const rules = run(["nsenter", `--net=${net.hosts[0]}`, "iptables", "-S"]);
  expect(rules.stdout).toContain("-A CRIU -j DROP");
  expect(haul(lab, bundle, image, id, ["--tcp-close"]).stderr).toBe("");
  const sessions = "select count(*) from information_schema.processlist where command != 'Daemon'";
  expect(client.query(`${VERDICT} ${sessions}`).stdout).toBe(`${WHOLE}1\n`);
  client.signal("SIGCONT");
  waitPatiently(() => /ERROR 20\d\d .*server/.test(client.errors()), "the client's error");
  expectUnbroken(client.rows());
  lab.delete(id);
});

/** How many file locks a process holds, and how many it waits for. */
function locksOf(pid: number): { held: number; awaited: number } {
  const lines = readFileSync("/proc/locks", "utf8").split("\n");
  const own = lines.filter((line) => line.split(/ +/).includes(String(pid)));
  const awaited = own.filter((line) => line.includes("->")).length;
  return { held: own.length - awaited, awaited };
}

const initOf = (lab: Lab, id: string): number => lab.state(id).init_process_pid;

test("file locks come back without --file-locks too, which runc forgets", () => {
  using lab = new Lab();
  const bundle = database(lab, SERVER);
  const id = lab.id();
  startDatabase(lab, bundle, id);
  const { held } = locksOf(initOf(lab, id));
  expect(held).toBeGreaterThan(0);
  const refused = lab.thaw(["checkpoint", "--image-path", join(lab.path, "refused"), id]);
  expect(refused.status).toBe(1);
  expect(refused.stderr).toContain("a process has locked a file; checkpoint with --file-locks;");
  expect(locksOf(initOf(lab, id)).held).toBe(held);
  const image = lab.checkpoint(id, ["--file-locks"]);
  for (const flags of [[], ["--file-locks"]]) {
    must(lab.restore(bundle, image, id, flags));
    expect(locksOf(initOf(lab, id))).toEqual({ held, awaited: 0 });
    lab.delete(id);
  }
  must(lab.runc(["restore", "-d", "--bundle", bundle.path, "--image-path", image, id]));
  expect(locksOf(initOf(lab, id)).held).toBe(0);
  lab.delete(id);
});

test("a database that still runs is not restored beside itself, nor waited for for ever", async () => {
  using lab = new Lab();
  const bundle = database(lab, SERVER);
  const id = lab.id();
  startDatabase(lab, bundle, id);
  const image = lab.checkpoint(id, ["--file-locks", "--leave-running"]);
  const clean = traces(lab);
  const other = lab.id();
  const ran = lab.restore(bundle, image, other);
  expect(ran.status).toBe(1);
  const file = /restore: \/var\/lib\/mysql\/\w+, which the container had locked, /.exec(ran.stderr);
  expect(file).not.toBeNull();
  expect(ran.stderr).toContain(`is locked by process ${initOf(lab, id)} (mariadbd); end that`);
  expect(traces(lab)).toEqual(clean);

  // One that ends in time is waited for.
  const flags = ["restore", "-d", "--bundle", bundle.path, "--image-path", image, other];
  const stdio = ["ignore", "ignore", "ignore"] as const;
  const waiting = Bun.spawn([THAW, "--root", lab.root, ...flags], { stdio: [...stdio] });
  const isBlocked = () => /-> POSIX/.test(readFileSync("/proc/locks", "utf8"));
  waitPatiently(isBlocked, "the restore to wait for the lock");
  process.kill(initOf(lab, id), "SIGKILL");
  expect(await waiting.exited).toBe(0);
  expect(lab.status(other)).toBe("running");
  lab.delete(other);
});
