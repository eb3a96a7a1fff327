/** The manual pages: what the tables say, and around it what is written here. @module */

import { type Command, shownCommands } from "../../cmd/command.ts";
import { commands, handedToRunc } from "../../cmd/commands.ts";
import { globalFlags } from "../../cmd/globals.ts";
import { argument, examples, flagList, list, type Page, plain, sentence } from "./mdoc.ts";

type Sections = Page["sections"];

const ENVIRONMENT: readonly (readonly [string, readonly string[]])[] = [
  [
    "Ev PATH",
    [
      "Where",
      ".Xr criu 8",
      "is looked for; CRIU looks there for",
      ".Xr tar 1 ,",
      ".Xr gzip 1 ,",
      ".Xr ip 8",
      "and",
      ".Xr iptables-restore 8 .",
      "Relative entries are passed over.",
    ],
  ],
  [
    "Ev THAW_RUNC",
    [
      "The runc that runs the commands which thaw leaves to it, instead of the first on",
      ".Ev PATH",
      "that is not thaw itself.",
    ],
  ],
  ["Ev NOTIFY_SOCKET", ["When set, the container gets", ".Pa /run/notify ,", "as from runc."]],
  ["Ev NO_COLOR", ["When set and not empty, nothing is bold or coloured on a terminal."]],
  [
    "Ev CRIU_LIBS_DIR , Ev CRIU_CONFIG_FILE , Ev CR_IPTABLES , Ev CR_IP_TOOL",
    ["CRIU's own: passed on to it, as the whole environment is."],
  ],
];

const FILES: readonly (readonly [string, readonly string[]])[] = [
  [
    "Pa /run/runc/ID/state.json",
    ["The state of a container, as runc writes it.", "Another directory:", ".Fl -root ."],
  ],
  [
    "Pa /run/runc/ID/lazy-pages.json",
    ["Exists as long as memory of the container has not arrived", ".Pq Fl -lazy-pages ."],
  ],
  [
    "Pa /run/runc/ID/thaw.json",
    ["The restore under way.", "Left behind only by a restore that was killed."],
  ],
  ["Pa restore.log , Pa stats-restore", ["CRIU's log and figures, in the work directory."]],
  [
    "Pa /etc/criu/runc.conf",
    ["CRIU's options, unless the annotation", ".Dq org.criu.config", "names another file."],
  ],
  ["Pa config.json", ["The container's configuration, in the bundle."]],
];

const SIGNALS = [
  "While a container is being restored,",
  ".Dv SIGTERM ,",
  ".Dv SIGINT",
  "and",
  ".Dv SIGHUP",
  "undo everything made so far;",
  "the exit status is 1.",
  "Once the container runs,",
  ".Nm",
  "without",
  ".Fl -detach",
  "passes the signals it gets on to it.",
  ".Dv SIGKILL",
  "may leave the container's directory in the state root and empty cgroups, never a mount:",
  ".Dq thaw delete -f ID",
  "clears them away, and the half-made container of a CRIU that was killed too.",
];

const CHECKPOINT_SIGNALS = [
  ".Dv SIGTERM ,",
  ".Dv SIGINT",
  "and",
  ".Dv SIGHUP",
  "give the checkpoint up: CRIU lets the container go on, which is waited for, what was written is",
  "removed, and the exit status is 1.",
  "A second signal leaves that to CRIU.",
  "A signal that comes when everything is written is too late: the exit status is 0.",
  "After",
  ".Dv SIGKILL",
  "CRIU lets the container go on by itself; the half-written images have no",
  ".Pa descriptors.json ,",
  "without which no restore takes them for a checkpoint.",
];

