// The documents of text search (spec series.md 13.2): what is looked for of a metric, an instance domain
// and an instance, taken from the metadata of an archive. Nothing is refused: what has no text has none.
import { type Catalog, PM_TEXT } from "../archive/mod.ts";
import { type Desc, type Indom, PM_INDOM_NULL, pmInDomStr } from "../pcp/mod.ts";
import type { TextType } from "./search.ts";

/** What can be found. */
export interface TextDocument {
  readonly type: TextType;
  /** Of an instance domain: `domain.serial`. */
  readonly name: string;
  /** `domain.serial`; `none` for a metric without instances; undefined where it is not known. */
  readonly indom: string | undefined;
  readonly oneline: string | undefined;
  readonly helptext: string | undefined;
}

/** A text of an archive; none is undefined, and so is an empty one. */
const textOf = (catalog: Catalog, type: number, ident: number): string | undefined =>
  catalog.text(type, ident >>> 0) || undefined;

/** The document of a metric under one of its names. */
export const metricDocument = (catalog: Catalog, desc: Desc, name: string): TextDocument => ({
  type: "metric",
  name,
  indom: desc.indom === PM_INDOM_NULL ? "none" : pmInDomStr(desc.indom),
  oneline: textOf(catalog, PM_TEXT.PMID | PM_TEXT.ONELINE, desc.pmid),
  helptext: textOf(catalog, PM_TEXT.PMID | PM_TEXT.HELP, desc.pmid),
});

/** The document of an instance domain. */
export function indomDocument(catalog: Catalog, indom: Indom): TextDocument {
  const name = pmInDomStr(indom);
  return {
    type: "indom",
    name,
    indom: name,
    oneline: textOf(catalog, PM_TEXT.INDOM | PM_TEXT.ONELINE, indom),
    helptext: textOf(catalog, PM_TEXT.INDOM | PM_TEXT.HELP, indom),
  };
}

/** The document of an instance of a domain. */
export const instanceDocument = (indom: Indom, name: string): TextDocument => ({
  type: "instance",
  name,
  indom: pmInDomStr(indom),
  oneline: undefined,
  helptext: undefined,
});
