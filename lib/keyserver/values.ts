// Values of series from the streams of a key server (spec series.md 2.5): so many samples are asked for at
// once as make a block, some series ahead of the one that is told, the next part of a long stream while
// the last one is looked at. Replies become columns where they lie, without anything made for a value.
// Refused: entries whose names are no times, errors of the server.
import {
  BLOCK_VALUES,
  SeriesProblem,
  type TextColumn,
  type ValueBlock,
  type ValuesRequest,
} from "../series/mod.ts";
import type { KeyReply, KeyServer } from "./keys.ts";
import { CommandBuffer, type KeyCommand, ReplyReader } from "./resp.ts";
import {
  entryAfter,
  entryBefore,
  entryOfMicroseconds,
  ID_BYTES,
  KEYS,
  microsecondsOfEntry,
  partsOfReply,
} from "./schema.ts";

/** Most samples of one answer. */
const MOST_SAMPLES = 16_384;
/** Requests for values that are prepared together. */
const REQUESTS_AT_ONCE = 1024;
/**
 * Values of one batch of commands, unless one command asks for more. A server answers what it has read
 * when it has worked on all of that: in small batches it looks for the next ones while these are told.
 */
const BATCH_VALUES = BLOCK_VALUES / 16;
/** Values that may be on their way or wait to be told. */
const VALUES_AHEAD = 2 * BATCH_VALUES;
/** So many values are asked for without a look at how many there are. */
const FEW_VALUES = 8192;
/** Series whose number of instances is kept in mind. */
const KEPT_WIDTHS = 65_536;
/** About the bytes of a text. */
const TEXT_BYTES = 8;
/** Fewer bytes no entry has. */
const LEAST_ENTRY = 16;
const STAR = 0x2a;
const DOLLAR = 0x24;
const CR = 0x0d;
const ZERO = 0x30;

/** Instances of one request's values: a number for each identifier, in the order of their coming. */
interface Places {
  readonly instances: string[];
  readonly byName: Map<string, number>;
  /** Names as they came, by number. */
  readonly names: Buffer[];
}

/** Whether a name lies there. */
function liesAt(name: Buffer | undefined, bytes: Buffer, from: number, size: number): boolean {
  if (name?.length !== size) return false;
  for (let at = 0; at < size; at++) if (name[at] !== bytes[from + at]) return false;
  return true;
}

/** The number of an instance's name; -1 for a name that is none. */
function placeOf(
  { instances, byName, names }: Places,
  bytes: Buffer,
  from: number,
  size: number,
  guess: number,
  series: string,
): number {
  if (liesAt(names[guess], bytes, from, size)) return guess;
  if (size !== 0 && size !== ID_BYTES) return -1;
  const key = bytes.toString("latin1", from, from + size);
  const known = byName.get(key);
  if (known !== undefined) return known;
  const id = size === 0 ? series : bytes.toString("hex", from, from + size);
  const place = instances.push(id) - 1;
  byName.set(key, place);
  names.push(Buffer.from(bytes.subarray(from, from + size)));
  return place;
}

/** One request under way: what is asked for next, and how much. */
interface Reading {
  readonly request: number;
  readonly series: string;
  readonly newest: boolean;
  /** Samples of one answer, so that it has no more than BLOCK_VALUES values. */
  readonly page: number;
  /** Values of a first answer at most. */
  readonly expected: number;
  readonly places: Places;
  /** The bounds that are left, as the commands take them. */
  from: string;
  to: string;
  left: number;
  /** Samples that were asked for last. */
  asked: number;
}

/** Values of one answer, as they are gathered. */
class Gathered {
  readonly blocks: ValueBlock[] = [];
  /** Most values of one sample. */
  width = 0;
  private times: Float64Array;
  private ends: Uint32Array;
  private samples = 0;
  private places: Uint32Array;
  private valueEnds: Uint32Array;
  private count = 0;
  private bytes: Uint8Array;
  private size = 0;
  /** Values before the sample that is being gathered. */
  private before = 0;

  constructor(
    private readonly reading: Reading,
    samples: number,
  ) {
    this.times = new Float64Array(samples);
    this.ends = new Uint32Array(samples);
    // As if each had one value.
    this.places = new Uint32Array(samples);
    this.valueEnds = new Uint32Array(samples);
    this.bytes = new Uint8Array(TEXT_BYTES * samples);
  }

