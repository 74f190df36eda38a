// One value set of a record as pmdumplog prints it, events with their parameters (spec archive.md
// 3.1). Refuses nothing: what metadata do not tell prints as ???, a broken block as its error.
import type { Catalog, Instances } from "../archive/mod.ts";
import { PM_ERR, PcpError, pmErrStr } from "../base/mod.ts";
import {
  clockText,
  type EventCursor,
  eventsOf,
  type Indom,
  type InstanceId,
  type Names,
  PM_INDOM_NULL,
  PM_TYPE,
  PM_VAL,
  pmEventFlagsStr,
  type Pmid,
  pmIDStr,
  pmPrintValue,
  type PmType,
  ResultView,
  type Timestamp,
  type ValueSet,
  writeValueSets,
  type Zone,
} from "../pcp/mod.ts";

/** What the lines of a metric share. */
interface MetricLines {
  /** `29.0.2 (sample.seconds)`. */
  readonly label: string;
  readonly type: PmType;
  readonly indom: Indom;
}

/** Names of metrics and instances as the lines of a dump have them. */
export interface Naming {
  readonly catalog: Catalog;
  readonly zone: Zone;
  /** `29.0.2 (sample.seconds)`, with every name, or with `none` in their place. */
  metric(pmid: Pmid, none?: string): string;
  lines(pmid: Pmid): MetricLines;
  /** Instances are named as they are at this time from now on. */
  at(time: Timestamp): void;
  /** `1 or "bin-1"`. */
  instance(indom: Indom, inst: InstanceId): string;
  /** `bin-1`; null for one that is not in the domain. */
  instanceName(indom: Indom, inst: InstanceId): string | null;
}

/** The instances of a domain at the time that was asked for last, with the texts made for them. */
interface NamedInstances {
  /** Number of the time. */
  at: number;
  of: Instances | undefined;
  texts: Map<number, string>;
}

/** Bytes of a set with one value in situ, or with the index of its block. */
const SET_BYTES = 20;

/** The naming of a catalog, with other names of metrics if given; times of events are in `zone`. */
export function naming(catalog: Catalog, zone: Zone, metrics: Names = catalog.names): Naming {
  const names = new Map<Pmid, string>();
  for (const { name, pmid } of metrics.traverse()) {
    const known = names.get(pmid);
    names.set(pmid, known === undefined ? name : `${name} or ${known}`);
  }
  let now: Timestamp = { sec: 0, nsec: 0 };
  let times = 0;
  const known = new Map<Indom, NamedInstances>();
  const textsOf = (indom: Indom): Map<number, string> => {
    let found = known.get(indom);
    if (found?.at === times) return found.texts;
    const state = catalog.indoms.get(indom)?.at(now);
    if (found === undefined || found.of !== state) {
      const named = state?.ids.map((id, i) => [id, `${id} or "${state.names[i] ?? ""}"`] as const);
      found = { at: times, of: state, texts: new Map(named) };
      known.set(indom, found);
    }
    found.at = times;
    return found.texts;
  };
  const metric = (pmid: Pmid, none = "<nonames>"): string =>
    `${pmIDStr(pmid)} (${names.get(pmid) ?? none})`;
  const linesOf = new Map<Pmid, MetricLines>();
  return {
    catalog,
    zone,
    metric,
    lines(pmid) {
      let lines = linesOf.get(pmid);
      if (lines === undefined) {
        const { type = PM_TYPE.U32, indom = PM_INDOM_NULL } = catalog.descs.get(pmid) ?? {};
        lines = { label: metric(pmid), type, indom };
        linesOf.set(pmid, lines);
      }
      return lines;
    },
    at(time) {
      now = { sec: time.sec, nsec: time.nsec };
      times++;
    },
    instance: (indom, inst) => textsOf(indom).get(inst) ?? `${inst} or ???`,
    instanceName: (indom, inst) =>
      textsOf(indom).get(inst)?.slice(`${inst} or "`.length, -1) ?? null,
  };
}

