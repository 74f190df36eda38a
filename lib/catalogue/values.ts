// Values of series from the archives that hold them: each archive is entered by its temporal index and
// walked once for all series that are wanted of it, forwards or, for the newest, backwards. What waits for
// its turn is bounded: when it grows too large, some of the series are left for a walk of their own. When
// a compressed archive ended is found out where it was entered in vain, and noted, so that it is not
// unpacked again for nothing. A sample that is not later than the one before is left out, as a key server
// refuses it. Damage in data ends the samples of that archive, an archive that has gone has none; what the
// system refuses, and data that are written over while they are read, are errors.
import { PM_ERR, PcpError, slices } from "../base/mod.ts";
import {
  type Archive,
  ArchiveCursor,
  archiveEnd,
  compressionOf,
  type DataRecord,
  type Listings,
} from "../archive/mod.ts";
import { type Pmid, type Timestamp, type ValueSet } from "../pcp/mod.ts";
import { BLOCK_VALUES, type ValueBlock, type ValuesRequest } from "../series/mod.ts";
import { columnBuilder, type ColumnBuilder } from "./column.ts";
import { type ArchivePlace, type ArchiveShelf, changedSince, marksOf } from "./shelf.ts";
import { microseconds } from "./survey.ts";

/** An archive that has values of a series. */
export interface Holding extends ArchivePlace {
  /** When it ended, microseconds; undefined where it is not known. */
  readonly end: number | undefined;
  readonly pmid: Pmid;
  /** Instances in the order that samples have them; undefined for a metric without. */
  readonly slots: Slots | undefined;
}

/** Instances of a series in one archive. */
export interface Slots {
  /** Places by internal instance identifiers. */
  readonly places: ReadonlyMap<number, number>;
  /** Identifiers by places. */
  readonly ids: readonly string[];
}

/** A request with the archives that may have values for it, in order of their starts. */
export interface HeldRequest {
  /** Its number among all requests. */
  readonly index: number;
  readonly request: ValuesRequest;
  readonly type: string;
  readonly holdings: readonly Holding[];
}

/** Values of one walk that wait while others of it are not finished: at most, and whatever others hold. */
const WAITING_VALUES = 1_048_576;
const LEAST_WAITING = 16_384;
/** Values between two looks at how many wait. */
const VALUES_AT_ONCE = 16_384;
/** Series of one walk: one record may have values for each. */
const MOST_TOGETHER = 1024;
/** Numbers of the system's errors are above it. */
const LEAST_ERRNO = -4096;

/** First room of a column of numbers, samples or values. */
const FIRST_ROOM = 64;

/** Ends and places of samples that have one value each, of the first instance; parts of them are shared. */
const ONE_EACH = Uint32Array.from({ length: BLOCK_VALUES }, (_, index) => index + 1);
const FIRST_PLACE = new Uint32Array(BLOCK_VALUES);

const larger = (numbers: Uint32Array): Uint32Array<ArrayBuffer> => {
  const grown = new Uint32Array(Math.max(FIRST_ROOM, 2 * numbers.length));
  grown.set(numbers);
  return grown;
};

const isAlike = (one: Float64Array, other: Float64Array): boolean => {
  if (one.length !== other.length) return false;
  for (let at = 0; at < one.length; at++) if (one[at] !== other[at]) return false;
  return true;
};

/** Gathers the samples of one request. */
class Gatherer {
  /** Blocks that are whole. */
  blocks: ValueBlock[] = [];
  /** Values that have not been given away, and those of them that are in no block. */
  waiting = 0;
  private recent = 0;
  done = false;
  private readonly column: ColumnBuilder;
  private readonly instances: string[] = [];
  private readonly places = new Map<string, number>();
  private times = new Float64Array(FIRST_ROOM);
  private samples = 0;
  /** Ends of samples and places of values; empty while each sample has one value of the first place. */
  private ends = new Uint32Array(0);
  private at = new Uint32Array(0);
  private count = 0;
  private isPlain = true;
  private taken = 0;
  private slots: Slots | undefined;
  private table = new Uint32Array(0);
  private last: number;
  private readonly limit: number;
  private readonly backward: boolean;

  constructor(readonly held: HeldRequest) {
    const { newest, most } = held.request;
    this.column = columnBuilder(held.type);
    this.backward = newest !== undefined;
    this.limit = Math.min(newest ?? Number.POSITIVE_INFINITY, most ?? Number.POSITIVE_INFINITY);
    this.last = this.backward ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
    this.done = this.limit <= 0;
  }

