// Checks that go beyond the frames of records: what pmlogcheck(1) looks for, over every value. A record
// that does not hold is damage, what holds and contradicts the metadata is a finding. Bounded memory:
// findings and the counters that are followed are kept up to a number. Refuses nothing.
import type { Archive, Catalog, Instances, Volume } from "../archive/mod.ts";
import { compareTimes } from "../archive/mod.ts";
import { PcpError } from "../base/mod.ts";
import {
  checkEvents,
  type Desc,
  type Indom,
  PM_INDOM_NULL,
  PM_SEM,
  PM_TYPE,
  PM_VAL,
  type Pmid,
  pmIDStr,
  pmInDomStr,
  pmTypeStr,
  type Timestamp,
  type ValueSet,
} from "../pcp/mod.ts";
import { timestampText } from "./archive-index.ts";
import { type DamageList, noteDamage } from "./archive-damage.ts";
import { type Findings, FINDINGS } from "./archive-findings.ts";

/** Counters that are followed; further ones are not compared with their values before. */
const MAX_COUNTERS = 500_000;

/** Data bytes of a value block by type; others may have any number. */
const SIZES: ReadonlyMap<number, number> = new Map([
  [PM_TYPE.I32, 4],
  [PM_TYPE.U32, 4],
  [PM_TYPE.I64, 8],
  [PM_TYPE.U64, 8],
  [PM_TYPE.FLOAT, 4],
  [PM_TYPE.DOUBLE, 8],
]);

const INSITU: ReadonlySet<number> = new Set([PM_TYPE.I32, PM_TYPE.U32, PM_TYPE.FLOAT]);

/** A check of one archive. */
export interface Checker {
  /** Checks the record that a walk has come to. */
  record(volume: Volume): void;
  /** Values seen so far. */
  values(): number;
}

interface Context {
  readonly catalog: Catalog;
  readonly find: (sort: string, message: string) => void;
  /** Instances of a domain at the time of the record; undefined when nothing is known. */
  readonly members: (indom: Indom) => ReadonlySet<number> | undefined;
  readonly counters: Counters;
}

/** Last values of counters by metric and instance, and their number. */
interface Counters {
  readonly last: Map<Pmid, Map<number, number>>;
  size: number;
}

const nameOf = ({ catalog }: Context, pmid: Pmid): string =>
  `${pmIDStr(pmid)} (${catalog.names.namesOf(pmid)[0] ?? "???"})`;

function checkBlock(context: Context, set: ValueSet, i: number, desc: Desc): void {
  const { bytes, view } = set;
  const at = set.block(i);
  const head = view.getUint32(at);
  const type = head >>> 24;
  const size = (head & 0xffffff) - 4;
  const metric = (): string => nameOf(context, set.pmid);
  // Blocks of the first archives have no type.
  if (type !== desc.type && type !== 0) {
    const types = `${pmTypeStr(type)}, ${pmTypeStr(desc.type)} in the metadata`;
    context.find(FINDINGS.TYPE, `${metric()}: value of type ${types}`);
    return;
  }
  const wanted = SIZES.get(desc.type);
  if (wanted !== undefined && size !== wanted) {
    context.find(FINDINGS.SIZE, `${metric()}: ${size} bytes for a ${pmTypeStr(desc.type)}`);
  }
  if (desc.type === PM_TYPE.STRING && (size === 0 || bytes[at + 3 + size] !== 0)) {
    if (!bytes.subarray(at + 4, at + 4 + size).includes(0)) {
      context.find(FINDINGS.TEXT, `${metric()}: text of ${size} bytes without NUL`);
    }
  }
  if (desc.type !== PM_TYPE.EVENT && desc.type !== PM_TYPE.HIGHRES_EVENT) return;
  try {
    checkEvents(bytes, at, view);
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    context.find(FINDINGS.EVENTS, `${metric()}: ${error.message}`);
  }
}

/** Value `i` as a number, undefined for what is none. */
function counterValue(set: ValueSet, i: number, type: number): number | undefined {
  if (set.valfmt === PM_VAL.INSITU) {
    if (type === PM_TYPE.U32) return set.word(i);
    return type === PM_TYPE.I32 ? set.word(i) | 0 : undefined;
  }
  const at = set.block(i);
  const head = set.view.getUint32(at);
  if (head >>> 24 !== type || (head & 0xffffff) !== (SIZES.get(type) ?? -1) + 4) return undefined;
  switch (type) {
    case PM_TYPE.I64:
      return Number(set.view.getBigInt64(at + 4));
    case PM_TYPE.U64:
      return Number(set.view.getBigUint64(at + 4));
    case PM_TYPE.FLOAT:
      return set.view.getFloat32(at + 4);
    case PM_TYPE.DOUBLE:
      return set.view.getFloat64(at + 4);
    default:
      return undefined;
  }
}

