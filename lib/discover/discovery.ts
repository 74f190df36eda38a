// Discovery (spec series.md 5.1): follows directories with all below them and tells a sink of each in
// which something changed: one at a time, each at most once in a while, none forgotten. Memory and
// descriptors are bounded by the number of directories, not of archives. Nothing is refused: what is
// missing is waited for, what cannot be read is said once.
import { dirname, resolve } from "node:path";
import { asPcpError, type PcpError, pmErrStr, turn } from "../base/mod.ts";
import { entriesOf, foldersIn, isGone } from "./folders.ts";
import {
  type Discovery,
  type DiscoveryOptions,
  type DiscoveryProblem,
  LEAST_PAUSE,
  POLL_SECONDS,
  PROBLEMS_TOLD,
} from "./types.ts";
import { watchFolders } from "./watch.ts";

/** At most one part in so many of the time is worked for one directory. */
const SHARE = 10;
const MOST_PAUSE = 60_000;
const METADATA = /\.meta(?:\.\w+)?$/;
const NOTHING = (): void => undefined;

/**
 * Starts to count the milliseconds of work: those that have passed, or that this process has worked where these
 * are fewer, as on a busy machine and while a key server is waited for.
 */
function workBegins(): () => number {
  const start = performance.now();
  const before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    return Math.min((user + system) / 1000, performance.now() - start);
  };
}

/** When directories are to be looked at. */
function schedule(now: () => number, leastPause: number) {
  /** Time at which a directory may be looked at; only of those that wait. */
  const due = new Map<string, number>();
  /** Time before which it is not looked at again because of a change. */
  const rests = new Map<string, number>();
  return {
    get waiting() {
      return due.size;
    },
    add(folder: string, urgent: boolean): void {
      const at = urgent ? 0 : Math.max(now(), rests.get(folder) ?? 0);
      due.set(folder, Math.min(at, due.get(folder) ?? Number.POSITIVE_INFINITY));
    },
    forget(folder: string): void {
      due.delete(folder);
      rests.delete(folder);
    },
    /** The directory that has waited longest of those that are due, or in how many ms there is one. */
    take(): { readonly folder: string } | { readonly pause: number } {
      let first: string | undefined;
      let at = Number.POSITIVE_INFINITY;
      for (const [folder, when] of due) if (when < at) [first, at] = [folder, when];
      if (first === undefined || at > now()) return { pause: at - now() };
      due.delete(first);
      return { folder: first };
    },
    /** A look is over for which so many ms were worked. */
    rest(folder: string, took: number): void {
      const pause = Math.min(MOST_PAUSE, Math.max(leastPause, took * SHARE));
      rests.set(folder, now() + pause);
    },
  };
}

/** What cannot be read now; each is said once until it can. */
function complaints(log: NonNullable<DiscoveryOptions["log"]>) {
  const found = new Map<string, string>();
  return {
    add(path: string, error: PcpError): void {
      const problem = error.message === "" ? pmErrStr(error.code) : error.message;
      if (found.get(path) === problem) return;
      found.set(path, problem);
      log("error", `discovery: ${problem.includes(path) ? problem : `${path}: ${problem}`}`);
    },
    forget: (path: string): void => {
      found.delete(path);
    },
    has: (path: string): boolean => found.has(path),
    list: (): DiscoveryProblem[] => [...found].map(([path, problem]) => ({ path, problem })),
  };
}