  private placeOf(id: string): number {
    let place = this.places.get(id);
    if (place === undefined) {
      place = this.instances.push(id) - 1;
      this.places.set(id, place);
    }
    return place;
  }

  /** Takes a sample. */
  add(time: number, set: ValueSet, { slots }: Holding): void {
    if (this.done || (this.backward ? time >= this.last : time <= this.last)) return;
    if (this.count > 0 && this.count + set.numval > BLOCK_VALUES) this.cut();
    this.last = time;
    const before = this.count;
    if (set.numval > 0) {
      if (slots === undefined) {
        this.column.add(set, 0);
        this.put(this.placeOf(this.held.request.series));
      } else this.addInstances(set, slots);
    }
    if (this.samples === this.times.length) {
      const times = new Float64Array(2 * this.samples);
      times.set(this.times);
      this.times = times;
    }
    this.times[this.samples] = time;
    if (this.isPlain && (this.count !== before + 1 || this.count > BLOCK_VALUES)) this.toEach();
    if (!this.isPlain) {
      if (this.samples === this.ends.length) this.ends = larger(this.ends);
      this.ends[this.samples] = this.count;
    }
    this.samples += 1;
    const values = Math.max(1, this.count - before);
    this.waiting += values;
    this.recent += values;
    if (++this.taken >= this.limit) this.done = true;
  }

  /** Puts down the place of a value. */
  private put(place: number): void {
    if (this.isPlain && place !== 0) this.toEach();
    if (!this.isPlain) {
      if (this.count === this.at.length) this.at = larger(this.at);
      this.at[this.count] = place;
    }
    this.count += 1;
  }

  /** From here on ends and places are put down one by one; those before are what they were. */
  private toEach(): void {
    this.isPlain = false;
    const room = Math.max(FIRST_ROOM, 2 * this.count, 2 * this.samples);
    this.ends = new Uint32Array(room);
    this.ends.set(ONE_EACH.subarray(0, this.samples));
    this.at = new Uint32Array(room);
  }

  /** Index in the table of instances by place, for the slots that were met last. */
  private tableOf(slots: Slots): Uint32Array {
    if (this.slots !== slots) {
      this.slots = slots;
      this.table = Uint32Array.from(slots.ids, (id) => this.placeOf(id));
    }
    return this.table;
  }

  private addInstances(set: ValueSet, slots: Slots): void {
    const table = this.tableOf(slots);
    const { places } = slots;
    let before = -1;
    for (let i = 0; i < set.numval; i++) {
      const place = places.get(set.instance(i)) ?? before;
      if (place < before) {
        this.addSorted(set, slots);
        return;
      }
      before = place;
    }
    for (let i = 0; i < set.numval; i++) {
      const place = places.get(set.instance(i));
      if (place === undefined) continue;
      this.column.add(set, i);
      this.put(table[place] ?? 0);
    }
  }

  /** As addInstances, for a set that is not in the order of places. */
  private addSorted(set: ValueSet, slots: Slots): void {
    const table = this.tableOf(slots);
    const placeOf = (i: number): number => slots.places.get(set.instance(i)) ?? -1;
    const order = Array.from({ length: set.numval }, (_, i) => i);
    order.sort((a, b) => placeOf(a) - placeOf(b));
    for (const i of order) {
      const place = placeOf(i);
      if (place < 0) continue;
      this.column.add(set, i);
      this.put(table[place] ?? 0);
    }
  }

  /** Makes a block of what is there; times like those of `other` are not kept twice. */
  cut(other?: ValueBlock): void {
    const { samples, count, isPlain } = this;
    if (samples === 0) return;
    const own = this.times.subarray(0, samples);
    this.blocks.push({
      request: this.held.index,
      times: other !== undefined && isAlike(own, other.times) ? other.times : own.slice(),
      ends: isPlain ? ONE_EACH.subarray(0, samples) : this.ends.slice(0, samples),
      places: isPlain ? FIRST_PLACE.subarray(0, count) : this.at.slice(0, count),
      instances: this.instances,
      values: this.column.take(),
    });
    this.samples = 0;
    this.count = 0;
    this.recent = 0;
  }

  /** Takes the blocks that are whole. */
  give(): ValueBlock[] {
    const { blocks } = this;
    this.blocks = [];
    this.waiting = this.recent;
    return blocks;
  }
}

