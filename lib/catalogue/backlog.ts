// Archives that have changed and wait to be taken up, in the order in which they are. Refuses nothing.
import { dirname } from "node:path";

/** Tells the files of an archive from changed ones: for each its name, inode, size and time. */
export interface Stamp {
  readonly meta: string;
  readonly data: string;
}

/** An archive that waits to be taken up. */
export interface Waiting {
  readonly path: string;
  readonly stamp: Stamp;
  /** Milliseconds since 1970 of the last change. */
  readonly changed: number;
  readonly metaBytes: number;
  /** It has just changed: it comes before others. */
  readonly urgent: boolean;
  /** Those with the highest come first: milliseconds since 1970. */
  readonly rank: number;
}

/** Entries of the order that may be stepped over, beside as many as wait. */
const MOST_STALE = 1024;

const byRank = (a: Waiting, b: Waiting): number =>
  Number(a.urgent) - Number(b.urgent) || a.rank - b.rank || a.changed - b.changed;

/** Archives that wait: those that are urgent, then those with the highest rank. */
export function backlog() {
  const waiting = new Map<string, Waiting>();
  const folders = new Map<string, number>();
  /** Ascending while `sorted`; what waits no more is stepped over. */
  let order: Waiting[] = [];
  let sorted = true;
  const count = (path: string, more: number): void => {
    const folder = dirname(path);
    const now = (folders.get(folder) ?? 0) + more;
    if (now === 0) folders.delete(folder);
    else folders.set(folder, now);
  };
  return {
    get size() {
      return waiting.size;
    },
    waitsIn: (folder: string): boolean => folders.has(folder),
    add(found: Waiting): void {
      if (!waiting.has(found.path)) count(found.path, 1);
      waiting.set(found.path, found);
      sorted &&= byRank(order.at(-1) ?? found, found) <= 0;
      order.push(found);
      // What changes each second waits for long where the catalogue cannot be written.
      if (order.length > 2 * waiting.size + MOST_STALE)
        order = order.filter((each) => waiting.get(each.path) === each);
    },
    drop(path: string): void {
      if (waiting.delete(path)) count(path, -1);
    },
    newest(): Waiting | undefined {
      if (!sorted) order.sort(byRank);
      sorted = true;
      for (let last = order.at(-1); last !== undefined; last = order.at(-1)) {
        if (waiting.get(last.path) === last) return last;
        order.pop();
      }
      order = [];
      return undefined;
    },
  };
}
