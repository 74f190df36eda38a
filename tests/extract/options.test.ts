// Goal: the command line of extract is read as pmlogextract 7.2 reads it: the same options with the same
// values, the same sentences for mistakes in the same order, and its usage text to the byte. The cases
// are what the real program printed for the same arguments.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { extractOptions, extractVerb, volumeRule } from "../../cmd/options/extract.ts";
import { usageText } from "../../lib/cli/usage.ts";
import { keysGiven, readVerb } from "../../lib/cli/verb.ts";

/** Options as `key` or `key=value`, then operands; mistakes as their sentences. */
function reading(args: readonly string[]): string {
  const result = readVerb(extractVerb, args);
  if (result.kind === "error") return result.errors.join(" | ");
  if (result.kind !== "ok") return `ask ${result.kind}`;
  const options = result.options.map(({ option, value }) =>
    value === true ? option : `${option}=${JSON.stringify(value)}`,
  );
  return [...options, ...result.operands].join(" ");
}

const NUMBER = "-s requires numeric argument";
const VERSION = "-V value must be 2 or 3";
const ZONES = "at most one of -Z and/or -z allowed";
const FEW = "Error: insufficient arguments";

const cases: readonly (readonly [args: readonly string[], expected: string])[] = [
  [["a", "o"], "a o"],
  [["-ms", "2", "a", "b", "o"], "mark samples=2 a b o"],
  [["-s3", "a", "o"], "samples=3 a o"],
  [["a", "o", "-dxf"], "desperate skipConflicts first a o"],
  [["a", "--", "o", "-s"], "a o -s"],
  [["-", "o"], "- o"],
  [["--sa=3", "--st", "@10:00", "a", "o"], 'samples=3 start="@10:00" a o'],
  [["--o=3", "--m", "--fin=+1s", "a", "o"], 'outputVersion=3 mark finish="+1s" a o'],
  [["-S", "1", "-T", "2", "-w", "a", "o"], 'start="1" finish="2" daily a o'],
  [["-Z", "UTC", "-Z", "EST5EDT", "a", "o"], 'timezone="UTC" timezone="EST5EDT" a o'],
  [["-z", "-z", "a", "o"], "hostzone hostzone a o"],
  [["-D", "log,PDU", "a", "o"], 'debug=["log","pdu"] a o'],
  [
    ["--dry-run", "--json", "--jobs=2", "--compress=xz", "a", "o"],
    'dryRun json jobs=2 compress="xz" a o',
  ],
  [["-?"], "ask help"],
  [["--help"], "ask help"],
  [["--version"], "ask version"],
  [[], FEW],
  [["a"], FEW],
  [["-x"], FEW],
  [["-q"], "invalid option -- 'q'"],
  [["--foo=3"], "unrecognized option '--foo=3'"],
  [["--s=3"], "option '--s=3' is ambiguous; possibilities: '--start' '--samples'"],
  [["--h"], "option '--h' is ambiguous; possibilities: '--hostzone' '--help'"],
  [["--d"], "option '--d' is ambiguous; possibilities: '--debug' '--desperate'"],
  [["-s"], "option requires an argument -- 's'"],
  [["--config"], "option '--config' requires an argument"],
  [["--mark=1"], "option '--mark' doesn't allow an argument"],
  [["-c", "/no/such/file", "a", "o"], "/no/such/file - invalid file"],
  [["--config="], " - invalid file"],
  [["-D", "nosuch"], "unrecognized debug options specification (nosuch)"],
  [["-z", "-Z", "UTC", "-q"], `${ZONES} | invalid option -- 'q'`],
  [["-q", "-Z", "UTC", "-z"], `invalid option -- 'q' | ${ZONES}`],
  [["-q", "-s", "x", "-V", "9"], `invalid option -- 'q' | ${NUMBER} | ${VERSION}`],
  [["-?", "-q"], "invalid option -- 'q'"],
  [["-tA"], "invalid option -- 't' | invalid option -- 'A'"],
  [["--compress=lzma"], '--compress must be one of zstd, xz, gzip, not "lzma"'],
  [["--jobs=0"], "--jobs requires a positive value"],
];

test.each(cases)("%j", (args, expected) => {
  expect(reading(args)).toBe(expected);
});

describe("numbers", () => {
  const samples = (text: string): string => reading(["-s", text, "a", "o"]);
  test("of -s are decimal, as strtol reads them", () => {
    for (const [text, value] of [
      ["0", 0],
      ["", 0],
      [" 5", 5],
      ["+5", 5],
      ["010", 10],
    ] as const) {
      expect(samples(text)).toBe(`samples=${value} a o`);
    }
    for (const text of ["abc", "-1", "5x", "0x10", " ", "+", "5 ", "1.5"]) {
      expect([text, samples(text)]).toEqual([text, NUMBER]);
    }
  });

  test("of -V are 2 and 3; what is no number has two sentences", () => {
    expect(reading(["-V2", "-V", "3", "a", "o"])).toBe("outputVersion=2 outputVersion=3 a o");
    for (const text of ["1", "4", "", "-2"]) expect(reading(["-V", text])).toBe(VERSION);
    expect(reading(["-Vx"])).toBe(`-V requires numeric argument\npmlogextract: ${VERSION}`);
  });
});

describe("the size of a volume", () => {
  const rule = (text: string): string => {
    const parsed = volumeRule(text);
    return parsed.ok ? `${parsed.value.limit} ${parsed.value.kind}` : parsed.error;
  };

  test("is records, bytes or a time", () => {
    const good: readonly (readonly [string, string])[] = [
      ["5", "5 records"],
      [" +5", "5 records"],
      ["5b", "5 bytes"],
      ["5Bytes", "5 bytes"],
      ["5k", "5120 bytes"],
      ["5KiB", "5120 bytes"],
      ["5kbs", "5120 bytes"],
      ["5m", `${5 * 1024 ** 2} bytes`],
      ["2gigabytes", `${2 * 1024 ** 3} bytes`],
      ["5s", "5 seconds"],
      ["5ss", "5 seconds"],
      ["5.5", "5.5 seconds"],
      ["100s", "100 seconds"],
      ["5min", "300 seconds"],
      ["5 MIN", "300 seconds"],
      ["1.5hours", "5400 seconds"],
      ["1h30m", "5400 seconds"],
    ];
    for (const [text, expected] of good) expect([text, rule(text)]).toEqual([text, expected]);
  });

  test("begins with a whole number from 1", () => {
    for (const text of ["abc", "-1", "0", "", "0.5hours", "0x10", "5q", "5 k", "5kk", "s"]) {
      expect(rule(text)).toBe(`illegal size argument '${text}' for volume size`);
    }
  });
});

test("-w without both ends is a warning, mistakes or not", () => {
  const warnings = (...args: readonly string[]): readonly string[] =>
    extractVerb.warnings?.(keysGiven(readVerb(extractVerb, args))) ?? [];
  const ignored = [
    "Warning: -w flag requires that both -S and -T are specified.\nIgnoring -w flag.",
  ];
  expect(warnings("-w", "a", "o")).toEqual(ignored);
  expect(warnings("-w", "-S1", "-q")).toEqual(ignored);
  expect(warnings("-wS1", "-T2", "a", "o")).toEqual([]);
  expect(warnings("a", "o")).toEqual([]);
});

test("the usage text is that of pmlogextract 7.2.1", () => {
  const golden = join(import.meta.dir, "golden/pmlogextract-7.2.1-usage.txt");
  expect(usageText(extractVerb)).toBe(readFileSync(golden, "utf8"));
  expect(Object.keys(extractOptions)).toContain("dryRun");
});
