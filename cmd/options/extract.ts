// The options of `pcpbox extract`, alias pmlogextract (spec extract.md 1): one table for the reader,
// usage text, help, man page and completion. Order, wording and messages are those of pmlogextract
// 7.2.1; pcpbox's own options follow and are not in the usage text.

import { existsSync } from "node:fs";

import {
  defineOptions,
  defineVerb,
  interval,
  oneOf,
  type Parsed,
  positive,
} from "../../lib/cli/mod.ts";
import { addedOptions, debugOption, helpOption } from "./general.ts";
import type { ExtractJob, VolumeRule } from "../../lib/extract/mod.ts";

/** Words for --compress. */
export const COMPRESSIONS = ["zstd", "xz", "gzip"] as const;

/** Most processors that --jobs can name. */
const MAX_JOBS = 256;

const bad = (error: string): Parsed<never> => ({ ok: false, error });

/** A number as strtol(3) reads it to base 10, nothing behind it; an empty text is 0. */
function decimal(text: string): number | undefined {
  if (text === "") return 0;
  const match = /^[ \t\n\v\f\r]*([+-]?[0-9]+)$/.exec(text);
  return match === null ? undefined : Number(match[1]);
}

function configFile(text: string): Parsed<string> {
  return existsSync(text) ? { ok: true, value: text } : bad(`${text} - invalid file`);
}

function samples(text: string): Parsed<number> {
  const value = decimal(text);
  return value === undefined || value < 0
    ? bad("-s requires numeric argument")
    : { ok: true, value };
}

function outputVersion(text: string): Parsed<NonNullable<ExtractJob["version"]>> {
  const value = decimal(text);
  if (value === 2 || value === 3) return { ok: true, value };
  const range = "-V value must be 2 or 3";
  // As two sentences of the program; the first has its name put in front by the caller.
  return bad(value === undefined ? `-V requires numeric argument\npmlogextract: ${range}` : range);
}

/** Bytes by the words for them, in lower case and without an s at the end. */
const BYTES: ReadonlyMap<string, number> = new Map([
  ...["b", "byte"].map((word) => [word, 1] as const),
  ...["k", "kb", "kib", "kbyte", "kilobyte", "kibibyte"].map((word) => [word, 1024] as const),
  ...["m", "mb", "mib", "mbyte", "megabyte", "mebibyte"].map((word) => [word, 1024 ** 2] as const),
  ...["g", "gb", "gib", "gbyte", "gigabyte", "gibibyte"].map((word) => [word, 1024 ** 3] as const),
]);

/** When a volume is full, in records, bytes or seconds of data (spec extract.md 11.1). */
export function volumeRule(text: string): Parsed<VolumeRule> {
  const match = /^[ \t\n\v\f\r]*(\+?[0-9]+)(.*)$/s.exec(text);
  const count = Number(match?.[1]);
  const refusal = bad(`illegal size argument '${text}' for volume size`);
  if (match === null || !(count >= 1)) return refusal;
  const [, , rest = ""] = match;
  if (rest === "") return { ok: true, value: { kind: "records", limit: count } };
  const bytes = BYTES.get(rest.toLowerCase().replace(/s$/, ""));
  if (bytes !== undefined) return { ok: true, value: { kind: "bytes", limit: count * bytes } };
  const seconds = interval(text.toLowerCase().replace(/s$/, ""));
  return seconds.ok ? { ok: true, value: { kind: "seconds", limit: seconds.value } } : refusal;
}

