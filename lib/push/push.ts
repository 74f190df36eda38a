// The archives that loggers push: numbers, life times, bounds, one body at a time into each (spec
// webapi.md 18). Refuses what spec webapi.md 18 refuses, and with 503 more archives than configured.
import { type ArchiveLabel, archiveName, decodeLabel, labelBytes } from "../archive/mod.ts";
import { asPcpError, PcpError, roomBelow, viewOf } from "../base/mod.ts";
import { createFiles, PushFault, type PushFiles } from "./files.ts";
import { openMarks } from "./marks.ts";
import { unsafety } from "./name.ts";
import { startTidying } from "./retention.ts";
import {
  DEFAULT_PUSH_SETTINGS,
  type LabelOutcome,
  type Push,
  type PushOptions,
  type PushRefusal,
  type PushSettings,
  type PushStream,
  type PushTarget,
} from "./types.ts";

/** Volume numbers are below this. */
const MOST_VOLUMES = 5000;
const partOf = (target: PushTarget) => (target.kind === "volume" ? target.volume : target.kind);
/** Bytes that may wait for a feed beside files, of one archive; what comes then is not fed. */
const FEED_BYTES = 4 * 1024 * 1024;
const MAX_NUMBER = 0x7fffffff;
/** How long the room on the disk is taken for what it was, milliseconds. */
const ROOM_MS = 1000;
/** Room is looked for in such pieces, so that not each longer body asks again. */
const ROOM_BYTES = 64 * 1024;

/** One archive being pushed. */
interface Pushed {
  readonly number: number;
  readonly name: string;
  readonly lifeMs: number;
  readonly files: PushFiles | undefined;
  readonly stream: PushStream | undefined;
  /** When it ends without requests, on the clock of options.now. */
  deadline: number;
  /** Requests under way and waiting; they follow each other. */
  active: number;
  turn: Promise<unknown>;
  /** Bytes that wait for the feed, and what was asked of it before. */
  feeding: number;
  fed: Promise<void>;
  isFed: boolean;
  hasData: boolean;
  dirty: boolean;
  ended: boolean;
}

/** The label in a body, whatever its volume; a status when it is none. */
function readLabel(bytes: Uint8Array): ArchiveLabel | 400 | 422 {
  const version = ([2, 3] as const).find((each) => labelBytes(each) === bytes.length);
  if (version === undefined) return 400;
  try {
    const label = decodeLabel(bytes, viewOf(bytes).getInt32(version === 2 ? 20 : 24));
    return label.version === version ? label : 422;
  } catch (error) {
    if (error instanceof PcpError) return 422;
    throw error;
  }
}

const toFeed = (stream: PushStream, { kind }: PushTarget, bytes: Uint8Array): Promise<void> =>
  kind === "meta" ? stream.meta(bytes) : stream.data(bytes);

/** The settings as they are; asked for several times in each request, and mostly the same. */
function mergedSettings(options: PushOptions): () => PushSettings {
  let given: Partial<PushSettings> | undefined;
  let whole = DEFAULT_PUSH_SETTINGS;
  return () => {
    const found = options.settings?.();
    if (found !== given) {
      given = found;
      whole = { ...DEFAULT_PUSH_SETTINGS, ...found };
    }
    return whole;
  };
}

/** Whether the disk has room for so many bytes more, looked up once in a while. */
function roomKeeper(directory: string, settings: () => PushSettings, now: () => number) {
  let seen = { at: Number.NEGATIVE_INFINITY, needed: 0, there: true };
  /** undefined: it has to be looked up. */
  const known = (bytes: number): boolean | undefined => {
    const { freeBytes } = settings();
    if (freeBytes === 0) return true;
    const isFresh = now() - seen.at <= ROOM_MS && freeBytes + bytes <= seen.needed;
    return isFresh ? seen.there : undefined;
  };
  const has = async (bytes: number): Promise<boolean> => {
    const before = known(bytes);
    if (before !== undefined) return before;
    const needed = settings().freeBytes + Math.max(bytes, ROOM_BYTES);
    seen = { at: now(), needed, there: (await roomBelow(directory)) >= needed };
    return seen.there;
  };
  return { known, has };
}

const problem = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

/** A number that no archive has. */
function freshNumber(archives: ReadonlyMap<number, Pushed>): number {
  const word = new Uint32Array(1);
  for (;;) {
    const number = (crypto.getRandomValues(word)[0] ?? 0) & MAX_NUMBER;
    if (number !== 0 && !archives.has(number)) return number;
  }
}

