// The connection to a key server (spec series.md 1): Redis or Valkey, alone or as a cluster; general commands
// go over the `redis` package, many at once as bytes over connections of their own, which are made when they
// are needed and lost together with it. It reconnects for ever with growing pauses, and refuses what is
// asked meanwhile with the reason. Refused: what client.ts and connection.ts refuse.
import { PcpError, PM_ERR } from "../base/mod.ts";
import { type Client, openClient, type SetupOptions } from "./client.ts";
import { type Bulk, bulkOfCluster, memoryOf, type Share } from "./cluster.ts";
import {
  type Address,
  COMMAND_TIMEOUT,
  type Connection,
  connectTo,
  notConnected,
  reasonOf,
} from "./connection.ts";
import type { CommandBuffer, KeyCommand, KeyReply, TakeReply } from "./resp.ts";
import { type MetadataWatch, watchMetadata } from "./watch.ts";

export { COMMAND_TIMEOUT, type KeyServerTls } from "./connection.ts";
export type { KeyArgument, KeyCommand, KeyReply, TakeReply } from "./resp.ts";

/** What is told when the connection changes. */
export type KeyServerState =
  | { readonly kind: "up"; readonly cluster: boolean; readonly version: number }
  | { readonly kind: "down"; readonly reason: string };

/** Where the key server is and how it is spoken to. */
export interface KeyServerOptions extends SetupOptions {
  /** Hears of each change, and once of a failure that repeats. */
  readonly onState?: (state: KeyServerState) => void;
  /** Pauses between attempts in ms, the last one repeated; RECONNECT_PAUSES by default. */
  readonly pauses?: readonly number[];
}

/** A key server that is used, whether it is there just now or not. */
export interface KeyServer {
  readonly state: KeyServerState;
  /** The schema's version that was found; 0 before a first connection. Only 2 may be written. */
  readonly schema: number;
  /** How often a connection was made: who saw it change cannot know what the server still has. */
  readonly generation: number;
  /**
   * Stays the same as long as no metadata of series change, and goes up when they do; a change is seen as
   * soon as the server tells of it. Undefined: nobody can say that, now or with this server.
   */
  readonly stamp: number | undefined;
  /** Whether there is an index for text search: it was wanted, and the server has the module. */
  readonly hasSearch: boolean;
  /** Waits for a connection. Rejects with the signal's reason, or when it is closed. */
  ready(signal?: AbortSignal): Promise<void>;
  /**
   * Sends commands, so many at once as are bounded by WINDOW_COMMANDS and WINDOW_PARTS, and gives their
   * replies in order. For few: many are quicker as bytes. Rejects with PM_ERR_NOTCONN and the reason when the connection is or gets lost.
   */
  run(commands: readonly KeyCommand[]): Promise<KeyReply[]>;
  /**
   * Sends commands that are bytes already, at once, and lends the bytes of each reply to `take`: in
   * order, but for those of different keys in a cluster. Resolves behind the last one; the buffer must
   * be left alone until then. Calls overlap, but in a cluster commands of one key may overtake those of
   * a call that is not over. Rejects as `run`, and with what `take` throws.
   */
  pipe(commands: CommandBuffer, take: TakeReply): Promise<void>;
  /** Which server gets how much of these commands, and what each says of its memory. Rejects as `run`. */
  shares(commands: CommandBuffer): Promise<readonly Share[]>;
  close(): Promise<void>;
}

/** Milliseconds between attempts. */
const RECONNECT_PAUSES: readonly number[] = [100, 500, 1000, 2000];
/** Most commands that one call of `run` has on their way. */
const WINDOW_COMMANDS = 1024;
/** Most parts of these commands, unless one command has more. */
const WINDOW_PARTS = 65_536;

/** A client, and the connections beside it. */
interface Link extends Client {
  readonly bulk: Bulk;
  /** None for a cluster. */
  readonly watch: MetadataWatch | undefined;
}

/** A connection for many commands to one server, made when it is needed; its loss ends the client. */
function bulkOfServer(
  address: Address,
  options: KeyServerOptions,
  onLost: (reason: string) => void,
): Bulk {
  let connection: Promise<Connection> | undefined;
  let over = false;
  const connect = async (): Promise<Connection> => {
    try {
      const made = await connectTo(address, options);
      if (over) made.destroy("closed");
      void made.lost.then((reason) => {
        if (!over) onLost(reason);
      });
      return made;
    } catch (error) {
      const reason = reasonOf(error);
      onLost(reason);
      throw error instanceof PcpError ? error : notConnected(reason);
    }
  };
  return {
    pipe: async (commands, take) => {
      connection ??= connect();
      await (await connection).pipe(commands, take);
    },
    shares: async ({ length, count }) => {
      connection ??= connect();
      return [{ info: await memoryOf(await connection), bytes: length, count }];
    },
    close: async () => {
      over = true;
      const [made] = await Promise.allSettled([connection]);
      if (made.status === "fulfilled") await made.value?.close();
    },
    destroy: (reason) => {
      over = true;
      connection?.then(
        (made) => made.destroy(reason),
        // Whoever asked for it was told.
        () => undefined,
      );
    },
  };
}

