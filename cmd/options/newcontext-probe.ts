// The options of `pcpbox newcontext-probe`: those that PCP's tools share, with their texts for
// mistakes (spec archive.md 14.6), then pcpbox's own.

import { wholeNumber } from "../../lib/base/mod.ts";
import { defineOptions, defineVerb, interval, type Parsed } from "../../lib/cli/mod.ts";
import { debugOption } from "./general.ts";

/** What `--part` can name: the parts of a dump as pmdumplog's options have them. */
export const DUMP_PARTS = [
  "label",
  "descs",
  "insts",
  "stored-insts",
  "labels",
  "texts",
  "index",
  "values",
] as const;
/** One of DUMP_PARTS. */
export type DumpPart = (typeof DUMP_PARTS)[number];

/** The argument of -s: a number of samples, 0 for no end. */
export function samples(text: string): Parsed<number> {
  const value = wholeNumber(text);
  return value === undefined || value < 0
    ? { ok: false, error: "-s requires a positive numeric argument" }
    : { ok: true, value };
}

/** The argument of -t in seconds. */
export function samplingInterval(text: string): Parsed<number> {
  const parsed = interval(text);
  return parsed.ok
    ? parsed
    : { ok: false, error: `-t argument not in pmParseInterval(3) format:\n${parsed.error}` };
}

function watchInterval(text: string): Parsed<number> {
  const parsed = interval(text);
  if (!parsed.ok) return { ok: false, error: `bad --watch interval format:\n${parsed.error}` };
  return parsed.value >= 0.1
    ? parsed
    : { ok: false, error: "--watch requires an interval of at least 0.1 seconds" };
}

function dumpParts(text: string): Parsed<readonly DumpPart[]> {
  const found: DumpPart[] = [];
  for (const word of text.split(",")) {
    const part = DUMP_PARTS.find((each) => each === word);
    if (part === undefined) {
      return {
        ok: false,
        error: `--part must be a list of ${DUMP_PARTS.join(", ")}, not "${text}"`,
      };
    }
    found.push(part);
  }
  return { ok: true, value: found };
}

