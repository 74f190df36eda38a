// Shapes of data records: the PMIDs of a record in their order, with what extraction does to such
// records worked out once. Records of a shape are checked and stepped over without a look-up per
// metric. Refused: records that break the placement rules (spec archive.md 3.1).
import { MAX_VLEN, PM_VAL, type Pmid, pmidBuild, type Timestamp } from "../pcp/mod.ts";
import type { DescriptionWriter, Described } from "./descriptions.ts";
import type { Layouts } from "./layouts.ts";
import type { SelectedMetrics } from "./selection.ts";

/** pmcd.pid and pmcd.seqnum: which pmcd a prologue or epilogue is about (spec extract.md 9.1). */
export const PMCD_PID = pmidBuild(2, 0, 23);
/** See PMCD_PID. */
export const PMCD_SEQNUM = pmidBuild(2, 0, 24);
/** Number of metrics in a prologue or epilogue. */
const LOGGER_METRICS = 5;

/** What is done with one value set. */
export type SetPlan =
  | { readonly kind: "keep" }
  | { readonly kind: "drop" }
  /** Nobody describes the metric: the set is taken out with a warning. */
  | { readonly kind: "cull"; readonly pmid: Pmid }
  /** Only these instances, in this order. */
  | { readonly kind: "filter"; readonly instances: readonly number[] };

/** Records with the same PMIDs in the same order. */
export interface Shape extends Layouts {
  /** As signed words. */
  readonly pmids: Int32Array;
  /** Undefined: every set is kept as it is. */
  readonly plan: readonly SetPlan[] | undefined;
  /** Whether there is anything left of such a record. */
  readonly kept: boolean;
  /** Whether it may tell which pmcd the values came from. */
  readonly logger: boolean;
  /** Metrics whose metadata the record needs. */
  readonly described: readonly Described[];
  /** There is no metadata to write for times from `from` to before `until`. */
  from: Timestamp | undefined;
  until: Timestamp | undefined;
}

/** What `match` finds. */
export const MATCH = {
  /** Another shape. */
  OTHER: 0,
  /** This shape, and sound. */
  SOUND: 1,
  /** Sound, but padding is not as writers of today make it. */
  PADDING: 2,
  /** A record of this shape that breaks the rules. */
  BROKEN: 3,
} as const;
export type Match = (typeof MATCH)[keyof typeof MATCH];

const PAD_WORD = 0x7e7e7e7e;
const PAD_MASKS: readonly number[] = [0, 0xff, 0xffff, 0xffffff];

/**
 * Compares the value sets from `at` on, as many as the shape has, and checks them up to `end`, where
 * the record's last length word is; `record` is where the record begins.
 */
export function match(
  shape: Shape,
  view: DataView,
  record: number,
  at: number,
  end: number,
): Match {
  const { pmids } = shape;
  const count = pmids.length;
  let withBlocks = -1;
  for (let i = 0; i < count; i++) {
    if (at + 8 > end) return MATCH.BROKEN;
    if (view.getInt32(at) !== pmids[i]) return MATCH.OTHER;
    const numval = view.getInt32(at + 4);
    if (numval <= 0) {
      at += 8;
      continue;
    }
    if (numval > (end - at - 12) >> 3) return MATCH.BROKEN;
    const valfmt = view.getInt32(at + 8);
    if (valfmt !== PM_VAL.INSITU) {
      if (valfmt !== PM_VAL.DPTR && valfmt !== PM_VAL.SPTR) return MATCH.BROKEN;
      if (withBlocks < 0) withBlocks = at;
    }
    at += 12 + 8 * numval;
  }
  if (withBlocks >= 0) return matchBlocks(view, record, withBlocks, at, end);
  return at === end ? MATCH.SOUND : MATCH.BROKEN;
}

