// The pump as the server sees it: long sessions of plain sockets are handed to a thread that moves
// their bytes (pump-thread.ts). Starts the thread at the first session. Where there is no such thread
// (not Linux, no libc) nothing is handed over and every session stays with the event loop.

import { type EventFd, type Log, openEventFd } from "../base/mod.ts";
import {
  FIRST_SLOT,
  MODE,
  MODES,
  type PumpReport,
  type PumpStart,
  READER,
  RING_WORDS,
  SLOT_WORDS,
  SLOTS,
  WRITER,
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
   * PDU of the client, 0 = not looked at; `isFramed`: the server's next byte begins a PDU. False when
   * it cannot: nothing has changed then.
   */
  take(
    clientFd: number,
    serverFd: number,
    ceiling: number,
    isFramed: boolean,
    closed: PumpClosed,
  ): boolean;
  /** Ends its sessions as they become quiet. */
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

type State = "new" | "starting" | "running" | "off";

/** `connectionBuffer`: bytes that may be kept for one direction of a session. */
export function createPump(log: Log, connectionBuffer: number): Pump {
  const sessions = new Map<number, PumpClosed>();
  const ring = new Int32Array(new SharedArrayBuffer(RING_WORDS * 4));
  const totals = new Float64Array(new SharedArrayBuffer(16));
  let state: State = process.platform === "linux" ? "new" : "off";
  let wake: EventFd | undefined;
  let worker: Worker | undefined;
  let lastId = 0;

  const off = (why: string): void => {
    state = "off";
    log.warning(`relay thread: ${why}; sessions stay with the event loop`);
    for (const closed of sessions.values()) closed(undefined);
    sessions.clear();
  };
  const hear = ({ kind, ended }: PumpReport): void => {
    if (kind === "ready" && state === "starting") state = "running";
    for (const { id, reason } of ended) {
      const closed = sessions.get(id);
      sessions.delete(id);
      closed?.(reason);
    }
    if (kind !== "stopped") return;
    wake?.close();
    worker?.terminate();
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
    state = "starting";
    worker.onerror = ({ message }) => off(message);
    worker.onmessage = ({ data }: MessageEvent<PumpReport>) => hear(data);
    worker.unref();
    const start: PumpStart = { ring, wakeFd: wake.fd, totals, bufferBytes: connectionBuffer };
    worker.postMessage(start);
  };
  const setMode = (mode: number): void => {
    Atomics.store(ring, MODE, mode);
    wake?.signal();
  };

  return {
    prepare,
    get ready() {
      return state === "running";
    },
    take(clientFd, serverFd, ceiling, isFramed, closed) {
      const tail = Atomics.load(ring, WRITER) >>> 0;
      const used = (tail - (Atomics.load(ring, READER) >>> 0)) >>> 0;
      if (state !== "running" || used >= SLOTS) return false;
      lastId = (lastId + 1) & 0x7fffffff;
      const at = FIRST_SLOT + (tail % SLOTS) * SLOT_WORDS;
      const words = [lastId, clientFd, serverFd, ceiling, Number(isFramed)];
      for (const [index, word] of words.entries()) {
        Atomics.store(ring, at + index, word);
      }
      Atomics.store(ring, WRITER, (tail + 1) | 0);
      wake?.signal();
      sessions.set(lastId, closed);
      return true;
    },
    drain: () => setMode(MODES.drain),
    stop() {
      if (state === "running" || state === "starting") setMode(MODES.stop);
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
