/**
 * state, list, ps, pause, resume, kill and delete: the same sequence of commands by runc and by thaw,
 * on containers made alike, gives the same status, output, errors and JSON log at every step.
 */

import { expect, test } from "bun:test";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Lab, must, run, THAW, waitFor } from "../support/lab.ts";
import { Twins } from "../support/side-by-side.ts";
import { steadyBundle } from "../support/steady.ts";

const annotated = (lab: Lab) =>
  steadyBundle(lab, (config) => {
    config.annotations = { "b.key": "1=2", "a.key": "<x> & y" };
  });

/** Ways to make a running container. */
const MADE: readonly (readonly [string, (lab: Lab, id: string) => void])[] = [
  ["by runc", (lab, id) => lab.start(annotated(lab), id)],
  [
    "by thaw restore",
    (lab, id) => {
      const bundle = annotated(lab);
      const image = lab.checkpointed(bundle, id);
      must(lab.restore(bundle, image, id));
    },
  ],
];

const ASKED = ["state ID", "list", "list -q", "list --format json", "list -f json -q"];

for (const [by, make] of MADE) {
  test(`a container made ${by}: running, paused, stopped, gone`, () => {
    using twins = new Twins(make);
    const steps = (...lines: string[]) => {
      for (const line of lines) twins.same(line);
    };
    steps(...ASKED, "ps --format json ID", "ps -f json ID", "ps ID -o pid,comm", "ps ID -o comm");
    steps("ps --format xml ID", "list --format xml", "kill ID 0", "kill --all ID 0", "kill ID +0");
    steps("kill ID bogus", "kill ID SIGbogus", "kill ID 99", "kill ID -1", "kill ID 0x9");
    steps("kill ID winch", "kill ID SigWinch", "kill ID URG", "kill ID 28", "kill ID RTMIN");
    steps("resume ID", "delete ID", "pause ID", "pause ID", ...ASKED);
    steps("ps --format json ID", "delete ID", "kill ID WINCH", "kill ID bogus");
    steps("resume ID", "resume ID", "state ID", "pause ID", "kill ID KILL");
    waitFor(() => twins.both.every(({ lab, id }) => lab.status(id) === "stopped"), "both to stop");
    steps(...ASKED, "kill ID", "kill ID KILL", "kill ID bogus", "kill --all ID 9", "kill -a ID");
    steps("pause ID", "resume ID", "ps ID", "ps --format json ID", "delete ID");
    steps(...ASKED, "delete ID", "delete --force ID", "delete -f ID", "pause ID", "resume ID");
    steps("ps ID", "ps --format json ID", "kill ID", "kill ID bogus", "kill --all ID 9");
  });
}

test("a running container is deleted by force, a paused one too, and a created one without", () => {
  for (const before of ["state ID", "pause ID"]) {
    using twins = new Twins((lab, id) => lab.start(steadyBundle(lab), id));
    for (const line of [before, "delete --force ID", "state ID", "list"]) twins.same(line);
  }
  using created = new Twins((lab, id) => {
    const bundle = steadyBundle(lab);
    const argv = ["runc", "--root", lab.root, "create", "--bundle", bundle.path, id];
    // The container keeps the descriptors: a pipe would be waited for.
    must(run(["sh", "-c", 'exec "$@" >/dev/null 2>&1', "sh", ...argv]));
  });
  for (const line of [...ASKED, "kill ID 0", "ps --format json ID", "resume ID"])
    created.same(line);
  for (const line of ["pause ID", "state ID", "resume ID", "state ID", "delete ID", "state ID"])
    created.same(line);
});

