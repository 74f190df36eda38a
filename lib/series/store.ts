// The one interface of what keeps time series: a key server in PCP's schema, or a catalogue over archives
// (spec series.md 2, 10). Evaluation, look-ups and reports know nothing else. Questions come in lists, so
// that a store can pipeline them or ask its catalogue once; values come as columns, in blocks, so that
// neither memory nor time goes into an object for a value. A store refuses, with a rejection, what it
// cannot answer now; it never makes an answer up. Nothing here does anything but keep answers' shapes.
import type { SeriesId } from "./ids.ts";
import type { Samples } from "./samples.ts";

/** The maps that names are looked up in. Labels are named by their own name. */
export type NameMap =
  | { readonly kind: "instance" | "metric" | "context" }
  | { readonly kind: "label"; readonly label: string };

/** How names of a map are chosen: one name, or all that a pattern fits. */
export type NameChoice =
  | {
      readonly kind: "equal";
      /** As it is in the map: label values are JSON. */
      readonly text: string;
    }
  | {
      /** What the query says, for a store that can match by itself. */
      readonly kind: "glob" | "regex" | "unlike";
      readonly pattern: string;
      /** Whether an entry, as it is in the map, is chosen. */
      readonly fits: (entry: string) => boolean;
    };

/** One comparison of a selector. */
export interface Leaf {
  readonly map: NameMap;
  readonly choice: NameChoice;
}

/** A descriptor as texts (spec series.md 2.3); the source is 40 digits. */
export interface SeriesDescriptor {
  readonly indom: string;
  readonly pmid: string;
  readonly semantics: string;
  readonly source: string;
  readonly type: string;
  readonly units: string;
}

/** An instance of a series (spec series.md 2.4). */
export interface SeriesInstance {
  /** The instance's own identifier, 40 digits. */
  readonly id: string;
  /** The internal instance identifier. */
  readonly inst: number;
  readonly name: string;
  /** 40 digits. */
  readonly source: string;
}

/** A label with its value as JSON text. */
export interface SeriesLabel {
  readonly name: string;
  readonly value: string;
}

/** Names that can be listed whole. */
export type NameList = "metric" | "instance" | "label" | "context";

/** Values of one series that are asked for. Times are microseconds since 1970, both inclusive. */
export interface ValuesRequest {
  readonly series: string;
  readonly from: number;
  /** May be Infinity. */
  readonly to: number;
  /** Given: the newest so many samples of the range, newest first. Else all, oldest first. */
  readonly newest?: number;
  /** Given: no more than so many samples are looked at; a store may stop there. */
  readonly most?: number;
}

/**
 * Consecutive samples of one series. Blocks come in the order of the requests, those of one request one
 * after the other, sharing one table of instances (which may grow) and one kind of column. A request
 * without samples has no block. A sample without values is one where the metric had an error.
 */
export interface ValueBlock extends Samples {
  /** Index of the request. */
  readonly request: number;
}

/** Where time series are kept. Identifiers are taken as they are typed; unknown ones have no answers. */
export interface SeriesStore {
  /** For each leaf its series, sorted by identifier, each once. */
  select(leaves: readonly Leaf[]): Promise<readonly (readonly SeriesId[])[]>;
  descriptors(series: readonly string[]): Promise<readonly (SeriesDescriptor | undefined)[]>;
  /** Names of each metric series; none for what is no metric. */
  metricNames(series: readonly string[]): Promise<readonly (readonly string[])[]>;
  /** Instances of each metric series, in any order. */
  instances(series: readonly string[]): Promise<readonly (readonly SeriesInstance[])[]>;
  /** Instances by their own identifiers. */
  instancesById(ids: readonly string[]): Promise<readonly (SeriesInstance | undefined)[]>;
  /** Labels of each metric series or instance. */
  labels(ids: readonly string[]): Promise<readonly (readonly SeriesLabel[])[]>;
  /** Context names of each source: paths and hosts. */
  sources(sources: readonly string[]): Promise<readonly (readonly string[])[]>;
  /** For each label name all its values, as JSON. */
  labelValues(names: readonly string[]): Promise<readonly (readonly string[])[]>;
  /** All names of a kind. */
  names(list: NameList): Promise<readonly string[]>;
  /**
   * Values, as they arrive. Whoever stops iterating ends the work. No block has more than
   * BLOCK_VALUES values, unless one sample has.
   */
  values(requests: readonly ValuesRequest[]): AsyncIterable<ValueBlock>;
  /** Canonical texts of fabricated series (spec series.md 9). */
  expressions(series: readonly string[]): Promise<readonly (string | undefined)[]>;
  /** Keeps a fabricated series, over one that was kept before. */
  fabricate(series: SeriesId, expression: string, descriptor: SeriesDescriptor): Promise<void>;
}

/** Most values of a block. */
export const BLOCK_VALUES = 65_536;
