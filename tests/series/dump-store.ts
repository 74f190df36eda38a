// A store over recorded dumps of a key server, in memory: PCP's schema as it was written by the real
// programs, answered through the interface of stores. It reads only what the schema says.
import { type Column, columnLength, textAt, textColumn } from "../../lib/series/column.ts";
import { type SeriesId, stringId } from "../../lib/series/ids.ts";
import type {
  Leaf,
  NameList,
  SeriesDescriptor,
  SeriesInstance,
  SeriesStore,
  ValueBlock,
  ValuesRequest,
} from "../../lib/series/store.ts";

type Entry = readonly [id: string, fields: readonly (readonly [name: string, value: string])[]];

interface Key {
  readonly type: string;
  readonly value?: unknown;
}

/** A recording of everything that a key server held. */
export interface Dump {
  readonly keys: Readonly<Record<string, Key>>;
}

const HEX = /^hex:/;
const plain = (text: string): string => text.replace(HEX, "");

/** `ms-us` as microseconds. */
function microseconds(id: string): number {
  const [ms = "0", us = "0"] = id.split("-");
  return Number(ms) * 1000 + Number(us);
}

const LISTS: Readonly<Record<NameList, string>> = {
  metric: "metric.name",
  instance: "inst.name",
  label: "label.name",
  context: "context.name",
};

/** Sets, hashes and streams by their keys; later dumps add to earlier ones. */
function merged(dumps: readonly Dump[]) {
  const sets = new Map<string, Set<string>>();
  const hashes = new Map<string, Map<string, string>>();
  const streams = new Map<string, readonly Entry[]>();
  for (const { keys } of dumps)
    for (const [key, { type, value }] of Object.entries(keys)) {
      if (type === "set") {
        const set = sets.get(key) ?? new Set();
        for (const member of value as readonly string[]) set.add(plain(member));
        sets.set(key, set);
      } else if (type === "hash") {
        const hash = hashes.get(key) ?? new Map<string, string>();
        for (const [field, text] of Object.entries(value as Record<string, string>))
          hash.set(plain(field), plain(text));
        hashes.set(key, hash);
      } else if (type === "stream") streams.set(key, value as readonly Entry[]);
    }
  return { sets, hashes, streams };
}

/** Samples of one stream as a block. Names that are no instance and not empty are skipped. */
function blockOf(request: number, series: string, entries: readonly Entry[]): ValueBlock {
  const instances: string[] = [];
  const places: number[] = [];
  const texts: string[] = [];
  const ends = new Uint32Array(entries.length);
  entries.forEach(([, fields], at) => {
    for (const [name, value] of fields) {
      if (name !== "" && !HEX.test(name)) continue;
      const id = name === "" ? series : plain(name);
      let place = instances.indexOf(id);
      if (place < 0) place = instances.push(id) - 1;
      places.push(place);
      texts.push(value);
    }
    ends[at] = texts.length;
  });
  return {
    request,
    times: Float64Array.from(entries, ([id]) => microseconds(id)),
    ends,
    places: Uint32Array.from(places),
    instances,
    values: textColumn(texts),
  };
}

/** Blocks have so many samples, so that there are several. */
const BLOCK_SAMPLES = 3;

