// What an archive leaves behind in the catalogue when it goes or is replaced: series, instances, labels and
// texts that no other archive has. Only what the archive had is looked at, within the transaction of the
// change, so that the catalogue is in step with the archives after each. Labels of instances that are gone
// select a series as long as it is there, as on a key server. Refuses nothing of its own.
import type { Database } from "bun:sqlite";

const NOT_HELD = "NOT EXISTS (SELECT 1 FROM holds WHERE holds.series";

/** Sets of instances of the archive that no series has any more. */
const LEFT_SLOTS = `SELECT DISTINCT slots FROM left_held WHERE slots IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM has WHERE has.slots = left_held.slots)`;

const SERIES = [
  `DELETE FROM has WHERE (series, slots) IN (SELECT series, slots FROM left_held)
     AND ${NOT_HELD} = has.series AND holds.slots = has.slots)`,
  `DELETE FROM series WHERE id IN (SELECT series FROM left_held) AND ${NOT_HELD} = series.id)`,
  `DELETE FROM carries WHERE series IN (SELECT series FROM left_held)
     AND NOT EXISTS (SELECT 1 FROM series WHERE series.id = carries.series)`,
  `INSERT OR IGNORE INTO left_instance SELECT instance FROM slot WHERE slots IN (${LEFT_SLOTS})`,
  `DELETE FROM slot WHERE slots IN (${LEFT_SLOTS})`,
  `DELETE FROM slots WHERE id IN (${LEFT_SLOTS})`,
  `DELETE FROM instance WHERE id IN (SELECT id FROM left_instance)
     AND NOT EXISTS (SELECT 1 FROM slot WHERE slot.instance = instance.id)`,
];

const LABELS = [
  `DELETE FROM labels WHERE NOT EXISTS (SELECT 1 FROM series WHERE series.labels = labels.id)
     AND NOT EXISTS (SELECT 1 FROM instance WHERE instance.labels = labels.id)`,
  "DELETE FROM labelled WHERE labels NOT IN (SELECT id FROM labels)",
  `DELETE FROM label WHERE NOT EXISTS (SELECT 1 FROM labelled WHERE labelled.label = label.id)
     AND NOT EXISTS (SELECT 1 FROM carries WHERE carries.label = label.id)`,
  "DELETE FROM source WHERE NOT EXISTS (SELECT 1 FROM archive WHERE archive.source = source.id)",
];

const TEXTS = [
  `DELETE FROM texts WHERE id IN (SELECT id FROM left_texts)
     AND NOT EXISTS (SELECT 1 FROM describes WHERE describes.texts = texts.id)`,
  "DELETE FROM left_texts WHERE id IN (SELECT id FROM texts)",
  `INSERT OR IGNORE INTO left_document
     SELECT document FROM tells WHERE texts IN (SELECT id FROM left_texts)`,
  "DELETE FROM tells WHERE texts IN (SELECT id FROM left_texts)",
  `DELETE FROM document WHERE id IN (SELECT id FROM left_document)
     AND NOT EXISTS (SELECT 1 FROM tells WHERE tells.document = document.id)`,
];

const OWN = ["left_held", "left_instance", "left_texts", "left_document"];

/** How archives are taken out; both parts within one transaction. */
export interface Sweeper {
  /** Takes an archive out, but not yet what it leaves behind. False for one that is not there. */
  forget(path: string): boolean;
  /** Takes out what the archive has left behind and no archive has now. */
  sweep(): void;
}

/** See Sweeper. */
export function sweeper(database: Database): Sweeper {
  const run = (statements: readonly string[]): number => {
    let changes = 0;
    for (const statement of statements) changes += database.query(statement).run().changes;
    return changes;
  };
  return {
    forget: (path) => {
      const archive = database
        .query<{ id: number }, [string]>("SELECT id FROM archive WHERE path = ?")
        .get(path);
      if (archive === null) return false;
      run(OWN.map((table) => `DELETE FROM ${table}`));
      const { id } = archive;
      for (const statement of [
        "INSERT INTO left_held SELECT series, slots FROM holds WHERE archive = ?",
        "INSERT INTO left_texts SELECT texts FROM describes WHERE archive = ?",
        "DELETE FROM holds WHERE archive = ?",
        "DELETE FROM describes WHERE archive = ?",
        "DELETE FROM archive WHERE id = ?",
      ])
        database.query(statement).run(id);
      return true;
    },
    sweep: () => {
      if (run(SERIES) > 0) run(LABELS);
      run(TEXTS);
    },
  };
}