/** Checks the blocks of the sets in `[at, blocksAt)`: one after the other up to `end`. */
function matchBlocks(
  view: DataView,
  record: number,
  at: number,
  blocksAt: number,
  end: number,
): Match {
  let block = blocksAt;
  let found: Match = MATCH.SOUND;
  const base = record - 8;
  if (((blocksAt - base) & 3) !== 0) return MATCH.BROKEN;
  while (at < blocksAt) {
    const numval = view.getInt32(at + 4);
    if (numval <= 0) {
      at += 8;
      continue;
    }
    const stop = at + 12 + 8 * numval;
    if (view.getInt32(at + 8) === PM_VAL.INSITU) {
      at = stop;
      continue;
    }
    for (at += 16; at < stop; at += 8) {
      if (base + 4 * view.getInt32(at) !== block || block + 4 > end) return MATCH.BROKEN;
      const vlen = view.getInt32(block) & MAX_VLEN;
      const size = (vlen + 3) & ~3;
      if (vlen < 4 || size > end - block) return MATCH.BROKEN;
      block += size;
      if (size !== vlen && found === MATCH.SOUND) {
        const mask = PAD_MASKS[size - vlen] as number;
        if (((view.getInt32(block - 4) ^ PAD_WORD) & mask) !== 0) found = MATCH.PADDING;
      }
    }
    at = stop;
  }
  return block === end ? found : MATCH.BROKEN;
}

/** Shapes that are remembered; an archive has a few, one of many inputs some dozens. */
const MOST = 4096;

/** All shapes of a run. */
export class Shapes {
  private readonly known = new Map<number, Shape[]>();
  private count = 0;

  constructor(
    private readonly selected: SelectedMetrics | undefined,
    private readonly dropped: ReadonlySet<Pmid>,
    private readonly descriptions: DescriptionWriter,
  ) {}

  /** The shape of the value sets from `at` on; undefined when they do not fit before `end`. */
  of(view: DataView, at: number, numpmid: number, end: number): Shape | undefined {
    if (numpmid > (end - at) / 8) return undefined;
    const pmids = new Int32Array(numpmid);
    let hash = numpmid;
    for (let i = 0; i < numpmid; i++) {
      if (at + 8 > end) return undefined;
      const pmid = view.getInt32(at);
      pmids[i] = pmid;
      hash = (Math.imul(hash, 31) + pmid) | 0;
      const numval = view.getInt32(at + 4);
      if (numval > 0 && numval > (end - at - 12) / 8) return undefined;
      at += numval > 0 ? 12 + 8 * numval : 8;
    }
    const list = this.known.get(hash);
    const found = list?.find(
      (shape) =>
        shape.pmids.length === numpmid && pmids.every((pmid, i) => shape.pmids[i] === pmid),
    );
    if (found !== undefined) return found;
    if (this.count++ >= MOST) {
      this.known.clear();
      this.count = 1;
    }
    const shape = this.make(pmids);
    if (list === undefined || this.count === 1) this.known.set(hash, [shape]);
    else list.push(shape);
    return shape;
  }

  private planOf(pmid: Pmid): SetPlan {
    if (this.dropped.has(pmid)) return { kind: "drop" };
    if (this.selected !== undefined) {
      const metric = this.selected.get(pmid);
      if (metric === undefined) return { kind: "drop" };
      if (metric.instances !== undefined) return { kind: "filter", instances: metric.instances };
    }
    return this.descriptions.of(pmid) === undefined ? { kind: "cull", pmid } : { kind: "keep" };
  }

  private make(pmids: Int32Array): Shape {
    const plan: SetPlan[] = [];
    const described: Described[] = [];
    let logger = false;
    for (const word of pmids) {
      const pmid = (word >>> 0) as Pmid;
      const set = this.planOf(pmid);
      plan.push(set);
      const about =
        set.kind === "keep" || set.kind === "filter" ? this.descriptions.of(pmid) : undefined;
      if (about !== undefined) described.push(about);
      if (pmids.length === LOGGER_METRICS && (pmid === PMCD_PID || pmid === PMCD_SEQNUM)) {
        logger = true;
      }
    }
    return {
      pmids,
      plan: plan.every(({ kind }) => kind === "keep") ? undefined : plan,
      kept: plan.some(({ kind }) => kind !== "drop"),
      logger,
      described,
      layouts: [],
      made: 0,
      met: 0,
      from: undefined,
      until: undefined,
    };
  }
}