/** Archives pushed by loggers into a directory. */
export function createPush(options: PushOptions): Push {
  const { directory, log, feed } = options;
  const now = options.now ?? (() => performance.now());
  const settings = mergedSettings(options);
  const room = roomKeeper(directory, settings, now);
  const archives = new Map<number, Pushed>();
  const counts = { begun: 0, bodies: 0, bytes: 0, refused: 0, removed: 0 };
  let opening = 0;
  let closed = false;
  let collector: ReturnType<typeof setTimeout> | undefined;
  let syncer: ReturnType<typeof setTimeout> | undefined;
  let syncing = Promise.resolve();

  // Nothing is pushed before what a killed server left is whole again.
  const marks = openMarks(directory, log);
  const mended = marks.mend().catch((error: unknown) => {
    log.write("warning", `${directory}: not looked through: ${problem(error)}`);
  });

  const stopTidying = startTidying(options, settings, mended, (gone) => {
    counts.removed += gone;
  });

  /** Makes the acknowledged bodies of an archive durable. */
  const sync = async (pushed: Pushed): Promise<void> => {
    if (!pushed.dirty) return;
    pushed.dirty = false;
    try {
      await pushed.files?.sync();
    } catch (error) {
      log.write("error", `pushed archive ${pushed.name}: not made durable: ${problem(error)}`);
      drop(pushed);
    }
  };
  const syncAll = async (): Promise<void> => {
    for (const pushed of archives.values()) await sync(pushed);
  };
  const syncSoon = (milliseconds: number): void => {
    if (milliseconds < 0 || syncer !== undefined) return;
    syncer = setTimeout(() => {
      // One pass at a time; what is written meanwhile has its own.
      syncing = syncing.then(syncAll).then(() => {
        syncer = undefined;
        if ([...archives.values()].some(({ dirty }) => dirty)) syncSoon(settings().syncMs);
      });
    }, milliseconds);
  };

  const finish = async (pushed: Pushed): Promise<void> => {
    await pushed.turn;
    await sync(pushed);
    await pushed.fed;
    try {
      await pushed.files?.release();
      await pushed.stream?.close();
    } catch (error) {
      log.write("warning", `pushed archive ${pushed.name}: ${problem(error)}`);
    }
  };
  const ending = new Set<Promise<void>>();
  const drop = (pushed: Pushed): void => {
    if (pushed.ended) return;
    pushed.ended = true;
    archives.delete(pushed.number);
    const end = finish(pushed).finally(() => ending.delete(end));
    ending.add(end);
  };

  const collect = (): void => {
    collector = undefined;
    for (const pushed of archives.values())
      if (pushed.active === 0 && pushed.deadline <= now()) drop(pushed);
    look();
  };
  const look = (): void => {
    if (archives.size === 0 || closed) return;
    collector ??= setTimeout(collect, settings().workMs);
    collector.unref();
  };

  const begin = async (
    label: ArchiveLabel,
    base: string,
    lifeMs: number | undefined,
  ): Promise<LabelOutcome> => {
    const { cached, timeoutMs } = settings();
    const { host } = label;
    const parts = { marks, log };
    if (cached && feed === undefined) throw new PushFault(500, "no key server for archives");
    if (!cached && !(await room.has(0))) throw new PushFault(500, `${directory}: no room left`);
    const files = cached
      ? undefined
      : await createFiles(`${directory}/${host}`, base, label, parts);
    const name = files?.base ?? `${host}/${base}`;
    const life = lifeMs ?? timeoutMs;
    const number = freshNumber(archives);
    const pushed: Pushed = {
      number,
      name,
      lifeMs: life,
      files,
      stream: feed?.open({ name, label }),
      deadline: now() + life,
      active: 0,
      turn: Promise.resolve(),
      feeding: 0,
      fed: Promise.resolve(),
      isFed: true,
      hasData: false,
      dirty: false,
      ended: false,
    };
    archives.set(number, pushed);
    counts.begun += 1;
    look();
    return { status: 200, archive: number };
  };

  /** Gives a body that is in the files to the feed too; nobody waits for that. */
  const feedLater = (pushed: Pushed, target: PushTarget, bytes: Uint8Array): void => {
    const { stream } = pushed;
    if (stream === undefined || !pushed.isFed || target.kind === "index") return;
    const give = (reason: string): void => {
      if (pushed.isFed)
        log.write(
          "warning",
          `pushed archive ${pushed.name}: no more goes to the key server: ${reason}`,
        );
      pushed.isFed = false;
    };
    if (pushed.feeding + bytes.length > FEED_BYTES) {
      give(`it is more than ${FEED_BYTES} bytes behind`);
      return;
    }
    pushed.feeding += bytes.length;
    // The body is somebody else's when this call is over.
    const kept = Uint8Array.from(bytes);
    pushed.fed = pushed.fed
      .then(() => (pushed.isFed ? toFeed(stream, target, kept) : undefined))
      .catch((error: unknown) => give(problem(error)))
      .finally(() => {
        pushed.feeding -= bytes.length;
      });
  };

  /** Takes one body in its turn. Rejects with PushFault. */
  const take = async (pushed: Pushed, target: PushTarget, bytes: Uint8Array): Promise<void> => {
    const { files, stream } = pushed;
    if (pushed.ended) throw new PushFault(410, "ended");
    if (files === undefined) {
      if (target.kind !== "index" && stream !== undefined) await toFeed(stream, target, bytes);
      counts.bodies += 1;
      counts.bytes += bytes.length;
      return;
    }
    if (!(await room.has(bytes.length))) throw new PushFault(500, `${directory}: no room left`);
    await files.append(partOf(target), bytes, settings().syncMs === 0);
    written(pushed, files.base, target, bytes);
  };
  /** The same without waiting for anything; false: there is something to wait for. Throws PushFault. */
  const takeAtOnce = (pushed: Pushed, target: PushTarget, bytes: Uint8Array): boolean => {
    const { files, active } = pushed;
    if (active > 0 || files === undefined || settings().syncMs === 0) return false;
    if (room.known(bytes.length) !== true || !files.appendAtOnce(partOf(target), bytes))
      return false;
    written(pushed, files.base, target, bytes);
    return true;
  };
  /** A body is in the files. */
  const written = (pushed: Pushed, base: string, target: PushTarget, bytes: Uint8Array): void => {
    const { syncMs } = settings();
    if (syncMs !== 0) {
      pushed.dirty = true;
      syncSoon(syncMs);
    }
    feedLater(pushed, target, bytes);
    counts.bodies += 1;
    counts.bytes += bytes.length;
    if (target.kind !== "volume" || pushed.hasData) return;
    pushed.hasData = true;
    options.onArchive?.(base);
  };

  const refuse = <Status extends PushRefusal>(status: Status): Status => {
    counts.refused += 1;
    return status;
  };
  const failed = (error: unknown, what: string): PushRefusal => {
    const fault =
      error instanceof PushFault ? error : new PushFault(500, asPcpError(error).message);
    log.write(fault.status === 410 ? "warning" : "error", `${what}: ${fault.message}`);
    return refuse(fault.status);
  };

  /** What could not be taken: its archive ends, since what would come next may need it. */
  const notTaken = (pushed: Pushed, error: unknown): PushRefusal => {
    const status = pushed.ended ? refuse(410) : failed(error, `pushed archive ${pushed.name}`);
    drop(pushed);
    return status;
  };
  /** Takes a body behind those that are under way. */
  const inTurn = async (
    pushed: Pushed,
    target: PushTarget,
    bytes: Uint8Array,
  ): Promise<200 | PushRefusal> => {
    pushed.active += 1;
    const turn = pushed.turn
      .then(() => take(pushed, target, bytes))
      .then(
        () => 200 as const,
        (error: unknown) => notTaken(pushed, error),
      );
    pushed.turn = turn;
    const status = await turn;
    pushed.active -= 1;
    pushed.deadline = now() + pushed.lifeMs;
    return status;
  };

  return {
    settings,
    async label(bytes, lifeMs) {
      if (closed) return { status: refuse(503) };
      const label = readLabel(bytes);
      if (typeof label === "number") return { status: refuse(label) };
      const unsafe = unsafety(label);
      if (unsafe !== undefined) log.write("error", `Rejecting archive with unsafe ${unsafe}`);
      const base = archiveName(label.start.sec);
      if (unsafe !== undefined || base === undefined) return { status: refuse(400) };
      if (archives.size + opening >= settings().archives) return { status: refuse(503) };
      opening += 1;
      try {
        await mended;
        return await begin(label, base, lifeMs);
      } catch (error) {
        return { status: failed(error, `archive pushed by ${label.host}`) };
      } finally {
        opening -= 1;
      }
    },
    append(archive, target, bytes) {
      if (closed) return refuse(503);
      if (bytes.length === 0) return refuse(400);
      if (bytes.length > settings().bodyBytes) return refuse(500);
      if (target.kind === "volume" && !(target.volume >= 0 && target.volume < MOST_VOLUMES))
        return refuse(500);
      const pushed = archives.get(archive);
      if (pushed === undefined || (pushed.active === 0 && pushed.deadline <= now()))
        return refuse(410);
      try {
        if (!takeAtOnce(pushed, target, bytes)) return inTurn(pushed, target, bytes);
      } catch (error) {
        return notTaken(pushed, error);
      }
      pushed.deadline = now() + pushed.lifeMs;
      return 200;
    },
    refused: () => void refuse(500),
    status: () => ({
      directory,
      cached: settings().cached,
      archives: archives.size,
      limit: settings().archives,
      ...counts,
    }),
    reset() {
      for (const pushed of archives.values()) drop(pushed);
    },
    async close() {
      closed = true;
      clearTimeout(collector);
      clearTimeout(syncer);
      await mended;
      for (const pushed of archives.values()) drop(pushed);
      await syncing;
      await Promise.all(ending);
      await stopTidying();
      await marks.close();
    },
  };
}
