// What a configuration file selects (spec extract.md 4.3, 4.4): its specs are looked up in each input as
// that is opened, and brought together in the order of the C program afterwards, so that the names
// and instances of one input at a time are in memory. Refuses nothing; what is not found is a warning.
import { PM_ERR, pmErrStr } from "../base/mod.ts";
import type { Catalog } from "../archive/mod.ts";
import { type Desc, type Indom, PM_INDOM_NULL, type Pmid } from "../pcp/mod.ts";
import { ExtractStop } from "./failure.ts";
import type { ExtractHooks, MetricRequest, Selection } from "./types.ts";

/** A selected metric. */
export interface SelectedMetric {
  readonly indom: Indom;
  /** Instances to keep, in this order; undefined for all. */
  readonly instances: readonly number[] | undefined;
}

/** Selected metrics; undefined in its place stands for all metrics. */
export type SelectedMetrics = ReadonlyMap<Pmid, SelectedMetric>;

/** A leaf that an input has for a spec. */
interface Offer {
  readonly pmid: Pmid;
  readonly metric: SelectedMetric | undefined;
  /** Warnings of the C program, without their first line. */
  readonly warnings: readonly string[];
}

/** Longest message in bytes (spec extract.md 4.2). */
const LONGEST = 239;

const cut = (text: string): string => {
  const bytes = Buffer.from(text);
  return bytes.length <= LONGEST ? text : bytes.subarray(0, LONGEST).toString();
};

/** The instance of a name, as spec extract.md 4.4 finds it; undefined without one. */
function byName(catalog: Catalog, indom: Indom, name: string): number | undefined {
  for (const { ids, names } of catalog.indoms.get(indom)?.newestFirst() ?? []) {
    let found = names.indexOf(name);
    if (found < 0) {
      found = names.findIndex((each) => {
        const space = each.indexOf(" ");
        return space >= 0 && name.startsWith(each.slice(0, space));
      });
    }
    if (found >= 0) return ids[found];
  }
  return undefined;
}

function byNumber(catalog: Catalog, indom: Indom, wanted: number): number | undefined {
  for (const { ids } of catalog.indoms.get(indom)?.newestFirst() ?? []) {
    if ((ids as readonly number[]).includes(wanted)) return wanted;
  }
  return undefined;
}

function offerOf(catalog: Catalog, desc: Desc, name: string, request: MetricRequest): Offer {
  const { pmid, indom } = desc;
  if (request.instances === undefined) {
    const instances = indom === PM_INDOM_NULL ? [-1] : undefined;
    return { pmid, metric: { indom, instances }, warnings: [] };
  }
  const instances: number[] = [];
  const warnings: string[] = [];
  for (const wanted of request.instances) {
    const find = typeof wanted === "number" ? byNumber : byName;
    const found =
      indom === PM_INDOM_NULL ? undefined : find(catalog, indom, wanted as number & string);
    if (found !== undefined) instances.push(found);
    else warnings.push(`Instance "${wanted}" is not defined for the metric "${name}"`);
  }
  if (instances.length > 0) return { pmid, metric: { indom, instances }, warnings };
  warnings.push(`None of the instances for metric "${name}" are valid, metric not extracted`);
  return { pmid, metric: undefined, warnings };
}

/** Looks specs up, input by input. */
export class Selector {
  /** Leaves of each spec in the order in which they are considered. */
  private readonly offers: Offer[][];
  /** Metrics of each spec that need not be offered again. */
  private readonly settled: Set<Pmid>[];

  constructor(private readonly selection: Selection) {
    this.offers = selection.requests.map(() => []);
    this.settled = selection.requests.map(() => new Set());
  }

  /** Takes what an input has of each spec. Inputs come in order. */
  look(catalog: Catalog): void {
    this.selection.requests.forEach((request, i) => {
      const node = catalog.names.find(request.name);
      if (request.name === "" || node === undefined) return;
      for (const { name, pmid } of catalog.names.traverse(request.name)) {
        const desc = catalog.descs.get(pmid);
        if (desc === undefined || this.settled[i]?.has(pmid) === true) continue;
        const offer = offerOf(catalog, desc, name, request);
        if (offer.metric !== undefined) this.settled[i]?.add(pmid);
        this.offers[i]?.push(offer);
      }
    });
  }

  /**
   * What is selected, undefined for everything; prints warnings, and throws ExtractStop for a file
   * that could not be read to its end.
   */
  finish({ say }: ExtractHooks): SelectedMetrics | undefined {
    const { file, requests, failure } = this.selection;
    const selected = new Map<Pmid, SelectedMetric>();
    let any = false;
    requests.forEach(({ name, line }, i) => {
      const warn = (text: string): void =>
        say(`Warning [${file}, line ${line}]\n${cut(text)}\n`, "stderr");
      const offers = this.offers[i] ?? [];
      if (offers.length === 0) {
        warn(`Problem with lookup for metric "${name}" ... metric ignored`);
        say(`Reason: ${pmErrStr(PM_ERR.NAME)}\n`, "stderr");
      }
      for (const { pmid, metric, warnings } of offers) {
        any = true;
        if (selected.has(pmid)) continue;
        for (const text of warnings) warn(text);
        if (metric !== undefined) selected.set(pmid, metric);
      }
    });
    if (failure !== undefined) {
      say(failure.text, "stderr");
      throw new ExtractStop(failure.status, false);
    }
    return any ? selected : undefined;
  }
}
