// The store over a key server (spec series.md 2, 7.3, 10): each question becomes one round of commands, or
// two where names are looked up behind identifiers. Maps are walked in pieces, values are read in
// blocks, some series ahead of the one that is told. Refused: answers with errors in them.
import {
  type Leaf,
  type NameList,
  remembered,
  type SeriesDescriptor,
  type SeriesId,
  type SeriesInstance,
  type SeriesLabel,
  SeriesProblem,
  type SeriesStore,
  stringId,
  uniteInTurn,
} from "../series/mod.ts";
import { checkPresence } from "./client.ts";
import type { KeyCommand, KeyReply, KeyServer } from "./keys.ts";
import { askInBytes } from "./resp.ts";
import {
  DESCRIPTOR_FIELDS,
  descriptorOfReply,
  descriptorPairs,
  idBytes,
  idOfReply,
  KEYS,
  labelMapName,
  listName,
  type MapName,
  mapName,
  partsOfReply,
  textOfReply,
} from "./schema.ts";
import { keyValues } from "./values.ts";

/** How the store asks. */
export interface KeyStoreOptions {
  /** Entries of a map that are looked at in one step (`cursor.count`); CURSOR_COUNT by default. */
  readonly cursorCount?: number;
}

/** Default of `cursor.count`. */
const CURSOR_COUNT = 256;
/** Identifiers whose names are asked for in one command. */
const NAMES_AT_ONCE = 1024;
/** Maps of so many entries are asked for whole, when that is known of them. */
const WHOLE_MAP = 2048;
/** Maps whose size is kept in mind. */
const KEPT_SIZES = 4096;

const present = <T>(value: T | undefined): value is T => value !== undefined;

/** What the functions of the store share. */
function asker(server: KeyServer, cursorCount: number) {
  const sizes = new Map<MapName, number>();
  const ask = (commands: readonly KeyCommand[]): Promise<readonly KeyReply[]> =>
    askInBytes(server.pipe, commands, (reply) => {
      checkPresence(reply);
      if (reply instanceof SeriesProblem) throw reply;
    });

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
    const lookAt = (pairs: KeyReply | undefined): number => {
      const list = partsOfReply(pairs);
      for (let at = 0; at + 1 < list.length; at += 2) {
        const id = idOfReply(list[at]);
        const name = textOfReply(list[at + 1]);
        if (id !== undefined && name !== undefined) look(id, name);
      }
      return list.length / 2;
    };
    // How large it was last decides how it is read, not what is told. In one step, too, it is walked: the order
    // is that in which PCP's programs meet names, and with it the first series of a pattern.
    const isSmall = (sizes.get(map) ?? Infinity) <= WHOLE_MAP;
    const count = String(isSmall ? Math.max(cursorCount, WHOLE_MAP) : cursorCount);
    let cursor = "0";
    let size = 0;
    do {
      const command = ["HSCAN", KEYS.map(map), cursor, "COUNT", count];
      const [reply] = await ask([command]);
      const [next, pairs] = partsOfReply(reply);
      size += lookAt(pairs);
      cursor = textOfReply(next) ?? "0";
    } while (cursor !== "0");
    if (sizes.size >= KEPT_SIZES) sizes.clear();
    sizes.set(map, size);
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
    const from = next;
    next += size;
    return uniteInTurn(sets.slice(from, next));
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
  const texts = new Map<string, ReadonlyMap<string, string>>();
  const [names] = await Promise.all([
    namesOf(listName("label"), values.keys()),
    ...[...values].map(async ([name, known]) =>
      texts.set(name, await namesOf(labelMapName(name), known)),
    ),
  ]);
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

/** The store of a key server. Its questions are rejected while there is no connection. */
export function keyStore(server: KeyServer, options: KeyStoreOptions = {}): SeriesStore {
  const asks = asker(server, options.cursorCount ?? CURSOR_COUNT);
  const { ask } = asks;
  const values = keyValues(server);
  const store: SeriesStore = {
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
    values,
    expressions: async (series) =>
      (await ask(series.map((id) => ["HGET", KEYS.expression(id), "query"]))).map(textOfReply),
    fabricate: async (series, expression, descriptor: SeriesDescriptor) => {
      await ask([
        ["HSET", KEYS.descriptor(series), ...descriptorPairs(descriptor)],
        ["HSET", KEYS.expression(series), "query", expression],
      ]);
    },
  };
  return remembered(store, () => server.stamp);
}
