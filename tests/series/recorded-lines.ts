// Recorded command lines of pmseries, run over any store and held against what the real program printed;
// the dumps of key servers that they were recorded over; and what is compared without its order.
import { expect } from "bun:test";
import type { SeriesStore } from "../../lib/series/mod.ts";
import edgeDump from "../fixtures/series/edge.dump-7.2.1.json";
import tailDump from "../fixtures/series/omnibus_tail.dump-7.2.1.json";
import zeroDump from "../fixtures/series/zero_disk_activity.dump-7.2.1.json";
import commandLines from "../fixtures/series/queries-cli.json";
import edgeLines from "../fixtures/series/queries-edge.json";
import type { Dump } from "./dump-store.ts";
import { type Outcome, runPmseries } from "./pmseries.ts";

/** A recorded command line with what it did. */
export interface Recorded {
  readonly argv: readonly string[];
  readonly compare: string;
  readonly result?: Outcome;
  readonly "7.2.1"?: Outcome;
  readonly note?: string;
}

const NOW = { sec: 1_800_000_000, nsec: 0 };

/** Where a correct answer is given instead of the real one (docs/differences.md). */
const CORRECTED: Readonly<Record<string, string>> = {
  "round(rate(disk.dev.total_bytes[count:3]))":
    "\ndf99bf5ea45e9750eca64d9674ef158e5c577055\n" +
    "    [Thu Jul 12 14:11:52.098651000 2018] 0.000000e+00 5e397db4ba8a147560aed8e52e5d89a46f4106db\n" +
    "    [Thu Jul 12 14:11:42.096941000 2018] 4.300000e+01 5e397db4ba8a147560aed8e52e5d89a46f4106db\n",
  "round(sample.double.million[count:1])":
    "\nfdd99ae9f365ea896ce81f3b21805c4c007d3313\n" +
    "    [Sun Apr  3 06:51:04.731688000 2022] 1.000000e+06 213b15293693df2d1688396e985063cd2486eb20\n",
};

const sorted = (list: readonly string[]): string[] => list.toSorted();

/** The order of label names is that of a hash too. */
const withSortedLabels = (text: string): string =>
  text.replace(/(Labels: )(.*)/, (_, head: string, list: string) =>
    [head, ...sorted(list.split(", "))].join(" "),
  );

/** A text as what two texts have in common when their order is free. */
function comparable(text: string, compare: string): unknown {
  if (compare === "lines") return sorted(text.split("\n"));
  if (compare === "blocks")
    return sorted(text.split("\n\n").map((each) => each.trim())).map(withSortedLabels);
  if (compare === "words")
    return text.split("\n").map((line) => {
      const [head = "", list = ""] = line.split(/: (.*)/s);
      return [head, sorted(list.split(", "))];
    });
  return text;
}

/** The first of several series names an expression, and its order is that of a hash. */
const NAMED_BY_HASH = "rate(disk.dev.*_bytes[count:2])";

/**
 * Runs command lines in their order and holds each against its recording. Gives how many were run: those
 * that load, or print usage or version, are not.
 */
export async function replay(store: SeriesStore, all: readonly Recorded[]): Promise<number> {
  let taken = 0;
  for (const { argv, compare, result, "7.2.1": current } of all) {
    const wanted = result ?? current;
    if (wanted === undefined || argv.includes("-L") || wanted.stderr.includes("{usage}")) continue;
    if (argv.includes("-V")) continue;
    const got = await runPmseries(store, argv, NOW);
    if (got === undefined) throw new Error(`not taken: ${argv.join(" ")}`);
    taken++;
    const line = argv.join(" ");
    // Names of two contexts come in the order of a hash, though the recording says "exact".
    const way = line === "-S -g *" ? "lines" : compare;
    const place = (text: string): unknown => ({ line, text: comparable(text, way) });
    expect({ line, exit: got.exit }).toEqual({ line, exit: wanted.exit });
    if (compare === "error") {
      expect(got.stderr.split("\n")[0]).toBe(wanted.stderr.split("\n")[0] ?? "");
      expect(place(sorted(got.stdout.split("\n")).join("\n"))).toEqual(
        place(sorted(wanted.stdout.split("\n")).join("\n")),
      );
      continue;
    }
    expect({ line, text: got.stderr }).toEqual({ line, text: wanted.stderr });
    const expected = CORRECTED[line] ?? wanted.stdout;
    if (line === NAMED_BY_HASH)
      expect(got.stdout.split("\n").slice(2)).toEqual(expected.split("\n").slice(2));
    else expect(place(got.stdout)).toEqual(place(expected));
  }
  return taken;
}

/** What the key server of `twoArchiveLines` held. */
export const TWO_ARCHIVES: readonly Dump[] = [zeroDump, tailDump] as unknown as readonly Dump[];
/** What the key server of `awkwardLines` held. */
export const AWKWARD: readonly Dump[] = [edgeDump] as unknown as readonly Dump[];
export const twoArchiveLines = commandLines.queries as unknown as readonly Recorded[];
export const awkwardLines = edgeLines.queries as unknown as readonly Recorded[];
/** How many of `twoArchiveLines` are run. */
export const TWO_ARCHIVE_LINES = 346;