/** Options by key, in the order of help. */
export const probeOptions = defineOptions({
  host: {
    short: "h",
    long: "host",
    argument: "HOST",
    repeatable: true,
    completes: "host",
    help: "metrics source is PMCD on host",
    detail:
      "HOST is a host specification as in PCPIntro(1): ports, unix: and local: sockets, pcps:, @PROXY and attributes after a question mark.",
    default: "the pmcd of this machine",
    group: "Source",
    knownTo: "pcp",
  },
  archive: {
    short: "a",
    long: "archive",
    argument: "FILE",
    repeatable: true,
    completes: "file",
    help: "metrics source is a PCP archive",
    detail: "FILE is a base name, one of its files, a directory, or a list of these with commas.",
    group: "Source",
    knownTo: "pcp",
  },
  localPmda: {
    short: "L",
    long: "local-PMDA",
    help: "metrics source is local connection to a PMDA",
    group: "Source",
    knownTo: "pcp",
  },
  specLocal: {
    short: "K",
    long: "spec-local",
    argument: "SPEC",
    repeatable: true,
    help: "optional additional PMDA spec for local connection",
    detail: "clear, add,DOMAIN,PATH,INIT or del,DOMAIN; applied in the order given.",
    group: "Source",
    knownTo: "pcp",
  },
  container: {
    long: "container",
    argument: "NAME",
    help: "specify an individual container to be queried",
    group: "Source",
    knownTo: "pcp",
  },
  derived: {
    short: "c",
    long: "derived",
    argument: "FILE",
    repeatable: true,
    completes: "file",
    help: "load derived metric definitions from FILE(s)",
    detail: "After those that PCP_DERIVED_CONFIG names.",
    group: "Source",
    knownTo: "pcp",
  },
  start: {
    short: "S",
    long: "start",
    argument: "TIME",
    help: "start of the time window",
    detail: "For archives. An interval from the start (or, with -, before the end), or @TIME.",
    group: "Time",
    knownTo: "pcp",
  },
  finish: {
    short: "T",
    long: "finish",
    argument: "TIME",
    help: "end of the time window",
    group: "Time",
    knownTo: "pcp",
  },
  align: {
    short: "A",
    long: "align",
    argument: "TIME",
    help: "align sample times on natural boundaries",
    group: "Time",
    knownTo: "pcp",
  },
  origin: {
    short: "O",
    long: "origin",
    argument: "TIME",
    help: "initial sample time within the time window",
    group: "Time",
    knownTo: "pcp",
  },
  samples: {
    short: "s",
    long: "samples",
    argument: "N",
    parse: samples,
    help: "terminate after this many samples",
    detail: "0 is no limit.",
    group: "Time",
    knownTo: "pcp",
  },
  interval: {
    short: "t",
    long: "interval",
    argument: "DELTA",
    parse: samplingInterval,
    help: "sampling interval",
    detail:
      "Over an archive values are interpolated at these times; without -t every recorded sample is shown.",
    group: "Time",
    knownTo: "pcp",
  },
  timezone: {
    short: "Z",
    long: "timezone",
    argument: "TZ",
    help: "set reporting timezone",
    group: "Time",
    knownTo: "pcp",
  },
  hostzone: {
    short: "z",
    long: "hostzone",
    help: "set reporting timezone to local time of metrics source",
    group: "Time",
    knownTo: "pcp",
  },
  raw: {
    short: "r",
    long: "raw",
    help: "output raw counter values (no rate conversion)",
    group: "Report",
    knownTo: "pcp",
  },
  timestamp: {
    short: "x",
    long: "timestamp",
    repeatable: true,
    help: "include date and nanoseconds in reported timestamps",
    detail: "In a dump given twice also the time since the start, three times also since 1970.",
    group: "Report",
    knownTo: "pcpbox",
  },
  dump: {
    long: "dump",
    help: "print every record of the archive, as pmdumplog -a does",
    detail: "With metrics only theirs.",
    group: "Report",
    knownTo: "pcpbox",
  },
  part: {
    long: "part",
    argument: "LIST",
    parse: dumpParts,
    choices: DUMP_PARTS,
    repeatable: true,
    help: "with --dump: only these parts",
    detail: `A list with commas of ${DUMP_PARTS.join(", ")}.`,
    group: "Report",
    knownTo: "pcpbox",
  },
  reverse: {
    long: "reverse",
    help: "with --dump: from the last record to the first",
    group: "Report",
    knownTo: "pcpbox",
  },
  check: {
    long: "check",
    help: "one line and the exit status: does the source work, is it sound?",
    detail:
      "For monitoring. An agent that is not up, or damage in an archive, is status 1. Of archives every value is checked.",
    group: "Report",
    knownTo: "pcpbox",
  },
  json: {
    long: "json",
    help: "print one JSON object, with --watch and --dump one a line",
    group: "Report",
    knownTo: "pcpbox",
  },
  watch: {
    long: "watch",
    argument: "DELTA",
    parse: watchInterval,
    help: "look again after each interval, until interrupted",
    detail:
      "A host is connected to again when it was lost, a growing archive is followed. On a terminal the report is drawn in place; elsewhere what has changed is printed.",
    group: "Report",
    knownTo: "pcpbox",
  },
  noColor: {
    long: "no-color",
    help: "no colour on a terminal, as with NO_COLOR",
    group: "General",
    knownTo: "pcpbox",
  },
  debug: {
    ...debugOption,
    detail:
      "context prints each step of a connection on standard error as it happens, derive the derived metrics that cannot be made.",
    group: "General",
  },
  version: {
    short: "V",
    long: "version",
    help: "display version number and exit",
    group: "General",
    knownTo: "pcp",
    asks: "version",
  },
  help: {
    short: "?",
    long: "help",
    help: "show this help and exit",
    group: "General",
    knownTo: "pcp",
    asks: "help",
  },
});

/** The options of the probe as a type. */
export type ProbeOptions = typeof probeOptions;

