// Expressions of queries in the catalogue, so that later questions can name them by their identifiers. Others
// may be writing to the file for seconds, and nobody waits here for that: what cannot be written now is
// known all the same, and written with the next one. How many are kept is bounded, since anybody may
// ask. Refused: what the file refuses for another reason.
import { PcpError } from "../base/mod.ts";
import type { SeriesDescriptor } from "../series/mod.ts";
import type { Catalogue } from "./catalogue.ts";
import { isBusy } from "./schema.ts";

/** Expressions in the file; some go, whichever they are, when there are more. */
const MOST_KEPT = 16_384;
const DROPPED = 1024;
/** Those that wait for the file; the oldest of more are forgotten. */
const MOST_WAITING = 1024;

/** An expression and what is told of its series. */
export interface Fabricated {
  readonly text: string;
  readonly descriptor: SeriesDescriptor;
}

interface Row extends SeriesDescriptor {
  readonly text: string;
}

/** The expressions of one catalogue. */
export interface Expressions {
  find(id: string): Fabricated | undefined;
  /** Throws PcpError for what the file refuses. */
  keep(id: string, expression: Fabricated): void;
}

const MEMBERS = ["indom", "pmid", "semantics", "source", "type", "units"] as const;

const isSame = (a: Fabricated, b: Fabricated): boolean =>
  a.text === b.text && MEMBERS.every((each) => a.descriptor[each] === b.descriptor[each]);

/** See Expressions. */
export function keptExpressions({ database, guard, briefly }: Catalogue): Expressions {
  const waiting = new Map<string, Fabricated>();
  const known = database.query<Row, [string]>(
    `SELECT text, ${MEMBERS.join(", ")} FROM expression WHERE hash = ?`,
  );

  const find = (id: string): Fabricated | undefined => {
    const before = waiting.get(id);
    if (before !== undefined) return before;
    const row = guard(() => known.get(id));
    if (row === null) return undefined;
    const { text, ...descriptor } = row;
    return { text, descriptor };
  };
  /** Writes all that waits. */
  const write = (): void => {
    const put = database.query<null, string[]>(
      "INSERT OR REPLACE INTO expression VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    );
    for (const [id, { text, descriptor }] of waiting)
      put.run(id, text, ...MEMBERS.map((each) => descriptor[each]));
    const counted = database
      .query<{ count: number }, []>("SELECT count(*) AS count FROM expression")
      .get();
    if ((counted?.count ?? 0) > MOST_KEPT)
      database.run(
        `DELETE FROM expression WHERE hash IN (SELECT hash FROM expression ORDER BY random() LIMIT ${DROPPED})`,
      );
  };
  return {
    find,
    keep(id, expression) {
      const before = find(id);
      if (before !== undefined && isSame(before, expression) && waiting.size === 0) return;
      waiting.set(id, expression);
      for (const oldest of waiting.keys()) {
        if (waiting.size <= MOST_WAITING) break;
        waiting.delete(oldest);
      }
      try {
        briefly(() => database.transaction(write).immediate());
        waiting.clear();
      } catch (error) {
        if (error instanceof PcpError && isBusy(error)) return;
        waiting.delete(id);
        throw error;
      }
    },
  };
}
