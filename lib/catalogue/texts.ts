// Texts in the catalogue: documents of metrics, instance domains and instances, and the index over their
// words (spec series.md 13). A document is kept once however many archives describe it; archives share
// sets of documents, and what no archive describes any more goes with the last of them. Refuses nothing of
// its own.
import type { Database } from "bun:sqlite";
import type { TextDocument, TextType } from "../series/mod.ts";

/**
 * As the search module of key servers takes words: in one case, at blanks and punctuation but `_`; with
 * the stems of English words (Porter's first stemmer, theirs is the second), without them for names
 * that somebody begins to type. Line ends and punctuation beyond ASCII part words, too.
 */
const TOKENS = "unicode61 remove_diacritics 0 tokenchars '_'";

/** Numbers of the kinds of documents, in the order in which lists of a domain have them. */
export const TEXT_TYPES: readonly TextType[] = ["indom", "instance", "metric"];

/**
 * `document.hash` is that of all it says. The indexes hold words only: texts are read from `document`,
 * and every change of it must reach them, which the triggers see to.
 */
export const TEXT_TABLES = `
CREATE TABLE document (
  id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, type INTEGER NOT NULL, name TEXT NOT NULL,
  indom TEXT NOT NULL, oneline TEXT, helptext TEXT
);
CREATE INDEX document_indom ON document (indom);
CREATE TABLE texts (id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE);
CREATE TABLE tells (
  texts INTEGER NOT NULL, document INTEGER NOT NULL, PRIMARY KEY (texts, document)
) WITHOUT ROWID;
CREATE INDEX tells_document ON tells (document);
CREATE TABLE describes (
  archive INTEGER NOT NULL, texts INTEGER NOT NULL, PRIMARY KEY (archive, texts)
) WITHOUT ROWID;
CREATE INDEX describes_texts ON describes (texts);
CREATE VIRTUAL TABLE words USING fts5(
  name, oneline, helptext, content='document', content_rowid='id', tokenize="porter ${TOKENS}"
);
CREATE VIEW named AS SELECT id, name FROM document WHERE type <> 0;
CREATE VIRTUAL TABLE names USING fts5(
  name, content='named', content_rowid='id', tokenize="${TOKENS}"
);
CREATE VIRTUAL TABLE word_place USING fts5vocab(words, 'instance');
CREATE VIRTUAL TABLE word_count USING fts5vocab(words, 'row');
CREATE VIRTUAL TABLE name_word USING fts5vocab(names, 'row');
CREATE TRIGGER document_added AFTER INSERT ON document BEGIN
  INSERT INTO words (rowid, name, oneline, helptext)
    VALUES (new.id, new.name, new.oneline, new.helptext);
END;
CREATE TRIGGER document_gone AFTER DELETE ON document BEGIN
  INSERT INTO words (words, rowid, name, oneline, helptext)
    VALUES ('delete', old.id, old.name, old.oneline, old.helptext);
END;
CREATE TRIGGER name_added AFTER INSERT ON document WHEN new.type <> 0 BEGIN
  INSERT INTO names (rowid, name) VALUES (new.id, new.name);
END;
CREATE TRIGGER name_gone AFTER DELETE ON document WHEN old.type <> 0 BEGIN
  INSERT INTO names (names, rowid, name) VALUES ('delete', old.id, old.name);
END;
`;

/** The tokens of the index of words, for those of a question. */
export const SCRATCH_TABLES = `
CREATE VIRTUAL TABLE temp.asked USING fts5(text, tokenize="porter ${TOKENS}");
CREATE VIRTUAL TABLE temp.asked_word USING fts5vocab(temp, asked, 'instance');
`;

interface Id {
  readonly id: number;
}

const partsOf = ({ type, name, indom, oneline, helptext }: TextDocument) =>
  [type, name, indom ?? "", oneline ?? "", helptext ?? ""] as const;

/** Puts in what archives say of themselves. */
export function textRows(
  database: Database,
): (archive: number, sets: readonly (readonly TextDocument[])[]) => void {
  const find = database.query<Id, [string]>("SELECT id FROM texts WHERE hash = ?");
  const add = database.query<Id, [string]>("INSERT INTO texts (hash) VALUES (?) RETURNING id");
  const known = database.query<Id, [Uint8Array]>("SELECT id FROM document WHERE hash = ?");
  const put = database.query<Id, (string | number | Uint8Array | null)[]>(
    `INSERT INTO document (hash, type, name, indom, oneline, helptext)
     VALUES (?, ?, ?, ?, ?, ?) RETURNING id`,
  );
  const tells = database.query("INSERT OR IGNORE INTO tells VALUES (?, ?)");
  const describes = database.query("INSERT OR IGNORE INTO describes VALUES (?, ?)");

  const documentId = (document: TextDocument): number => {
    const parts = partsOf(document);
    const hash = new Bun.CryptoHasher("sha1").update(JSON.stringify(parts)).digest();
    const before = known.get(hash);
    if (before !== null) return before.id;
    const [type, name, indom, oneline, helptext] = parts;
    const number = TEXT_TYPES.indexOf(type);
    return put.get(hash, number, name, indom, oneline || null, helptext || null)?.id ?? 0;
  };
  const setId = (documents: readonly TextDocument[]): number => {
    const hasher = new Bun.CryptoHasher("sha1");
    for (const each of documents) hasher.update(JSON.stringify(partsOf(each)));
    const hash = hasher.digest("hex");
    const before = find.get(hash);
    if (before !== null) return before.id;
    const id = add.get(hash)?.id ?? 0;
    for (const each of documents) tells.run(id, documentId(each));
    return id;
  };
  return (archive, sets) => {
    for (const documents of sets) describes.run(archive, setId(documents));
  };
}