/** Follows directories until it is closed. Returns at once. */
export function startDiscovery(options: DiscoveryOptions): Discovery {
  const { sink, log = NOTHING } = options;
  const roots = [...new Set(options.directories.map((each) => resolve(each)))];
  const closing = new AbortController();
  const { signal } = closing;
  const plan = schedule(() => performance.now(), options.leastPause ?? LEAST_PAUSE);
  const problems = complaints(log);
  const present = new Set<string>();
  /** Directories below one that is followed. */
  const below = new Map<string, Set<string>>();
  let lastEvent: number | undefined;
  /** The directories are known. */
  let following = false;
  /** The sink is done with them. */
  let complete = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let working: Promise<void> | undefined;

  const watch = watchFolders({
    changed: (folder) => touch(folder, false),
    log,
    polling: options.watching === "polling",
    ...(options.pollSeconds === undefined ? {} : { pollSeconds: options.pollSeconds }),
    ...(options.watchFolder === undefined ? {} : { watchFolder: options.watchFolder }),
  });

  const touch = (folder: string, urgent: boolean): void => {
    if (signal.aborted) return;
    lastEvent = Date.now();
    plan.add(folder, urgent);
    wake();
  };
  const wake = (): void => {
    if (working !== undefined || !following || signal.aborted) return;
    clearTimeout(timer);
    working = work().finally(() => (working = undefined));
  };
  /** Forgets a directory that has gone, and all below it. */
  const drop = (folder: string): string[] => {
    const gone = [folder, ...[...(below.get(folder) ?? [])].flatMap(drop)];
    for (const each of gone) {
      watch.remove(each);
      plan.forget(each);
      problems.forget(each);
      below.delete(each);
    }
    return gone;
  };
  /** Metadata files that were seen in the directories so far. */
  let archives = 0;
  /** Follows a directory, and gives what is new below it, itself included. */
  const follow = async (folder: string): Promise<string[]> => {
    const found: string[] = [];
    for (const queue = [folder]; queue.length > 0 && !signal.aborted; await turn()) {
      const next = queue.pop() ?? folder;
      const known = below.get(next) ?? new Set<string>();
      let entries;
      try {
        // First watched, then read: what comes in between is seen twice rather than never.
        watch.add(next);
        entries = entriesOf(next);
        problems.forget(next);
      } catch (error) {
        const problem = asPcpError(error);
        if (!isGone(problem)) problems.add(next, problem);
        continue;
      }
      if (!below.has(next)) {
        found.push(next);
        archives += entries.filter(({ name }) => METADATA.test(name)).length;
      }
      below.set(next, known);
      for (const each of foldersIn(next, entries))
        if (!known.has(each) || !below.has(each)) {
          known.add(each);
          queue.push(each);
        }
    }
    return found;
  };

  /** A look at a directory in which something changed. */
  const visit = async (folder: string): Promise<void> => {
    const worked = workBegins();
    let fresh: string[] = [];
    let gone: string[] = [];
    try {
      // What changes from here on is told.
      watch.add(folder);
      const children = new Set(foldersIn(folder, entriesOf(folder)));
      gone = [...(below.get(folder) ?? [])].filter((each) => !children.has(each)).flatMap(drop);
      for (const each of gone) below.get(folder)?.delete(each);
      fresh = await follow(folder);
    } catch (error) {
      const problem = asPcpError(error);
      if (isGone(problem)) {
        gone = drop(folder);
        below.get(dirname(folder))?.delete(folder);
        if (present.delete(folder)) log("warning", `discovery: directory ${folder} has gone`);
      } else problems.add(folder, problem);
    }
    for (const each of new Set([folder, ...gone, ...fresh])) {
      if (signal.aborted) return;
      await sink.visit(each, signal);
    }
    if (below.has(folder)) plan.rest(folder, worked());
  };
  const work = async (): Promise<void> => {
    while (!signal.aborted) {
      const next = plan.take();
      if ("pause" in next) {
        if (Number.isFinite(next.pause)) timer = setTimeout(wake, Math.ceil(next.pause));
        return;
      }
      try {
        await visit(next.folder);
      } catch (error) {
        problems.add(next.folder, asPcpError(error));
      }
      await turn();
    }
  };

  /** Roots that are there now and were not before. */
  const lookForRoots = async (): Promise<string[]> => {
    const found: string[] = [];
    for (const root of roots) {
      if (below.has(root)) {
        present.add(root);
        continue;
      }
      const fresh = await follow(root);
      if (fresh.length === 0) continue;
      present.add(root);
      found.push(...fresh);
    }
    return found;
  };
  const lookAgain = (): void => {
    if (!following || present.size === roots.length) return;
    void lookForRoots().then((found) => found.forEach((each) => touch(each, true)));
  };
  const waiting = setInterval(
    lookAgain,
    Math.min(options.pollSeconds ?? POLL_SECONDS, POLL_SECONDS) * 1000,
  );
  waiting.unref();

  const begin = async (): Promise<void> => {
    const before = performance.now();
    const folders = await lookForRoots();
    for (const root of roots)
      if (!present.has(root) && !problems.has(root) && !signal.aborted)
        log("info", `discovery: directory ${root} is not there yet`);
    const told = archives > 0;
    const place = `${folders.length} directories`;
    // Both lines end as those of pmproxy about what is ready: programs that read its log pass over them.
    if (told) log("info", `discovery: first look at ${archives} archives in ${place} begins setup`);
    following = true;
    wake();
    await sink.start(folders, signal);
    if (signal.aborted) return;
    complete = true;
    if (!told) return;
    const { found, failed, read } = sink.status();
    const seconds = ((performance.now() - before) / 1000).toFixed(1);
    const said = `${found} archives found, ${read} read, ${failed} unreadable, ${seconds} s`;
    log("info", `discovery: first look ends: ${said} of setup`);
  };
  const started = begin().catch((error: unknown) => {
    if (!signal.aborted) log("error", `discovery: first look: ${asPcpError(error).message}`);
  });

  return {
    status() {
      const { problems: ofSink, ...archives } = sink.status();
      return {
        directories: roots.map((path) => ({ path, watched: watch.modeOf(path) ?? "missing" })),
        folders: watch.folders,
        polled: watch.polled,
        complete,
        pending: plan.waiting,
        lastEvent,
        archives,
        problems: [...problems.list(), ...ofSink].slice(0, PROBLEMS_TOLD),
      };
    },
    nudge(path) {
      const full = resolve(path);
      if (below.has(full)) return touch(full, true);
      if (roots.includes(full)) return lookAgain();
      // A file, or a directory that is not known yet: the nearest one above that is.
      for (let folder = dirname(full); ; folder = dirname(folder)) {
        if (below.has(folder)) return touch(folder, true);
        if (roots.includes(folder)) return lookAgain();
        if (folder === dirname(folder)) return;
      }
    },
    async close() {
      closing.abort();
      clearTimeout(timer);
      clearInterval(waiting);
      watch.close();
      await sink.close();
      await working;
      await started;
    },
  };
}
