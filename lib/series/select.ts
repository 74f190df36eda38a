// From a selector to series (spec series.md 7.1, 7.2): each comparison becomes a question to the store, all
// of them are asked at once, and sets are put together in the order that PCP's programs make. Refuses
// regular expressions that do not compile, with PCP's message.
import { compileGlob, compilePosix, costlyPattern, PosixError } from "../base/mod.ts";
import type { SeriesId } from "./ids.ts";
import type { Selector, SeriesNode } from "./language.ts";
import { SeriesProblem } from "./problem.ts";
import type { Leaf, NameChoice, NameMap, SeriesStore } from "./store.ts";

type Comparing = Extract<Selector, { kind: "compare" }>;
type Ids = readonly SeriesId[];

/** Characters of a pattern: each of thousands of names may be held against it. */
const LONGEST_GLOB = 1024;

const PREFIXES: readonly (readonly [RegExp, "instance" | "metric" | "context"])[] = [
  [/^(?:instance|inst|i)\../, "instance"],
  [/^(?:metric|m)\../, "metric"],
  [/^(?:context|source|c|s)\../, "context"],
];

/** The map that a key names. */
export function mapOf(key: string): NameMap {
  for (const [prefix, kind] of PREFIXES) if (prefix.test(key)) return { kind };
  const label = /^(?:label|l)\.(.+)$/s.exec(key)?.[1];
  return { kind: "label", label: label ?? key };
}

/** An entry without one pair of quotes around it, which is what patterns are held against. */
const unquoted = (entry: string): string => /^"(.*)"$/s.exec(entry)?.[1] ?? entry;

function regexOf(pattern: string): RegExp {
  const costly = costlyPattern(pattern);
  if (costly !== undefined)
    throw new SeriesProblem(`invalid regular expression "${pattern}": ${costly}`, "bad request");
  try {
    return compilePosix(pattern);
  } catch (error) {
    if (!(error instanceof PosixError)) throw error;
    throw new SeriesProblem(`invalid regular expression "${pattern}"`, "bad request");
  }
}

/** A test whether names fit a pattern. Throws SeriesProblem for one that is too long. */
export function globOf(pattern: string): (name: string) => boolean {
  if (pattern.length > LONGEST_GLOB)
    throw new SeriesProblem(`a pattern of ${pattern.length} characters`, "bad request");
  return compileGlob(pattern);
}

function choiceOf({ comparison, value, quoted }: Comparing, map: NameMap): NameChoice | undefined {
  if (comparison === "==")
    return { kind: "equal", text: map.kind === "label" && quoted ? `"${value}"` : value };
  if (comparison === "~~") {
    const fits = globOf(value);
    return { kind: "glob", pattern: value, fits: (entry) => fits(unquoted(entry)) };
  }
  if (comparison !== "=~" && comparison !== "!~") return undefined;
  const regex = regexOf(value);
  return comparison === "=~"
    ? { kind: "regex", pattern: value, fits: (entry) => regex.test(unquoted(entry)) }
    : { kind: "unlike", pattern: value, fits: (entry) => !regex.test(unquoted(entry)) };
}

/** The selector of an operand: its name is a comparison too. */
export function selectorOf({ name, glob, selector }: SeriesNode): Selector | undefined {
  if (name === undefined) return selector;
  const named: Selector = {
    kind: "compare",
    key: "metric.name",
    comparison: glob ? "~~" : "==",
    value: name,
    quoted: false,
  };
  return selector === undefined ? named : { kind: "and", left: named, right: selector };
}

const byBytes = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Union as PCP orders it: the larger one sorted, then what is new in the smaller one. */
export function unite(left: Ids, right: Ids): Ids {
  const [larger, smaller] = left.length >= right.length ? [left, right] : [right, left];
  const known = new Set(larger);
  return [...[...larger].sort(byBytes), ...smaller.filter((id) => !known.has(id))];
}

/**
 * Sets united one after the other, as PCP does with those of the names that a pattern fits: as `unite` would
 * give it, but sorted once.
 */
export function uniteInTurn(sets: Iterable<Ids>): Ids {
  const known = new Set<SeriesId>();
  // What the next union sorts, and what stands behind it.
  let sorting: SeriesId[] = [];
  let tail: SeriesId[] = [];
  for (const set of sets) {
    const fresh = set.filter((id) => !known.has(id));
    if (set.length > sorting.length + tail.length) {
      const own = new Set(set);
      tail = [...sorting.sort(byBytes), ...tail].filter((id) => !own.has(id));
      sorting = [...set];
    } else {
      for (const id of tail) sorting.push(id);
      tail = fresh;
    }
    for (const id of fresh) known.add(id);
  }
  return [...sorting.sort(byBytes), ...tail];
}

/** Intersection as PCP orders it: members of the smaller one, in its order; of the right one of equal size. */
export function intersect(left: Ids, right: Ids): Ids {
  const [smaller, larger] = left.length < right.length ? [left, right] : [right, left];
  const known = new Set(larger);
  return smaller.filter((id) => known.has(id));
}

/** Series of each operand, in PCP's order. Throws SeriesProblem. */
export async function selectSeries(
  store: SeriesStore,
  operands: readonly SeriesNode[],
): Promise<readonly Ids[]> {
  const leaves: Leaf[] = [];
  /** Puts a selector's questions on the list; gives what makes its answer of all answers. */
  const plan = (selector: Selector): ((answers: readonly Ids[]) => Ids) => {
    if (selector.kind !== "compare") {
      const left = plan(selector.left);
      const right = plan(selector.right);
      const join = selector.kind === "and" ? intersect : unite;
      return (answers) => join(left(answers), right(answers));
    }
    const map = mapOf(selector.key);
    const choice = choiceOf(selector, map);
    // Comparisons of order and `!=` are read but choose nothing.
    if (choice === undefined) return () => [];
    const at = leaves.push({ map, choice }) - 1;
    return (answers) => answers[at] ?? [];
  };
  const plans = operands.map((operand) => {
    const selector = selectorOf(operand);
    return selector === undefined ? (): Ids => [] : plan(selector);
  });
  const answers = leaves.length === 0 ? [] : await store.select(leaves);
  return plans.map((answer) => answer(answers));
}
