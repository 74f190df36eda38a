// Event records of a value, unpacked: each with its time, flags and parameters, and the parameters'
// values as PCP's tools print them. Names of parameters are looked up by the caller. A block that is
// broken is refused with PM_ERR_IPC.
import {
  type Atom,
  convertNumber,
  eventsOf,
  formatG,
  pmAtomStr,
  pmEventFlagsStr,
  PM_TYPE,
  type Pmid,
  pmIDStr,
  type PmType,
  stringOf,
} from "../pcp/mod.ts";
import { viewOf } from "../base/mod.ts";
import type { EventParameter, EventRecord } from "./report.ts";

/** Most records that are unpacked of one value; a value is at most 16 MB. */
export const MAX_EVENTS = 10_000;

function atomOf(data: Uint8Array, type: PmType): Atom | null {
  const view = viewOf(data);
  const wide = type === PM_TYPE.I64 || type === PM_TYPE.U64 || type === PM_TYPE.DOUBLE;
  const narrow = type === PM_TYPE.I32 || type === PM_TYPE.U32 || type === PM_TYPE.FLOAT;
  if ((wide && data.length < 8) || (narrow && data.length < 4)) return null;
  switch (type) {
    case PM_TYPE.I32:
      return view.getInt32(0);
    case PM_TYPE.U32:
      return view.getUint32(0);
    case PM_TYPE.FLOAT:
      return view.getFloat32(0);
    case PM_TYPE.I64:
      return view.getBigInt64(0);
    case PM_TYPE.U64:
      return view.getBigUint64(0);
    case PM_TYPE.DOUBLE:
      return view.getFloat64(0);
    case PM_TYPE.STRING:
      return stringOf(data);
    default:
      return data.slice();
  }
}

/** A value as pmPrintValue(3) prints one of its type. */
export function atomText(atom: Atom | null, type: PmType): string {
  if (atom === null) return "[no value]";
  if (typeof atom === "string") return `"${atom}"`;
  if (typeof atom === "object") return pmAtomStr(atom, PM_TYPE.AGGREGATE);
  if (type === PM_TYPE.FLOAT || type === PM_TYPE.DOUBLE) {
    return formatG(Number(convertNumber(atom, type, type)), type === PM_TYPE.FLOAT ? 8 : 16);
  }
  return String(atom);
}

/** A parameter before its name is known. */
type Unnamed = Omit<EventParameter, "metric"> & { readonly id: Pmid };
/** A record whose parameters have no names yet. */
export type RawEvent = Omit<EventRecord, "parameters"> & {
  readonly parameters: readonly Unnamed[];
};

/** The records of the block at `at`, at most MAX_EVENTS. */
export function unpackEvents(bytes: Uint8Array, at: number): readonly RawEvent[] {
  const cursor = eventsOf(bytes, at);
  const records: RawEvent[] = [];
  while (records.length < MAX_EVENTS && cursor.next()) {
    const { sec, nsec, flags, missed, nparams } = cursor;
    const parameters: Unnamed[] = [];
    while (cursor.nextParameter()) {
      const { pmid, type } = cursor;
      const value = atomOf(cursor.data(), type);
      parameters.push({ id: pmid, pmid: pmIDStr(pmid), value, text: atomText(value, type) });
    }
    records.push({ time: { sec, nsec }, flags, missed: missed ? nparams : 0, parameters });
  }
  return records;
}

/** `flags 0x1 (point)`, `5 records missed`. */
export const eventHead = (record: Pick<EventRecord, "flags" | "missed">): string =>
  record.missed > 0
    ? `${record.missed} missed event record${record.missed === 1 ? "" : "s"}`
    : `flags 0x${record.flags.toString(16)} (${pmEventFlagsStr(record.flags)})`;
