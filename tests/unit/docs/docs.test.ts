/** What is written and made for people to read: true to the program, and readable. @module */

import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { shownCommands } from "../../../cmd/command.ts";
import { commands, handedToRunc } from "../../../cmd/commands.ts";
import { globalFlags } from "../../../cmd/globals.ts";
import { DUMP_RULES } from "../../../internal/criu/dump-rules.ts";
import { RULES } from "../../../internal/criu/rules.ts";
import { argument, examples, plain, render } from "../../../scripts/docs/mdoc.ts";
import { made } from "../../../scripts/docs.ts";

const root = join(import.meta.dir, "../../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const sources = ["cmd", "internal"]
  .flatMap((room) =>
    readdirSync(join(root, room), { recursive: true, encoding: "utf8" }).map(
      (file) => `${room}/${file}`,
    ),
  )
  .filter((path) => path.endsWith(".ts") && !path.includes("/gen/"))
  .map(read)
  .join("\n");

describe("docs/troubleshooting.md", () => {
  const text = read("docs/troubleshooting.md");
  const byHand = text.replaceAll(/<!-- made by.*?<!-- end -->/gs, "");
  const messages = [...byHand.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell = ""]) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, message = ""]) => message),
  );

  test("it tells of the refusals people meet most", () => {
    expect(messages.length).toBeGreaterThanOrEqual(10);
  });

  test.each(messages)("thaw can say: %s", (message) => {
    const fixed = message.replaceAll(/^…:?\s*|\s*…$/g, "").split("…");
    const pattern = fixed.map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    expect(sources).toMatch(new RegExp(pattern.join("\\$\\{[^}]*\\}")));
  });

  test("it shows every error of CRIU that thaw explains", () => {
    for (const { example } of [...RULES, ...DUMP_RULES])
      expect(text).toContain(`| \`${example}\` | `);
    expect(text.split("\n").filter((line) => /^\| .*\$\d/.test(line))).toEqual([]);
  });
});

test.each(["containerd", "podman"])("each flow in docs/%s.md is in a test", (caller) => {
  const [, table = ""] = read(`docs/${caller}.md`).split("## Flows");
  const flows = [...table.matchAll(/^\| (`.*?|a .*?) \| \d/gm)].map(([, flow = ""]) => flow);
  const tests = ["", "-pre-dump"]
    .map((part) => join(root, `tests/integration/${caller}${part}.test.ts`))
    .filter(existsSync)
    .map((path) => readFileSync(path, "utf8"))
    .join("\n");
  expect(flows.length).toBeGreaterThan(15);
  expect(flows.filter((flow) => !tests.includes(`"${flow}"`))).toEqual([]);
});

test("what is made is the same each time, and committed", async () => {
  const files = await made();
  expect([...files]).toEqual([...(await made())]);
  for (const [path, text] of files) expect(read(path) === text || path).toBe(true);
});

describe("manual pages", () => {
  const names = ["thaw", ...shownCommands(commands).map(([name]) => `thaw-${name}`)];
  const pages = names.map((name) => join(root, "docs/man", `${name}.8`));
  const rendered = (path: string, argv: readonly string[]) => {
    const { exitCode, stdout, stderr } = Bun.spawnSync([...argv, path]);
    return {
      exitCode,
      text: stdout.toString(),
      stderr: stderr.toString().replaceAll(/^.*outdated mandoc.db.*\n/gm, ""),
    };
  };

  test("there is one for each command, and no other", () => {
    expect(readdirSync(join(root, "docs/man")).sort()).toEqual(names.map((n) => `${n}.8`).sort());
  });

  test("thaw(8) tells of what is left to runc, too", () => {
    for (const name of Object.keys(handedToRunc))
      expect(read("docs/man/thaw.8")).toContain(`.It Cm ${name}\n`);
  });

  const mandoc = Bun.which("mandoc") === null;
  test.skipIf(mandoc).each(pages)("mandoc has nothing to warn of in %s", (path) => {
    const { stderr, text } = rendered(path, ["mandoc", "-Tlint", "-Wwarning"]);
    expect(`${text}${stderr}`).toBe("");
  });

  const groff = Bun.which("groff") === null;
  test.skipIf(groff).each(pages)("groff has nothing to warn of in %s", (path) => {
    const { exitCode, text, stderr } = rendered(path, [
      "groff",
      "-mdoc",
      "-Tascii",
      "-P-cbu",
      "-ww",
    ]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(text).toContain("SEE ALSO");
  });

  test.skipIf(groff)("every flag is shown with what it takes", async () => {
    const tables = await Promise.all(
      shownCommands(commands).map(async ([, { load }]) => (await load()).flags),
    );
    [globalFlags, ...tables].forEach((flags, i) => {
      const { text } = rendered(pages[i] ?? "", ["groff", "-mdoc", "-Tascii", "-P-cbu"]);
      for (const [name, flag] of Object.entries(flags)) {
        if ("hidden" in flag) expect(text).not.toContain(`--${name}\n`);
        // What is short has its text beside it.
        else
          expect(text).toMatch(
            new RegExp(
              `--${name}${"valueHint" in flag ? ` ${flag.valueHint?.replaceAll(/[[\]]/g, "\\$&")}` : ""}(\\n|  )`,
            ),
          );
      }
    });
  });
});

describe("mdoc", () => {
  test.each<[string, string]>([
    [".profile is read", "\\&.profile is read"],
    ["'quoted' text", "\\&'quoted' text"],
    ["a\\b", "a\\eb"],
    ["e.g. this", "e.g. this"],
  ])("plain(%j) is text and no request", (text, made) => {
    expect(plain(text)).toBe(made);
  });

  test("argument() quotes", () => {
    expect(argument('No "x"')).toBe('"No ""x"""');
  });

  test("render() starts a line with each sentence, breaks long ones, and guards what begins a line", () => {
    const long = `${"word ".repeat(15)}.hidden and 'more' of it. Another one. e.g. not`;
    const text = render(
      { name: "x", summary: "s", sections: [["DESCRIPTION", [long, ".Pp"]]] },
      "1",
      "May 1, 2026",
    );
    const body = text.split(".Sh DESCRIPTION\n")[1];
    expect(body).toBe(
      `${"word ".repeat(15).trim()}\n\\&.hidden and 'more' of it.\nAnother one. e.g. not\n.Pp\n`,
    );
  });

  test("examples() takes comments as text and leaves the rest as it is", () => {
    expect(examples("# one thing\na 'b' \\\n.c\n# two.\nd")).toEqual([
      "One thing:",
      ".Bd -literal -offset 4n",
      "a 'b' \\e",
      "\\&.c",
      ".Ed",
      ".Pp",
      "Two:",
      ".Bd -literal -offset 4n",
      "d",
      ".Ed",
    ]);
    expect(examples("d")).toEqual([".Bd -literal -offset 4n", "d", ".Ed"]);
  });
});
