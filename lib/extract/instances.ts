// Instance domain records over time, as extraction needs them (spec extract.md 6.4, 8.4, 8.5): which
// record holds at a time, what it says in full when it holds only changes, and how it is written after
// the one before it. Names are taken byte for byte (as latin-1 text), whatever their encoding is.
import { viewOf, Writer } from "../base/mod.ts";
import { type ArchiveVersion, META_TYPE } from "../archive/mod.ts";
import type { Timestamp } from "../pcp/mod.ts";
import { metaRecord, type MetaContent } from "./records.ts";

/** Instances of a domain with their names, in the order in which they are recorded. */
export interface InstanceList {
  readonly ids: readonly number[];
  /** latin-1; undefined in a change that takes an instance out. */
  readonly names: readonly (string | undefined)[];
}

/** Bytes of a body before its instance numbers: domain and count. */
const FIXED = 8;
const NONE: InstanceList = { ids: [], names: [] };

/** The entries of a body as they stand. */
function listOf(body: Uint8Array): InstanceList {
  const view = viewOf(body);
  const count = view.getInt32(4);
  const textAt = FIXED + 8 * count;
  const buffer = Buffer.from(body.buffer, body.byteOffset, body.length);
  const ids: number[] = [];
  const names: (string | undefined)[] = [];
  for (let i = 0; i < count; i++) {
    ids.push(view.getInt32(FIXED + 4 * i));
    const offset = view.getInt32(FIXED + 4 * (count + i));
    if (offset < 0) {
      names.push(undefined);
      continue;
    }
    const at = textAt + offset;
    const nul = body.indexOf(0, at);
    names.push(buffer.toString("latin1", at, nul < 0 ? body.length : nul));
  }
  return { ids, names };
}

function sorted({ ids, names }: InstanceList): InstanceList {
  if (ids.every((id, i) => i === 0 || (ids[i - 1] as number) <= id)) return { ids, names };
  const order = ids.map((_, i) => i).sort((a, b) => (ids[a] as number) - (ids[b] as number));
  return { ids: order.map((i) => ids[i] as number), names: order.map((i) => names[i]) };
}

/** `before` with changes: what is there is not renamed, as in PCP. Both ascending. */
function changed(before: InstanceList, change: InstanceList): InstanceList {
  const ids: number[] = [];
  const names: (string | undefined)[] = [];
  let old = 0;
  const keep = (): void => {
    ids.push(before.ids[old] as number);
    names.push(before.names[old]);
    old++;
  };
  change.ids.forEach((id, i) => {
    while (old < before.ids.length && (before.ids[old] as number) < id) keep();
    const known = before.ids[old] === id;
    const name = change.names[i];
    if (name === undefined) {
      if (known) old++;
    } else if (known) keep();
    else if (ids.at(-1) !== id) {
      ids.push(id);
      names.push(name);
    }
  });
  while (old < before.ids.length) keep();
  return { ids, names };
}

/** The records of one domain in one input: what changes refer to. */
export class InstanceChain {
  private readonly entries: MetaContent[] = [];
  private lastIndex = -1;
  private last: InstanceList = NONE;

  /** Adds a record; its number in the chain. */
  add(entry: MetaContent): number {
    return this.entries.push(entry) - 1;
  }

  /** All instances after record `index`; ascending when that one holds changes. */
  after(index: number): InstanceList {
    const entry = this.entries[index] as MetaContent;
    if (entry.type !== META_TYPE.INDOM_DELTA) {
      this.lastIndex = index;
      this.last = listOf(entry.body);
      return this.last;
    }
    let from = index;
    while (
      from > 0 &&
      from - 1 !== this.lastIndex &&
      this.entries[from]?.type === META_TYPE.INDOM_DELTA
    ) {
      from--;
    }
    let list = from > 0 && from - 1 === this.lastIndex ? sorted(this.last) : NONE;
    for (let i = from; i <= index; i++) {
      const { type, body } = this.entries[i] as MetaContent;
      const own = sorted(listOf(body));
      list = type === META_TYPE.INDOM_DELTA ? changed(list, own) : own;
    }
    this.lastIndex = index;
    this.last = list;
    return list;
  }
}

/** One record of a domain, in one list with those of other inputs. */
export interface InstanceRecord {
  readonly sec: number;
  readonly nsec: number;
  readonly chain: InstanceChain;
  readonly index: number;
  readonly body: Uint8Array;
  readonly delta: boolean;
  written: boolean;
}

