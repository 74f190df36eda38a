// The catalogue of the embedded store: which archives there are and what is in them, in one SQLite file.
// An archive is put in, replaced or taken out as one transaction, so nothing half written ever counts.
// Values are not in it. Refused as one sentence: what the file refuses; damage is mended by opening it
// again, which makes it anew.
import type { Database } from "bun:sqlite";
import { PM_ERR, PcpError } from "../base/mod.ts";
import type { SeriesLabel } from "../series/mod.ts";
import { BUSY_MS, catalogueError, openDatabase } from "./schema.ts";
import type { SurveyedInstance, SurveyedSeries } from "./meet.ts";
import type { Survey } from "./survey.ts";
import { sweeper } from "./sweep.ts";
import { textRows } from "./texts.ts";

/** An archive as the catalogue has it. */
export interface CataloguedArchive {
  readonly path: string;
  /** What tells its files from changed ones; see follow.ts. */
  readonly stamp: string;
  /** Whether all its data were looked at. */
  readonly complete: boolean;
  /** Why nothing of it is in the catalogue. */
  readonly problem: string | undefined;
}

/** An open catalogue. */
export interface Catalogue {
  readonly file: string;
  readonly database: Database;
  /**
   * Changes with every change but that of where archives end: what was kept of names and series before is
   * stale. What other connections change is seen within SEEN_MS.
   */
  readonly generation: number;
  /** Says that another connection has written: it is seen at once. */
  stale(): void;
  archives(): readonly CataloguedArchive[];
  /** Puts an archive in, over what was known of it. */
  put(path: string, stamp: string, survey: Survey): void;
  /** An archive that cannot be read: nothing of it is left but why. */
  putProblem(path: string, stamp: string, problem: string): void;
  /** New data without anything new to catalogue; they end at `end`, microseconds, if that is known. */
  touch(path: string, stamp: string, end?: number): void;
  /** When an archive ended, found out later; microseconds. Nothing that is kept of names changes. */
  noteEnd(path: string, stamp: string, end: number): void;
  /** Makes one change of several: all that `body` puts in, or nothing. */
  together(body: () => void): void;
  /** Takes archives out, and what only they had. */
  drop(paths: readonly string[]): void;
  /** Runs `body` with the errors of the file as sentences. */
  guard<T>(body: () => T): T;
  /** As `guard`, but does not wait for others who write: throws an error that isBusy then. */
  briefly<T>(body: () => T): T;
  close(): void;
}

const hashOf = (parts: readonly (string | number)[]): string =>
  new Bun.CryptoHasher("sha1").update(JSON.stringify(parts)).digest("hex");

interface Id {
  readonly id: number;
}

type Cell = string | number | null;

