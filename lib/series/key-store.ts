// The store over a key server (spec series.md 2, 7.3, 10): each question becomes one round of commands, or
// two where names are looked up behind identifiers. Maps are walked in pieces, values are read in
// blocks, some series ahead of the one that is told. Refused: answers with errors in them.
import { type Column } from "./column.ts";
import type { SeriesId } from "./ids.ts";
import { stringId } from "./ids.ts";
import type { KeyCommand, KeyReply, KeyServer } from "./keys.ts";
import { SeriesProblem } from "./problem.ts";
import {
  DESCRIPTOR_FIELDS,
  descriptorOfReply,
  descriptorPairs,
  entryAfter,
  entryBefore,
  entryOfMicroseconds,
  ID_BYTES,
  idBytes,
  idOfReply,
  KEYS,
  labelMapName,
  listName,
  type MapName,
  mapName,
  microsecondsOfEntry,
  partsOfReply,
  textOfReply,
} from "./schema.ts";
import {
  BLOCK_VALUES,
  type Leaf,
  type NameList,
  type SeriesDescriptor,
  type SeriesInstance,
  type SeriesLabel,
  type SeriesStore,
  type ValueBlock,
  type ValuesRequest,
} from "./store.ts";

/** How the store asks. */
export interface KeyStoreOptions {
  /** Entries of a map that are looked at in one step (`cursor.count`); CURSOR_COUNT by default. */
  readonly cursorCount?: number;
}

/** Default of `cursor.count`. */
export const CURSOR_COUNT = 256;
/** Identifiers whose names are asked for in one command. */
const NAMES_AT_ONCE = 1024;
/** Most samples of one answer. */
const MOST_SAMPLES = 16_384;
/** Requests for values that are prepared together. */
const REQUESTS_AT_ONCE = 1024;
/** Values that may be on their way or wait to be told. */
const VALUES_AHEAD = 4 * BLOCK_VALUES;

/** Replies without errors; throws the first error. */
function sound(replies: readonly KeyReply[]): readonly KeyReply[] {
  for (const reply of replies) if (reply instanceof SeriesProblem) throw reply;
  return replies;
}

const present = <T>(value: T | undefined): value is T => value !== undefined;
const byBytes = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** What the functions of the store share. */
function asker(server: KeyServer, cursorCount: number) {
  const ask = async (commands: readonly KeyCommand[]): Promise<readonly KeyReply[]> =>
    commands.length === 0 ? [] : sound(await server.run(commands));

  /** Members of sets that are identifiers, as 40 digits. */
  const members = async (keys: readonly string[]): Promise<readonly SeriesId[][]> =>
    (await ask(keys.map((key) => ["SMEMBERS", key]))).map((reply) =>
      partsOfReply(reply).map(idOfReply).filter(present),
    );

  /** Names behind identifiers of one map. */
  const namesOf = async (map: MapName, ids: Iterable<string>): Promise<Map<string, string>> => {
    const unique = [...new Set(ids)];
    const commands: KeyCommand[] = [];
    for (let at = 0; at < unique.length; at += NAMES_AT_ONCE)
      commands.push(["HMGET", KEYS.map(map), ...unique.slice(at, at + NAMES_AT_ONCE).map(idBytes)]);
    const texts = (await ask(commands)).flatMap(partsOfReply).map(textOfReply);
    const names = new Map<string, string>();
    unique.forEach((id, at) => {
      const name = texts[at];
      if (name !== undefined) names.set(id, name);
    });
    return names;
  };

  /** Gives every entry of a map to `look`, some of them perhaps twice. */
  const scan = async (map: MapName, look: (id: SeriesId, name: string) => void): Promise<void> => {
    let cursor = "0";
    do {
      const command = ["HSCAN", KEYS.map(map), cursor, "COUNT", String(cursorCount)];
      const [reply] = await ask([command]);
      const [next, pairs] = partsOfReply(reply);
      const list = partsOfReply(pairs);
      for (let at = 0; at + 1 < list.length; at += 2) {
        const id = idOfReply(list[at]);
        const name = textOfReply(list[at + 1]);
        if (id !== undefined && name !== undefined) look(id, name);
      }
      cursor = textOfReply(next) ?? "0";
    } while (cursor !== "0");
  };

  return { ask, members, namesOf, scan };
}

