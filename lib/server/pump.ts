// The pump as the server sees it: long sessions of plain sockets are handed to a thread that moves
// their bytes (pump-thread.ts). Starts the thread at the first session. Where there is no such thread
// (not Linux, no libc) nothing is handed over and every session stays with the event loop.

import { type EventFd, type Log, openEventFd } from "../base/mod.ts";
import {
  COMMAND,
  COMMAND_WORDS,
  type PumpReport,
  type PumpStart,
  RING_WORDS,
  SLOTS,
} from "./pump-shared.ts";

/** Called when a session that was handed over has ended; `reason`: the client's fault. */
export type PumpClosed = (reason: string | undefined) => void;

export interface Pump {
  /** Starts the thread if it is not running; costs nothing later. */
  prepare(): void;
  /** Whether a session can be handed over now. */
  readonly ready: boolean;
  /**
   * Takes over two connected sockets; the descriptors are the pump's from now on. `ceiling`: largest
   * PDU of the client, 0 = not looked at. Returns what `close` takes, or undefined when it cannot.
   */
  take(clientFd: number, serverFd: number, ceiling: number, closed: PumpClosed): number | undefined;
  close(id: number): void;
  drain(): void;
  /** Ends the thread and everything in it. */
  stop(): void;
  /** Sessions that it has now. */
  readonly sessions: number;
  /** Bytes moved so far. */
  readonly bytesToServers: number;
  readonly bytesToClients: number;
}

/** The thread's module: beside this one, or at its place in the executable. */
const threadModule = (): string =>
  /\$bunfs|~BUN/.test(import.meta.url)
    ? "./lib/server/pump-thread.ts"
    : new URL("./pump-thread.ts", import.meta.url).href;

export function createPump(log: Log): Pump {
  const sessions = new Map<number, PumpClosed>();
  const ring = new Int32Array(new SharedArrayBuffer(RING_WORDS * 4));
  const totals = new Float64Array(new SharedArrayBuffer(16));
  let state: "new" | "running" | "off" = process.platform === "linux" ? "new" : "off";
  let wake: EventFd | undefined;
  let worker: Worker | undefined;
  let lastId = 0;

  const off = (why: string): void => {
    state = "off";
    log.warning(`relay thread: ${why}; sessions stay with the event loop`);
    for (const closed of sessions.values()) closed(undefined);
    sessions.clear();
  };
  const prepare = (): void => {
    if (state !== "new") return;
    try {
      wake = openEventFd();
      worker = new Worker(threadModule());
    } catch (error) {
      off(error instanceof Error ? error.message : String(error));
      return;
    }
    state = "running";
    worker.onerror = ({ message }) => off(message);
    worker.onmessage = ({ data }: MessageEvent<PumpReport>) => {
      for (const { id, reason } of data.closed) {
        const closed = sessions.get(id);
        sessions.delete(id);
        closed?.(reason);
      }
      if (!data.stopped) return;
      wake?.close();
      worker?.terminate();
    };
    worker.unref();
    const start: PumpStart = { ring, wakeFd: wake.fd, totals };
    worker.postMessage(start);
  };
  /** False when the ring is full. */
  const command = (...words: readonly number[]): boolean => {
    const tail = Atomics.load(ring, 1) >>> 0;
    if ((tail - (Atomics.load(ring, 0) >>> 0)) >>> 0 >= SLOTS) return false;
    const at = 2 + (tail % SLOTS) * COMMAND_WORDS;
    for (const [index, word] of words.entries()) Atomics.store(ring, at + index, word);
    Atomics.store(ring, 1, (tail + 1) | 0);
    wake?.signal();
    return true;
  };

  return {
    prepare,
    get ready() {
      return state === "running";
    },
    take(clientFd, serverFd, ceiling, closed) {
      if (state !== "running") return undefined;
      lastId = (lastId + 1) & 0x7fffffff;
      if (!command(COMMAND.take, lastId, clientFd, serverFd, ceiling)) return undefined;
      sessions.set(lastId, closed);
      return lastId;
    },
    close(id) {
      if (sessions.has(id)) command(COMMAND.close, id);
    },
    drain() {
      if (state === "running") command(COMMAND.drain);
    },
    stop() {
      if (state === "running") command(COMMAND.stop);
      state = "off";
    },
    get sessions() {
      return sessions.size;
    },
    get bytesToServers() {
      return totals[0] ?? 0;
    },
    get bytesToClients() {
      return totals[1] ?? 0;
    },
  };
}
