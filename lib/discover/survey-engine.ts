// The work of the catalogue's side of discovery: directories to look at and archives to take up, in turns,
// what has just changed first. It runs in a thread of its own, or in the main one where the catalogue is no
// file. What goes wrong with an archive is kept in the catalogue; what the catalogue refuses (a full
// disk) is told once and tried again.
import { asPcpError, compileGlob, PcpError, turn } from "../base/mod.ts";
import { type Catalogue, followCatalogue } from "../catalogue/mod.ts";
import { PROBLEMS_TOLD, type SinkStatus } from "./types.ts";

/** What the engine is asked to do; the same number comes back when it is done. */
export interface SurveyJob {
  readonly id: number;
  readonly folders: readonly string[];
  /** Also what is catalogued of other directories. */
  readonly all: boolean;
}

/** What it tells. */
export type SurveyReport =
  | { readonly kind: "done"; readonly id: number }
  | { readonly kind: "status"; readonly status: SinkStatus }
  | { readonly kind: "log"; readonly level: "info" | "error"; readonly text: string };

/** A running engine. */
export interface SurveyEngine {
  add(job: SurveyJob): void;
  /** Ends after the archives that are being read. */
  close(): Promise<void>;
}

const GROWING_MS = 60_000;
const STATUS_MS = 250;
/** A catalogue that refused is tried again after so many ms. */
const REFUSED_MS = 5000;
/** Archives between two lines about the progress of a long look. */
const TOLD_EVERY_MS = 10_000;
/** Most names of metrics that are counted as left out. */
const MOST_EXCLUDED = 100_000;

/** Status as it can be had at any time: counted since the start, or asked of the catalogue. */
function counters(catalogue: Catalogue, excluded: ReadonlySet<string>, waiting: () => number) {
  let read = 0;
  let bytes = 0;
  const grew = new Map<string, number>();
  const refusals = new Map<string, string>();
  const count = catalogue.database.query<{ found: number; failed: number }, []>(
    "SELECT count(*) AS found, count(problem) AS failed FROM archive",
  );
  const failed = catalogue.database.query<{ path: string; problem: string }, [number]>(
    "SELECT path, problem FROM archive WHERE problem IS NOT NULL ORDER BY path LIMIT ?",
  );
  return {
    refusals,
    took(path: string, known: boolean, more: number): void {
      read++;
      bytes += more;
      if (known) grew.set(path, Date.now());
    },
    status(): SinkStatus {
      const since = Date.now() - GROWING_MS;
      for (const [path, at] of grew) if (at < since) grew.delete(path);
      const found = count.get() ?? { found: 0, failed: 0 };
      const problems = [...refusals].map(([path, problem]) => ({ path, problem }));
      return {
        ...found,
        read,
        growing: grew.size,
        waiting: waiting(),
        bytes,
        records: 0,
        values: 0,
        excluded: excluded.size,
        problems: [...problems, ...failed.all(PROBLEMS_TOLD)].slice(0, PROBLEMS_TOLD),
      };
    },
  };
}

/** Starts an engine over a catalogue, which stays open at the end. */
export function startSurveys(
  catalogue: Catalogue,
  excludeMetrics: readonly string[],
  report: (said: SurveyReport) => void,
): SurveyEngine {
  const patterns = excludeMetrics.map((each) => compileGlob(each.trim()));
  const left = new Set<string>();
  const excluded = (name: string): boolean => {
    if (!patterns.some((fits) => fits(name))) return false;
    if (left.size < MOST_EXCLUDED) left.add(name);
    return true;
  };
  const follower = followCatalogue(catalogue, patterns.length === 0 ? {} : { excluded });
  const counts = counters(catalogue, left, () => follower.waiting);
  /** Directories that were not looked at yet, with the jobs that want it. */
  const looks: { readonly folder: string; readonly job: SurveyJob }[] = [];
  const jobs = new Map<SurveyJob, { left: number; readonly folders: ReadonlySet<string> }>();
  let closing = false;
  let running: Promise<void> | undefined;
  let told = 0;
  let saidAt = performance.now();

  const tell = (level: "info" | "error", text: string): void =>
    report({ kind: "log", level, text: `discovery: ${text}` });
  const say = (now: boolean): void => {
    if (!now && performance.now() - told < STATUS_MS) return;
    told = performance.now();
    report({ kind: "status", status: counts.status() });
  };
  /** Keeps what went wrong until it goes right; told when it is new. */
  const refused = (path: string, error: PcpError): void => {
    if (counts.refusals.get(path) === error.message) return;
    counts.refusals.set(path, error.message);
    tell("error", error.message.includes(path) ? error.message : `${path}: ${error.message}`);
  };

  const look = async (folder: string, job: SurveyJob): Promise<void> => {
    try {
      const { problems } = await follower.look(folder, !job.all);
      counts.refusals.delete(folder);
      for (const { path, problem } of problems) refused(path, new PcpError(0, problem));
    } catch (error) {
      refused(folder, asPcpError(error));
    }
    const state = jobs.get(job);
    if (state === undefined) return;
    state.left--;
    if (state.left === 0 && job.all) await follower.lookElsewhere(state.folders);
  };
  /** Takes up some archives; false when the catalogue refuses them. */
  const take = (): boolean => {
    try {
      const taken = follower.step();
      counts.refusals.delete(catalogue.file);
      for (const { path, problem, changed, known, bytes } of taken) {
        counts.took(path, known, bytes);
        counts.refusals.delete(path);
        if (problem !== undefined && changed)
          tell("error", problem.includes(path) ? problem : `${path}: ${problem}`);
      }
      return true;
    } catch (error) {
      refused(catalogue.file, asPcpError(error));
      return false;
    }
  };
  /** Tells of jobs that are done. */
  const finish = (): void => {
    for (const [job, { left: open, folders }] of jobs) {
      if (open > 0 || (job.all && follower.waiting > 0)) continue;
      if (!job.all && [...folders].some(follower.waitsIn)) continue;
      jobs.delete(job);
      say(true);
      report({ kind: "done", id: job.id });
    }
  };
  const progress = (): void => {
    if (performance.now() - saidAt < TOLD_EVERY_MS) return;
    saidAt = performance.now();
    const { found, read } = counts.status();
    if (follower.waiting > 0)
      tell("info", `${found} archives catalogued, ${read} read, ${follower.waiting} to be read`);
  };
  const run = async (): Promise<void> => {
    saidAt = performance.now();
    while (!closing) {
      const next = looks.shift();
      if (next !== undefined) await look(next.folder, next.job);
      else if (follower.waiting === 0) break;
      else if (!take()) {
        finish();
        say(true);
        await Bun.sleep(REFUSED_MS);
      }
      finish();
      say(false);
      progress();
      await turn();
    }
    finish();
  };
  const wake = (): void => {
    if (running !== undefined || closing) return;
    running = run()
      .catch((error: unknown) => refused(catalogue.file, asPcpError(error)))
      .finally(() => {
        running = undefined;
        if (looks.length > 0) wake();
      });
  };

  return {
    add(job) {
      jobs.set(job, { left: job.folders.length, folders: new Set(job.folders) });
      // A single directory has just changed: it does not wait for the first look at all.
      const wanted = job.folders.map((folder) => ({ folder, job }));
      if (job.all) looks.push(...wanted);
      else looks.unshift(...wanted);
      wake();
    },
    async close() {
      closing = true;
      await running;
    },
  };
}
