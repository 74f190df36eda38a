// The file of the embedded store's catalogue: its tables, and how it is opened. It holds nothing that
// archives do not say but fabricated series, so a file that is missing, damaged or of another version is
// made anew. Refused, with one sentence: a file that cannot be written, a disk that is full.
import { Database, SQLiteError } from "bun:sqlite";
import { rmSync } from "node:fs";
import { asPcpError, PM_ERR, PcpError } from "../base/mod.ts";

/** Changes with every change of the tables or of what is put into them. */
const VERSION = 1;

/**
 * Identifiers are 40 digits. A label set is shared by all that carry it, a set of instances by all metrics
 * that have it; `holds` says which archive has values of which series, and of which instances.
 */
const TABLES = `
CREATE TABLE source (id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE);
CREATE TABLE archive (
  id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, stamp TEXT NOT NULL, host TEXT NOT NULL,
  source INTEGER, begin INTEGER NOT NULL, finish INTEGER, complete INTEGER NOT NULL, problem TEXT
);
CREATE INDEX archive_source ON archive (source);
CREATE TABLE series (
  id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, name TEXT NOT NULL, indom TEXT NOT NULL,
  pmid TEXT NOT NULL, semantics TEXT NOT NULL, source TEXT NOT NULL, type TEXT NOT NULL,
  units TEXT NOT NULL, labels INTEGER
);
CREATE INDEX series_name ON series (name);
CREATE TABLE instance (
  id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, inst INTEGER NOT NULL, name TEXT NOT NULL,
  source TEXT NOT NULL, labels INTEGER
);
CREATE INDEX instance_name ON instance (name);
CREATE TABLE slots (id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE);
CREATE TABLE slot (
  slots INTEGER NOT NULL, place INTEGER NOT NULL, inst INTEGER NOT NULL, instance INTEGER NOT NULL,
  PRIMARY KEY (slots, place)
) WITHOUT ROWID;
CREATE INDEX slot_instance ON slot (instance);
CREATE TABLE holds (
  series INTEGER NOT NULL, archive INTEGER NOT NULL, pmid INTEGER NOT NULL, slots INTEGER,
  PRIMARY KEY (series, archive)
) WITHOUT ROWID;
CREATE INDEX holds_archive ON holds (archive);
CREATE TABLE has (
  series INTEGER NOT NULL, slots INTEGER NOT NULL, PRIMARY KEY (series, slots)
) WITHOUT ROWID;
CREATE INDEX has_slots ON has (slots);
CREATE TABLE label (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL, value TEXT NOT NULL, UNIQUE (name, value)
);
CREATE TABLE labels (id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE);
CREATE TABLE labelled (
  labels INTEGER NOT NULL, label INTEGER NOT NULL, PRIMARY KEY (labels, label)
) WITHOUT ROWID;
CREATE TABLE carries (
  label INTEGER NOT NULL, series INTEGER NOT NULL, PRIMARY KEY (label, series)
) WITHOUT ROWID;
CREATE TABLE expression (
  hash TEXT PRIMARY KEY, text TEXT NOT NULL, indom TEXT NOT NULL, pmid TEXT NOT NULL,
  semantics TEXT NOT NULL, source TEXT NOT NULL, type TEXT NOT NULL, units TEXT NOT NULL
) WITHOUT ROWID;
`;

const ENOSPC = -28;

/** What went wrong with the file, as one sentence; errors that are not SQLite's stay as they are. */
export function catalogueError(file: string, error: unknown): unknown {
  if (!(error instanceof SQLiteError)) return error;
  const full = error.code === "SQLITE_FULL";
  const reason = full ? "no space left for it" : error.message;
  const code = full ? ENOSPC : PM_ERR.GENERIC;
  return new PcpError(code, `catalogue ${file}: ${reason}`, { cause: error });
}

/** What says that a file is no catalogue, or a damaged one. */
const DAMAGE: ReadonlySet<string> = new Set(["SQLITE_CORRUPT", "SQLITE_NOTADB"]);

const isDamage = (error: unknown): boolean =>
  error instanceof SQLiteError &&
  DAMAGE.has((error.code ?? "").replace(/^(SQLITE_[A-Z]+)_.*/, "$1"));

function open(file: string): Database {
  const database = new Database(file, { create: true, strict: true });
  try {
    database.run("PRAGMA journal_mode = WAL");
    // A commit that a power cut takes away is catalogued again; it never leaves half of itself.
    database.run("PRAGMA synchronous = NORMAL");
    database.run("PRAGMA cache_size = -16384");
  } catch (error) {
    database.close();
    throw error;
  }
  return database;
}

/** Whether the tables are there, of this version, and whole. */
function isSound(database: Database): boolean {
  const version = database.query<{ user_version: number }, []>("PRAGMA user_version").get();
  if (version?.user_version !== VERSION) return false;
  const checked = database.query<{ quick_check: string }, []>("PRAGMA quick_check(1)").get();
  return checked?.quick_check === "ok";
}

function remove(file: string): void {
  for (const suffix of ["", "-wal", "-shm"]) {
    try {
      rmSync(`${file}${suffix}`, { force: true });
    } catch (error) {
      throw asPcpError(error);
    }
  }
}

function make(file: string): Database {
  if (file !== ":memory:") remove(file);
  const database = open(file);
  try {
    database.transaction(() => {
      database.run(TABLES);
      database.run(`PRAGMA user_version = ${VERSION}`);
    })();
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** A catalogue file, made anew when there is no sound one; `:memory:` for none. Throws PcpError. */
export function openDatabase(file: string): Database {
  let database: Database | undefined;
  try {
    if (file === ":memory:") return make(file);
    try {
      database = open(file);
      if (isSound(database)) return database;
      database.close();
    } catch (error) {
      database?.close();
      if (!isDamage(error)) throw error;
    }
    return make(file);
  } catch (error) {
    throw catalogueError(file, error);
  }
}
