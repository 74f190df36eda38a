// The one interface of text search (spec series.md 13): metrics, instance domains and instances by their
// names and help texts. A key server with the search module has one, the catalogue of the embedded store
// another. Nothing here does anything but keep the shapes of questions and answers.

/** Hits of one answer where none are asked for (`pmsearch.result.count`). */
export const RESULT_COUNT = 10;

/** What a document is about. */
export type TextType = "metric" | "indom" | "instance";
/** Fields that words are looked for in. */
export type TextField = "name" | "oneline" | "helptext";
/** Members that an answer can have. */
export type TextMember = TextField | "type" | "indom";

/** A question for documents with words. An empty list means all, an empty highlight none. */
export interface TextQuery {
  readonly query: string;
  readonly types: readonly TextType[];
  readonly fields: readonly TextField[];
  readonly returns: readonly TextMember[];
  readonly highlight: readonly TextField[];
  /** Most hits; above 0. */
  readonly limit: number;
  readonly offset: number;
}

/** A document that was found; members that were not asked for, or that it has not, are absent or empty. */
export interface TextHit {
  /** 40 digits. */
  readonly id: string;
  readonly score: number;
  readonly type?: TextType;
  readonly name?: string;
  readonly indom?: string;
  readonly oneline?: string;
  readonly helptext?: string;
}

/** Documents that were found. */
export interface TextHits {
  /** How many there are, shown or not. */
  readonly total: number;
  /** Seconds that the search took. */
  readonly elapsed: number;
  readonly offset: number;
  readonly limit: number;
  readonly hits: readonly TextHit[];
}

/** The numbers of an index (spec series.md 13.4), by the names that REST replies give them, in their order. */
export type TextIndexInfo = Readonly<Record<string, number>>;

/** An index of texts. Rejects with PcpError or SeriesProblem when it cannot answer. */
export interface SearchIndex {
  text(query: TextQuery): Promise<TextHits>;
  /** Names for what was typed so far. */
  suggest(query: string, limit: number): Promise<readonly string[]>;
  /** Documents of an instance domain, given as `domain.serial`. */
  indom(indom: string, limit: number, offset: number): Promise<TextHits>;
  info(): Promise<TextIndexInfo>;
}
