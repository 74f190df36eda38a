// Options that every verb of our own has.

import { debugList, DEBUG_OPTIONS, defineOptions } from "../../lib/cli/mod.ts";

/** `-h`, `-?`, `--help` and `--no-color`. */
export const generalOptions = defineOptions({
  questionMark: {
    short: "?",
    hidden: true,
    help: "show this help and exit",
    group: "General",
    knownTo: "pcpbox",
    asks: "help",
  },
  help: {
    short: "h",
    long: "help",
    help: "show this help and exit",
    group: "General",
    knownTo: "pcpbox",
    asks: "help",
  },
  noColor: {
    long: "no-color",
    help: "no colour on a terminal, as with NO_COLOR",
    group: "General",
    knownTo: "pcpbox",
  },
});

/** Exit statuses of the verbs of our own. */
export const ownExitStatus = {
  title: "Exit status",
  entries: [
    { term: "0", text: "success" },
    { term: "1", text: "the output could not be written" },
    { term: "2", text: "a mistake on the command line" },
  ],
} as const;

/** `-D` as PCP's tools have it; a verb adds its group and what the words do there. */
export const debugOption = {
  short: "D",
  long: "debug",
  argument: "DBG",
  parse: debugList,
  choices: DEBUG_OPTIONS,
  repeatable: true,
  help: "set debug options, see pmdbg(1)",
  knownTo: "pcp",
} as const;

/** `-?` as PCP's programs have it; a verb adds its group. */
export const helpOption = {
  short: "?",
  long: "help",
  help: "show this usage message and exit",
  knownTo: "pcp",
  asks: "help",
} as const;

/** What pcpbox adds at the end of the options of a PCP program. */
export const addedOptions = {
  noColor: {
    long: "no-color",
    help: "no colour on a terminal, as with NO_COLOR",
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  version: {
    long: "version",
    help: "display version number and exit",
    group: "Pcpbox",
    knownTo: "pcpbox",
    asks: "version",
  },
} as const;
