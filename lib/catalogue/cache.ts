// Answers of the store over archives that were given before, as long as the files that they came from are
// what they were: to tell one series, every record in its range is read, so that the same question again
// is many times quicker. Bounded by the number of values. Nothing is kept of archives with many volumes,
// of large answers, and of answers that nobody read to their end.
import { statSync } from "node:fs";
import { dirname } from "node:path";
import type { Archive, Listings } from "../archive/mod.ts";
import { slices } from "../base/mod.ts";
import type { ValueBlock } from "../series/mod.ts";
import type { ArchivePlace, ArchiveShelf } from "./shelf.ts";
import { archiveValues, type HeldRequest } from "./values.ts";

/** Values and samples that are kept in all. */
const KEPT_VALUES = 2_000_000;
/** The same of one answer. */
const LARGEST_ANSWER = 100_000;
/** The same of one call: what is read beyond pushes nothing else out. */
const LARGEST_CALL = KEPT_VALUES / 4;
/** The same of all calls that are not over: slow readers would hold what was told them long ago. */
const GATHERED_VALUES = KEPT_VALUES / 2;
/** Requests of a call of which some may be remembered and others read: each gap is a walk of its own. */
const MIXED_REQUESTS = 8;
/** What an answer counts at least. */
const LEAST_COUNT = 50;
/** Volumes, and archives, that are looked at to know whether an answer still holds. */
const MOST_FILES = 16;

interface Kept {
  readonly blocks: readonly ValueBlock[];
  readonly count: number;
}

/** What would change with a file. */
function markOf(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined
    ? "none"
    : `${found.ino}.${found.size}.${found.mtimeMs}.${found.ctimeMs}`;
}

/** What would change with an archive's values; undefined where it would take too long to know. */
function printOf({ files }: Archive): string | undefined {
  const { volumes } = files;
  if (volumes.size > MOST_FILES) return undefined;
  const paths = [...volumes.values()];
  return [...new Set(paths.map(dirname)), ...paths].map(markOf).join();
}

const countOf = (blocks: readonly ValueBlock[]): number =>
  blocks.reduce((sum, { places, times }) => sum + places.length + times.length, 0);

/** Values of requests in their order, from what was told before where that holds. */
export function rememberedValues(shelf: ArchiveShelf) {
  const kept = new Map<string, Kept>();
  let total = 0;
  /** Values of calls that are not over, which may be kept then. */
  let gathering = 0;

  const drop = (key: string): void => {
    total -= kept.get(key)?.count ?? 0;
    kept.delete(key);
  };
  const keep = (key: string, blocks: readonly ValueBlock[]): void => {
    const count = LEAST_COUNT + countOf(blocks);
    if (count > LARGEST_ANSWER) return;
    drop(key);
    kept.set(key, { blocks, count });
    total += count;
    // The first is the one that was not asked for the longest.
    for (const oldest of kept.keys()) {
      if (total <= KEPT_VALUES) break;
      drop(oldest);
    }
  };

  /** What decides the answer to a request; undefined for one that is not kept. */
  const keyFinder = () => {
    const prints = new Map<string, string | undefined>();
    const listings: Listings = new Map();
    const print = (place: ArchivePlace): string | undefined => {
      const { path } = place;
      if (!prints.has(path)) {
        const archive = shelf.open(place, listings);
        prints.set(path, archive === undefined ? undefined : printOf(archive));
      }
      return prints.get(path);
    };
    return ({ request, type, holdings }: HeldRequest): string | undefined => {
      if (holdings.length > MOST_FILES) return undefined;
      const { series, from, to, newest, most } = request;
      const parts = [series, from, to, newest, most, type];
      for (const holding of holdings) {
        const { path, stamp, pmid, slots } = holding;
        const own = print(holding);
        if (own === undefined) return undefined;
        parts.push(path, stamp, pmid, slots?.ids.length, own);
      }
      return parts.join("|");
    };
  };

  /** Reads values, and keeps those of requests that were read to their end. */
  async function* read(
    requests: readonly HeldRequest[],
    keys: readonly (string | undefined)[],
  ): AsyncGenerator<ValueBlock> {
    const gathered = new Map<number, ValueBlock[]>();
    let own = 0;
    let isKept = true;
    /** Keeps nothing of this call. */
    const forget = (): void => {
      isKept = false;
      gathered.clear();
      gathering -= own;
      own = 0;
    };
    try {
      for await (const block of archiveValues(requests, shelf)) {
        if (isKept) {
          const count = block.places.length + block.times.length;
          own += count;
          gathering += count;
          const list = gathered.get(block.request) ?? [];
          gathered.set(block.request, list);
          list.push(block);
          if (own > LARGEST_CALL || gathering > GATHERED_VALUES) forget();
        }
        yield block;
      }
      if (!isKept) return;
      requests.forEach(({ index }, at) => {
        const key = keys[at];
        if (key !== undefined) keep(key, gathered.get(index) ?? []);
      });
    } finally {
      forget();
    }
  }

  return async function* values(requests: readonly HeldRequest[]): AsyncGenerator<ValueBlock> {
    const keyOf = keyFinder();
    const keys: (string | undefined)[] = [];
    const pause = slices();
    for (const request of requests) {
      keys.push(keyOf(request));
      const turn = pause();
      if (turn !== undefined) await turn;
    }
    // Taken before anything is read, which may push them out.
    const found = keys.map((key) => (key === undefined ? undefined : kept.get(key)));
    if (requests.length > MIXED_REQUESTS && found.includes(undefined)) {
      yield* read(requests, keys);
      return;
    }
    for (let at = 0; at < requests.length;) {
      const key = keys[at];
      const known = found[at];
      if (key !== undefined && known !== undefined) {
        if (kept.delete(key)) kept.set(key, known);
        const request = requests[at]?.index ?? 0;
        for (const block of known.blocks) yield { ...block, request };
        at++;
        continue;
      }
      let end = at + 1;
      while (end < requests.length && found[end] === undefined) end++;
      yield* read(requests.slice(at, end), keys.slice(at, end));
      at = end;
    }
  };
}
