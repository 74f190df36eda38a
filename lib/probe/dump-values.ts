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
  pmEventFlagsStr,
  type Pmid,
  pmIDStr,
  pmPrintValue,
  ResultView,
  type Timestamp,
  type ValueSet,
  writeValueSets,
  type Zone,
} from "../pcp/mod.ts";

/** Names of metrics and instances as the lines of a dump have them. */
export interface Naming {
  readonly catalog: Catalog;
  readonly zone: Zone;
  /** `29.0.2 (sample.seconds)`, with every name, or with `none` in their place. */
  metric(pmid: Pmid, none?: string): string;
  /** Instances are named as they are at this time from now on. */
  at(time: Timestamp): void;
  /** `1 or "bin-1"`. */
  instance(indom: Indom, inst: InstanceId): string;
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
  const known = new Map<Indom, { readonly of: Instances; readonly names: Map<number, string> }>();
  const namesAt = (indom: Indom): Map<number, string> | undefined => {
    const state = catalog.indoms.get(indom)?.at(now);
    if (state === undefined) return undefined;
    const last = known.get(indom);
    if (last?.of === state) return last.names;
    const made = new Map<number, string>(state.ids.map((id, i) => [id, state.names[i] ?? ""]));
    known.set(indom, { of: state, names: made });
    return made;
  };
  return {
    catalog,
    zone,
    metric: (pmid, none = "<nonames>") => `${pmIDStr(pmid)} (${names.get(pmid) ?? none})`,
    at(time) {
      now = { sec: time.sec, nsec: time.nsec };
    },
    instance(indom, inst) {
      const name = namesAt(indom)?.get(inst);
      return name === undefined ? `${inst} or ???` : `${inst} or "${name}"`;
    },
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
  const metric = naming.metric(set.pmid);
  let text = "";
  for (let i = 0; i < set.numval; i++) {
    const named =
      indom === PM_INDOM_NULL
        ? metric
        : metric.replace(/\)$/, `[${naming.instance(indom, set.instance(i))}])`);
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

/** The lines of a value set, each ended by a newline. */
export function valueSetText(naming: Naming, set: ValueSet): string {
  const metric = naming.metric(set.pmid);
  const { numval } = set;
  if (numval === 0) return `    ${metric}: No values returned!\n`;
  if (numval < 0) return `    ${metric}: ${pmErrStr(numval)}\n`;
  const desc = naming.catalog.descs.get(set.pmid);
  const type = desc?.type ?? PM_TYPE.U32;
  const indom = desc?.indom ?? PM_INDOM_NULL;
  const events = type === PM_TYPE.EVENT || type === PM_TYPE.HIGHRES_EVENT;
  if (events && set.valfmt !== 0) return eventsText(naming, set, indom);
  let text = `    ${metric}:${numval === 1 ? " " : "\n"}`;
  for (let i = 0; i < numval; i++) {
    if (numval > 1) text += "        ";
    if (indom !== PM_INDOM_NULL) text += `inst [${naming.instance(indom, set.instance(i))}] `;
    text += `value ${pmPrintValue(set, i, type, 1, naming.zone)}\n`;
  }
  return text;
}
