// The options of `pcpbox help`.

import { defineOptions, defineVerb } from "../../lib/cli/mod.ts";
import { generalOptions, ownExitStatus } from "./general.ts";

/** `pcpbox help`. */
export const helpVerb = defineVerb({
  name: "help",
  program: "pcpbox help",
  actsAsPcp: false,
  summary: "explain a verb, or list all verbs",
  usage: ["[options] [verb]", "--man directory"],
  options: defineOptions({
    ...generalOptions,
    man: {
      long: "man",
      help: "print the source of the manual page of a verb",
      detail: "With a directory instead of a verb, writes all manual pages there.",
      group: "Output",
      knownTo: "pcpbox",
    },
  }),
  operands: [
    {
      name: "verb",
      text: "The verb to explain. Without it all verbs are listed.",
      namesVerb: true,
    },
  ],
  description: ["Prints the same text as pcpbox verb --help, as a page for people."],
  examples: [
    { command: "pcpbox help proxy", does: "everything about the proxy" },
    { command: "pcpbox help --man /usr/local/share/man/man1", does: "install the manual pages" },
  ],
  sections: [ownExitStatus],
  mistakeStatus: 2,
});