function checkCounter(context: Context, set: ValueSet, i: number, desc: Desc): void {
  const value = counterValue(set, i, desc.type);
  if (value === undefined) return;
  const { counters } = context;
  const inst = set.instance(i);
  let known = counters.last.get(set.pmid);
  if (known === undefined) {
    known = new Map();
    counters.last.set(set.pmid, known);
  }
  const before = known.get(inst);
  if (before === undefined && counters.size++ >= MAX_COUNTERS) return;
  known.set(inst, value);
  if (before === undefined || value >= before) return;
  const which = desc.indom === PM_INDOM_NULL ? "" : `[${inst}]`;
  const metric = nameOf(context, set.pmid);
  context.find(FINDINGS.COUNTER, `${metric}${which}: counter falls from ${before} to ${value}`);
}

function checkInstances(context: Context, set: ValueSet, desc: Desc): void {
  const metric = (): string => nameOf(context, set.pmid);
  if (desc.indom === PM_INDOM_NULL) {
    if (set.numval > 1) context.find(FINDINGS.SINGULAR, `${metric()}: ${set.numval} values`);
    return;
  }
  const members = context.members(desc.indom);
  if (members === undefined) {
    const indom = pmInDomStr(desc.indom);
    context.find(FINDINGS.DOMAIN, `${metric()}: no instances of ${indom} are known yet`);
  }
  let ascending = true;
  for (let i = 0; i < set.numval; i++) {
    const inst = set.instance(i);
    if (i > 0 && inst <= set.instance(i - 1)) ascending = false;
    if (members?.has(inst) === false) {
      const indom = pmInDomStr(desc.indom);
      context.find(FINDINGS.INSTANCE, `${metric()}: instance ${inst} is not in ${indom}`);
    }
  }
  if (ascending) return;
  const seen = new Set<number>();
  for (let i = 0; i < set.numval; i++) {
    const inst = set.instance(i);
    if (seen.has(inst)) context.find(FINDINGS.REPEATED, `${metric()}: instance ${inst} again`);
    seen.add(inst);
  }
}

function checkSet(context: Context, set: ValueSet): void {
  const desc = context.catalog.descs.get(set.pmid);
  if (desc === undefined) {
    context.find(FINDINGS.METRIC, `${pmIDStr(set.pmid)} has no descriptor`);
    return;
  }
  if (set.numval <= 0) return;
  checkInstances(context, set, desc);
  const insitu = set.valfmt === PM_VAL.INSITU;
  if (insitu && !INSITU.has(desc.type)) {
    const type = pmTypeStr(desc.type);
    context.find(FINDINGS.FORMAT, `${nameOf(context, set.pmid)}: a ${type} without a block`);
    return;
  }
  for (let i = 0; i < set.numval; i++) {
    if (!insitu) checkBlock(context, set, i, desc);
    if (desc.sem === PM_SEM.COUNTER) checkCounter(context, set, i, desc);
  }
}

/**
 * A check of the records of an archive. Where the metadata are not whole, values are not compared
 * with them.
 */
export function newChecker(
  { catalog }: Archive,
  damage: DamageList,
  findings: Findings,
  whole: boolean,
): Checker {
  const counters: Counters = { last: new Map(), size: 0 };
  const states = new Map<Indom, { readonly of: Instances; readonly ids: ReadonlySet<number> }>();
  let now: Timestamp = { sec: 0, nsec: 0 };
  let last: Timestamp | undefined;
  let values = 0;
  const members = (indom: Indom): ReadonlySet<number> | undefined => {
    const state = catalog.indoms.get(indom)?.at(now);
    if (state === undefined) return undefined;
    const known = states.get(indom);
    if (known?.of === state) return known.ids;
    const ids = new Set<number>(state.ids);
    states.set(indom, { of: state, ids });
    return ids;
  };
  const check = (volume: Volume): void => {
    const { path, offset } = volume;
    const here = (sort: string, message: string): void =>
      findings.add(sort, path, offset, now, message);
    if (last !== undefined && compareTimes(now, last) < 0) {
      here(FINDINGS.BACKWARDS, `the record before is of ${timestampText(last)}`);
    }
    last = now;
    if (volume.numpmid === 0) {
      counters.last.clear();
      counters.size = 0;
      return;
    }
    const context: Context = { catalog, find: here, members, counters };
    const seen = new Set<Pmid>();
    for (const set = volume.result().sets(); set.next();) {
      if (seen.has(set.pmid)) here(FINDINGS.TWICE, `${nameOf(context, set.pmid)} again`);
      seen.add(set.pmid);
      values += Math.max(0, set.numval);
      if (whole) checkSet(context, set);
    }
  };
  return {
    record(volume) {
      now = { sec: volume.sec, nsec: volume.nsec };
      try {
        check(volume);
      } catch (error) {
        if (!(error instanceof PcpError)) throw error;
        noteDamage(damage, error, volume.path);
      }
    },
    values: () => values,
  };
}
