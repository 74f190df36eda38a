// The options of `pcpbox version`.

import { defineOptions, defineVerb } from "../../lib/cli/mod.ts";
import { generalOptions, ownExitStatus } from "./general.ts";

/** `pcpbox version`. */
export const versionVerb = defineVerb({
  name: "version",
  program: "pcpbox version",
  actsAsPcp: false,
  summary: "say which build this is",
  usage: ["[options]"],
  options: defineOptions({
    ...generalOptions,
    json: {
      long: "json",
      help: "print name, version, commit, Bun, target and PCP releases as JSON",
      group: "Output",
      knownTo: "pcpbox",
    },
  }),
  operands: [],
  description: ["Prints the version in one line. pcpbox --version does the same."],
  examples: [{ command: "pcpbox version --json", does: "the same for programs" }],
  sections: [ownExitStatus],
  mistakeStatus: 2,
});