type Asker = ReturnType<typeof asker>;

/** For each leaf the identifiers of the names that it chooses; a map is walked once for all leaves. */
async function chosenNames({ scan }: Asker, leaves: readonly Leaf[]): Promise<Set<string>[]> {
  const chosen = leaves.map(() => new Set<string>());
  const walks = new Map<MapName, number[]>();
  leaves.forEach(({ map, choice }, at) => {
    if (choice.kind === "equal") chosen[at]?.add(stringId(choice.text));
    else walks.set(mapName(map), [...(walks.get(mapName(map)) ?? []), at]);
  });
  await Promise.all(
    [...walks].map(([map, waiting]) =>
      scan(map, (id, name) => {
        for (const at of waiting) {
          const choice = leaves[at]?.choice;
          if (choice !== undefined && choice.kind !== "equal" && choice.fits(name))
            chosen[at]?.add(id);
        }
      }),
    ),
  );
  return chosen;
}

async function select(
  asks: Asker,
  leaves: readonly Leaf[],
): Promise<readonly (readonly SeriesId[])[]> {
  const chosen = await chosenNames(asks, leaves);
  const keys = leaves.flatMap(({ map }, at) =>
    [...(chosen[at] ?? [])].map((id) => KEYS.seriesOf(mapName(map), id)),
  );
  const sets = await asks.members(keys);
  let next = 0;
  return chosen.map(({ size }) => {
    const found = new Set<SeriesId>();
    for (const end = next + size; next < end; next++)
      for (const id of sets[next] ?? []) found.add(id);
    return [...found].sort(byBytes);
  });
}

async function instancesById(
  { ask, namesOf }: Asker,
  ids: readonly string[],
): Promise<readonly (SeriesInstance | undefined)[]> {
  const replies = await ask(
    ids.map((id) => ["HMGET", KEYS.instance(id), "inst", "name", "source"]),
  );
  const rows = replies.map((reply) => {
    const [inst, name, source] = partsOfReply(reply);
    return { inst: textOfReply(inst), name: idOfReply(name), source: idOfReply(source) ?? "" };
  });
  const names = await namesOf(listName("instance"), rows.map(({ name }) => name).filter(present));
  return rows.map(({ inst, name, source }, at) =>
    inst === undefined || !/^-?\d+$/.test(inst)
      ? undefined
      : { id: ids[at] ?? "", inst: Number(inst), name: names.get(name ?? "") ?? "", source },
  );
}

/** Instances of each series; one that several have is asked for once. */
async function instances(
  asks: Asker,
  series: readonly string[],
): Promise<readonly (readonly SeriesInstance[])[]> {
  const lists = await asks.members(series.map(KEYS.instances));
  const unique = [...new Set(lists.flat())];
  const found = await instancesById(asks, unique);
  const byId = new Map(unique.map((id, at) => [id, found[at]]));
  return lists.map((list) => list.map((id) => byId.get(id)).filter(present));
}

async function labels(
  { ask, namesOf }: Asker,
  ids: readonly string[],
): Promise<readonly (readonly SeriesLabel[])[]> {
  const replies = await ask(ids.map((id) => ["HGETALL", KEYS.labels(id)]));
  const values = new Map<string, Set<string>>();
  const pairs = replies.map((reply) => {
    const list = partsOfReply(reply).map(idOfReply);
    const found: { name: string; value: string }[] = [];
    for (let at = 0; at + 1 < list.length; at += 2) {
      const name = list[at] ?? "";
      const value = list[at + 1] ?? "";
      found.push({ name, value });
      const known = values.get(name) ?? new Set();
      values.set(name, known.add(value));
    }
    return found;
  });
  const names = await namesOf(listName("label"), values.keys());
  const texts = new Map<string, ReadonlyMap<string, string>>();
  await Promise.all(
    [...values].map(async ([name, known]) =>
      texts.set(name, await namesOf(labelMapName(name), known)),
    ),
  );
  return pairs.map((found) =>
    found.map(({ name, value }) => ({
      name: names.get(name) ?? "",
      value: texts.get(name)?.get(value) ?? "null",
    })),
  );
}

