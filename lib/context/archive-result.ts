// Results of fetches over archives: the wanted value sets of a record in bytes of their own, in the
// order asked for, with the instances of the profile (spec archive.md 9.2). Values are copied as they
// are stored. Refuses nothing; the record was checked.
import { pad4, viewOf } from "../base/mod.ts";
import {
  type InstanceId,
  MAX_VLEN,
  PM_VAL,
  type Pmid,
  ResultView,
  type ValueSetCursor,
} from "../pcp/mod.ts";

/** Metrics of a request by PMID, each with the places in the request that want it. */
export type Wanted = ReadonlyMap<Pmid, readonly number[]>;

/** The places of each metric in a request. */
export function wantedOf(pmids: readonly Pmid[]): Wanted {
  const wanted = new Map<Pmid, number[]>();
  pmids.forEach((pmid, i) => {
    const places = wanted.get(pmid);
    if (places === undefined) wanted.set(pmid, [i]);
    else places.push(i);
  });
  return wanted;
}

/** Whether a record has any of the metrics. */
export function hasAny(result: ResultView, wanted: Wanted): boolean {
  const sets = result.sets();
  while (sets.next()) if (wanted.has(sets.pmid)) return true;
  return false;
}

/** Which instances of a metric are wanted; undefined: all. */
export type Filter = (pmid: Pmid) => ((instance: InstanceId) => boolean) | undefined;

/** One value set that is copied. */
interface Part {
  readonly pmid: Pmid;
  readonly numval: number;
  readonly valfmt: number;
  /** Where the values begin in the record. */
  readonly values: number;
  /** Numbers of the values that are kept; undefined: all. */
  readonly kept: readonly number[] | undefined;
}

const SET_HEAD = 12;
const EMPTY_SET = 8;

function partOf(set: ValueSetCursor, filter: Filter): Part {
  const { pmid, numval, valfmt, offset } = set;
  const values = offset + SET_HEAD;
  const wants = numval > 0 ? filter(pmid) : undefined;
  if (wants === undefined) return { pmid, numval, valfmt, values, kept: undefined };
  const kept: number[] = [];
  for (let i = 0; i < numval; i++) if (wants(set.instance(i))) kept.push(i);
  return { pmid, numval: kept.length, valfmt, values, kept };
}

/** The parts of a record in the order of the request. */
export function selectSets(
  result: ResultView,
  pmids: readonly Pmid[],
  wanted: Wanted,
  filter: Filter,
): ResultView {
  const parts: (Part | undefined)[] = pmids.map(() => undefined);
  for (const set = result.sets(); set.next();) {
    for (const place of wanted.get(set.pmid) ?? []) parts[place] ??= partOf(set, filter);
  }
  return copyParts(result, pmids, parts);
}

function copyParts(
  { view, bytes, wordBase, timestamp }: ResultView,
  pmids: readonly Pmid[],
  parts: readonly (Part | undefined)[],
): ResultView {
  let setBytes = 0;
  let blockBytes = 0;
  for (const part of parts) {
    const numval = part?.numval ?? 0;
    setBytes += numval > 0 ? SET_HEAD + 8 * numval : EMPTY_SET;
    if (part === undefined || part.valfmt === PM_VAL.INSITU) continue;
    for (let i = 0; i < numval; i++) {
      const block = wordBase + 4 * view.getUint32(part.values + 8 * (part.kept?.[i] ?? i) + 4);
      blockBytes += pad4(view.getUint32(block) & MAX_VLEN);
    }
  }
  const out = new Uint8Array(setBytes + blockBytes);
  const to = viewOf(out);
  let at = 0;
  let block = setBytes;
  parts.forEach((part, place) => {
    const numval = part?.numval ?? 0;
    to.setUint32(at, pmids[place] as number);
    to.setInt32(at + 4, numval);
    if (part === undefined || numval <= 0) {
      at += EMPTY_SET;
      return;
    }
    to.setInt32(at + 8, part.valfmt);
    at += SET_HEAD;
    for (let i = 0; i < numval; i++, at += 8) {
      const from = part.values + 8 * (part.kept?.[i] ?? i);
      to.setInt32(at, view.getInt32(from));
      const word = view.getUint32(from + 4);
      if (part.valfmt === PM_VAL.INSITU) {
        to.setUint32(at + 4, word);
        continue;
      }
      const start = wordBase + 4 * word;
      const size = pad4(view.getUint32(start) & MAX_VLEN);
      out.set(bytes.subarray(start, start + size), block);
      to.setUint32(at + 4, block / 4);
      block += size;
    }
  });
  return new ResultView(out, timestamp, pmids.length, 0, 0, to);
}

/** A whole record in bytes of its own. */
export function copyRecord(result: ResultView, raw: Uint8Array): ResultView {
  const { timestamp, numpmid, setsAt, wordBase } = result;
  const bytes = raw.slice();
  if (numpmid === 0) return new ResultView(bytes, timestamp, 0, bytes.length);
  // A block index counts from eight bytes before the record, which shows where it begins.
  return new ResultView(bytes, timestamp, numpmid, setsAt - (wordBase + 8), -8);
}