const CHECKPOINT_FILES: readonly (readonly [string, readonly string[]])[] = [
  [
    "Pa descriptors.json",
    ["In the image path, written last: what the standard streams of the container were."],
  ],
  ["Pa dump.log , Pa stats-dump", ["CRIU's log and figures, in the work directory."]],
  [
    "Pa /run/runc/ID/checkpoint",
    ["An empty file, as from runc: the container has been checkpointed and left running."],
  ],
  [
    "Pa /etc/criu/runc.conf",
    ["CRIU's options, unless the annotation", ".Dq org.criu.config", "names another file."],
  ],
];

const RESTORE_STATUS = [
  "With",
  ".Fl -detach ,",
  "0 when the container runs.",
  "Without it, the exit status of the container's first process, or 128 plus the number of the",
  "signal that ended it.",
  "1 on any error.",
];

const EXEC_SIGNALS = [
  "Until the program runs,",
  ".Dv SIGTERM ,",
  ".Dv SIGINT",
  "and",
  ".Dv SIGHUP",
  "end what has been started.",
  "Then",
  ".Nm thaw exec",
  "without",
  ".Fl -detach",
  "passes the signals it gets on to it.",
  "After",
  ".Dv SIGKILL",
  "the program runs, or nothing of it has been left.",
];

const EXEC_STATUS = [
  "With",
  ".Fl -detach ,",
  "0 when the program runs.",
  "Without it, the exit status of the program, or 128 plus the number of the signal that ended it.",
  "255 when it could not be executed, and 1 for mistakes in the options.",
];

/** Written by hand: the sections of a command's page after its options and before its examples. */
const BY_HAND: Readonly<Record<string, Sections>> = {
  checkpoint: [
    ["SIGNALS", CHECKPOINT_SIGNALS],
    ["FILES", list(CHECKPOINT_FILES)],
    [
      "EXIT STATUS",
      [
        "0 when the checkpoint is complete, also when the container could not be destroyed",
        "afterwards, which the log tells; 1 on any error.",
      ],
    ],
  ],
  restore: [
    ["SIGNALS", SIGNALS.map((line) => line.replace(/^\.Nm$/, ".Nm thaw restore"))],
    ["ENVIRONMENT", list(ENVIRONMENT.filter(([tag]) => tag !== "Ev NO_COLOR"))],
    ["FILES", list(FILES)],
    ["EXIT STATUS", RESTORE_STATUS],
  ],
  exec: [
    ["SIGNALS", EXEC_SIGNALS],
    ["EXIT STATUS", EXEC_STATUS],
  ],
};

/** Written by hand: what stands after the examples. */
const DIAGNOSTICS: Readonly<Record<string, Sections>> = {
  restore: [
    [
      "DIAGNOSTICS",
      [
        "A failed restore is told in one line: CRIU's own error, its cause, what to do, and where",
        "CRIU's log is.",
        "It stands in the log",
        ".Pq Fl -log",
        "and on standard error; before it in the log come the lines of",
        ".Pa restore.log",
        "around each error.",
      ],
    ],
  ],
};

const SEE_ALSO: Readonly<Record<string, readonly string[]>> = {
  checkpoint: [".Xr criu 8 ,", ".Xr runc-checkpoint 8 ,", ".Xr thaw 8 ,", ".Xr thaw-restore 8"],
  restore: [
    ".Xr criu 8 ,",
    ".Xr runc-checkpoint 8 ,",
    ".Xr runc-restore 8 ,",
    ".Xr thaw 8 ,",
    ".Xr thaw-checkpoint 8",
  ],
  exec: [".Xr runc-exec 8 ,", ".Xr thaw 8"],
};