/** A store that has what the dumps have, and keeps fabricated series. */
export function dumpStore(dumps: readonly Dump[]): SeriesStore {
  const { sets, hashes, streams } = merged(dumps);
  const members = (key: string): string[] => [...(sets.get(key) ?? [])];
  const hash = (key: string): ReadonlyMap<string, string> => hashes.get(key) ?? new Map();
  const each = <T>(list: readonly string[], answer: (id: string) => T): Promise<T[]> =>
    Promise.resolve(list.map(answer));

  const leaf = ({ map, choice }: Leaf): SeriesId[] => {
    const name = map.kind === "label" ? `label.${stringId(map.label)}.value` : undefined;
    const part = name ?? `${map.kind === "instance" ? "inst" : map.kind}.name`;
    const ids =
      choice.kind === "equal"
        ? [stringId(choice.text) as string]
        : [...hash(`pcp:map:${part}`)].filter(([, text]) => choice.fits(text)).map(([id]) => id);
    const found = new Set(ids.flatMap((id) => members(`pcp:series:${part}:${id}`)));
    return [...found].sort() as SeriesId[];
  };

  const descriptor = (id: string): SeriesDescriptor | undefined => {
    const fields = hashes.get(`pcp:desc:series:${id}`);
    if (fields === undefined) return undefined;
    const field = (name: string): string => fields.get(name) ?? "";
    return {
      indom: field("indom"),
      pmid: field("pmid"),
      semantics: field("semantics"),
      source: field("source"),
      type: field("type"),
      units: field("units"),
    };
  };

  const instance = (id: string): SeriesInstance | undefined => {
    const fields = hashes.get(`pcp:inst:series:${id}`);
    if (fields === undefined) return undefined;
    const name = hash("pcp:map:inst.name").get(fields.get("name") ?? "") ?? "";
    return { id, inst: Number(fields.get("inst")), name, source: fields.get("source") ?? "" };
  };

  async function* values(requests: readonly ValuesRequest[]): AsyncGenerator<ValueBlock> {
    for (const [at, { series, from, to, newest, most }] of requests.entries()) {
      const all = (streams.get(`pcp:values:series:${series}`) ?? []).filter(([id]) => {
        const time = microseconds(id);
        return time >= from && time <= to;
      });
      const wanted = newest === undefined ? all : all.toReversed().slice(0, newest);
      const entries = wanted.slice(0, most ?? wanted.length);
      const whole = blockOf(at, series, entries);
      for (let index = 0; index < entries.length; index += BLOCK_SAMPLES) {
        const part = blockOf(at, series, entries.slice(index, index + BLOCK_SAMPLES));
        const places = part.places.map((place) =>
          whole.instances.indexOf(part.instances[place] ?? ""),
        );
        await Promise.resolve();
        yield { ...part, places, instances: whole.instances };
      }
    }
  }

  return {
    select: (leaves) => Promise.resolve(leaves.map(leaf)),
    descriptors: (series) => each(series, descriptor),
    metricNames: (series) =>
      each(series, (id) =>
        members(`pcp:metric.name:series:${id}`).map(
          (name) => hash("pcp:map:metric.name").get(name) ?? "",
        ),
      ),
    instances: (series) =>
      each(series, (id) =>
        members(`pcp:instances:series:${id}`)
          .map(instance)
          .filter((found) => found !== undefined),
      ),
    instancesById: (ids) => each(ids, instance),
    labels: (ids) =>
      each(ids, (id) =>
        [...hash(`pcp:labelvalue:series:${id}`)].map(([name, value]) => ({
          name: hash("pcp:map:label.name").get(name) ?? "",
          value: hash(`pcp:map:label.${name}.value`).get(value) ?? "null",
        })),
      ),
    sources: (ids) =>
      each(ids, (id) =>
        members(`pcp:context.name:source:${id}`).map(
          (name) => hash("pcp:map:context.name").get(name) ?? "",
        ),
      ),
    labelValues: (names) =>
      each(names, (name) => [...hash(`pcp:map:label.${stringId(name)}.value`).values()]),
    names: (list) => Promise.resolve([...hash(`pcp:map:${LISTS[list]}`).values()]),
    values,
    expressions: (ids) => each(ids, (id) => hashes.get(`pcp:expr:series:${id}`)?.get("query")),
    fabricate: (id, expression, fields) => {
      hashes.set(`pcp:expr:series:${id}`, new Map([["query", expression]]));
      hashes.set(`pcp:desc:series:${id}`, new Map(Object.entries(fields)));
      return Promise.resolve();
    },
  };
}

/** The values of a column as numbers of the type that a descriptor names; texts stay texts. */
function asNumbers(values: Column, type: string): Column {
  const length = columnLength(values);
  const texts = Array.from({ length }, (_, index) => textAt(values, index));
  switch (type) {
    case "32":
    case "u32":
      return { kind: "number", form: "decimal", numbers: Float64Array.from(texts, Number) };
    case "64":
      return { kind: "long", numbers: BigInt64Array.from(texts, BigInt) };
    case "u64":
      return { kind: "long", numbers: BigUint64Array.from(texts, BigInt) };
    case "float":
    case "double":
      return { kind: "number", form: "float", numbers: Float64Array.from(texts, Number) };
    default:
      return values;
  }
}

/** The same store with numbers in its columns, as one has that reads archives. */
export function numberStore(store: SeriesStore): SeriesStore {
  return {
    ...store,
    async *values(requests) {
      const series = requests.map((each) => each.series);
      const descriptors = await store.descriptors(series);
      for await (const block of store.values(requests)) {
        const type = descriptors[block.request]?.type ?? "string";
        yield { ...block, values: asNumbers(block.values, type) };
      }
    },
  };
}