  /** Begins a sample, which has at most so many values. */
  begin(time: number, values: number): void {
    if (this.count > 0 && this.count + values > BLOCK_VALUES) this.cut(true);
    this.before = this.count;
    this.times[this.samples] = time;
    if (this.count + values <= this.places.length) return;
    const size = Math.max(2 * this.places.length, this.count + values);
    const places = new Uint32Array(size);
    places.set(this.places);
    this.places = places;
    const ends = new Uint32Array(size);
    ends.set(this.valueEnds);
    this.valueEnds = ends;
  }

  /** Ends a sample. */
  end(): void {
    this.width = Math.max(this.width, this.count - this.before);
    this.ends[this.samples++] = this.count;
  }

  /** Adds a value that lies there. */
  add(place: number, bytes: Buffer, from: number, to: number): void {
    const length = to - from;
    if (this.size + length > this.bytes.length) {
      const larger = new Uint8Array(Math.max(2 * this.bytes.length, this.size + length));
      larger.set(this.bytes.subarray(0, this.size));
      this.bytes = larger;
    }
    const own = this.bytes;
    let { size } = this;
    for (let at = from; at < to; at++) own[size++] = bytes[at] ?? 0;
    this.size = size;
    this.places[this.count] = place;
    this.valueEnds[this.count++] = size;
  }

  /** Makes a block of what is there, which is the last one unless there is more to come. */
  cut(more = false): void {
    const { reading, samples, count, size } = this;
    if (samples === 0) return;
    const { bytes, valueEnds, times, ends, places } = this;
    const values: TextColumn = {
      kind: "text",
      bytes: more ? bytes.slice(0, size) : bytes.subarray(0, size),
      ends: more ? valueEnds.slice(0, count) : valueEnds.subarray(0, count),
    };
    this.blocks.push({
      request: reading.request,
      times: more ? times.slice(0, samples) : times.subarray(0, samples),
      ends: more ? ends.slice(0, samples) : ends.subarray(0, samples),
      places: more ? places.slice(0, count) : places.subarray(0, count),
      instances: reading.places.instances,
      values,
    });
    this.samples = 0;
    this.count = 0;
    this.size = 0;
  }
}

/** The time of an entry; throws for what is no time, as other programs may have written it. */
function timeOf(id: KeyReply | undefined, series: string): number {
  const time = Buffer.isBuffer(id) ? microsecondsOfEntry(id) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  const shown = Buffer.isBuffer(id) ? id.toString("latin1") : "nothing";
  throw new SeriesProblem(`values of ${series}: "${shown}" is no time`, "corrupt");
}

/** What an answer was. */
interface Answer {
  readonly blocks: readonly ValueBlock[];
  readonly entries: number;
  /** The name of the last entry. */
  readonly last: Buffer | undefined;
  readonly width: number;
}

/** Entries of any form, one by one. */
function slowAnswer(reading: Reading, reply: KeyReply): Answer {
  const entries = partsOfReply(reply);
  const gathered = new Gathered(reading, entries.length);
  let last: KeyReply | undefined;
  for (const entry of entries) {
    const [id, fields] = partsOfReply(entry);
    const list = partsOfReply(fields);
    last = id;
    gathered.begin(timeOf(id, reading.series), list.length >> 1);
    for (let field = 0, guess = 0; field + 1 < list.length; field += 2) {
      const name = list[field];
      const value = list[field + 1];
      if (!Buffer.isBuffer(name) || !Buffer.isBuffer(value)) continue;
      const place = placeOf(reading.places, name, 0, name.length, guess, reading.series);
      if (place < 0) continue;
      guess = place + 1;
      gathered.add(place, value, 0, value.length);
    }
    gathered.end();
  }
  gathered.cut();
  return {
    blocks: gathered.blocks,
    entries: entries.length,
    last: Buffer.isBuffer(last) ? last : undefined,
    width: gathered.width,
  };
}

/** Heads of replies, one after the other; `ok` goes when one is of another type. */
class Heads {
  at: number;
  ok = true;

  constructor(
    readonly bytes: Buffer,
    from: number,
  ) {
    this.at = from;
  }

