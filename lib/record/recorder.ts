// The recorder: one record at each interval, archives begun anew each day, when they are large, when
// the clock went back and when metrics changed; what is lost is found again, what is full is waited
// for. Says each trouble once. Refuses to begin where another recorder is, and tries again.
import { archiveName, compareTimes, freeArchive } from "../archive/mod.ts";
import { asPcpError, PcpError, pmErrStr, roomBelow } from "../base/mod.ts";
import type { ContextType } from "../context/mod.ts";
import type { Pmid } from "../pcp/mod.ts";
import { beginArchive, type RecordedArchive } from "./archive.ts";
import { compressArchive } from "./compress.ts";
import { type Ledger, openLedger } from "./ledger.ts";
import { wantedMetrics } from "./metrics.ts";
import { openSource, type Source } from "./source.ts";
import type {
  Recorder,
  RecorderClock,
  RecorderOptions,
  RecorderState,
  WantedMetric,
} from "./types.ts";

const DEFAULTS = {
  intervalSeconds: 10,
  keepDays: 14,
  keepBytes: 1024 * 1024 * 1024,
  freeBytes: 64 * 1024 * 1024,
};
/** Archives are at most this part of what is kept, so that removing the oldest makes some room. */
const PART_OF_KEPT = 8;
const MOST_ARCHIVE_BYTES = 256 * 1024 * 1024;
const LEAST_ARCHIVE_BYTES = 64 * 1024;
/** How often metrics that hardly change are recorded, and others are asked whether they record. */
const MINUTE_MS = 60_000;
/** How long what stands in for a pmcd is recorded before that is looked for again. */
const STAND_IN_MS = 5 * MINUTE_MS;
/** How often it is looked for archives that are too old. */
const TIDY_MS = 10 * MINUTE_MS;
const LEAST_INTERVAL_MS = 1;
/** What a timer can count; a longer interval is slept in parts, with a record after each. */
const MOST_SLEEP_MS = 2 ** 31 - 1;
const ENOSPC = -28;
const EDQUOT = -122;
const EFBIG = -27;
const FULL: ReadonlySet<number> = new Set([ENOSPC, EDQUOT, EFBIG]);

const systemClock: RecorderClock = {
  now: Date.now,
  sleep: (milliseconds, signal) =>
    new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      signal.addEventListener("abort", done);
      if (signal.aborted) done();
    }),
};

/** What the recorder is in the middle of. */
interface Work {
  readonly options: RecorderOptions & typeof DEFAULTS;
  readonly clock: RecorderClock;
  readonly wanted: readonly WantedMetric[];
  ledger: Ledger | undefined;
  source: Source | undefined;
  archive: RecordedArchive | undefined;
  /** The archive can be opened by others. */
  isTold: boolean;
  /** The source was lost since the last record. */
  hasGap: boolean;
  /** What kind of context the archive, or the last one, is of. */
  recorded: ContextType | undefined;
  lostAt: number;
  slowAt: number;
  sourceAt: number;
  askedAt: number;
  tidiedAt: number;
  standBy: string | undefined;
  state: RecorderState;
  reason: string | undefined;
  records: number;
  archives: number;
  removed: number;
  /** The compression that is under way. */
  packing: Promise<void>;
}

/** Goes to a state; the first time its reason is told. */
function enter(work: Work, state: RecorderState, reason?: string): void {
  if (work.state === state && work.reason === reason) return;
  const wasWell = work.state === "recording";
  work.state = state;
  work.reason = reason;
  if (reason !== undefined) {
    const level = state === "standing by" ? "info" : "warning";
    work.options.log.write(level, `recorder: ${state}: ${reason}`);
  } else if (state === "recording" && !wasWell)
    work.options.log.write("info", `recorder: recording into ${work.options.directory}`);
}

const textOf = (error: unknown): string => {
  if (!(error instanceof PcpError)) return String(error);
  const said = pmErrStr(error.code);
  return error.message.includes(said) ? error.message : `${error.message} (${said})`;
};

/** Ends the archive, if there is one; whatever happens there is none afterwards. */
async function endArchive(work: Work): Promise<void> {
  const { archive, ledger, options } = work;
  if (archive === undefined) return;
  work.archive = undefined;
  work.hasGap = false;
  try {
    if (archive.failed) await archive.abandon();
    else await archive.end();
  } catch (error) {
    options.log.write("warning", `recorder: ${archive.base} was not ended: ${textOf(error)}`);
    await archive.abandon();
  }
  await ledger?.ended(archive.base);
  if (options.compress === true) pack(work, archive.base);
}

/** Compresses an archive, one after the other. */
function pack(work: Work, base: string): void {
  work.packing = work.packing
    .then(() => compressArchive(base))
    .catch((error: unknown) => {
      work.options.log.write("warning", `recorder: ${base} was not compressed: ${textOf(error)}`);
    });
}

async function leaveSource(work: Work): Promise<void> {
  const { source } = work;
  work.source = undefined;
  await source?.context.close();
}

