// Instance domain records (spec archive.md 3.2, INDOM_V2, INDOM, INDOM_DELTA): the instances of a
// domain from a time on, or in version 3 what changed. A checked record is read where it lies.
// Refused with PM_ERR_LOGREC: counts that do not fit, negative instances, names outside the record.
import { bufferOf, PM_ERR, utf8, viewOf } from "../base/mod.ts";
import { asIndom, asInstance, type Indom, type InstanceId, type Timestamp } from "../pcp/mod.ts";
import { archiveError, NO_PLACE, type RecordPlace } from "./fault.ts";
import { frame, META_HEAD, META_TYPE, TRAILER } from "./frame.ts";
import { type ArchiveVersion, putTime, timeAt, timeBytes } from "./timestamp.ts";

/** One instance; without a name, in a delta record, the instance is gone. */
export interface InstanceEntry {
  readonly inst: InstanceId;
  readonly name: string | undefined;
}

/** Instances of a domain at a time, or the changes that make them of those before. */
export interface IndomRecord {
  readonly kind: "indom";
  readonly delta: boolean;
  readonly timestamp: Timestamp;
  readonly indom: Indom;
  readonly instances: readonly InstanceEntry[];
}

const KIND = "instance domain record";
const GONE = -1;

/** A checked record where it lies: no object per instance. */
export interface IndomView {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly delta: boolean;
  readonly timestamp: Timestamp;
  readonly indom: Indom;
  readonly count: number;
  /** Offset of the first instance number; the name offsets follow the numbers. */
  readonly instancesAt: number;
}

/** Checks a whole record and gives the view of it. */
export function viewIndom(bytes: Uint8Array, place: RecordPlace = NO_PLACE): IndomView {
  const refuse = (reason: string) => archiveError(PM_ERR.LOGREC, KIND, place, reason);
  const view = viewOf(bytes);
  const type = view.getInt32(4);
  const version: ArchiveVersion = type === META_TYPE.INDOM_V2 ? 2 : 3;
  const indomAt = META_HEAD + timeBytes(version);
  const instancesAt = indomAt + 8;
  const end = bytes.length - TRAILER;
  if (end < instancesAt) throw refuse(`${bytes.length} bytes are too short`);
  const count = view.getInt32(indomAt + 4);
  if (count < 0 || count > (end - instancesAt) / 8) throw refuse(`${count} instances do not fit`);
  const delta = type === META_TYPE.INDOM_DELTA;
  const namesAt = instancesAt + 4 * count;
  const textBytes = end - namesAt - 4 * count;
  for (let i = 0; i < count; i++) {
    const inst = view.getInt32(instancesAt + 4 * i);
    if (inst < 0) throw refuse(`instance ${inst} is negative`);
    const name = view.getInt32(namesAt + 4 * i);
    if (name === GONE && delta) continue;
    if (name < 0 || name >= textBytes) {
      throw refuse(`name of instance ${inst} at ${name} of ${textBytes} bytes`);
    }
  }
  return {
    bytes,
    view,
    delta,
    timestamp: timeAt(view, META_HEAD, version),
    indom: asIndom(view.getUint32(indomAt)),
    count,
    instancesAt,
  };
}

/** Instance `i` of a view. */
export const instanceAt = (record: IndomView, i: number): InstanceId =>
  record.view.getInt32(record.instancesAt + 4 * i) as InstanceId;

/** Name of instance `i` of a view, undefined for one that is gone. */
export function instanceNameAt(
  record: IndomView,
  i: number,
  bytes: Buffer = bufferOf(record.bytes),
): string | undefined {
  const { view, count, instancesAt } = record;
  const offset = view.getInt32(instancesAt + 4 * (count + i));
  if (offset < 0) return undefined;
  const at = instancesAt + 8 * count + offset;
  const end = bytes.length - TRAILER;
  const nul = bytes.indexOf(0, at);
  return bytes.toString("utf8", at, nul < 0 || nul > end ? end : nul);
}

/** Reads a whole record, its length words included. */
export function decodeIndom(bytes: Uint8Array, place: RecordPlace = NO_PLACE): IndomRecord {
  const record = viewIndom(bytes, place);
  const instances: InstanceEntry[] = [];
  for (let i = 0; i < record.count; i++) {
    instances.push({ inst: instanceAt(record, i), name: instanceNameAt(record, i) });
  }
  const { delta, timestamp, indom } = record;
  return { kind: "indom", delta, timestamp, indom, instances };
}

/**
 * The whole record, its length words included, with the names in the order of the instances. Throws
 * PM_ERR_ARG for a delta in version 2 and for an instance without a name outside a delta.
 */
export function encodeIndom(version: ArchiveVersion, record: IndomRecord): Uint8Array {
  const { delta, instances } = record;
  const refuse = (reason: string) => archiveError(PM_ERR.ARG, KIND, NO_PLACE, reason);
  if (delta && version === 2) throw refuse("version 2 has no delta records");
  const full = version === 2 ? META_TYPE.INDOM_V2 : META_TYPE.INDOM;
  return frame(delta ? META_TYPE.INDOM_DELTA : full, (out) => {
    putTime(out, version, record.timestamp);
    out.u32(record.indom).i32(instances.length);
    for (const { inst } of instances) out.i32(inst);
    const texts: Uint8Array[] = [];
    let offset = 0;
    for (const { inst, name } of instances) {
      if (name === undefined) {
        if (!delta) throw refuse(`instance ${inst} has no name`);
        out.i32(GONE);
        continue;
      }
      const text = utf8(name);
      texts.push(text);
      out.i32(offset);
      offset += text.length + 1;
    }
    for (const text of texts) out.put(text).u8(0);
  });
}

/** An entry of a record to be encoded. */
export const instanceEntry = (inst: number, name: string | undefined): InstanceEntry => ({
  inst: asInstance(inst),
  name,
});