/** Options by key, in the order of the usage text. */
export const extractOptions = defineOptions({
  config: {
    short: "c",
    long: "config",
    argument: "FILE",
    completes: "file",
    parse: configFile,
    help: "file to load configuration from",
    detail: "Metrics to keep, and instances of them; see Configuration.",
    group: "",
    knownTo: "pcp",
  },
  debug: {
    ...debugOption,
    detail: "appl5 says why each new volume begins; the others are checked, and without effect.",
    group: "",
  },
  desperate: {
    short: "d",
    long: "desperate",
    help: "desperate, save output after fatal error",
    detail: "Also goes on when the end of an input cannot be found.",
    group: "",
    knownTo: "pcp",
  },
  first: {
    short: "f",
    long: "first",
    help: "use timezone from first archive [default is last]",
    group: "",
    knownTo: "pcp",
  },
  mark: {
    short: "m",
    long: "mark",
    help: "ignore prologue/epilogue records and <mark> between archives",
    group: "",
    knownTo: "pcp",
  },
  start: {
    short: "S",
    long: "start",
    argument: "TIME",
    help: "start of the time window",
    detail:
      "TIME is a time such as @10:00, or an interval after the start or, negative, before the end.",
    group: "",
    knownTo: "pcp",
  },
  samples: {
    short: "s",
    long: "samples",
    argument: "NUM",
    parse: samples,
    help: "terminate after NUM log records have been written",
    detail: "Marks count too.",
    group: "",
    knownTo: "pcp",
  },
  finish: {
    short: "T",
    long: "finish",
    argument: "TIME",
    help: "end of the time window",
    group: "",
    knownTo: "pcp",
  },
  outputVersion: {
    short: "V",
    long: "outputversion",
    argument: "VERSION",
    parse: outputVersion,
    choices: ["2", "3"],
    help: "output archive version",
    detail: "2 or 3, not below the version of any input. Default: the highest of the inputs.",
    group: "",
    knownTo: "pcp",
  },
  volume: {
    short: "v",
    argument: "SIZE",
    parse: volumeRule,
    help: "switch log volumes after size has been accumulated",
    detail:
      "SIZE is a number of records, or a number with bytes, K, M or G, or an interval such as 6hours.",
    group: "",
    knownTo: "pcp",
  },
  daily: {
    short: "w",
    help: "ignore day/month/year",
    detail: "The window of -S and -T repeats every 24 hours.",
    group: "",
    knownTo: "pcp",
  },
  skipConflicts: {
    short: "x",
    help: "skip metrics with mismatched metadata",
    detail: "Without it such a metric is an error.",
    group: "",
    knownTo: "pcp",
  },
  timezone: {
    short: "Z",
    long: "timezone",
    argument: "TZ",
    excludes: { options: ["hostzone"], error: "at most one of -Z and/or -z allowed" },
    help: "set reporting timezone",
    group: "",
    knownTo: "pcp",
  },
  hostzone: {
    short: "z",
    long: "hostzone",
    excludes: { options: ["timezone"], error: "at most one of -Z and/or -z allowed" },
    help: "set reporting timezone to local time of metrics source",
    group: "",
    knownTo: "pcp",
  },
  help: { ...helpOption, group: "" },
  dryRun: {
    long: "dry-run",
    help: "say what would be done and write nothing",
    detail: "Inputs, window, metrics kept and the size of the output; with --json as JSON.",
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  json: {
    long: "json",
    help: "print a summary of the run as JSON on standard output",
    detail: "One object on one line, also when the run fails. With --version: the version.",
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  jobs: {
    long: "jobs",
    argument: "N",
    parse: positive("--jobs", MAX_JOBS),
    help: "files that are compressed at a time [default 1]",
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  compress: {
    long: "compress",
    argument: "FORMAT",
    parse: oneOf("--compress", COMPRESSIONS),
    choices: COMPRESSIONS,
    help: "compress the files of the output: zstd, xz or gzip",
    detail: "PCP reads archives with xz and gzip in all releases, with zstd from 7.0.",
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  noProgress: {
    long: "no-progress",
    help: "no progress line on a terminal",
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  ...addedOptions,
});

/** The options of extract as a type. */
export type ExtractOptions = typeof extractOptions;

/** `pcpbox extract`. */
export const extractVerb = defineVerb({
  name: "extract",
  program: "pmlogextract",
  actsAsPcp: true,
  exactUsage: true,
  summary: "merge, cut, reduce and convert archives into one",
  usage: ["[options] input-archive output-archive"],
  options: extractOptions,
  operands: [
    {
      name: "archive",
      text: "Inputs, and last the output. An input is a base name, any file of an archive, compressed or not, a directory, or a list of these with commas. The output is a base name of which no file exists.",
      repeats: true,
      completes: "file",
    },
  ],
  description: [
    "Reads one or more archives of one host and writes one archive with their data in order of time. A mark separates the inputs where data may be missing. Versions 2 and 3 may be mixed.",
    "Metrics have to be described alike in all inputs: name, identifier, type, semantics, units and instance domain. Otherwise nothing is written, or with -x those metrics are left out.",
    "In messages it calls itself pmlogextract, and it can be called by that name through a symbolic link or a copy of the program.",
  ],
  examples: [
    { command: "pcpbox extract 20260101 20260102 two-days", does: "merge two archives" },
    {
      command: "pcpbox extract -S @10:00 -T @12:00 -w week mornings",
      does: "keep two hours of each day",
    },
    {
      command: "pcpbox extract --dry-run -c keep.conf week kept",
      does: "see what a configuration keeps",
    },
  ],
  sections: [
    {
      title: "Configuration",
      entries: [
        { term: "disk.dev.read", text: "a metric, or all metrics below a name" },
        { term: "disk.dev.read[sda, sdb]", text: "only these instances" },
        {
          term: `load[1, "15 minute"]`,
          text: "instances by number or by name; other names than plain words in quotes",
        },
        { term: "# text", text: "a comment. Commas and line breaks between metrics are optional" },
      ],
    },
    {
      title: "Exit status",
      entries: [
        { term: "0", text: "the archive is written, with warnings or not" },
        { term: "1", text: "a mistake, an error, or nothing to write; no output is left" },
        { term: "2", text: "the configuration file cannot be read" },
      ],
    },
    {
      title: "Environment",
      entries: [
        { term: "TZ", text: "timezone of -S, -T and messages without -Z and -z" },
        { term: "PCP_STDERR", text: "file that mistakes of options and output files go to" },
        { term: "POSIXLY_CORRECT", text: "options end at the first archive" },
        { term: "NO_COLOR", text: "not empty: no colour in help" },
      ],
    },
  ],
  mistakeStatus: 1,
  helpStatus: 1,
  check: (_given, operands) => (operands.length < 2 ? ["Error: insufficient arguments"] : []),
  warnings: (given) =>
    given.has("daily") && !(given.has("start") && given.has("finish"))
      ? ["Warning: -w flag requires that both -S and -T are specified.\nIgnoring -w flag."]
      : [],
});
