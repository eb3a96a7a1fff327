// The import rule of ARCHITECTURE.md: a room imports itself and rooms of lower rank.
const ranks = [
  ["errors"],
  ["linux", "log"],
  ["oci", "images", "console", "runc"],
  ["criu", "state", "cgroups", "hooks", "seccomp"],
  ["mounts", "lazy", "container"],
  ["restore", "checkpoint", "exec"],
];
const down = ranks.flatMap((rooms, rank) =>
  rooms.map((room) => ({
    name: `${room}-imports-lower-rooms`,
    severity: "error",
    from: { path: `^internal/${room}/` },
    to: {
      path: "^(internal|cmd|tests|scripts)/",
      pathNot: `^internal/(${[room, ...ranks.slice(0, rank).flat()].join("|")})/`,
    },
  })),
);
const only = (name, from, to) => ({ name, severity: "error", from: { pathNot: from }, to });
module.exports = {
  forbidden: [
    ...down,
    {
      name: "known-rooms",
      severity: "error",
      from: { path: "^internal/", pathNot: `^internal/(${ranks.flat().join("|")})/` },
      to: {},
    },
    only("ffi-in-linux-only", "^(internal/linux|tests)/", { path: "^bun:ffi$" }),
    only("citty-in-cmd-only", "^cmd/", { path: "citty" }),
    only("generated-code-in-criu-only", "^(internal/criu|tests)/", { path: "^internal/criu/gen/" }),
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    { name: "resolvable", severity: "error", from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "default"] },
    builtInModules: { add: ["bun", "bun:ffi", "bun:test"] },
  },
};