  /** The number of a head of a type; stands behind its line then. */
  next(type: number): number {
    const { bytes } = this;
    let { at } = this;
    const first = (bytes[at + 1] ?? 0) - ZERO;
    if (bytes[at] !== type || first < 0 || first > 9) {
      this.ok = false;
      return 0;
    }
    // Most numbers have one or two digits.
    const second = bytes[at + 2] ?? 0;
    if (second === CR) {
      this.at = at + 4;
      return first;
    }
    if (bytes[at + 3] === CR) {
      this.at = at + 5;
      return first * 10 + second - ZERO;
    }
    let value = 0;
    for (at++; at < bytes.length && bytes[at] !== CR; at++)
      value = value * 10 + (bytes[at] ?? 0) - ZERO;
    this.at = at + 2;
    return value;
  }
}

/** Entries as servers give them; undefined for those of another form. */
function quickAnswer(reading: Reading, bytes: Buffer, from: number): Answer | undefined {
  const heads = new Heads(bytes, from);
  const entries = heads.next(STAR);
  // A reply may not claim more entries than there are bytes for.
  if (!heads.ok || entries * LEAST_ENTRY > bytes.length - from) return undefined;
  const gathered = new Gathered(reading, entries);
  const { places, series } = reading;
  let lastFrom = 0;
  let lastTo = 0;
  for (let entry = 0; entry < entries; entry++) {
    const parts = heads.next(STAR);
    const length = heads.next(DOLLAR);
    if (!heads.ok || parts !== 2) return undefined;
    lastFrom = heads.at;
    lastTo = lastFrom + length;
    heads.at = lastTo + 2;
    const fields = heads.next(STAR);
    if (!heads.ok) return undefined;
    const time = microsecondsOfEntry(bytes, lastFrom, lastTo);
    if (Number.isNaN(time)) return undefined;
    gathered.begin(time, fields >> 1);
    for (let field = 0, guess = 0; field + 1 < fields; field += 2) {
      const nameSize = heads.next(DOLLAR);
      const nameAt = heads.at;
      heads.at = nameAt + nameSize + 2;
      const valueSize = heads.next(DOLLAR);
      const valueAt = heads.at;
      heads.at = valueAt + valueSize + 2;
      if (!heads.ok) return undefined;
      const place = placeOf(places, bytes, nameAt, nameSize, guess, series);
      if (place < 0) continue;
      guess = place + 1;
      gathered.add(place, bytes, valueAt, valueAt + valueSize);
    }
    if (fields % 2 === 1) return undefined;
    gathered.end();
  }
  gathered.cut();
  return {
    blocks: gathered.blocks,
    entries,
    last: entries === 0 ? undefined : Buffer.from(bytes.subarray(lastFrom, lastTo)),
    width: gathered.width,
  };
}

const numberOf = (reply: KeyReply | undefined): number => (typeof reply === "number" ? reply : 0);

/** The command for the next samples of a reading. */
function nextCommand(reading: Reading): KeyCommand {
  const { series, newest, page, left, from, to } = reading;
  reading.asked = Math.min(page, left);
  const key = KEYS.values(series);
  const range = newest ? ["XREVRANGE", key, to, from] : ["XRANGE", key, from, to];
  return [...range, "COUNT", String(reading.asked)];
}

/** What is left of a reading behind an answer. */
function advance(reading: Reading, { entries, last }: Answer): void {
  reading.left = entries < reading.asked || last === undefined ? 0 : reading.left - entries;
  if (last === undefined) return;
  if (!reading.newest) reading.from = entryAfter(last);
  else {
    const before = entryBefore(last);
    if (before === undefined) reading.left = 0;
    else reading.to = before;
  }
}

