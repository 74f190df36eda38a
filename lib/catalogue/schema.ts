// The file of the embedded store's catalogue: its tables, and how it is opened. It holds nothing that
// archives do not say but fabricated series, so a file that is missing, damaged or of another version is
// made anew; a damaged one is kept beside it. Several processes may use one file. Refused, with one
// sentence: a file that cannot be written, a disk that is full, a database of another program.
import { Database, SQLiteError } from "bun:sqlite";
import {
  closeSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { asPcpError, PM_ERR, PcpError } from "../base/mod.ts";
import { SCRATCH_TABLES, TEXT_TABLES } from "./texts.ts";

/** Changes with every change of the tables or of what is put into them. */
const VERSION = 4;
/** Marks a database as a catalogue: "PCPb". */
const APPLICATION = 0x50435062;
/** The name of a catalogue without a file. */
const MEMORY = ":memory:";
/** Larger files are not looked through when they were closed properly. */
const CHECKED_BYTES = 64 * 1024 * 1024;
/** Places in the head of SQLite's files: bytes of a page, change, pages, change when these were counted. */
const HEAD = { pageBytes: 16, change: 24, pages: 28, counted: 92, length: 96 } as const;
/** Milliseconds for which a process waits while another one writes. */
export const BUSY_MS = 10_000;

/** Each row that comes or goes changes the revision, which begins anywhere: tables made anew are told, too. */
const revised = (table: string): string =>
  ["INSERT", "DELETE"]
    .map(
      (change) => `
CREATE TRIGGER ${table}_${change.toLowerCase()} AFTER ${change} ON ${table} BEGIN
  UPDATE revision SET number = number + 1;
END;`,
    )
    .join("");

/**
 * Identifiers are 40 digits. A label set is shared by all that carry it, a set of instances by all metrics
 * that have it; `holds` says which archive has values of which series, and of which instances. All but where
 * an archive ends changes together with a row of it, and is told by the revision.
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
CREATE INDEX series_labels ON series (labels);
CREATE TABLE instance (
  id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, inst INTEGER NOT NULL, name TEXT NOT NULL,
  source TEXT NOT NULL, labels INTEGER
);
CREATE INDEX instance_name ON instance (name);
CREATE INDEX instance_labels ON instance (labels);
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
CREATE INDEX labelled_label ON labelled (label);
CREATE TABLE carries (
  label INTEGER NOT NULL, series INTEGER NOT NULL, PRIMARY KEY (label, series)
) WITHOUT ROWID;
CREATE INDEX carries_series ON carries (series);
CREATE TABLE expression (
  hash TEXT PRIMARY KEY, text TEXT NOT NULL, indom TEXT NOT NULL, pmid TEXT NOT NULL,
  semantics TEXT NOT NULL, source TEXT NOT NULL, type TEXT NOT NULL, units TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE revision (number INTEGER NOT NULL);
INSERT INTO revision VALUES (abs(random() % 1000000000000));
${["archive", "expression"].map(revised).join("")}
${TEXT_TABLES}`;

/** What only this connection has: what an archive leaves behind, see sweep.ts. */
const OWN_TABLES = `
CREATE TEMP TABLE left_held (series INTEGER NOT NULL, slots INTEGER);
CREATE TEMP TABLE left_instance (id INTEGER PRIMARY KEY);
CREATE TEMP TABLE left_texts (id INTEGER PRIMARY KEY);
CREATE TEMP TABLE left_document (id INTEGER PRIMARY KEY);
${SCRATCH_TABLES}`;

const ENOSPC = -28;

/** What says that a file is no catalogue, or a damaged one. */
const DAMAGE: ReadonlySet<string> = new Set(["SQLITE_CORRUPT", "SQLITE_NOTADB"]);

const isDamage = (error: unknown): boolean =>
  error instanceof SQLiteError &&
  DAMAGE.has((error.code ?? "").replace(/^(SQLITE_[A-Z]+)_.*/, "$1"));

/** Whether the file was not to be had in time because another one writes. */
export const isBusy = ({ cause }: PcpError): boolean =>
  cause instanceof SQLiteError && (cause.code ?? "").startsWith("SQLITE_BUSY");

/** Stands beside a file in which damage was met: the next who opens it makes it anew. */
const suspectOf = (file: string): string => `${file}.suspect`;

/** What went wrong with the file, as one sentence; errors that are not SQLite's stay as they are. */
export function catalogueError(file: string, error: unknown): unknown {
  if (!(error instanceof SQLiteError)) return error;
  if (isDamage(error) && file !== MEMORY) {
    const text = `catalogue ${file}: ${error.message}`;
    try {
      writeFileSync(suspectOf(file), "");
    } catch (problem) {
      return new PcpError(PM_ERR.GENERIC, `${text}; ${asPcpError(problem).message}`);
    }
    return new PcpError(PM_ERR.GENERIC, `${text}; it is made anew when it is opened again`);
  }
  const full = error.code === "SQLITE_FULL";
  const reason = full ? "no space left for it" : error.message;
  const code = full ? ENOSPC : PM_ERR.GENERIC;
  return new PcpError(code, `catalogue ${file}: ${reason}`, { cause: error });
}

const number = (database: Database, pragma: string): number => {
  const row = database.query<Record<string, number>, []>(`PRAGMA ${pragma}`).get();
  return Object.values(row ?? {})[0] ?? 0;
};

const isEmpty = (database: Database): boolean =>
  database.query("SELECT 1 FROM sqlite_schema LIMIT 1").get() === null;

function open(file: string): Database {
  const database = new Database(file, { create: true, strict: true });
  try {
    database.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
    // Before anything of it is changed. Another process may be making it: first whether it is made.
    if (!isEmpty(database) && number(database, "application_id") !== APPLICATION)
      throw new PcpError(PM_ERR.GENERIC, `catalogue ${file}: a database of another program`);
    database.run("PRAGMA journal_mode = WAL");
    // A commit that a power cut takes away is catalogued again; it never leaves half of itself.
    database.run("PRAGMA synchronous = NORMAL");
    database.run("PRAGMA cache_size = -16384");
    database.run("PRAGMA temp_store = MEMORY");
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Takes out all tables, whatever version had them. */
function clear(database: Database): void {
  const names = (condition: string): readonly { name: string }[] =>
    database.query<{ name: string }, []>(`SELECT name FROM sqlite_schema WHERE ${condition}`).all();
  for (const { name } of names("type = 'trigger'")) database.run(`DROP TRIGGER "${name}"`);
  for (const { name } of names("type = 'view'")) database.run(`DROP VIEW "${name}"`);
  // Those of an index's own go with it.
  for (const { name } of names("type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%fts5vocab%'"))
    database.run(`DROP TABLE "${name}"`);
  for (const { name } of names("type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%'"))
    database.run(`DROP TABLE "${name}"`);
  for (const { name } of names("type = 'table' AND name NOT LIKE 'sqlite_%'"))
    database.run(`DROP TABLE "${name}"`);
}

/** Makes the tables unless they are there; in place, since other processes may have the file open. */
function prepare(database: Database): void {
  database
    .transaction(() => {
      if (number(database, "user_version") === VERSION) return;
      clear(database);
      database.run(TABLES);
      database.run(`PRAGMA application_id = ${APPLICATION}`);
      database.run(`PRAGMA user_version = ${VERSION}`);
    })
    .immediate();
}

/** Whether the tables are whole. */
function isSound(database: Database): boolean {
  const checked = database.query<{ quick_check: string }, []>("PRAGMA quick_check(1)").get();
  return checked?.quick_check === "ok";
}

/** Bytes of a file; undefined where there is none. */
const sizeOf = (file: string): number | undefined =>
  statSync(file, { throwIfNoEntry: false })?.size;

/** Whether a file that nobody has open is shorter than its head says. */
function isCut(file: string): boolean {
  const size = sizeOf(file) ?? 0;
  if (size < HEAD.length) return size > 0;
  const head = Buffer.alloc(HEAD.length);
  const descriptor = openSync(file, "r");
  try {
    readSync(descriptor, head, 0, head.length, 0);
  } finally {
    closeSync(descriptor);
  }
  if (head.readUInt32BE(HEAD.change) !== head.readUInt32BE(HEAD.counted)) return false;
  const pageBytes = head.readUInt16BE(HEAD.pageBytes);
  return size < head.readUInt32BE(HEAD.pages) * (pageBytes === 1 ? 0x1_0000 : pageBytes);
}

/** Puts a damaged file aside, in the place of one that was put there before. */
function putAside(file: string): void {
  renameSync(file, `${file}.damaged`);
  for (const suffix of ["-wal", "-shm"]) rmSync(`${file}${suffix}`, { force: true });
}

/** The file as it is; undefined for a damaged one. */
function openSound(file: string, check: boolean): Database | undefined {
  // What a user left behind who did not close it is in a file of its own.
  const isClosed = (sizeOf(`${file}-wal`) ?? 0) === 0;
  if (isClosed && isCut(file)) return undefined;
  const whole = check && (!isClosed || (sizeOf(file) ?? 0) <= CHECKED_BYTES);
  let database: Database | undefined;
  try {
    database = open(file);
    prepare(database);
    if (!whole || isSound(database)) return database;
    database.close();
    return undefined;
  } catch (error) {
    database?.close();
    if (isDamage(error)) return undefined;
    throw error;
  }
}

function openNew(file: string): Database {
  const database = open(file);
  try {
    prepare(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function openFile(file: string, check: boolean, warn: (text: string) => void): Database {
  const isSuspect = sizeOf(suspectOf(file)) !== undefined;
  const database = isSuspect ? undefined : openSound(file, check);
  if (database !== undefined) return database;
  if (sizeOf(file) !== undefined) {
    putAside(file);
    warn(`catalogue ${file}: damaged, made anew; what was there is ${file}.damaged`);
  }
  if (isSuspect) rmSync(suspectOf(file), { force: true });
  return openNew(file);
}

/**
 * A catalogue file, made anew when there is no sound one; `:memory:` for none. Without `check`, and in large
 * files that were closed properly, damage is found only where it is met. `warn` hears of a damaged one.
 * Throws PcpError.
 */
export function openDatabase(
  file: string,
  check = true,
  warn: (text: string) => void = () => undefined,
): Database {
  try {
    const database = file === MEMORY ? openNew(file) : openFile(file, check, warn);
    database.run(OWN_TABLES);
    return database;
  } catch (error) {
    if (error instanceof SQLiteError) throw catalogueError(file, error);
    if (error instanceof PcpError) throw error;
    const { code, message } = asPcpError(error);
    throw new PcpError(code, `catalogue ${file}: ${message}`, { cause: error });
  }
}