const ENVIRONMENT = [
  { term: "PCP_HOST, PCP_ARCHIVE, PCP_LOCALMODE", text: "as -h, -a and -L" },
  { term: "PCP_SPECLOCAL", text: "as -K" },
  { term: "PCP_START_TIME, PCP_FINISH_TIME", text: "as -S and -T" },
  { term: "PCP_ALIGN_TIME, PCP_ORIGIN_TIME, PCP_ORIGIN", text: "as -A and -O" },
  { term: "PCP_SAMPLES, PCP_INTERVAL", text: "as -s and -t" },
  { term: "PCP_TIMEZONE, PCP_HOSTZONE", text: "as -Z and -z" },
  { term: "PCP_DERIVED_CONFIG", text: "files and directories of derived metrics" },
  { term: "PCP_CONTAINER", text: "as --container" },
  {
    term: "PMCD_PORT, PMCD_SOCKET, PMPROXY_HOST, PMPROXY_PORT",
    text: "where pmcd and a proxy are when the specification does not say",
  },
  {
    term: "PMCD_CONNECT_TIMEOUT, PMCD_REQUEST_TIMEOUT, PMCD_RECONNECT_TIMEOUT",
    text: "limits in seconds: 5, 10, and 5,10,20,40,80",
  },
  { term: "PCP_SECURE_SOCKETS, PCP_TLSCONF_PATH", text: "TLS: enforce or relaxed; tls.conf" },
  { term: "TZ", text: "reporting time zone without -z and -Z" },
  { term: "NO_COLOR", text: "not empty: no colour" },
];

/** `pcpbox newcontext-probe`. */
export const probeVerb = defineVerb({
  name: "newcontext-probe",
  program: "newcontext-probe",
  actsAsPcp: false,
  summary: "find out whether a source of metrics works and what it holds",
  usage: [
    "[options] [metric[instances] ...]",
    "-a archive --dump [options] [metric ...]",
    "--check [options]",
  ],
  options: probeOptions,
  operands: [
    {
      name: "metric",
      text: 'Metrics whose descriptor, help and values are shown: a name, a name with metrics below it, or a name with instances in brackets, as in \'kernel.all.load["1 minute","5 minute"]\'. Without any the source itself is looked at.',
      repeats: true,
    },
  ],
  description: [
    "Opens a context as pmNewContext(3) does: on a host through pmcd, on an archive or a set of archives, or on the agents of this machine. Without metrics one look tells whether it works: what was tried and how long each step took, what is there, and what is unhealthy.",
    "With metrics it stands in for pminfo and pmval. A host is asked once, or with -t, -s or -T again and again. Over an archive -t interpolates; without -t every recorded sample is shown. From the second sample on counters are shown as rates, unless -r is given.",
    "When something fails it says PCP's message, the code and its symbol, where it failed, and what can be done.",
  ],
  examples: [
    { command: "pcpbox newcontext-probe -h db1", does: "does the pmcd of db1 work?" },
    {
      command: "pcpbox newcontext-probe -a /var/log/pcp/pmlogger/db1",
      does: "what do the archives of db1 hold?",
    },
    {
      command: "pcpbox newcontext-probe -h db1 -t 1s -s 5 'kernel.all.load[1 minute]'",
      does: "five values, a second apart",
    },
    {
      command: "pcpbox newcontext-probe -a FILE -z -S @10:00 -T @11:00 -t 5min disk.dev.read",
      does: "rates over an hour, every five minutes",
    },
    { command: "pcpbox newcontext-probe -a FILE --dump", does: "every record, as pmdumplog -a" },
    { command: "pcpbox newcontext-probe -h db1 --watch 10s", does: "tell when it goes and comes" },
    { command: "pcpbox newcontext-probe -h db1 --json", does: "the same for programs" },
  ],
  sections: [
    {
      title: "Exit status",
      entries: [
        { term: "0", text: "everything asked for was there; --watch that was interrupted" },
        {
          term: "1",
          text: "the source cannot be opened or read, a metric is unknown, --check found something, or a mistake on the command line",
        },
      ],
    },
    { title: "Environment", entries: ENVIRONMENT },
    {
      title: "Signals",
      entries: [{ term: "SIGINT, SIGTERM", text: "end --watch and sampling with status 0" }],
    },
  ],
  mistakeStatus: 1,
});