/** The statements that put rows in; they give the number of the row, new or old. */
function rows(database: Database) {
  const idOf = (sql: string) => {
    const statement = database.query<Id, Cell[]>(`${sql} RETURNING id`);
    return (...values: Cell[]): number => statement.get(...values)?.id ?? 0;
  };
  // Asked first: a statement that may write does so also where nothing changes.
  const idIn = (find: string, add: string) => {
    const known = database.query<Id, Cell[]>(find);
    const put = idOf(add);
    return (...values: Cell[]): number => known.get(...values)?.id ?? put(...values);
  };
  const source = idIn(
    "SELECT id FROM source WHERE hash = ?",
    "INSERT INTO source (hash) VALUES (?)",
  );
  const label = idIn(
    "SELECT id FROM label WHERE name = ? AND value = ?",
    "INSERT INTO label (name, value) VALUES (?, ?)",
  );
  const series = idOf(
    `INSERT INTO series (hash, name, indom, pmid, semantics, source, type, units, labels)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET source = excluded.source, pmid = excluded.pmid,
       labels = coalesce(excluded.labels, labels)`,
  );
  const instance = idOf(
    `INSERT INTO instance (hash, inst, name, source, labels) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET inst = excluded.inst, source = excluded.source,
       labels = excluded.labels`,
  );
  const archive = idOf(
    `INSERT INTO archive (path, stamp, host, source, begin, finish, complete, problem)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const known = (table: "labels" | "slots") => {
    const find = database.query<Id, [string]>(`SELECT id FROM ${table} WHERE hash = ?`);
    const add = idOf(`INSERT INTO ${table} (hash) VALUES (?)`);
    return (hash: string, fill: (id: number) => void): number => {
      const before = find.get(hash);
      if (before !== null) return before.id;
      const id = add(hash);
      fill(id);
      return id;
    };
  };
  return {
    source,
    label,
    series,
    instance,
    archive,
    knownSeries: database.query<Id, Cell[]>(
      "SELECT id FROM series WHERE hash = ? AND labels IS ? AND source = ? AND pmid = ?",
    ),
    knownInstance: database.query<Id, Cell[]>(
      "SELECT id FROM instance WHERE hash = ? AND inst = ? AND labels = ?",
    ),
    labels: known("labels"),
    slots: known("slots"),
    labelled: database.query("INSERT OR IGNORE INTO labelled VALUES (?, ?)"),
    slot: database.query("INSERT INTO slot VALUES (?, ?, ?, ?)"),
    holds: database.query("INSERT INTO holds VALUES (?, ?, ?, ?)"),
    has: database.query("INSERT OR IGNORE INTO has VALUES (?, ?)"),
    carries: database.query("INSERT OR IGNORE INTO carries VALUES (?, ?)"),
    texts: textRows(database),
  };
}

type Rows = ReturnType<typeof rows>;

/** Numbers of labels and of sets of them, as one archive needs them: many things share a set. */
function labelNumbers(put: Rows) {
  const numbers = new Map<string, number>();
  const numberOf = ({ name, value }: SeriesLabel): number => {
    const key = `${name}\0${value}`;
    const id = numbers.get(key) ?? put.label(name, value);
    numbers.set(key, id);
    return id;
  };
  const members = new Map<readonly SeriesLabel[], readonly number[]>();
  /** Ascending. */
  const idsOf = (labels: readonly SeriesLabel[]): readonly number[] => {
    const ids = members.get(labels) ?? labels.map(numberOf).sort((a, b) => a - b);
    members.set(labels, ids);
    return ids;
  };
  const sets = new Map<readonly SeriesLabel[], number>();
  const labelsId = (labels: readonly SeriesLabel[]): number => {
    const before = sets.get(labels);
    if (before !== undefined) return before;
    const ids = idsOf(labels);
    const id = put.labels(hashOf(ids), (made) =>
      ids.forEach((label) => put.labelled.run(made, label)),
    );
    sets.set(labels, id);
    return id;
  };
  return { idsOf, labelsId };
}

/** Puts the rows of one archive in. */
function putSurvey(put: Rows, path: string, stamp: string, survey: Survey): void {
  const { source, host, begin, end, complete } = survey;
  const archive = put.archive(
    path,
    stamp,
    host,
    put.source(source),
    begin,
    end ?? null,
    Number(complete),
    null,
  );
  put.texts(archive, survey.texts);
  const { labelsId, idsOf } = labelNumbers(put);
  const instanceIds = new Map<SurveyedInstance, readonly [id: number, labels: number]>();
  const instanceId = (each: SurveyedInstance): readonly [id: number, labels: number] => {
    let found = instanceIds.get(each);
    if (found === undefined) {
      const labels = labelsId(each.labels);
      const before = put.knownInstance.get(each.id, each.inst, labels);
      found = [before?.id ?? put.instance(each.id, each.inst, each.name, source, labels), labels];
      instanceIds.set(each, found);
    }
    return found;
  };
  survey.instances.forEach(instanceId);
  // With its labels a set of instances is another one when these change, or select it in another way.
  const putSlots = ({ instances }: SurveyedSeries, told: readonly number[]): number => {
    const hasher = new Bun.CryptoHasher("sha1");
    for (const each of instances) hasher.update(`${each.inst} ${instanceId(each).join(" ")},`);
    hasher.update(told.join());
    return put.slots(hasher.digest("hex"), (id) =>
      instances.forEach((each, place) => put.slot.run(id, place, each.inst, instanceId(each)[0])),
    );
  };
  /** The labels with which instances of a series were written. */
  const toldIds = ({ told }: SurveyedSeries): readonly number[] => {
    const [only, ...others] = told;
    if (only !== undefined && others.length === 0) return idsOf(only);
    return [...new Set(told.flatMap(idsOf))].sort((a, b) => a - b);
  };
  for (const each of survey.series) {
    const { indom, pmid, semantics, type, units } = each.descriptor;
    const labels = each.labels.length === 0 ? null : labelsId(each.labels);
    const known = put.knownSeries.get(each.id, labels, source, pmid);
    const id =
      known?.id ??
      put.series(each.id, each.name, indom, pmid, semantics, source, type, units, labels);
    const told = toldIds(each);
    const slots = each.instances.length === 0 ? null : putSlots(each, told);
    put.holds.run(id, archive, each.pmid, slots);
    // Who is known with these labels is known to carry them.
    if (known === null) for (const label of idsOf(each.labels)) put.carries.run(label, id);
    if (slots === null) continue;
    if (put.has.run(id, slots).changes === 0) continue;
    for (const label of told) put.carries.run(label, id);
  }
}

/** Milliseconds between two looks at whether others have written: one costs as much as a small question. */
const SEEN_MS = 5;

/** Milliseconds for which the file is waited for by who has other things to do. */
const BRIEFLY_MS = 10;

/** How a catalogue is opened. */
export interface CatalogueOptions {
  /** Whether the file is looked through for damage; true by default. */
  readonly check?: boolean;
  /** Hears of a damaged file that was put aside. */
  readonly warn?: (text: string) => void;
}

/** Opens a catalogue, or makes one; `:memory:` for one without a file. Throws PcpError. */
export function openCatalogue(file: string, options: CatalogueOptions = {}): Catalogue {
  const database = openDatabase(file, options.check, options.warn);
  const put = rows(database);
  const sweep = sweeper(database);
  let generation = 0;
  let version = 0;
  let revision = 0;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let isClosed = false;
  const guard = <T>(body: () => T): T => {
    if (isClosed) throw new PcpError(PM_ERR.NOTCONN, "the catalogue is closed");
    try {
      return body();
    } catch (error) {
      throw catalogueError(file, error);
    }
  };
  const briefly = <T>(body: () => T): T =>
    guard(() => {
      database.run(`PRAGMA busy_timeout = ${BRIEFLY_MS}`);
      try {
        return body();
      } finally {
        database.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
      }
    });
  const change = (body: () => void): void => {
    guard(() => database.transaction(body).immediate());
    generation++;
  };
  /** Replaces what is known of an archive by what `body` puts in. */
  const replace = (path: string, body: () => void): void =>
    change(() => {
      const leaves = sweep.forget(path);
      body();
      if (leaves) sweep.sweep();
    });
  const revisionOf = database.query<{ number: number }, []>("SELECT number FROM revision");
  const versionOf = database.query<{ data_version: number }, []>("PRAGMA data_version");
  interface Row {
    readonly path: string;
    readonly stamp: string;
    readonly complete: number;
    readonly problem: string | null;
  }
  return {
    file,
    database,
    get generation() {
      if (performance.now() - lookedAt < SEEN_MS) return generation;
      const { data_version: now = 0 } = guard(() => versionOf.get()) ?? {};
      if (now !== version) {
        const { number = 0 } = guard(() => revisionOf.get()) ?? {};
        if (number !== revision) generation++;
        revision = number;
      }
      version = now;
      lookedAt = performance.now();
      return generation;
    },
    stale: () => {
      lookedAt = Number.NEGATIVE_INFINITY;
    },
    archives: () =>
      guard(() =>
        database
          .query<Row, []>("SELECT path, stamp, complete, problem FROM archive")
          .all()
          .map(({ path, stamp, complete, problem }) => ({
            path,
            stamp,
            complete: complete === 1,
            problem: problem ?? undefined,
          })),
      ),
    put: (path, stamp, survey) => replace(path, () => putSurvey(put, path, stamp, survey)),
    putProblem: (path, stamp, problem) =>
      replace(path, () => put.archive(path, stamp, "", null, 0, null, 0, problem)),
    touch: (path, stamp, end) => {
      guard(() =>
        database
          .query("UPDATE archive SET stamp = ?, finish = ? WHERE path = ?")
          .run(stamp, end ?? null, path),
      );
    },
    noteEnd: (path, stamp, end) => {
      briefly(() =>
        database
          .query("UPDATE archive SET finish = ? WHERE path = ? AND stamp = ? AND finish IS NULL")
          .run(end, path, stamp),
      );
    },
    together: (body) => guard(() => database.transaction(body).immediate()),
    drop: (paths) => {
      // One by one: nobody waits long for the file.
      for (const path of paths) replace(path, () => undefined);
    },
    guard,
    briefly,
    close: () => {
      isClosed = true;
      database.close();
    },
  };
}