/** Names of each identifier, over a set of string identifiers that each has. */
async function namesThrough(
  { members, namesOf }: Asker,
  keys: readonly string[],
  list: NameList,
): Promise<readonly (readonly string[])[]> {
  const sets = await members(keys);
  const names = await namesOf(listName(list), sets.flat());
  return sets.map((ids) => ids.map((id) => names.get(id) ?? ""));
}

/** Instances of one request's values: a number for each identifier, in the order of their coming. */
interface Places {
  readonly instances: string[];
  readonly byName: Map<string, number>;
  /** Names as they came, by number. */
  readonly names: Buffer[];
}

/** The number of an instance's name; undefined for a name that is none. */
function placeOf(
  { instances, byName, names }: Places,
  name: Buffer,
  guess: number,
  series: string,
): number | undefined {
  if (names[guess]?.equals(name) === true) return guess;
  if (name.length !== 0 && name.length !== ID_BYTES) return undefined;
  const key = name.toString("latin1");
  const known = byName.get(key);
  if (known !== undefined) return known;
  const place = instances.push(name.length === 0 ? series : name.toString("hex")) - 1;
  byName.set(key, place);
  names.push(Buffer.from(name));
  return place;
}

/** Texts of values as a column. */
function columnOf(texts: readonly Buffer[]): Column {
  const ends = new Uint32Array(texts.length);
  let size = 0;
  texts.forEach((each, at) => {
    size += each.length;
    ends[at] = size;
  });
  return { kind: "text", bytes: Buffer.concat(texts, size), ends };
}

/** The time of an entry; throws for what is no time, as other programs may have written it. */
function timeOf(id: KeyReply | undefined, series: string): number {
  const time = Buffer.isBuffer(id) ? microsecondsOfEntry(id) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  const shown = Buffer.isBuffer(id) ? id.toString("latin1") : "nothing";
  throw new SeriesProblem(`values of ${series}: "${shown}" is no time`, "corrupt");
}

/** Entries of a stream as a block. */
function blockOf(
  request: number,
  series: string,
  entries: readonly KeyReply[],
  places: Places,
): ValueBlock {
  const times = new Float64Array(entries.length);
  const ends = new Uint32Array(entries.length);
  const found: number[] = [];
  const texts: Buffer[] = [];
  entries.forEach((entry, at) => {
    const [id, fields] = partsOfReply(entry);
    const list = partsOfReply(fields);
    times[at] = timeOf(id, series);
    for (let field = 0, guess = 0; field + 1 < list.length; field += 2) {
      const name = list[field];
      const value = list[field + 1];
      if (!Buffer.isBuffer(name) || !Buffer.isBuffer(value)) continue;
      const place = placeOf(places, name, guess, series);
      if (place === undefined) continue;
      guess = place + 1;
      found.push(place);
      texts.push(value);
    }
    ends[at] = texts.length;
  });
  return {
    request,
    times,
    ends,
    places: Uint32Array.from(found),
    instances: places.instances,
    values: columnOf(texts),
  };
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
}

const numberOf = (reply: KeyReply | undefined): number => (typeof reply === "number" ? reply : 0);

/** Readings of some requests, with sizes from the number of instances and of samples. */
async function prepare(
  { ask }: Asker,
  requests: readonly ValuesRequest[],
  first: number,
): Promise<Reading[]> {
  const sizes = await ask(
    requests.flatMap(({ series }): KeyCommand[] => [
      ["SCARD", KEYS.instances(series)],
      ["XLEN", KEYS.values(series)],
    ]),
  );
  return requests.map(({ series, from, to, newest, most }, at) => {
    const width = Math.max(1, numberOf(sizes[2 * at]));
    const length = numberOf(sizes[2 * at + 1]);
    const page = Math.max(1, Math.min(MOST_SAMPLES, Math.floor(BLOCK_VALUES / width)));
    const left = Math.min(newest ?? Infinity, most ?? Infinity);
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
    };
  });
}