/** A parameter of an event as a value set of its own. */
function parameterSet(events: EventCursor): ValueSet {
  const { pmid, type } = events;
  const data = events.data();
  const insitu = type === PM_TYPE.I32 || type === PM_TYPE.U32;
  if (insitu && data.length < 4) {
    throw new PcpError(PM_ERR.LOGREC, `parameter of ${data.length} bytes`);
  }
  const value = insitu ? new DataView(data.buffer, data.byteOffset).getInt32(0) : data;
  const bytes = new Uint8Array(SET_BYTES + (insitu ? 0 : 4 + data.length + 3));
  const size = { sets: SET_BYTES, blocks: bytes.length - SET_BYTES };
  writeValueSets(bytes, 0, [{ pmid, type, instances: [-1], values: [value] }], size);
  const sets = new ResultView(bytes, { sec: 0, nsec: 0 }, 1, 0).sets();
  sets.next();
  return sets;
}

function parameterText(naming: Naming, events: EventCursor): string {
  const { pmid } = events;
  const desc = naming.catalog.descs.get(pmid);
  if (desc === undefined) {
    return `        PMID: ${pmIDStr(pmid)}: pmLookupDesc: ${pmErrStr(PM_ERR.PMID_LOG)}\n`;
  }
  const value = pmPrintValue(parameterSet(events), 0, desc.type, 1, naming.zone);
  return `        ${naming.metric(pmid)}: value ${value}\n`;
}

function eventText(naming: Naming, events: EventCursor): string {
  let text = "";
  for (let i = 0; events.next(); i++) {
    const at = clockText(events, naming.zone, events.highres ? 9 : 6);
    const { flags } = events;
    const shown = ` flags 0x${flags.toString(16)} (${pmEventFlagsStr(flags)})`;
    text += `        --- event record [${i}] timestamp ${at}${flags === 0 ? "" : shown} ---\n`;
    if (events.missed) {
      text += `        ==> ${events.nparams} missed event records\n`;
      continue;
    }
    if (flags === 0 && events.nparams === 0) text += "\t          No parameters\n";
    while (events.nextParameter()) text += parameterText(naming, events);
  }
  return text;
}

/** `5 (and 7 missed) event records`. */
function eventHead(bytes: Uint8Array, at: number): string {
  const events = eventsOf(bytes, at);
  if (events.nrecords === 0) return "No event records";
  let missed = 0;
  while (events.next()) if (events.missed) missed += events.nparams;
  const lost = missed === 0 ? "" : ` (and ${missed} missed)`;
  return `${events.nrecords}${lost} event record${events.nrecords === 1 ? "" : "s"}`;
}

function eventsText(naming: Naming, set: ValueSet, indom: Indom): string {
  const { label } = naming.lines(set.pmid);
  let text = "";
  for (let i = 0; i < set.numval; i++) {
    const named =
      indom === PM_INDOM_NULL
        ? label
        : label.replace(/\)$/, `[${naming.instance(indom, set.instance(i))}])`);
    try {
      const at = set.block(i);
      text += `    ${named}: ${eventHead(set.bytes, at)}\n`;
      text += eventText(naming, eventsOf(set.bytes, at));
    } catch (error) {
      if (!(error instanceof PcpError)) throw error;
      text += `    ${named}: ${pmErrStr(error.code)}\n`;
    }
  }
  return text;
}

/** A value as pmPrintValue prints it; whole numbers in place, which most are, without its ceremony. */
function valueText(naming: Naming, set: ValueSet, i: number, type: PmType): string {
  if (set.valfmt === PM_VAL.INSITU) {
    if (type === PM_TYPE.U32) return String(set.word(i));
    if (type === PM_TYPE.I32) return String(set.word(i) | 0);
  }
  return pmPrintValue(set, i, type, 1, naming.zone);
}

/** The lines of a value set, each ended by a newline. */
export function valueSetText(naming: Naming, set: ValueSet): string {
  const { label, type, indom } = naming.lines(set.pmid);
  const { numval } = set;
  if (numval === 0) return `    ${label}: No values returned!\n`;
  if (numval < 0) return `    ${label}: ${pmErrStr(numval)}\n`;
  const events = type === PM_TYPE.EVENT || type === PM_TYPE.HIGHRES_EVENT;
  if (events && set.valfmt !== PM_VAL.INSITU) return eventsText(naming, set, indom);
  let text = `    ${label}:${numval === 1 ? " " : "\n"}`;
  for (let i = 0; i < numval; i++) {
    if (numval > 1) text += "        ";
    if (indom !== PM_INDOM_NULL) text += `inst [${naming.instance(indom, set.instance(i))}] `;
    text += `value ${valueText(naming, set, i, type)}\n`;
  }
  return text;
}
