/**
 * MariaDB in a container, and clients whose one long session must outlive checkpoint and restore.
 *
 * A session counts in a variable and writes each value, with the connection's id, into a table:
 * a client or server that had quietly connected anew would start with another id and no variable.
 *
 * @module
 */

import { expect } from "bun:test";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  type Bundle,
  type Json,
  type Lab,
  must,
  networkNamespace,
  type Ran,
  run,
  waitFor,
} from "./lab.ts";

/** Where mariadb.sh has put rootfs and client, made on first use; throws what it said. */
function prepared(): string {
  const script = join(import.meta.dir, "mariadb.sh");
  return must(run(["sh", script], { timeout: 600_000 })).stdout.trim();
}

const MARIADB = prepared();

/** The root filesystem to be copied, or made an image of. */
export const MARIADB_ROOTFS = join(MARIADB, "rootfs");

/** The container's script with the server alone, which listens on every address. */
export const SERVER = "exec mariadbd";

/** The server's socket: there when it answers. */
export const SOCKET = "/run/mariadb.sock";

// A server on a busy machine takes its time, in milliseconds.
const PATIENCE = 60_000;

/** Waits for what a server or client does, at most a minute. */
export const waitPatiently = (condition: () => boolean, what: string): void =>
  waitFor(condition, what, PATIENCE);

/** `runc run -d`, and waits until the server answers. */
export function startDatabase(lab: Lab, bundle: Bundle, id: string): void {
  lab.start(bundle, id, "run");
  waitPatiently(() => existsSync(join(bundle.rootfs, SOCKET)), `the server ${id}`);
}

/** Makes a bundle with MariaDB and a fresh data directory, running a shell script. */
export function database(lab: Lab, script: string, change?: (config: Json) => void): Bundle {
  const bundle = lab.bundle(script, change);
  rmSync(bundle.rootfs, { recursive: true });
  must(run(["cp", "-a", MARIADB_ROOTFS, bundle.rootfs]));
  return bundle;
}

/** The server's address. */
export const ADDRESS = "10.0.0.1";

/** A client's network namespace with a wire to the server's, which is on one of two hosts. */
export interface Wire extends Disposable {
  /** Path of the client's network namespace. */
  readonly client: string;
  /** Paths of the network namespaces of the two hosts; the wire begins at the first. */
  readonly hosts: readonly [string, string];
  /**
   * Takes the server's end, with its address, to the other host, where nothing gets in yet: a
   * packet for the connection would be answered with a reset, as long as no process has it.
   */
  move(): void;
  /** Lets packets in, once the server is there. */
  open(): void;
}

/** Makes a wire whose names no other lab uses; it is gone with the test. */
export function wire(lab: Lab): Wire {
  using undo = new DisposableStack();
  const namespace = () => undo.use(networkNamespace(lab.id()));
  const client = namespace();
  let [here, there] = [namespace(), namespace()];
  const ip = (netns: { name: string }, ...args: string[]) =>
    must(run(["ip", "-n", netns.name, ...args]));
  const raise = (netns: { name: string }, address: string) => {
    ip(netns, "address", "add", `${address}/24`, "dev", "eth0");
    for (const link of ["lo", "eth0"]) ip(netns, "link", "set", link, "up");
  };
  const filter = (netns: { path: string }, act: string) =>
    must(
      run(["nsenter", `--net=${netns.path}`, "iptables", act, "INPUT", "-i", "eth0", "-j", "DROP"]),
    );
  const hosts = [here.path, there.path] as const;
  ip(client, "link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", here.name);
  raise(client, "10.0.0.2");
  raise(here, ADDRESS);
  const made = undo.move();
  return {
    client: client.path,
    hosts,
    move: () => {
      filter(there, "-I");
      ip(here, "link", "set", "eth0", "netns", there.name);
      [here, there] = [there, here];
      raise(here, ADDRESS);
    },
    open: () => filter(here, "-D"),
    [Symbol.dispose]: () => made.dispose(),
  };
}

const SETUP = "create table t (x int primary key, c int); set @x = 0;";
// The server does the waiting: a shell that starts a sleep may be caught half-way, and the loop is
// ahead of the client until the pipe is full.
const STEP =
  "set @x = @x + 1; insert into t values (@x, connection_id()); select @x, connection_id(); do sleep(0.1);";
// The server's certificate is its own, so it cannot be verified; the session is encrypted all the same.
const FLAGS = "--skip-ssl-verify-server-cert --skip-reconnect --batch --skip-column-names";

/** A shell command that runs a session by a client's command line until it is killed. */
export const session = (client: string) =>
  `{ echo "${SETUP}"; while echo "${STEP}"; do :; done; } | ${client} ${FLAGS} --unbuffered test`;

/** A row of a session's output: the variable, and the connection's id. */
export type Row = readonly [x: number, connection: number];

/** The rows a session has written to a file so far; only whole lines count. */
export function rowsOf(file: string): Row[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => line.split("\t").map(Number) as unknown as Row);
}

/** Expects that every row follows the one before, on the same connection. */
export function expectUnbroken(rows: readonly Row[]): void {
  const connection = rows[0]?.[1];
  expect(connection).toBeGreaterThan(0);
  expect(rows).toEqual(rows.map((_, i) => [i + 1, connection] as Row));
}

/** A client at the client's end of a wire, with one session. */
export class Client implements Disposable {
  readonly #command: readonly string[];
  readonly #out: string;
  readonly #child: Bun.Subprocess;

  constructor(lab: Lab, { client }: Pick<Wire, "client">) {
    const enter = ["nsenter", `--net=${client}`];
    this.#command = [...enter, join(MARIADB, "mariadb"), `--host=${ADDRESS}`];
    this.#out = join(lab.path, "client");
    // A process group of its own: the shell, its loop and the client end together.
    this.#child = Bun.spawn(["sh", "-c", session(this.#command.join(" "))], {
      cwd: "/",
      detached: true,
      stdin: "ignore",
      stdout: Bun.file(this.#out),
      stderr: Bun.file(`${this.#out}.err`),
    });
  }

  /** What the session has written so far. */
  rows(): Row[] {
    return rowsOf(this.#out);
  }

  /** What the session complained of. */
  errors(): string {
    return readFileSync(`${this.#out}.err`, "utf8");
  }

  /** Runs statements in a connection of their own. */
  query(sql: string): Ran {
    return run([...this.#command, ...FLAGS.split(" "), "-e", sql, "test"]);
  }

  /** Stops the session, or lets it go on: SIGSTOP, SIGCONT. */
  signal(name: NodeJS.Signals): void {
    process.kill(-this.#child.pid, name);
  }

  [Symbol.dispose](): void {
    try {
      this.signal("SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

/** Says that the table is whole: as many rows as the counter has reached, all of one connection. */
export const VERDICT =
  "select count(*) = max(x), count(distinct c) from t; check table t; check table mysql.db;";

/** What {@link VERDICT} prints for a table that is. */
export const WHOLE = "1\t1\ntest.t\tcheck\tstatus\tOK\nmysql.db\tcheck\tstatus\tOK\n";