test("ids that cannot be one, and wrong numbers of arguments", () => {
  using twins = new Twins();
  for (const command of ["state", "pause", "resume", "ps", "kill", "delete", "delete -f"])
    for (const id of ["nosuch", "", "../x", "a/b", "."]) twins.same(`${command} ${id}`);
  const says = (...words: string[]) => {
    const { runc, thaw } = twins;
    const ends = [runc, thaw].map(({ runtime, lab }) => {
      const ran = run([runtime, "--root", lab.root, ...words]);
      return [ran.status, /requires .*(?=")/.exec(ran.stderr)?.[0], ran.stdout.slice(0, 15)];
    });
    expect(ends[1]).toEqual(ends[0] ?? []);
    expect(ends[1]?.[1]).toBeDefined();
  };
  for (const command of ["state", "pause", "resume", "delete"]) {
    says(command);
    says(command, "a", "b");
  }
  says("kill");
  says("kill", "a", "b", "c");
  says("ps");
  says("list", "x");
});

/** What may lie in a root, and how much of runc's message thaw's begins with. */
const DAMAGED = {
  empty: "",
  cut: '{"id":"x"',
  cutstring: '{"id":"x',
  text: "hello",
} as const;

test("a state.json that cannot be read is an error of that container alone", () => {
  using twins = new Twins((lab, id) => {
    lab.start(steadyBundle(lab), id);
    for (const [name, text] of Object.entries(DAMAGED)) {
      mkdirSync(join(lab.root, name));
      writeFileSync(join(lab.root, name, "state.json"), text);
    }
    mkdirSync(join(lab.root, "nothing"));
    writeFileSync(join(lab.root, "file"), "");
  });
  for (const line of ["list", "list -q", "list --format json"]) twins.same(line);
  for (const name of Object.keys(DAMAGED))
    for (const command of ["state", "kill", "ps", "pause", "resume", "delete", "delete -f"])
      twins.same(`${command} ${name}`);
  for (const command of ["state", "kill", "ps", "delete"]) twins.same(`${command} file`);
  for (const command of ["state nothing", "delete nothing", "list -q"]) twins.same(command);
  for (const { lab } of twins.both)
    for (const name of Object.keys(DAMAGED)) run(["rm", "-r", join(lab.root, name)]);
});

test("a state.json that makes runc panic is one clear error", () => {
  using twins = new Twins();
  const { lab } = twins.thaw;
  const texts = ["null", "{}", '{"id":5}', '{"id":"x","init_process_pid":1,"config":{}}', "[]"];
  for (const text of texts) {
    mkdirSync(join(lab.root, "x"), { recursive: true });
    writeFileSync(join(lab.root, "x", "state.json"), text);
    const { status, stderr } = lab.thaw(["state", "x"]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/msg="state.json has no \w+.*; .*\/x\/state.json is damaged: .*"\n$/);
    expect(lab.thaw(["list"]).status).toBe(0);
  }
  run(["rm", "-r", join(lab.root, "x")]);
});

test("a root that does not exist", () => {
  using twins = new Twins();
  for (const { runtime, lab } of twins.both) {
    const { status, stderr } = run([runtime, "--root", join(lab.path, "none"), "list"]);
    expect(status).toBe(1);
    expect(stderr).toContain(`open ${lab.path}/none: no such file or directory`);
  }
});

test("a mistyped id: the names like it are suggested", () => {
  using twins = new Twins((lab, id) => lab.start(steadyBundle(lab), id));
  const { lab, id } = twins.thaw;
  for (const wrong of [id.slice(0, -3), `${id}1`, id.replace("lab", "lba")]) {
    const { status, stderr } = lab.thaw(["state", wrong]);
    expect(status).toBe(1);
    expect(stderr).toContain(`container does not exist; there is no ${wrong} in ${lab.root}; `);
    expect(stderr).toContain(`did you mean ${id}?`);
  }
  expect(lab.thaw(["state", "quite-another"]).stderr).not.toContain("did you mean");
});

const ABOUT_ONE = [
  ...["state ID", "ps ID", "pause ID", "kill ID", "delete ID", "delete -f ID", "resume ID"],
  ...["events --stats ID", "update --memory 5m ID", "update --memory 5x ID", "kill ID 99"],
];

test("every error names the container, and to run thaw as root where that is missing", () => {
  using lab = new Lab();
  const id = lab.id();
  const thaw = join(lab.path, "thaw");
  copyFileSync(THAW, thaw); // nobody reaches the one that is built
  must(run(["chmod", "755", lab.path, thaw]));
  const nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", thaw];
  const says = (argv: readonly string[], line: string) => {
    const words = line.split(" ").map((word) => (word === "ID" ? id : word));
    return run([...argv, "--root", lab.root, ...words]);
  };
  lab.start(steadyBundle(lab), id);
  for (const line of ABOUT_ONE) {
    const { status, stderr } = says(nobody, line);
    expect([line, status]).toEqual([line, 1]);
    expect(stderr).toContain("permission denied");
    expect(stderr).toEndWith('run thaw as root"\n');
    expect(stderr).toContain(id);
  }
  expect(says(nobody, "list").stderr).toContain("permission denied; run thaw as root");
  const wrong = ["kill ID 99", "update --memory 5x ID", "restore -b /nonexistent ID"];
  const more = ["checkpoint --parent-path /x ID", "exec ID /nonexistent", "exec --cwd x ID sh"];
  for (const line of ["resume ID", "delete ID", ...wrong, ...more])
    expect(says([thaw], line)).toMatchObject({
      status: line.startsWith("exec") ? 255 : 1,
      stderr: expect.stringContaining(id),
    });
  // What cannot be an id breaks no line.
  const logged = says([thaw, "--log", join(lab.path, "log")], "state a\nb").stderr;
  expect(logged).toMatch(/^invalid container ID format; .*; container "a\\nb"\n$/);
  lab.delete(id);
  for (const line of ABOUT_ONE.filter((one) => !one.includes("-f")))
    expect(says([thaw], line)).toMatchObject({ status: 1, stderr: expect.stringContaining(id) });
});

test("pause returns when every process is frozen, however fast they fork", () => {
  using lab = new Lab();
  const id = lab.id();
  lab.start(lab.bundle("echo 1 > /tmp/n; while :; do busybox true; done"), id);
  const frozen = () => readFileSync(`/sys/fs/cgroup/freezer/${id}/freezer.state`, "utf8").trim();
  for (let round = 0; round < 10; round++) {
    must(lab.thaw(["pause", id]));
    expect(frozen()).toBe("FROZEN");
    must(lab.thaw(["resume", id]));
    expect(frozen()).toBe("THAWED");
  }
});