/** The time of so many microseconds, and of the last nanosecond before the next. */
const firstOf = (time: number): Timestamp => {
  const sec = Math.floor(time / 1_000_000);
  return { sec, nsec: (time - sec * 1_000_000) * 1000 };
};
const lastOf = (time: number): Timestamp => {
  const { sec, nsec } = firstOf(time);
  return { sec, nsec: nsec + 999 };
};

/** The error, if it is damage of an archive; others are thrown. */
function damageOf(error: unknown): PcpError {
  if (!(error instanceof PcpError) || error.code > LEAST_ERRNO) throw error;
  return error;
}

/** Records of an archive in a range of time, in one direction; ends at damage, of which it tells. */
function* recordsOf(
  cursor: ArchiveCursor,
  { from, to }: ValuesRequest,
  backward: boolean,
  damaged: (error: PcpError) => void,
): Generator<DataRecord> {
  // Values of the first moment of 1970 are none: no stream of a key server takes them.
  const first = Math.max(1, from);
  try {
    if (!backward) cursor.seek(firstOf(first), "forward");
    else if (Number.isFinite(to)) cursor.seek(lastOf(to), "backward");
    else cursor.toEnd();
    while (backward ? cursor.previous() : cursor.next()) {
      const { record } = cursor;
      const time = microseconds(record);
      if (backward ? time < first : time > to) return;
      if (record.numpmid > 0) yield record;
    }
  } catch (error) {
    damaged(damageOf(error));
  }
}

/** Puts the sets of a record where they are wanted; returns how many values. Throws PcpError for damage. */
function deliver(
  record: DataRecord,
  wanted: ReadonlyMap<Pmid, readonly Wanted[]>,
  few: readonly Pmid[] | undefined,
): number {
  const time = microseconds(record);
  let count = 1;
  const take = (set: ValueSet): void => {
    if (set.numval === 0) return;
    for (const { gatherer, holding } of wanted.get(set.pmid) ?? []) {
      gatherer.add(time, set, holding);
      count += Math.max(1, set.numval);
    }
  };
  if (few !== undefined) record.find(few, take);
  else for (const set = record.result().sets(); set.next();) take(set);
  return count;
}

/** Metrics that are looked for one by one; more of them are met while all are looked at. */
const FEW_METRICS = 4;

const fewOf = (wanted: ReadonlyMap<Pmid, unknown>): readonly Pmid[] | undefined =>
  wanted.size <= FEW_METRICS ? [...wanted.keys()] : undefined;

interface Wanted {
  readonly gatherer: Gatherer;
  readonly holding: Holding;
}

/** Notes when an archive ended that had nothing in a range, if it cannot grow any more. */
function noteEnd(shelf: ArchiveShelf, archive: Archive, place: Holding): void {
  const lastVolume = [...archive.files.volumes.values()].at(-1) ?? "";
  if (compressionOf(lastVolume) === undefined) return;
  const end = archiveEnd(archive);
  if (end !== undefined) shelf.ended(place, microseconds(end));
}

/** One walk for requests that have the same range and the same archives. */
async function* walk(
  requests: readonly HeldRequest[],
  shelf: ArchiveShelf,
  leave: (left: readonly HeldRequest[]) => void,
): AsyncGenerator<ValueBlock> {
  const [first] = requests;
  if (first === undefined) return;
  const { request } = first;
  const backward = request.newest !== undefined;
  let gatherers = requests.map((held) => new Gatherer(held));
  const account = accountOf(shelf);
  const listings: Listings = new Map();
  const order = first.holdings.map((_, index) => index);
  if (backward) order.reverse();
  const pause = slices();
  let since = 0;
  try {
    for (const number of order) {
      if (gatherers.every(({ done }) => done)) break;
      const holding = first.holdings[number];
      if (holding === undefined) continue;
      const archive = shelf.open(holding, listings);
      const turn = pause();
      if (turn !== undefined) await turn;
      if (archive === undefined) continue;
      if (microseconds(archive.label.start) > request.to) continue;
      const marks = marksOf(archive);
      const cursor = new ArchiveCursor(archive);
      const damaged = (error: PcpError): void => {
        if (changedSince(marks) === undefined) shelf.damaged(holding, error);
      };
      let isEmpty = true;
      let wasAlone = true;
      try {
        let wanted = takersOf(gatherers, number);
        let few = fewOf(wanted);
        for (const record of recordsOf(cursor, request, backward, damaged)) {
          isEmpty = false;
          const others = pause();
          if (others !== undefined) {
            wasAlone = false;
            await others;
          }
          if (since >= VALUES_AT_ONCE) {
            since = 0;
            const kept = account.fitting(gatherers);
            if (kept < gatherers.length) {
              leave(gatherers.slice(kept).map(({ held }) => held));
              gatherers = gatherers.slice(0, kept);
              wanted = takersOf(gatherers, number);
              few = fewOf(wanted);
            }
          }
          try {
            since += deliver(record, wanted, few);
          } catch (error) {
            damaged(damageOf(error));
            break;
          }
          const [only] = gatherers;
          if (gatherers.length === 1 && only !== undefined && only.blocks.length > 0) {
            wasAlone = false;
            yield* only.give();
          }
          if (gatherers.every(({ done }) => done)) break;
        }
        const changed = wasAlone ? undefined : changedSince(marks);
        if (changed !== undefined)
          throw new PcpError(PM_ERR.LOGREC, `${changed} has changed while it was read`);
        if (isEmpty && !backward && holding.end === undefined) noteEnd(shelf, archive, holding);
      } finally {
        cursor.close();
      }
    }
    const whole: { readonly blocks: ValueBlock[]; readonly waiting: number }[] = [];
    let last: ValueBlock | undefined;
    for (const gatherer of gatherers.toReversed()) {
      const { waiting } = gatherer;
      gatherer.cut(last);
      const blocks = gatherer.give();
      last = blocks.at(-1) ?? last;
      whole.push({ blocks, waiting });
    }
    gatherers = [];
    // What was told is not kept.
    for (let next = whole.pop(); next !== undefined; next = whole.pop()) {
      yield* next.blocks;
      account.told(next.waiting);
    }
  } finally {
    account.close();
  }
}