/** A body with all instances. */
function fullBody(indom: number, { ids, names }: InstanceList): Uint8Array {
  const out = new Writer();
  out.u32(indom).i32(ids.length);
  for (const id of ids) out.i32(id);
  let offset = 0;
  for (const name of names) {
    if (name === undefined) {
      out.i32(-1);
      continue;
    }
    out.i32(offset);
    offset += name.length + 1;
  }
  for (const name of names) {
    if (name !== undefined) out.put(Buffer.from(name, "latin1")).u8(0);
  }
  return out.finish();
}

/** The changes from `before` to `now` in the order of spec extract.md 8.5; undefined: write all. */
function changesOf(before: InstanceList, now: InstanceList): InstanceList | undefined {
  const gone: number[] = [];
  const added: number[] = [];
  let i = 0;
  let j = 0;
  while (i < before.ids.length || j < now.ids.length) {
    const old = before.ids[i];
    const next = now.ids[j];
    if (old !== undefined && (next === undefined || old < next)) {
      gone.push(old);
      i++;
    }
    // The step may have moved on to an instance that is after the new one.
    const left = before.ids[i];
    const mine = now.ids[j];
    if (mine !== undefined && (left === undefined || left > mine)) {
      added.push(j);
      j++;
    } else if (mine !== undefined && left === mine) {
      if (before.names[i] !== now.names[j]) return undefined;
      i++;
      j++;
    }
  }
  const count = gone.length + added.length;
  if (count === 0 || count > now.ids.length) return undefined;
  const ids: number[] = [];
  const names: (string | undefined)[] = [];
  let g = 0;
  for (const at of added) {
    const id = now.ids[at] as number;
    while (g < gone.length && (gone[g] as number) < id) {
      ids.push(gone[g++] as number);
      names.push(undefined);
    }
    ids.push(id);
    names.push(now.names[at]);
  }
  for (; g < gone.length; g++) {
    ids.push(gone[g] as number);
    names.push(undefined);
  }
  return { ids, names };
}

const before = (a: Timestamp, b: Timestamp): boolean =>
  a.sec < b.sec || (a.sec === b.sec && a.nsec < b.nsec);
const same = (a: Timestamp, b: Timestamp): boolean => a.sec === b.sec && a.nsec === b.nsec;

/** All records of one domain. */
export class InstanceRecords {
  private readonly list: InstanceRecord[] = [];
  private ordered = false;
  private previous: InstanceList | undefined;

  constructor(private readonly indom: number) {}

  add(record: InstanceRecord): void {
    this.list.push(record);
  }

  /** Records by time; those of equal times as they were added. */
  private records(): readonly InstanceRecord[] {
    if (!this.ordered) {
      this.list.sort((a, b) => a.sec - b.sec || a.nsec - b.nsec);
      this.ordered = true;
    }
    return this.list;
  }

  /** Which record is used at a time (spec extract.md 8.4): the same probes, for equal times. */
  at(time: Timestamp): InstanceRecord | undefined {
    const list = this.records();
    if (list.length === 1) return list[0];
    let low = 0;
    let high = list.length - 1;
    let middle = high >> 1;
    while (low <= high) {
      const record = list[middle] as InstanceRecord;
      if (same(record, time)) return record;
      if (before(record, time)) {
        if (middle === list.length - 1) break;
        low = middle + 1;
      } else {
        if (middle === 0) break;
        high = middle - 1;
      }
      middle = (low + high) >> 1;
    }
    const record = list[middle];
    return record !== undefined && before(record, time) ? record : undefined;
  }

  /**
   * Until when `at` gives the record that it gives at `time`; undefined: for ever. A time with
   * several records is its own end, since the one for later times may be another of them.
   */
  until(time: Timestamp): Timestamp | undefined {
    const list = this.records();
    if (list.length === 1) return undefined;
    let low = 0;
    let high = list.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (before(time, list[middle] as InstanceRecord)) high = middle;
      else low = middle + 1;
    }
    const [one, other] = [list[low - 1], list[low - 2]];
    const several = one !== undefined && other !== undefined && same(one, other);
    if (several && same(one, time)) return time;
    return list[low];
  }

  /** The bytes that write a record at a time, after those written before. */
  write(version: ArchiveVersion, record: InstanceRecord, time: Timestamp): Uint8Array {
    record.written = true;
    if (version === 2) return metaRecord(2, META_TYPE.INDOM_V2, record.body, time);
    const now = record.chain.after(record.index);
    const changes = this.previous === undefined ? undefined : changesOf(this.previous, now);
    this.previous = now;
    if (changes !== undefined) {
      return metaRecord(3, META_TYPE.INDOM_DELTA, fullBody(this.indom, changes), time);
    }
    const body = record.delta ? fullBody(this.indom, now) : record.body;
    return metaRecord(3, META_TYPE.INDOM, body, time);
  }
}
