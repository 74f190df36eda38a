// Which metrics a search finds, the best first. Pure.
import type { Metric } from "./types.ts";

/** A metric that was found. */
export interface Hit {
  readonly metric: Metric;
  /** Smaller is better. */
  readonly rank: number;
}

/** How well a word fits: a part of the name from its start, a part of the name, the text; undefined: not. */
function rankOf(name: string, text: string, word: string): number | undefined {
  if (name.startsWith(word)) return 0;
  const at = name.indexOf(word);
  if (at > 0) return name[at - 1] === "." ? 1 : 2;
  return text.includes(word) ? 4 : undefined;
}

/** Metrics in whose name or one-line text all words (in lower case) stand. */
export function found(metrics: readonly Metric[], words: readonly string[]): readonly Hit[] {
  const hits: Hit[] = [];
  for (const metric of metrics) {
    const name = metric.name.toLowerCase();
    const text = metric.oneline.toLowerCase();
    let rank = 0;
    const isHit = words.every((word) => {
      const each = rankOf(name, text, word);
      rank += each ?? 0;
      return each !== undefined;
    });
    if (isHit) hits.push({ metric, rank });
  }
  return hits.toSorted((a, b) => a.rank - b.rank || (a.metric.name < b.metric.name ? -1 : 1));
}

/**
 * Names in which all words (in lower case) stand: those that begin with the first one before the others,
 * and of these those whose parts begin with the words; else in their order.
 */
export function namesWith(names: readonly string[], words: readonly string[]): readonly string[] {
  const [first = ""] = words;
  const ranks = new Map<string, number>();
  for (const name of names) {
    const lower = name.toLowerCase();
    if (!words.every((word) => lower.includes(word))) continue;
    const isPart = words.every((word) => lower.startsWith(word) || lower.includes(`.${word}`));
    ranks.set(name, (lower.startsWith(first) ? 0 : 2) + (isPart ? 0 : 1));
  }
  return [...ranks.keys()].toSorted((a, b) => (ranks.get(a) ?? 0) - (ranks.get(b) ?? 0));
}