/** The account of values that one walk has waiting, in that of all. */
function accountOf(shelf: ArchiveShelf) {
  let own = 0;
  const set = (now: number): void => {
    shelf.waiting += now - own;
    own = now;
  };
  return {
    /** How many of these there is room for, from the first on; the others are to go. */
    fitting(gatherers: readonly Gatherer[]): number {
      const sum = (): number => {
        let waiting = 0;
        for (let at = 0; at < count; at++) waiting += gatherers[at]?.waiting ?? 0;
        return waiting;
      };
      const free = (shelf.mostWaiting - (shelf.waiting - own)) / 2;
      const most = Math.max(LEAST_WAITING, Math.min(WAITING_VALUES, free));
      let count = gatherers.length;
      let waiting = sum();
      while (count > 1 && waiting > most) {
        count = Math.ceil(count / 2);
        waiting = sum();
      }
      set(waiting);
      return count;
    },
    told: (waiting: number): void => set(Math.max(0, own - waiting)),
    close: (): void => set(0),
  };
}

function takersOf(gatherers: readonly Gatherer[], number: number): Map<Pmid, Wanted[]> {
  const takers = new Map<Pmid, Wanted[]>();
  for (const gatherer of gatherers) {
    const holding = gatherer.held.holdings[number];
    if (holding === undefined) continue;
    const list = takers.get(holding.pmid);
    if (list === undefined) takers.set(holding.pmid, [{ gatherer, holding }]);
    else list.push({ gatherer, holding });
  }
  return takers;
}

/** What requests have in common that one walk can answer. */
const walkOf = ({ request, holdings }: HeldRequest): string =>
  JSON.stringify([
    [request.from, request.to, request.newest, request.most].map(String),
    holdings.map(({ path }) => path),
  ]);

/** Values of requests in their order, neighbours in one walk where they can. */
export async function* archiveValues(
  requests: readonly HeldRequest[],
  shelf: ArchiveShelf,
): AsyncGenerator<ValueBlock> {
  yield* walks(
    requests.filter(({ holdings }) => holdings.length > 0),
    shelf,
  );
}

async function* walks(
  requests: readonly HeldRequest[],
  shelf: ArchiveShelf,
): AsyncGenerator<ValueBlock> {
  let left = requests;
  let most = MOST_TOGETHER;
  while (left.length > 0) {
    const [first] = left;
    if (first === undefined) return;
    const kind = walkOf(first);
    let count = 1;
    for (; count < Math.min(left.length, most); count++) {
      const next = left[count];
      if (next === undefined || walkOf(next) !== kind) break;
    }
    const together = left.slice(0, count);
    let put: readonly HeldRequest[] = [];
    yield* walk(together, shelf, (late) => {
      put = [...late, ...put];
    });
    left = [...put, ...left.slice(count)];
    // As many as there was room for; more again when that was enough.
    most = put.length > 0 ? count - put.length : Math.min(MOST_TOGETHER, 2 * most);
  }
}
