// Every verb of pcpbox: its description and its command, both loaded only when used; and the names
// of PCP programs that call a verb by themselves. A new verb is a line here and a table in options/.

import type { VerbEntry } from "./verb.ts";

/** The verbs in the order of help. */
export const VERBS: readonly VerbEntry[] = [
  {
    name: "proxy",
    describe: async () => (await import("./options/proxy.ts")).proxyVerb,
    command: async () => (await import("./proxy.ts")).default,
  },
  {
    name: "extract",
    describe: async () => (await import("./options/extract.ts")).extractVerb,
    command: async () => (await import("./extract.ts")).default,
  },
  {
    name: "newcontext-probe",
    describe: async () => (await import("./options/newcontext-probe.ts")).probeVerb,
    command: async () => (await import("./newcontext-probe.ts")).default,
  },
  {
    name: "pmda-run",
    describe: async () => (await import("./options/pmda-run.ts")).pmdaRunVerb,
    command: async () => (await import("./pmda-run.ts")).default,
  },
  {
    name: "completion",
    describe: async () => (await import("./options/completion.ts")).completionVerb,
    command: async () => (await import("./completion.ts")).default,
  },
  {
    name: "help",
    describe: async () => (await import("./options/help.ts")).helpVerb,
    command: async () => (await import("./help.ts")).default,
  },
  {
    name: "version",
    describe: async () => (await import("./options/version.ts")).versionVerb,
    command: async () => (await import("./version.ts")).default,
  },
];

/** Programs of PCP by name, and the verb that stands in for each. */
export const PROGRAMS: ReadonlyMap<string, string> = new Map([
  ["pmproxy", "proxy"],
  ["pmlogextract", "extract"],
  ["dbpmda", "pmda-run"],
  ["pmdasimple", "pmda-run"],
  ["pmdatrivial", "pmda-run"],
  ["pmdatxmon", "pmda-run"],
  ["pmdasample", "pmda-run"],
  ["pmdalinux", "pmda-run"],
]);

/** A program's own name out of argv[0]: without directories and without `.exe`. */
export const programName = (argv0: string): string =>
  (argv0.split(/[\\/]/).at(-1) ?? "").replace(/\.exe$/i, "");
