// The store over archives and their catalogue: what is known of series comes from the catalogue, values
// come from the archives themselves (spec series.md 2, 3, 7; the same answers as a key server that the
// archives were loaded into). Names are matched over lists that are kept until the catalogue changes.
import { PcpError, slices } from "../base/mod.ts";
import type { Pmid } from "../pcp/mod.ts";
import {
  type Leaf,
  type NameList,
  type NameMap,
  remembered,
  type SeriesDescriptor,
  type SeriesId,
  type SeriesInstance,
  type SeriesLabel,
  type SeriesStore,
  type ValuesRequest,
} from "../series/mod.ts";
import { rememberedValues } from "./cache.ts";
import type { Catalogue } from "./catalogue.ts";
import { keptExpressions } from "./expressions.ts";
import { archiveShelf } from "./shelf.ts";
import type { HeldRequest, Holding, Slots } from "./values.ts";

const SERIES_OF = {
  metric: "SELECT hash FROM series WHERE name = ?",
  instance: `SELECT DISTINCT series.hash AS hash FROM instance
    JOIN slot ON slot.instance = instance.id JOIN has ON has.slots = slot.slots
    JOIN series ON series.id = has.series WHERE instance.name = ?`,
  context: `SELECT hash FROM archive JOIN holds ON holds.archive = archive.id
    JOIN series ON series.id = holds.series WHERE archive.path = ?`,
  label: `SELECT hash FROM label JOIN carries ON carries.label = label.id
    JOIN series ON series.id = carries.series WHERE label.value = ? AND label.name = ?`,
} as const;

const NAMES_OF = {
  metric: "SELECT DISTINCT name FROM series",
  instance: "SELECT DISTINCT name FROM instance",
  label: "SELECT DISTINCT name FROM label",
  context:
    "SELECT path AS name FROM archive WHERE source IS NOT NULL UNION SELECT host FROM archive WHERE source IS NOT NULL",
} as const;

const DESCRIPTOR = "indom, pmid, semantics, source, type, units";

const INSTANCES = `SELECT DISTINCT instance.hash AS id, instance.inst AS inst, instance.name AS name,
    instance.source AS source FROM series JOIN has ON has.series = series.id
  JOIN slot ON slot.slots = has.slots JOIN instance ON instance.id = slot.instance
  WHERE series.hash = ?`;

const LABELS = `SELECT label.name AS name, label.value AS value FROM labelled
  JOIN label ON label.id = labelled.label WHERE labelled.labels =
  coalesce((SELECT labels FROM series WHERE hash = ?1), (SELECT labels FROM instance WHERE hash = ?1))`;

const HOLDINGS = `SELECT archive.path AS path, archive.stamp AS stamp, archive.begin AS begin,
    archive.finish AS finish, holds.pmid AS pmid, holds.slots AS slots, series.type AS type,
    series.indom AS indom
  FROM series JOIN holds ON holds.series = series.id JOIN archive ON archive.id = holds.archive
  WHERE series.hash = ? ORDER BY archive.begin, archive.path`;

interface HoldingRow {
  readonly path: string;
  readonly stamp: string;
  readonly begin: number;
  readonly finish: number | null;
  readonly pmid: number;
  readonly slots: number | null;
  readonly type: string;
  readonly indom: string;
}

/** Of a metric whose instances have no names: their values are nobody's. */
const NO_SLOTS: Slots = { places: new Map(), ids: [] };

interface Name {
  readonly name: string;
}
interface Hash {
  readonly hash: SeriesId;
}

/** Lists that are kept: anybody may ask for values of labels that nobody has. */
const KEPT_LISTS = 1024;

/** Lists of names and sets of instances, until the catalogue changes. */
function keeper(catalogue: Catalogue) {
  let generation = -1;
  const kept = new Map<string, unknown>();
  return <T>(key: string, make: () => T): T => {
    const now = catalogue.generation;
    if (generation !== now || kept.size >= KEPT_LISTS) kept.clear();
    generation = now;
    if (kept.has(key)) return kept.get(key) as T;
    const made = make();
    kept.set(key, made);
    return made;
  };
}

/** Whether an archive may have values in a range. The last one may have grown; any other has ended. */
const mayHold =
  ({ from, to }: ValuesRequest) =>
  ({ begin, finish }: HoldingRow, number: number, { length }: readonly HoldingRow[]): boolean =>
    begin <= to && (number === length - 1 || finish === null || finish >= from);

/** Most sets of instances that are kept at a time. */
const KEPT_SLOTS = 1024;
/** Archives of requests, of all together, after which these are answered before others are looked at. */
const HELD_AT_ONCE = 262_144;

/** What a store is told beside its catalogue. */
export interface EmbeddedStoreOptions {
  /** Hears of damage that ended reading, once for each archive as it is. */
  readonly warn?: (text: string) => void;
}

