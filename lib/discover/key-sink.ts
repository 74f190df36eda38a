// Discovered archives on their way to a key server (spec series.md 5): nothing at the start; archives of a
// directory are opened when something in it changes. Kept of an archive are its place and what its files
// looked like; metadata only of some that grew last. While the key server is away nothing is read, and
// reading goes on where it was. Refused: archives that cannot be read, each said once; a schema of another
// version; what the key server refuses.
import { statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { findArchive, type Listings } from "../archive/mod.ts";
import { asPcpError, PM_ERR, PcpError, pmErrStr, turn } from "../base/mod.ts";
import { canLoadAgain, type KeyServer } from "../keyserver/mod.ts";
import { SeriesProblem } from "../series/mod.ts";
import { type ExclusionOptions, exclusions } from "./exclusions.ts";
import { entriesOf, isGone } from "./folders.ts";
import {
  instantOf,
  isLocked,
  type KeyArchive,
  type KeyArchiveOptions,
  openKeyArchive,
  type ReadCounts,
  type ReadPlace,
} from "./key-archive.ts";
import { type ArchiveSink, type DiscoveryLog, PROBLEMS_TOLD } from "./types.ts";
import { writerPool } from "./writers.ts";

/** How a key server is filled. */
export interface KeySinkOptions extends ExclusionOptions, KeyArchiveOptions {
  readonly log?: DiscoveryLog;
  /** Archives whose metadata are kept in memory; MAX_OPEN by default. */
  readonly mostOpen?: number;
}

/** What is kept of an archive. */
interface Tracked {
  /** Of the metadata file: another one is another archive. */
  identity: string;
  /** What its files looked like when they were read last; none before that. */
  stamp: string | undefined;
  place: ReadPlace | undefined;
  /** Milliseconds since 1970 when it was not there yet, or nobody followed it. */
  since: number;
  problem: string | undefined;
  /** Milliseconds since 1970 when it last had more. */
  grew: number;
}

/**
 * Archives whose metadata are kept, and how many bytes of memory these take, about: those of some hundred
 * collectors. What else grows is read and written anew with each change.
 */
const MAX_OPEN = 1024;
const MAX_OPEN_BYTES = 512 * 1024 * 1024;
const GROWING_MS = 60_000;
/** Milliseconds after which the metadata of an archive that does not grow are no longer kept. */
const REST_MS = 15 * 60_000;
/** Clocks of machines that are recorded may be late by so many milliseconds. */
const CLOCK_MS = 10_000;
const SCHEMA = 2;
const PAUSE_MS = 250;
/** Archives between two turns of others. */
const ARCHIVES_AT_ONCE = 32;
const NOTHING = (): void => undefined;

/** Base names of the archives of a directory that are still written: metadata that are not compressed. */
const basesIn = (folder: string): string[] =>
  entriesOf(folder)
    .filter((entry) => !entry.isDirectory() && entry.name.endsWith(".meta"))
    .map(({ name }) => join(folder, name.slice(0, -".meta".length)));

interface Look {
  readonly identity: string;
  readonly stamp: string;
  /** Milliseconds since 1970 of the last change. */
  readonly changed: number;
}

/** The files of an archive as they are now. Throws PcpError. */
function lookAt(path: string, listings: Listings): Look {
  let changed = 0;
  const mark = (file: string): { text: string; identity: string } => {
    try {
      const { dev, ino, size, mtimeMs } = statSync(file);
      changed = Math.max(changed, mtimeMs);
      return { text: `${basename(file)} ${ino} ${size} ${mtimeMs}`, identity: `${dev} ${ino}` };
    } catch (error) {
      throw asPcpError(error);
    }
  };
  const { meta, volumes } = findArchive(path, listings);
  const { text, identity } = mark(meta);
  const stamp = [text, ...[...volumes.values()].map((each) => mark(each).text)].join();
  return { identity, stamp, changed };
}

/** Archives that have nothing yet, not even a volume. */
const isEmpty = (error: PcpError): boolean =>
  error.code === PM_ERR.NODATA || error.code === PM_ERR.LOGFILE;

/** Archives whose metadata are in memory, in the order of their last use. */
function openArchives(most = MAX_OPEN) {
  const open = new Map<string, KeyArchive>();
  return {
    get: (path: string): KeyArchive | undefined => open.get(path),
    close: (path: string): boolean => open.delete(path),
    paths: (): readonly string[] => [...open.keys()],
    clear: (): void => open.clear(),
    keep(path: string, archive: KeyArchive): void {
      open.delete(path);
      open.set(path, archive);
      let bytes = 0;
      for (const { memory } of open.values()) bytes += memory;
      for (const [oldest, { memory }] of open) {
        if (oldest === path || (open.size <= most && bytes <= MAX_OPEN_BYTES)) return;
        open.delete(oldest);
        bytes -= memory;
      }
    },
  };
}

/** A sink that fills a key server as PCP's pmproxy does. Throws PcpError for wrong exclusions. */
export function keySink(server: KeyServer, options: KeySinkOptions = {}): ArchiveSink {
  const { log = NOTHING } = options;
  const left = exclusions(options);
  const open = openArchives(options.mostOpen);
  const writers = writerPool(server);
  const tracked = new Map<string, Tracked>();
  /** Archives by their directories. */
  const folders = new Map<string, Set<string>>();
  /** Milliseconds since 1970 when the last whole look at a directory began. */
  const looks = new Map<string, number>();
  const begun = Date.now();
  const counts: ReadCounts = { bytes: 0, records: 0, values: 0 };
  const excluded = new Map<string, number>();
  let read = 0;
  let generation = -1;
  let refusal: string | undefined;

  const warn = (text: string): void => log("warning", `discovery: ${text}`);
  const forget = (path: string): void => {
    tracked.delete(path);
    excluded.delete(path);
    open.close(path);
  };
  /** The archives of a directory now; what has gone is forgotten. */
  const list = (folder: string): string[] => {
    let found: string[] = [];
    try {
      found = basesIn(folder);
    } catch (error) {
      const problem = asPcpError(error);
      if (!isGone(problem)) throw problem;
    }
    const now = new Set(found);
    for (const path of folders.get(folder) ?? []) if (!now.has(path)) forget(path);
    if (now.size > 0) folders.set(folder, now);
    else {
      folders.delete(folder);
      looks.delete(folder);
    }
    return found;
  };
  const lookedAt = (path: string): number => looks.get(dirname(path)) ?? begun;
  const trackedOf = (path: string): Tracked => {
    const before = tracked.get(path);
    if (before !== undefined) return before;
    const unread = { stamp: undefined, place: undefined, problem: undefined };
    const made = { identity: "", ...unread, since: lookedAt(path), grew: 0 };
    tracked.set(path, made);
    return made;
  };

  const complain = (path: string, state: Tracked, error: PcpError): void => {
    const problem = error.message === "" ? pmErrStr(error.code) : error.message;
    if (state.problem === problem) return;
    state.problem = problem;
    log("error", `discovery: ${problem.includes(path) ? problem : `${path}: ${problem}`}`);
  };

  /**
   * Archives of which something has changed, what has changed earlier first: where one goes on with the series
   * of another, streams take nothing of the first behind what the second has.
   */
  const changedOf = async (paths: readonly string[]): Promise<string[]> => {
    const listings: Listings = new Map();
    const found: { readonly path: string; readonly changed: number }[] = [];
    for (const [at, path] of paths.entries()) {
      if (at % ARCHIVES_AT_ONCE === 0) await turn();
      try {
        const { stamp, changed } = lookAt(path, listings);
        if (tracked.get(path)?.stamp !== stamp) found.push({ path, changed });
      } catch (error) {
        if (!(error instanceof PcpError)) throw error;
        // Who reads it says why not.
        found.push({ path, changed: 0 });
      }
    }
    found.sort((a, b) => a.changed - b.changed || (a.path < b.path ? -1 : 1));
    return found.map(({ path }) => path);
  };

  /** Reads what is new in one archive. Errors of the key server are thrown. */
  const advance = async (path: string, listings: Listings, signal: AbortSignal): Promise<void> => {
    const state = trackedOf(path);
    try {
      const look = lookAt(path, listings);
      if (state.identity !== look.identity) {
        open.close(path);
        if (state.identity !== "") state.since = lookedAt(path);
        Object.assign(state, { identity: look.identity, stamp: undefined, place: undefined });
      }
      if (state.stamp === look.stamp) return;
      // What was written while it waited for its first look is read as well.
      const from = { ...options, since: instantOf(state.since - CLOCK_MS) };
      const archive =
        open.get(path) ?? openKeyArchive(server, writers, path, state.place, left, from, warn);
      open.keep(path, archive);
      const known = state.place !== undefined;
      await archive.advance(
        listings,
        counts,
        (place) => {
          state.place = place;
        },
        signal,
      );
      read++;
      excluded.set(path, archive.excluded);
      if (known) state.grew = Date.now();
      // One that has ended was only looked at.
      else if (Date.now() - look.changed > GROWING_MS) open.close(path);
      state.problem = undefined;
      // Locked: what is there is still to be read.
      state.stamp = isLocked(dirname(path)) ? undefined : look.stamp;
    } catch (error) {
      open.close(path);
      const ofServer = error instanceof SeriesProblem || canLoadAgain(error);
      if (signal.aborted || !(error instanceof PcpError) || ofServer) throw error;
      if (isGone(error)) return forget(path);
      if (!isEmpty(error)) complain(path, state, error);
    }
  };

  /** Waits until there is a key server that may be written. */
  const ready = async (signal: AbortSignal): Promise<boolean> => {
    await server.ready(signal);
    if (generation !== server.generation) open.clear();
    generation = server.generation;
    if (server.schema === SCHEMA) return true;
    refuse(`unsupported series schema (got v${server.schema}, expected v${SCHEMA})`);
    return false;
  };
  const refuse = (text: string): void => {
    // The same want is told in several ways.
    if (refusal === undefined) log("error", `discovery: ${text}`);
    refusal = text;
  };

  const visit = async (folder: string, signal: AbortSignal): Promise<void> => {
    const began = Date.now();
    const all = list(folder);
    if (all.length === 0 || isLocked(folder)) return;
    const paths = await changedOf(all);
    let done = 0;
    while (done < paths.length) {
      if (!(await ready(signal))) return;
      const listings: Listings = new Map();
      try {
        for (; done < paths.length; done++) {
          const path = paths[done];
          if (path !== undefined) await advance(path, listings, signal);
          if (done % ARCHIVES_AT_ONCE === 0) await turn();
        }
        refusal = undefined;
        looks.set(folder, began);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof SeriesProblem) {
          // The server refuses now; the next change is another try.
          refuse(error.message);
          done++;
        } else if (canLoadAgain(error)) await Bun.sleep(PAUSE_MS);
        else throw error;
      }
    }
  };

  let rested = Date.now();
  /** Lets go of what has not grown for long. */
  const rest = (): void => {
    const now = Date.now();
    if (now - rested < GROWING_MS) return;
    rested = now;
    for (const path of open.paths())
      if (now - (tracked.get(path)?.grew ?? 0) > REST_MS) open.close(path);
  };

  return {
    async start(all, signal) {
      for (const folder of all) {
        if (signal.aborted) return;
        // Read by their first change; until then they are only counted.
        try {
          for (const path of list(folder)) trackedOf(path);
        } catch (error) {
          if (!(error instanceof PcpError)) throw error;
          warn(`${folder}: ${error.message}`);
        }
        await turn();
      }
    },
    visit: async (folder, signal) => {
      try {
        await visit(folder, signal);
      } catch (error) {
        if (!signal.aborted) throw error;
      } finally {
        rest();
      }
    },
    status() {
      const failed = [...tracked].filter(([, { problem }]) => problem !== undefined);
      const since = Date.now() - GROWING_MS;
      const problems = failed
        .slice(0, PROBLEMS_TOLD)
        .map(([path, { problem = "" }]) => ({ path, problem }));
      if (refusal !== undefined) problems.unshift({ path: "key server", problem: refusal });
      return {
        found: tracked.size,
        read,
        failed: failed.length,
        growing: [...tracked.values()].filter(({ grew }) => grew > since).length,
        waiting: 0,
        ...counts,
        excluded: [...excluded.values()].reduce((sum, each) => sum + each, 0),
        problems,
      };
    },
    close: () => {
      open.clear();
      return Promise.resolve();
    },
  };
}
