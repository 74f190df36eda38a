// What discovery leaves out (spec series.md 5.4): metrics by patterns of their names, instance domains by
// `domain.serial`. Refused: texts that are no instance domain.
import { compileGlob } from "../base/mod.ts";
import { type Indom, indomParse } from "../pcp/mod.ts";

/** What is left out. */
export interface ExclusionOptions {
  /** Patterns of names of metrics; `*` fits dots, too (`discover.exclude.metrics`). */
  readonly excludeMetrics?: readonly string[];
  /** `domain.serial` (`discover.exclude.indoms`). */
  readonly excludeIndoms?: readonly string[];
}

/** The same, to be asked. */
export interface Exclusions {
  metric(name: string): boolean;
  indom(indom: Indom): boolean;
}

const trimmed = (list: readonly string[] = []): string[] =>
  list.map((each) => each.trim()).filter((each) => each !== "");

/** Throws PcpError for a text that is no instance domain. */
export function exclusions({ excludeMetrics, excludeIndoms }: ExclusionOptions): Exclusions {
  const patterns = trimmed(excludeMetrics).map(compileGlob);
  const indoms = new Set(trimmed(excludeIndoms).map(indomParse));
  return {
    metric: (name) => patterns.some((fits) => fits(name)),
    indom: (indom) => indoms.has(indom),
  };
}