/** Ends what is under way, and lets go of the directory. */
async function leave(work: Work): Promise<void> {
  try {
    await endArchive(work);
    await leaveSource(work);
    await work.packing;
  } finally {
    work.ledger?.close();
    work.ledger = undefined;
  }
}

/** Whether somebody else records, asked now and then. */
async function isStandingBy(work: Work, now: number): Promise<boolean> {
  const { options } = work;
  if (Math.abs(now - work.askedAt) >= MINUTE_MS) {
    work.askedAt = now;
    work.standBy = await options.standBy?.();
  }
  if (work.standBy === undefined) return false;
  if (work.state !== "standing by") await leave(work);
  enter(work, "standing by", work.standBy);
  return true;
}

async function hasDirectory(work: Work): Promise<boolean> {
  const { directory, log } = work.options;
  if (work.ledger?.isPresent() === true) return true;
  if (work.ledger !== undefined) {
    log.write("warning", `recorder: ${directory} was removed or moved`);
    await leave(work);
  }
  try {
    work.ledger = await openLedger(directory, (text) => log.write("info", `recorder: ${text}`));
  } catch (error) {
    enter(work, "failed", `${directory}: ${textOf(error)}`);
    return false;
  }
  if (work.ledger === undefined) {
    enter(work, "locked", `another recorder has ${directory}`);
    return false;
  }
  if (work.options.compress === true) for (const base of work.ledger.plain()) pack(work, base);
  return true;
}

/** Removes what is too old or too much; whether there is room after that. */
async function hasRoom(work: Work, now: number): Promise<boolean> {
  const { ledger, options } = work;
  const { directory, keepDays, keepBytes, freeBytes } = options;
  const isFull = freeBytes > 0 && (await roomBelow(directory)) < freeBytes;
  const isDue = Math.abs(now - work.tidiedAt) >= TIDY_MS || work.archive === undefined;
  if (ledger !== undefined && (isFull || isDue)) {
    work.tidiedAt = now;
    work.removed += await ledger.tidy({ now, days: keepDays, bytes: keepBytes, freeBytes });
  }
  if (!isFull || (await roomBelow(directory)) >= freeBytes) return true;
  await endArchive(work);
  enter(work, "full", `${directory}: no room is left`);
  return false;
}

/** The source, opened where there is none, or where it may be the better one now. */
async function currentSource(work: Work, now: number): Promise<Source | undefined> {
  const { source, options, wanted } = work;
  const isStandIn = source?.context.type === "local";
  if (source !== undefined && !(isStandIn && Math.abs(now - work.sourceAt) >= STAND_IN_MS))
    return source;
  work.sourceAt = now;
  try {
    const context = await options.open();
    // A pmcd that is started again is waited for before others stand in for it.
    const isEarly = work.recorded === "host" && Math.abs(now - work.lostAt) < MINUTE_MS;
    if (context.type === "local" && (isStandIn || isEarly)) {
      await context.close();
      return source;
    }
    let next: Source;
    try {
      next = await openSource(context, wanted);
    } catch (error) {
      await context.close();
      throw error;
    }
    await leaveSource(work);
    work.source = next;
    await adopt(work, next);
    return next;
  } catch (error) {
    if (source !== undefined) return source;
    enter(work, "waiting", textOf(error));
    return undefined;
  }
}

/** Lets an archive that is under way go on with a new source, if it can. */
async function adopt(work: Work, next: Source): Promise<void> {
  const { archive, options } = work;
  if (archive === undefined) return;
  work.hasGap = true;
  try {
    // Other agents have other instances of the same domains.
    if (next.context.type !== work.recorded) throw new PcpError(0, "there is another source");
    archive.use(next);
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    options.log.write("info", `recorder: a new archive begins: ${error.message}`);
    await endArchive(work);
  }
}

/** Whether the archive has lasted long enough. */
function isOver(work: Work, now: number): boolean {
  const { archive, options } = work;
  if (archive === undefined) return false;
  const day = (milliseconds: number): string => new Date(milliseconds).toDateString();
  const most = Math.max(
    LEAST_ARCHIVE_BYTES,
    Math.min(MOST_ARCHIVE_BYTES, Math.trunc(options.keepBytes / PART_OF_KEPT)),
  );
  return archive.size >= most || day(archive.last.sec * 1000) !== day(now);
}

/** The metrics that are due. */
function due(work: Work, source: Source, now: number): Pmid[] {
  const isNew = work.archive === undefined;
  const isSlowDue = isNew || Math.abs(now - work.slowAt) >= MINUTE_MS - 500;
  if (isSlowDue) work.slowAt = now;
  const found: Pmid[] = [];
  for (const [pmid, { pace }] of source.metrics)
    if (pace === "fast" || (pace === "slow" && isSlowDue) || isNew) found.push(pmid);
  return found;
}

/** Begins an archive whose first result has this time. */
async function begin(work: Work, source: Source, first: RecordedArchive["last"]): Promise<void> {
  const { directory, sync = true } = work.options;
  const name = archiveName(first.sec);
  const base = name === undefined ? undefined : await freeArchive(directory, name);
  if (base === undefined) throw new PcpError(-17, `${directory}: no name for an archive is left`);
  await work.ledger?.begin(base);
  try {
    work.archive = beginArchive({ base, source, first, sync });
  } catch (error) {
    await work.ledger?.ended(base);
    throw error;
  }
  work.isTold = false;
  work.hasGap = false;
  work.recorded = source.context.type;
  work.archives += 1;
}