/** Values of series over a key server. */
export function keyValues(server: KeyServer) {
  /** How many values samples had lately: decides how much is asked for, not what is told. */
  const widths = new Map<string, number>();
  const keepWidth = (series: string, width: number): void => {
    if (width <= (widths.get(series) ?? 0)) return;
    if (widths.size >= KEPT_WIDTHS) widths.clear();
    widths.set(series, width);
  };

  /** Asks for the next samples of some readings; one answer each. */
  const ask = async (readings: readonly Reading[]): Promise<readonly Answer[]> => {
    const commands = new CommandBuffer();
    for (const reading of readings) commands.add(nextCommand(reading));
    const answers: Answer[] = [];
    await server.pipe(commands, (number, bytes, from) => {
      const reading = readings[number];
      if (reading === undefined) return;
      let answer = quickAnswer(reading, bytes, from);
      if (answer === undefined) {
        const reply = new ReplyReader(bytes, from).read();
        if (reply instanceof SeriesProblem) throw reply;
        answer = slowAnswer(reading, reply);
      }
      answers[number] = answer;
      keepWidth(reading.series, answer.width);
      advance(reading, answer);
    });
    return answers;
  };

  /** Readings of some requests, with sizes from the number of instances and of samples. */
  const prepare = async (requests: readonly ValuesRequest[], first: number): Promise<Reading[]> => {
    const lefts = requests.map(({ newest, most }) =>
      Math.min(newest ?? Infinity, most ?? Infinity),
    );
    const isSmall = requests.every(
      ({ series }, at) => (widths.get(series) ?? Infinity) * (lefts[at] ?? 0) <= FEW_VALUES,
    );
    const sizes = isSmall
      ? []
      : await server.run(
          requests.flatMap(({ series }): KeyCommand[] => [
            ["SCARD", KEYS.instances(series)],
            ["XLEN", KEYS.values(series)],
          ]),
        );
    for (const size of sizes) if (size instanceof SeriesProblem) throw size;
    return requests.map(({ series, from, to, newest }, at) => {
      const width = Math.max(1, widths.get(series) ?? numberOf(sizes[2 * at]));
      const length = isSmall ? Infinity : numberOf(sizes[2 * at + 1]);
      const page = Math.max(1, Math.min(MOST_SAMPLES, Math.floor(BLOCK_VALUES / width)));
      const left = lefts[at] ?? 0;
      return {
        request: first + at,
        series,
        newest: newest !== undefined,
        page,
        expected: Math.min(page, length, left) * width,
        places: { instances: [], byName: new Map(), names: [] },
        from: entryOfMicroseconds(from),
        to: entryOfMicroseconds(to),
        left: length === 0 ? 0 : left,
        asked: 0,
      };
    });
  };

  /** The blocks of a reading, of which the first answer is there. */
  async function* rest(reading: Reading, first: Answer | undefined): AsyncGenerator<ValueBlock> {
    let answer = first;
    while (answer !== undefined) {
      const next = reading.left > 0 ? settled(ask([reading])) : undefined;
      yield* answer.blocks;
      const [following] = next === undefined ? [] : sound(await next);
      answer = following;
    }
  }

  /** Values of all requests in their order; first answers are asked for ahead. */
  return async function* values(requests: readonly ValuesRequest[]): AsyncGenerator<ValueBlock> {
    for (let first = 0; first < requests.length; first += REQUESTS_AT_ONCE) {
      const part = requests.slice(first, first + REQUESTS_AT_ONCE);
      const readings = (await prepare(part, first)).filter(({ left }) => left > 0);
      const batches = batchesOf(readings);
      const ahead: Settled[] = [];
      let waiting = 0;
      let asked = 0;
      const askAhead = (): void => {
        for (let next = batches[asked]; next !== undefined; next = batches[asked]) {
          if (waiting >= VALUES_AHEAD) return;
          asked++;
          waiting += expectedOf(next);
          ahead.push(settled(ask(next)));
        }
      };
      askAhead();
      for (const batch of batches) {
        const answers = sound((await ahead.shift()) ?? []);
        waiting -= expectedOf(batch);
        askAhead();
        for (const [index, reading] of batch.entries()) yield* rest(reading, answers[index]);
      }
    }
  };
}

type Settled = Promise<readonly Answer[] | { readonly error: unknown }>;

/** A promise that is not rejected while nobody waits for it. */
const settled = (promise: Promise<readonly Answer[]>): Settled =>
  promise.catch((error: unknown) => ({ error }));

function sound(answers: Awaited<Settled>): readonly Answer[] {
  if ("error" in answers) throw answers.error;
  return answers;
}

const expectedOf = (readings: readonly Reading[]): number =>
  readings.reduce((sum, { expected }) => sum + expected, 0);

/** Readings whose first answers are asked for together. */
function batchesOf(readings: readonly Reading[]): (readonly Reading[])[] {
  const batches: Reading[][] = [];
  let expected = Infinity;
  for (const reading of readings) {
    if (expected + reading.expected > BATCH_VALUES) {
      batches.push([]);
      expected = 0;
    }
    expected += reading.expected;
    batches.at(-1)?.push(reading);
  }
  return batches;
}
