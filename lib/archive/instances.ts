// The instances of one domain over time (spec archive.md 7): records in order of time, each either
// all instances or changes. States are made when asked for and the last one is kept, so that walking
// through an archive costs what the changes cost. Refuses nothing; records were checked before.
import { bufferOf } from "../base/mod.ts";
import type { InstanceId, Timestamp } from "../pcp/mod.ts";
import { instanceAt, instanceNameAt, type IndomView } from "./indom.ts";
import { compareTimes, lastNotAfter } from "./timestamp.ts";

/** Instances with their names, both in the same order. */
export interface Instances {
  readonly ids: readonly InstanceId[];
  readonly names: readonly string[];
}

const NONE: Instances = { ids: [], names: [] };

/** All entries of a full record, ascending. */
function full(record: IndomView): Instances {
  const bytes = bufferOf(record.bytes);
  const ids: InstanceId[] = [];
  const names: string[] = [];
  let ascending = true;
  for (let i = 0; i < record.count; i++) {
    const inst = instanceAt(record, i);
    if (i > 0 && inst < (ids[i - 1] as number)) ascending = false;
    ids.push(inst);
    names.push(instanceNameAt(record, i, bytes) ?? "");
  }
  if (ascending) return { ids, names };
  const order = ids.map((_, i) => i).sort((a, b) => (ids[a] as number) - (ids[b] as number));
  return {
    ids: order.map((i) => ids[i] as InstanceId),
    names: order.map((i) => names[i] as string),
  };
}

/** Entry numbers of a record by ascending instance; the later one of the same instance last. */
function ascending(record: IndomView): number[] {
  const order = Array.from({ length: record.count }, (_, i) => i);
  return order.sort((a, b) => instanceAt(record, a) - instanceAt(record, b) || a - b);
}

/** `before` with the changes of a delta record: what is there is not renamed, as in PCP. */
function changed(before: Instances, record: IndomView): Instances {
  const ids: InstanceId[] = [];
  const names: string[] = [];
  let old = 0;
  const keep = (i: number): void => {
    ids.push(before.ids[i] as InstanceId);
    names.push(before.names[i] as string);
  };
  for (const entry of ascending(record)) {
    const inst = instanceAt(record, entry);
    while (old < before.ids.length && (before.ids[old] as number) < inst) keep(old++);
    const known = before.ids[old] === inst;
    const name = instanceNameAt(record, entry);
    if (name === undefined) {
      if (known) old++;
    } else if (known) keep(old++);
    else if (ids.at(-1) !== inst) {
      ids.push(inst);
      names.push(name);
    }
  }
  while (old < before.ids.length) keep(old++);
  return { ids, names };
}

const same = (a: Instances, b: Instances): boolean =>
  a.ids.length === b.ids.length &&
  a.ids.every((inst, i) => inst === b.ids[i] && a.names[i] === b.names[i]);

const equalRecords = (a: IndomView, b: IndomView): boolean =>
  a.delta === b.delta && same(full(a), full(b));

/** The records of one domain. */
export class InstanceHistory {
  private readonly found: IndomView[] = [];
  private lastIndex = -1;
  private last: Instances = NONE;

  /** Records in ascending order of time; the last one of equal times counts. */
  get records(): readonly IndomView[] {
    return this.found;
  }

  /** Adds a record; as in PCP it takes the place of one of the same time that it repeats. */
  add(record: IndomView): void {
    let at = this.found.length;
    while (at > 0) {
      const before = this.found[at - 1] as IndomView;
      if (compareTimes(before.timestamp, record.timestamp) <= 0) break;
      at--;
    }
    this.found.splice(at, 0, record);
    let changed = at;
    for (let i = at - 1; i >= 0; i--) {
      const before = this.found[i] as IndomView;
      if (compareTimes(before.timestamp, record.timestamp) < 0) break;
      if (!equalRecords(before, record)) continue;
      this.found.splice(i, 1);
      changed = i;
      break;
    }
    if (changed <= this.lastIndex) this.lastIndex = -1;
  }

  /** The state after record `index`. */
  stateAfter(index: number): Instances {
    if (this.lastIndex !== index) {
      let from = index;
      while (from > 0 && (this.found[from] as IndomView).delta && from - 1 !== this.lastIndex) {
        from--;
      }
      const kept = this.lastIndex >= 0 && from - 1 === this.lastIndex;
      let state = kept ? this.last : NONE;
      for (let i = from; i <= index; i++) {
        const record = this.found[i] as IndomView;
        state = record.delta ? changed(state, record) : full(record);
      }
      this.last = state;
      this.lastIndex = index;
    }
    return this.last;
  }

  /** The instances at a time, ascending; undefined before the first record. */
  at(time: Timestamp): Instances | undefined {
    const index = lastNotAfter(this.found, time);
    return index < 0 ? undefined : this.stateAfter(index);
  }

  /** All instances of all times: those of the newest state, then of each older one what is new. */
  union(): Instances {
    const left: Instances[] = [];
    let state = NONE;
    for (let i = 0; i < this.found.length; i++) {
      const next = this.stateAfter(i);
      left.push(without(state, next));
      state = next;
    }
    const names = new Map<InstanceId, string>();
    for (const { ids, names: texts } of [...left, state].reverse()) {
      ids.forEach((inst, i) => {
        if (!names.has(inst)) names.set(inst, texts[i] as string);
      });
    }
    return { ids: [...names.keys()], names: [...names.values()] };
  }

  /** States from the newest to the oldest. */
  *newestFirst(): Generator<Instances> {
    for (let i = this.found.length - 1; i >= 0; i--) yield this.stateAfter(i);
  }
}

/** Instances of `before` that `after` lacks; both are ascending. */
function without(before: Instances, after: Instances): Instances {
  const ids: InstanceId[] = [];
  const names: string[] = [];
  let at = 0;
  before.ids.forEach((inst, i) => {
    while (at < after.ids.length && (after.ids[at] as number) < inst) at++;
    if (after.ids[at] === inst) return;
    ids.push(inst);
    names.push(before.names[i] as string);
  });
  return { ids, names };
}