/** Fetches what is due and records it. */
async function record(work: Work, source: Source, now: number): Promise<void> {
  if (isOver(work, now)) await endArchive(work);
  const pmids = due(work, source, now);
  if (pmids.length === 0) {
    enter(work, "waiting", "none of the metrics is there");
    await leaveSource(work);
    return;
  }
  let reply: Awaited<ReturnType<Source["context"]["fetch"]>>;
  try {
    reply = await source.context.fetch(pmids);
  } catch (error) {
    work.lostAt = now;
    enter(work, "waiting", textOf(error));
    work.hasGap = true;
    await leaveSource(work);
    return;
  }
  const { result, changes } = reply;
  const { archive } = work;
  if (archive !== undefined && compareTimes(result.timestamp, archive.last) <= 0) {
    work.options.log.write("info", "recorder: the clock went back: a new archive begins");
    await endArchive(work);
    await record(work, source, now);
    return;
  }
  await write(work, source, result);
  if (changes !== 0) await lookAgain(work, source);
}

/** Agents, names or labels changed: all that was read of them is read again. */
async function lookAgain(work: Work, source: Source): Promise<void> {
  let next: Source;
  try {
    next = await openSource(source.context, work.wanted);
  } catch (error) {
    enter(work, "waiting", textOf(error));
    work.hasGap = true;
    await leaveSource(work);
    return;
  }
  work.source = next;
  const { hasGap } = work;
  await adopt(work, next);
  work.hasGap = hasGap && work.archive !== undefined;
}

async function write(
  work: Work,
  source: Source,
  result: Parameters<RecordedArchive["append"]>[0],
): Promise<void> {
  const { options } = work;
  try {
    if (work.archive === undefined) await begin(work, source, result.timestamp);
    const { archive } = work;
    if (archive === undefined) return;
    if (work.hasGap) archive.mark();
    work.hasGap = false;
    await archive.append(result);
    work.records += 1;
    enter(work, "recording");
    if (!work.isTold) options.onArchive?.(archive.base);
    work.isTold = true;
  } catch (error) {
    const fault = asPcpError(error);
    // Neither ours nor the system's: a fault of this program.
    if (fault !== error && fault.code < -4096) throw error;
    await endArchive(work);
    if (FULL.has(fault.code)) enter(work, "full", `${options.directory}: no room is left`);
    else enter(work, "failed", fault.message);
  }
}

/** One interval's work. */
async function tick(work: Work): Promise<void> {
  const now = work.clock.now();
  if (await isStandingBy(work, now)) return;
  if (!(await hasDirectory(work)) || !(await hasRoom(work, now))) return;
  const source = await currentSource(work, now);
  if (source !== undefined) await record(work, source, now);
}

/** Begins to record; troubles are told in the log and in the status, and waited for. */
export function startRecorder(given: RecorderOptions): Recorder {
  const options = { ...DEFAULTS, ...given };
  const clock = options.clock ?? systemClock;
  const stop = new AbortController();
  const never = Number.NEGATIVE_INFINITY;
  const work: Work = {
    options,
    clock,
    wanted: wantedMetrics(options.metrics),
    ledger: undefined,
    source: undefined,
    archive: undefined,
    isTold: false,
    hasGap: false,
    recorded: undefined,
    lostAt: never,
    slowAt: never,
    sourceAt: never,
    askedAt: never,
    tidiedAt: never,
    standBy: undefined,
    state: "waiting",
    reason: undefined,
    records: 0,
    archives: 0,
    removed: 0,
    packing: Promise.resolve(),
  };
  const interval = Math.max(LEAST_INTERVAL_MS, options.intervalSeconds * 1000);
  const run = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      try {
        await tick(work);
      } catch (error) {
        enter(work, "failed", textOf(error));
        try {
          await leave(work);
        } catch (problem) {
          // All is let go of; the next tick begins anew.
          options.log.write("warning", `recorder: not ended well: ${textOf(problem)}`);
        }
      }
      const now = clock.now();
      const next = (Math.floor(now / interval) + 1) * interval;
      await clock.sleep(Math.min(next - now, MOST_SLEEP_MS), stop.signal);
    }
    await leave(work);
    work.state = "closed";
    work.reason = undefined;
  };
  const running = run().catch((error: unknown) => {
    work.state = "closed";
    options.log.write("error", `recorder: ${textOf(error)}`);
  });
  return {
    status: () => ({
      directory: options.directory,
      state: work.state,
      ...(work.reason === undefined ? {} : { reason: work.reason }),
      ...(work.archive === undefined ? {} : { archive: work.archive.base }),
      metrics: work.source?.metrics.size ?? 0,
      records: work.records,
      archives: work.archives,
      removed: work.removed,
    }),
    async close() {
      stop.abort();
      await running;
    },
  };
}
