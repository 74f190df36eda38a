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