/** The next entries of a reading; none when it is over. */
async function nextEntries({ ask }: Asker, reading: Reading): Promise<readonly KeyReply[]> {
  const { series, newest, page, left, from, to } = reading;
  const count = Math.min(page, left);
  if (count <= 0) return [];
  const key = KEYS.values(series);
  const command = newest ? ["XREVRANGE", key, to, from] : ["XRANGE", key, from, to];
  const [reply] = await ask([[...command, "COUNT", String(count)]]);
  const entries = partsOfReply(reply);
  const [last] = partsOfReply(entries.at(-1));
  if (entries.length > 0) timeOf(last, series);
  reading.left = entries.length < count || !Buffer.isBuffer(last) ? 0 : left - entries.length;
  if (!Buffer.isBuffer(last)) return entries;
  if (!newest) reading.from = entryAfter(last);
  else {
    const before = entryBefore(last);
    if (before === undefined) reading.left = 0;
    else reading.to = before;
  }
  return entries;
}

/** Values of all requests in their order; first answers are asked for ahead. */
async function* values(
  asks: Asker,
  requests: readonly ValuesRequest[],
): AsyncGenerator<ValueBlock> {
  for (let first = 0; first < requests.length; first += REQUESTS_AT_ONCE) {
    const part = requests.slice(first, first + REQUESTS_AT_ONCE);
    const readings = await prepare(asks, part, first);
    const ahead: Promise<readonly KeyReply[] | Error>[] = [];
    let expected = 0;
    let asked = 0;
    for (const [at, reading] of readings.entries()) {
      for (; asked < readings.length && (asked <= at || expected < VALUES_AHEAD); asked++) {
        const next = readings[asked] ?? reading;
        expected += next.expected;
        ahead.push(nextEntries(asks, next).catch((error: Error) => error));
      }
      const answer = (await ahead.shift()) ?? [];
      if (answer instanceof Error) throw answer;
      expected -= reading.expected;
      for (let entries = answer; entries.length > 0; entries = await nextEntries(asks, reading))
        yield blockOf(reading.request, reading.series, entries, reading.places);
    }
  }
}

/** The store of a key server. Its questions are rejected while there is no connection. */
export function keyStore(server: KeyServer, options: KeyStoreOptions = {}): SeriesStore {
  const asks = asker(server, options.cursorCount ?? CURSOR_COUNT);
  const { ask } = asks;
  return {
    select: (leaves) => select(asks, leaves),
    descriptors: async (series) =>
      (await ask(series.map((id) => ["HMGET", KEYS.descriptor(id), ...DESCRIPTOR_FIELDS]))).map(
        descriptorOfReply,
      ),
    metricNames: (series) => namesThrough(asks, series.map(KEYS.metricNames), "metric"),
    instances: (series) => instances(asks, series),
    instancesById: (ids) => instancesById(asks, ids),
    labels: (ids) => labels(asks, ids),
    sources: (sources) => namesThrough(asks, sources.map(KEYS.contextsOf), "context"),
    labelValues: async (names) =>
      (await ask(names.map((name) => ["HVALS", KEYS.map(labelMapName(stringId(name)))]))).map(
        (reply) => partsOfReply(reply).map(textOfReply).filter(present),
      ),
    names: async (list) => {
      const [reply] = await ask([["HVALS", KEYS.map(listName(list))]]);
      return partsOfReply(reply).map(textOfReply).filter(present);
    },
    values: (requests) => values(asks, requests),
    expressions: async (series) =>
      (await ask(series.map((id) => ["HGET", KEYS.expression(id), "query"]))).map(textOfReply),
    fabricate: async (series, expression, descriptor: SeriesDescriptor) => {
      await ask([
        ["HSET", KEYS.descriptor(series), ...descriptorPairs(descriptor)],
        ["HSET", KEYS.expression(series), "query", expression],
      ]);
    },
  };
}
