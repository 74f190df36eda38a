// The text of pmdumplog -LditehMm cut into its sections. Sections whose order is that of a hash table
// in PCP 6 are sorted by blocks, so that texts of both releases and of this program can be compared.
import { PM_ERR } from "../../lib/base/mod.ts";

/** Sections of a dump; blocks of several lines are one text each. */
export interface Sections {
  readonly label: readonly string[];
  readonly descs: readonly string[];
  readonly labels: readonly string[];
  readonly texts: readonly string[];
  readonly indoms: readonly string[];
  readonly index: readonly string[];
  readonly records: readonly string[];
}

const blocksAt = (text: string, start: RegExp): string[] =>
  text
    .split(start)
    .map((block) => block.trimEnd())
    .filter((block) => block !== "");

/** Labels have their time once for several sets. */
function labelsWithTime(text: string): string[] {
  return blocksAt(text, /^(?=\d\d:\d\d:\d\d\.)/m).flatMap((block) => {
    const [time = "", ...rest] = block.split("\n");
    return blocksAt(rest.join("\n"), /\n(?= {4}\S)/).map((set) => `${time}\n${set}`);
  });
}

const TITLE =
  /^(Descriptions for Metrics|Metric Labels|Metric Help Text|Instance Domains|Temporal Index)(?: in the Log \.\.\.)?\n/m;

/**
 * What pmdumplog -LditehMm printed, in sections; `errors` is what it wrote to standard error. Texts
 * of errors are those of PCP 7.
 */
export function sectionsOf(text: string, errors: string): Sections {
  const newer = text.replaceAll(" the PCP archive log\n", " the PCP archive\n");
  const [head = "", ...parts] = newer.split(TITLE);
  const sections = new Map<string, string>();
  for (let i = 0; i + 1 < parts.length; i += 2) sections.set(parts[i] ?? "", parts[i + 1] ?? "");
  const indexPart = sections.get("Temporal Index") ?? "";
  const cut = indexPart.search(/\n\n/);
  const [indexText, records] =
    cut < 0 ? [indexPart, ""] : [indexPart.slice(0, cut), indexPart.slice(cut + 2)];
  const section = (name: string): string => sections.get(name) ?? "";
  return {
    label: head
      .trim()
      .split("\n")
      .map((line) => line.trim().replace(/^(commencing|ending) +/, "$1 ")),
    descs: blocksAt(section("Descriptions for Metrics"), /^(?=PMID: )/m).toSorted(),
    labels: labelsWithTime(section("Metric Labels")).toSorted(),
    texts: blocksAt(section("Metric Help Text"), /^(?=PMID: |InDom: )/m).toSorted(),
    indoms: blocksAt(section("Instance Domains"), /^(?=InDom: )/m).toSorted(),
    index: indexText.split("\n").filter((line) => /^(\d\d:|\t\t\S)/.test(line)),
    records: [
      // A name may hold an empty line: both texts are cut alike.
      ...blocksAt(records, /\n\n/),
      ...(errors.includes("pmFetch: Corrupted record") ? [`error ${PM_ERR.LOGREC}`] : []),
    ],
  };
}