/** Parts of a list of commands, each within the bounds of what is sent at once. */
function* windows(commands: readonly KeyCommand[]): Generator<readonly KeyCommand[]> {
  let from = 0;
  let parts = 0;
  for (const [at, command] of commands.entries()) {
    parts += command.length;
    if (at > from && (at - from === WINDOW_COMMANDS || parts > WINDOW_PARTS)) {
      yield commands.slice(from, at);
      from = at;
      parts = command.length;
    }
  }
  if (from < commands.length) yield from === 0 ? commands : commands.slice(from);
}

/** Uses a key server: connects, and again whenever the connection is lost, until it is closed. */
export function useKeyServer(options: KeyServerOptions): KeyServer {
  const { pauses = RECONNECT_PAUSES, timeout = COMMAND_TIMEOUT, onState } = options;
  let link: Link | undefined;
  let state: KeyServerState = { kind: "down", reason: "not connected yet" };
  let schema = 0;
  let generation = 0;
  let changes = 0;
  let renewing = false;
  const closing = new AbortController();
  let waiters: (() => void)[] = [];

  const tell = (next: KeyServerState): void => {
    const same = next.kind === "down" && state.kind === "down" && next.reason === state.reason;
    state = next;
    if (!same) onState?.(next);
    if (next.kind === "down" && !closing.signal.aborted) return;
    for (const wake of waiters) wake();
    waiters = [];
  };
  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        closing.signal.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      closing.signal.addEventListener("abort", end);
    });
  const pauseBefore = (attempt: number): Promise<void> =>
    pause(pauses[Math.min(attempt, pauses.length - 1)] ?? 0);

  /** A new connection, in the place of an old one if there is one. */
  const connect = async (): Promise<Link> => {
    const client = await openClient(options);
    const { address, nodeOf, version } = client;
    const bulk =
      address === undefined
        ? bulkOfCluster(nodeOf, options, () => void renew(next))
        : bulkOfServer(address, options, client.destroy);
    const watch =
      address === undefined ? undefined : watchMetadata(address, options, () => ++changes);
    const next: Link = { ...client, bulk, watch };
    if (closing.signal.aborted) {
      client.destroy();
      throw notConnected("closed");
    }
    link = next;
    ({ schema } = next);
    generation++;
    tell({ kind: "up", cluster: address === undefined, version });
    return next;
  };

  const close = async ({ bulk, watch, close: end }: Link): Promise<void> => {
    watch?.destroy();
    await bulk.close();
    await end();
  };

  /** A cluster of which a node was lost is looked at anew; what is on its way over the old one goes on. */
  const renew = async (old: Link): Promise<void> => {
    if (renewing || link !== old) return;
    renewing = true;
    for (let attempt = 0, done = false; !done && !closing.signal.aborted; attempt++) {
      await pauseBefore(attempt);
      try {
        await connect();
        done = true;
      } catch (error) {
        if (!closing.signal.aborted) onState?.({ kind: "down", reason: reasonOf(error) });
      }
    }
    renewing = false;
    await close(old);
  };

  const keepConnected = async (): Promise<void> => {
    for (let attempt = 0; !closing.signal.aborted; attempt++) {
      try {
        const open = await connect();
        attempt = 0;
        const reason = await open.lost;
        link = undefined;
        open.destroy();
        open.bulk.destroy(reason);
        open.watch?.destroy();
        tell({ kind: "down", reason });
      } catch (error) {
        tell({ kind: "down", reason: reasonOf(error) });
      }
      await pauseBefore(attempt);
    }
  };
  void keepConnected();

  /** Works over the connection as it is; when that is lost over a cluster, it is made anew. */
  const over = async <T>(work: (used: Link) => Promise<T>): Promise<T> => {
    const used = link;
    if (used === undefined)
      throw notConnected(state.kind === "down" ? state.reason : "not connected yet");
    try {
      return await work(used);
    } catch (error) {
      const isOwn = error instanceof PcpError;
      const isLost = !isOwn || error.code === PM_ERR.NOTCONN;
      if (isLost && used.address === undefined) void renew(used);
      throw isOwn ? error : notConnected(reasonOf(error));
    }
  };

  const runWindow = (commands: readonly KeyCommand[]): Promise<KeyReply[]> =>
    over(async (used) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => {
          reject(notConnected(`no answer within ${timeout} ms`));
          used.destroy();
        }, timeout);
      });
      try {
        return await Promise.race([Promise.all(commands.map(used.send)), late]);
      } finally {
        clearTimeout(timer);
      }
    });

  return {
    get state() {
      return state;
    },
    get schema() {
      return schema;
    },
    get generation() {
      return generation;
    },
    get stamp() {
      return link?.watch?.stamp();
    },
    get hasSearch() {
      return link?.hasSearch === true;
    },
    ready: async (signal) => {
      while (link === undefined) {
        signal?.throwIfAborted();
        if (closing.signal.aborted) throw notConnected("closed");
        await new Promise<void>((resolve) => {
          waiters.push(resolve);
          signal?.addEventListener("abort", () => resolve(), { once: true });
        });
      }
    },
    run: async (commands) => {
      const replies: KeyReply[] = [];
      for (const part of windows(commands))
        for (const each of await runWindow(part)) replies.push(each);
      return replies;
    },
    pipe: (commands, take) => over(({ bulk }) => bulk.pipe(commands, take)),
    shares: (commands) => over(({ bulk }) => bulk.shares(commands)),
    close: async () => {
      closing.abort();
      const open = link;
      link = undefined;
      tell({ kind: "down", reason: "closed" });
      if (open !== undefined) await close(open);
    },
  };
}
