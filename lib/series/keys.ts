// The connection to a key server (spec series.md 1): Redis or Valkey, alone or as a cluster. It reconnects
// for ever with growing pauses, and refuses what is asked meanwhile with the reason. Replies are bytes;
// nothing of them is ever decoded here. Refused: what keys-setup.ts and keys-connection.ts refuse.
import { PcpError, PM_ERR } from "../base/mod.ts";
import { type Link } from "./keys-cluster.ts";
import { notConnected, reasonOf } from "./keys-connection.ts";
import { checkPresence, openLink, type SetupOptions } from "./keys-setup.ts";
import {
  CommandBuffer,
  type KeyCommand,
  type KeyReply,
  readReply,
  type TakeReply,
} from "./resp.ts";

export type { KeyServerTls } from "./keys-connection.ts";
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
  /** Whether there is an index for text search: it was wanted, and the server has the module. */
  readonly hasSearch: boolean;
  /** Waits for a connection. Rejects with the signal's reason, or when it is closed. */
  ready(signal?: AbortSignal): Promise<void>;
  /**
   * Sends commands, so many at once as are bounded by WINDOW_COMMANDS and WINDOW_BYTES, and gives their
   * replies in order. Rejects with PM_ERR_NOTCONN and the reason when the connection is or gets lost.
   */
  run(commands: readonly KeyCommand[]): Promise<KeyReply[]>;
  /**
   * Sends commands that are bytes already, at once, and lends the bytes of each reply to `take`: in
   * order, but for those of different keys in a cluster. Resolves behind the last one; the buffer must
   * be left alone until then. Calls overlap, but in a cluster commands of one key may overtake those of
   * a call that is not over. Rejects as `run`, and with what `take` throws.
   */
  pipe(commands: CommandBuffer, take: TakeReply): Promise<void>;
  close(): Promise<void>;
}

/** Milliseconds between attempts. */
export const RECONNECT_PAUSES: readonly number[] = [100, 500, 1000, 2000];
/** Most commands that one call of `run` has on their way. */
export const WINDOW_COMMANDS = 4096;
/** Bytes of these commands, unless one command has more. */
export const WINDOW_BYTES = 1024 * 1024;
/** Buffers that are kept for the next commands, and the largest of them. */
const KEPT_BUFFERS = 16;
const KEPT_BYTES = 64 * 1024;

/** Uses a key server: connects, and again whenever the connection is lost, until it is closed. */
export function useKeyServer(options: KeyServerOptions): KeyServer {
  const { pauses = RECONNECT_PAUSES, onState } = options;
  let link: Link | undefined;
  let state: KeyServerState = { kind: "down", reason: "not connected yet" };
  let schema = 0;
  let generation = 0;
  let hasSearch = false;
  let renewing = false;
  const closing = new AbortController();
  let waiters: (() => void)[] = [];
  const buffers: CommandBuffer[] = [];

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
    const lostNode = (): void => void renew(next.link);
    const next = await openLink(options, lostNode);
    if (closing.signal.aborted) {
      next.link.destroy("closed");
      throw notConnected("closed");
    }
    ({ link, schema, hasSearch } = next);
    generation++;
    tell({ kind: "up", cluster: next.link.cluster, version: next.version });
    return next.link;
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
    await old.close();
  };

  const keepConnected = async (): Promise<void> => {
    for (let attempt = 0; !closing.signal.aborted; attempt++) {
      try {
        const open = await connect();
        attempt = 0;
        const reason = await open.lost;
        link = undefined;
        tell({ kind: "down", reason });
      } catch (error) {
        tell({ kind: "down", reason: reasonOf(error) });
      }
      await pauseBefore(attempt);
    }
  };
  void keepConnected();

  const pipe = async (commands: CommandBuffer, take: TakeReply): Promise<void> => {
    const used = link;
    if (used === undefined)
      throw notConnected(state.kind === "down" ? state.reason : "not connected yet");
    try {
      await used.pipe(commands, take);
    } catch (error) {
      const isLost = error instanceof PcpError && error.code === PM_ERR.NOTCONN;
      if (isLost && used.cluster) void renew(used);
      throw error;
    }
  };

  /** Sends the commands from `from` on that fit into a window; gives the number behind the last. */
  const runWindow = async (
    commands: readonly KeyCommand[],
    from: number,
    replies: KeyReply[],
  ): Promise<number> => {
    const buffer = buffers.pop() ?? new CommandBuffer();
    buffer.clear();
    let next = from;
    while (
      next < commands.length &&
      buffer.count < WINDOW_COMMANDS &&
      (buffer.count === 0 || buffer.length < WINDOW_BYTES)
    )
      buffer.add(commands[next++] ?? []);
    await pipe(buffer, (number, bytes, at) => {
      const reply = readReply(bytes, at);
      checkPresence(reply);
      replies[from + number] = reply;
    });
    if (buffers.length < KEPT_BUFFERS && buffer.bytes.length <= KEPT_BYTES) buffers.push(buffer);
    return next;
  };

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
    get hasSearch() {
      return link !== undefined && hasSearch;
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
      for (let next = 0; next < commands.length;) next = await runWindow(commands, next, replies);
      return replies;
    },
    pipe,
    close: async () => {
      closing.abort();
      const open = link;
      link = undefined;
      tell({ kind: "down", reason: "closed" });
      await open?.close();
    },
  };
}