function overview(): Page {
  const entries = shownCommands(commands);
  return {
    name: "thaw",
    summary: "bring checkpointed containers back to life",
    sections: [
      [
        "SYNOPSIS",
        [".Nm", ".Op Ar global options", ".Ar command", ".Op Ar options", ".Op Ar argument"],
      ],
      [
        "DESCRIPTION",
        [
          ".Nm",
          "checkpoints containers and restores them, as",
          ".Xr runc-checkpoint 8",
          "and",
          ".Xr runc-restore 8",
          "do: with the same flags, images, state and logs.",
          "It needs root and",
          ".Xr criu 8 .",
          ".Pp",
          "A flag is written with one dash or two; its value follows after",
          ".Sq =",
          "or as the next argument.",
          "Flags may stand before and after the other arguments, of",
          ".Cm exec",
          "and",
          ".Cm ps",
          "before the ID only: what follows it is another program's.",
          ".Sq --",
          "ends them.",
          "The commands are:",
          ...list(
            entries.map(([name, { description }]) => [
              `Cm ${name}`,
              [sentence(description), "See", `.Xr thaw-${name} 8 .`],
            ]),
          ),
          ".Pp",
          "These are left to",
          ".Xr runc 8 ,",
          "which is executed in thaw's place, with everything thaw was given",
          ".Pq see Ev THAW_RUNC :",
          ...list(
            Object.entries(handedToRunc).map(([name, text]) => [`Cm ${name}`, [sentence(text)]]),
          ),
          ".Pp",
          "The global options, accepted by every command of thaw's:",
          ...flagList(globalFlags),
        ],
      ],
      [
        "ENVIRONMENT",
        list([
          ...ENVIRONMENT,
          [
            "Ev XDG_RUNTIME_DIR",
            [
              "For users other than root, the default of",
              ".Fl -root",
              "is",
              ".Pa $XDG_RUNTIME_DIR/runc .",
            ],
          ],
        ]),
      ],
      ["FILES", list(FILES)],
      [
        "EXIT STATUS",
        [
          "0 on success, 1 on an error, 3 for a command there is not.",
          ".Cm restore",
          "without",
          ".Fl -detach",
          "exits with the status of the container,",
          ".Cm exec",
          "with that of the program, or 255.",
        ],
      ],
      [
        "EXAMPLES",
        examples(
          [
            "# checkpoint a container, and bring it back, here or on another host",
            "thaw checkpoint --image-path /var/lib/ckpt/c1 c1",
            "thaw restore -d --bundle /srv/c1 --image-path /var/lib/ckpt/c1 c1",
            "thaw state c1",
          ].join("\n"),
        ),
      ],
      [
        "SEE ALSO",
        [
          ".Xr criu 8 ,",
          ".Xr runc 8 ,",
          ...entries
            .map(([name]) => name)
            .sort()
            .map((name, i) => `.Xr thaw-${name} 8${i + 1 < entries.length ? " ," : ""}`),
        ],
      ],
    ],
  };
}

async function commandPage(name: string, summary: string, command: Command): Promise<Page> {
  const meta = (await command.definition.meta) as { description?: string };
  const flags = Object.values(command.flags).some(({ hidden }) => !hidden);
  return {
    name: `thaw-${name}`,
    summary,
    sections: [
      [
        "SYNOPSIS",
        [
          ".Nm thaw",
          ".Op Ar global options",
          `.Cm ${name}`,
          ...(flags ? [".Op Ar options"] : []),
          ...(command.usage === "" ? [] : [`.Ar ${argument(command.usage)}`]),
        ],
      ],
      [
        "DESCRIPTION",
        [
          plain(meta.description ?? ""),
          ...(flags ? [".Pp", "The options are:", ...flagList(command.flags)] : []),
          ".Pp",
          "The global options of",
          ".Xr thaw 8",
          "are accepted too.",
        ],
      ],
      ...(BY_HAND[name] ?? []),
      ["EXAMPLES", examples(command.examples)],
      ...(DIAGNOSTICS[name] ?? []),
      ["SEE ALSO", SEE_ALSO[name] ?? [".Xr thaw 8"]],
    ],
  };
}

/** All pages: the overview and one for each command. */
export async function pages(): Promise<Page[]> {
  const all = shownCommands(commands).map(async ([name, { description, load }]) =>
    commandPage(name, description, await load()),
  );
  return [overview(), ...(await Promise.all(all))];
}