/** A store over the archives of a catalogue. */
export function embeddedStore(
  catalogue: Catalogue,
  options: EmbeddedStoreOptions = {},
): SeriesStore {
  const { database, guard } = catalogue;
  const keep = keeper(catalogue);
  const noteEnd = (path: string, stamp: string, end: number): void => {
    try {
      catalogue.noteEnd(path, stamp, end);
    } catch (error) {
      // A file that takes nothing now: it is found out again then.
      if (!(error instanceof PcpError)) throw error;
    }
  };
  const values = rememberedValues(archiveShelf({ ended: noteEnd, ...options }));

  const all = <Row>(sql: string, ...values: (string | number)[]): readonly Row[] =>
    guard(() => database.query<Row, (string | number)[]>(sql).all(...values));
  const one = <Row>(sql: string, value: string): Row | undefined => all<Row>(sql, value)[0];
  const each = async <T>(list: readonly string[], answer: (id: string) => T): Promise<T[]> => {
    const pause = slices();
    const answers: T[] = [];
    for (const id of list) {
      answers.push(answer(id));
      const turn = pause();
      if (turn !== undefined) await turn;
    }
    return answers;
  };

  const listNames = (list: NameList): readonly string[] =>
    keep(`names ${list}`, () => all<Name>(NAMES_OF[list]).map(({ name }) => name));
  const labelValues = (label: string): readonly string[] =>
    keep(`values ${label}`, () =>
      all<Name>("SELECT value AS name FROM label WHERE name = ?", label).map(({ name }) => name),
    );
  const entriesOf = (map: NameMap): readonly string[] =>
    map.kind === "label" ? labelValues(map.label) : listNames(map.kind);

  const selectLeaf = async ({ map, choice }: Leaf): Promise<readonly SeriesId[]> => {
    const texts = choice.kind === "equal" ? [choice.text] : entriesOf(map);
    const found = new Set<SeriesId>();
    const more = map.kind === "label" ? [map.label] : [];
    const pause = slices();
    for (const text of texts) {
      if (choice.kind === "equal" || choice.fits(text))
        for (const { hash } of all<Hash>(SERIES_OF[map.kind], text, ...more)) found.add(hash);
      const turn = pause();
      if (turn !== undefined) await turn;
    }
    return [...found].sort();
  };

  const expressions = keptExpressions(catalogue);
  const descriptor = (id: string): SeriesDescriptor | undefined =>
    expressions.find(id)?.descriptor ?? one(`SELECT ${DESCRIPTOR} FROM series WHERE hash = ?`, id);

  let slotsKept = new Map<number, Slots>();
  let slotsGeneration = -1;
  const slotsOf = (id: number): Slots => {
    const now = catalogue.generation;
    if (slotsGeneration !== now || slotsKept.size >= KEPT_SLOTS) slotsKept = new Map();
    slotsGeneration = now;
    const before = slotsKept.get(id);
    if (before !== undefined) return before;
    const rows = all<{ inst: number; id: string }>(
      `SELECT slot.inst AS inst, instance.hash AS id FROM slot
       JOIN instance ON instance.id = slot.instance WHERE slot.slots = ? ORDER BY slot.place`,
      id,
    );
    const made: Slots = {
      places: new Map(rows.map(({ inst }, place) => [inst, place])),
      ids: rows.map((row) => row.id),
    };
    slotsKept.set(id, made);
    return made;
  };

  const holdingOf = ({ path, stamp, begin, finish, pmid, slots, indom }: HoldingRow): Holding => {
    const named = slots === null ? NO_SLOTS : slotsOf(slots);
    return {
      path,
      stamp,
      begin,
      end: finish ?? undefined,
      pmid: pmid as Pmid,
      slots: indom === "none" ? undefined : named,
    };
  };

  const store: SeriesStore = {
    select: (leaves) => Promise.all(leaves.map(selectLeaf)),
    descriptors: (series) => each(series, descriptor),
    metricNames: (series) =>
      each(series, (id) =>
        all<Name>("SELECT name FROM series WHERE hash = ?", id).map(({ name }) => name),
      ),
    instances: (series) => each(series, (id) => all<SeriesInstance>(INSTANCES, id)),
    instancesById: (ids) =>
      each(ids, (id) =>
        one("SELECT hash AS id, inst, name, source FROM instance WHERE hash = ?", id),
      ),
    labels: (ids) => each(ids, (id) => all<SeriesLabel>(LABELS, id)),
    sources: (sources) =>
      each(sources, (id) =>
        all<Name>(
          `SELECT path AS name FROM source JOIN archive ON archive.source = source.id
           WHERE hash = ?1 UNION
           SELECT host FROM source JOIN archive ON archive.source = source.id WHERE hash = ?1`,
          id,
        ).map(({ name }) => name),
      ),
    labelValues: (names) => each(names, labelValues),
    names: (list) => Promise.resolve().then(() => listNames(list)),
    async *values(requests) {
      const pause = slices();
      let held: HeldRequest[] = [];
      let count = 0;
      for (const [index, request] of requests.entries()) {
        const rows = all<HoldingRow>(HOLDINGS, request.series);
        const holdings = rows.filter(mayHold(request)).map(holdingOf);
        held.push({ index, request, type: rows[0]?.type ?? "", holdings });
        count += holdings.length;
        const turn = pause();
        if (turn !== undefined) await turn;
        if (count < HELD_AT_ONCE) continue;
        yield* values(held);
        held = [];
        count = 0;
      }
      yield* values(held);
    },
    expressions: (series) => each(series, (id) => expressions.find(id)?.text),
    fabricate: (series, text, descriptor) =>
      Promise.resolve().then(() => expressions.keep(series, { text, descriptor })),
  };
  return remembered(store, () => catalogue.generation);
}
