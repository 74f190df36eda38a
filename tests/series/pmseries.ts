// The command line of pmseries as far as it asks questions (spec series.md 11.1, 11.2), over any store: for
// replaying recorded command lines. Loading, usage and version are no questions and are not taken.
import { PcpError, pmErrStr } from "../../lib/base/mod.ts";
import { newZone, UTC, type Zone } from "../../lib/pcp/mod.ts";
import {
  allNames,
  evaluateQuery,
  labelValuesText,
  linesText,
  type LookupOptions,
  type MetadataParts,
  metadataText,
  type NameList,
  parseQuery,
  parseWindow,
  problemOf,
  problemText,
  type SeriesStore,
  sourcesText,
  valuesInWindow,
  valuesText,
} from "../../lib/series/mod.ts";

/** What a command line ends with. */
export interface Outcome {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

const VALUED = "cDghpwZ";
const LETTERS = "adFiIlmMnqsSvt";

interface Arguments {
  readonly flags: ReadonlySet<string>;
  readonly values: ReadonlyMap<string, string>;
  readonly rest: readonly string[];
}

/** Options and arguments; undefined for a line that is not taken. */
function readArguments(argv: readonly string[]): Arguments | undefined {
  const flags = new Set<string>();
  const values = new Map<string, string>();
  const rest: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? "";
    if (!word.startsWith("-") || word === "-") {
      rest.push(word);
      continue;
    }
    for (let letter = 1; letter < word.length; letter++) {
      const flag = word.charAt(letter);
      if (VALUED.includes(flag)) {
        values.set(flag, word.slice(letter + 1) || (argv[++at] ?? ""));
        break;
      }
      if (!LETTERS.includes(flag)) return undefined;
      flags.add(flag);
    }
  }
  return { flags, values, rest };
}

const isId = (text: string): boolean => /^[0-9a-f]{40}$/.test(text);

async function joined(pieces: AsyncIterable<string>): Promise<string> {
  let text = "";
  for await (const piece of pieces) text += piece;
  return text;
}

function partsOf(flags: ReadonlySet<string>): MetadataParts {
  const all = flags.has("a");
  return {
    descriptor: all || flags.has("d"),
    fullPmid: flags.has("M"),
    fullIndom: flags.has("I"),
    source: all || flags.has("s"),
    names: all || flags.has("m"),
    instances: all || flags.has("i"),
    labels: all || flags.has("l"),
    labelNames: flags.has("n"),
  };
}

/** Runs one command line; undefined for one that is not taken. */
export async function runPmseries(
  store: SeriesStore,
  argv: readonly string[],
  now: { sec: number; nsec: number },
  /** Where `-Z` does not say another. */
  usual: Zone = UTC,
): Promise<Outcome | undefined> {
  const read = readArguments(argv);
  if (read === undefined) return undefined;
  const { flags, values, rest } = read;
  const has = (letters: string): boolean => [...letters].some((letter) => flags.has(letter));
  const named = values.get("Z");
  const zone: Zone = named === undefined ? usual : newZone(named);
  const options: LookupOptions = { now, zone, comparison: true, fast: flags.has("F") };
  const form = { zone, numeric: flags.has("t") };
  const list = rest.join(",").split(",");
  let stdout = "";
  const failed = (error: unknown, more = ""): Outcome => {
    const problem = problemOf(error);
    if (problem === undefined) throw error;
    return { exit: 1, stdout, stderr: problemText(problem) + more };
  };
  try {
    const asks = has("dilmnaSvsIM");
    const isQuery = flags.has("q") || (!asks && !(rest.length > 0 && rest.every(isId)));
    const window = values.get("w");
    if (isQuery) {
      const query = parseQuery(rest.join(flags.has("q") ? " " : ","), options);
      const answer = await evaluateQuery(store, query, options);
      if (answer.values === undefined) stdout += linesText(answer.ids);
      else stdout += await joined(valuesText(answer.values, form));
      return answer.problem === undefined
        ? { exit: 0, stdout, stderr: "" }
        : failed(answer.problem);
    }
    if (window !== undefined) {
      const text = window.startsWith("[") ? window : `[${window}]`;
      let times;
      try {
        times = parseWindow(text, { now, zone: UTC });
      } catch (error) {
        const more = `pmseries: invalid time specification '${text}': Invalid argument\n`;
        return failed(error, more);
      }
      stdout += await joined(valuesText(valuesInWindow(store, list, times, options), form));
      return { exit: 0, stdout, stderr: "" };
    }
    if (flags.has("v") && rest.length > 0)
      return { exit: 0, stdout: await labelValuesText(store, list), stderr: "" };
    if (rest.length === 0) return allNamesOutcome(store, flags, values.get("g"));
    if (flags.has("S") && !has("dilmna"))
      return { exit: 0, stdout: await sourcesText(store, list), stderr: "" };
    const parts = asks ? partsOf(flags) : partsOf(new Set("a"));
    stdout += await joined(metadataText(store, list, parts, options));
    return { exit: 0, stdout, stderr: "" };
  } catch (error) {
    return failed(error);
  }
}

async function allNamesOutcome(
  store: SeriesStore,
  flags: ReadonlySet<string>,
  glob: string | undefined,
): Promise<Outcome | undefined> {
  const lists: readonly (readonly [string, NameList])[] = [
    ["i", "instance"],
    ["l", "label"],
    ["n", "label"],
    ["m", "metric"],
    ["S", "context"],
  ];
  const chosen = lists.find(([letter]) => flags.has(letter));
  if (flags.has("a") || flags.has("v")) return undefined;
  if (chosen === undefined) return { exit: 1, stdout: "", stderr: `pmseries: ${pmErrStr(-22)}\n` };
  return { exit: 0, stdout: linesText(await allNames(store, chosen[1], glob)), stderr: "" };
}

/** For callers that only want to know that nothing but PCP's errors come. */
export const isExpected = (error: unknown): boolean => error instanceof PcpError;
