// The relay's inner loop, in a thread of its own: bytes from one socket to another with epoll, recv and
// send called directly, through one buffer that is never given away. A long PCP session costs no
// garbage and no event-loop turns here; docs/architecture.md has the figures. Takes pairs of connected
// sockets from pump.ts and owns their descriptors from then on. Linux only. Knows nothing of greetings,
// TLS or HTTP: those sessions stay where they are.

import { dlopen, ptr, read } from "bun:ffi";
import { libraryNames } from "../base/mod.ts";
import { PduGate } from "./gate.ts";
import { ReplyBounds, UNFRAMED_LOOKS } from "./reply-bounds.ts";
import {
  FIRST_SLOT,
  MODE,
  MODES,
  type PumpEnd,
  type PumpReport,
  type PumpStart,
  READER,
  SLOT_WORDS,
  SLOTS,
  WRITER,
} from "./pump-shared.ts";

// recv, send and read return ssize_t; what is asked for here fits 32 bits, and a 64-bit result would
// be a bigint, made anew at every call.
const SYMBOLS = {
  epoll_create1: { args: ["i32"], returns: "i32" },
  epoll_ctl: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  epoll_wait: { args: ["i32", "ptr", "i32", "i32"], returns: "i32" },
  recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i32" },
  send: { args: ["i32", "ptr", "u64", "i32"], returns: "i32" },
  shutdown: { args: ["i32", "i32"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
  read: { args: ["i32", "ptr", "u64"], returns: "i32" },
  __errno_location: { args: [], returns: "ptr" },
} as const;

const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;
const EPOLLIN = 0x1;
const EPOLLOUT = 0x4;
const EPOLL_GONE = 0x8 | 0x10;
const EAGAIN = 11;
const EINTR = 4;
const DONTWAIT = 0x40;
const NOSIGNAL = 0x4000;
const SHUT_WR = 1;
const SOL_SOCKET = 1;
const SO_LINGER = 13;

const EVENTS = 512;
/** The kernel packs struct epoll_event on x86-64 and aligns it elsewhere. */
const EVENT_BYTES = process.arch === "x64" ? 12 : 16;
const EVENT_FD = EVENT_BYTES - 8;
/** How long a client that has ended its side may wait for the rest. */
const HALF_CLOSED_MS = 60_000;
/** How often half closed and draining pairs are looked at. */
const LOOK_MS = 1000;
const DRAIN_LOOK_MS = 50;

/** One end of a pair. */
class End {
  peer!: End;
  /** Bytes that this end has not taken yet. */
  kept: Uint8Array | undefined;
  /** What epoll watches this end for; -1: not registered. */
  mask = EPOLLIN;
  /** It sends no more. */
  ended = false;
  constructor(
    readonly fd: number,
    readonly pair: Pair,
  ) {}
}

class Pair {
  readonly client: End;
  readonly server: End;
  open = true;
  /** The client has sent something since the server last did. */
  asked = false;
  /** The server has sent something since the last look; at first it has, before this pair came here. */
  moved = true;
  quietLooks = 0;
  /** Looks for which it is still busy because bytes without known ends have moved. */
  patience = 0;
  /** Where replies of a pmcd end; undefined: nothing is known of them. */
  readonly bounds: ReplyBounds | undefined;
  deadline = Number.POSITIVE_INFINITY;
  constructor(
    readonly id: number,
    clientFd: number,
    serverFd: number,
    readonly gate: PduGate | undefined,
    isFramed: boolean,
  ) {
    this.client = new End(clientFd, this);
    this.server = new End(serverFd, this);
    this.client.peer = this.server;
    this.server.peer = this.client;
    this.bounds = isFramed ? new ReplyBounds() : undefined;
  }

  /** A request or a reply may be under way. */
  isBusy(): boolean {
    const isFramed = this.bounds?.isFramed === true;
    if (this.moved && !isFramed) this.patience = UNFRAMED_LOOKS;
    else if (this.patience > 0) this.patience -= 1;
    const within = this.bounds?.within === true;
    return (
      this.asked || this.moved || within || this.patience > 0 || this.client.kept !== undefined
    );
  }
}

/** The C library under the first of its names that this system has; throws when there is none. */
function openLibrary() {
  const reasons: string[] = [];
  for (const name of libraryNames()) {
    try {
      return dlopen(name, SYMBOLS).symbols;
    } catch (error) {
      reasons.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new Error(`no C library: ${reasons.join("; ")}`);
}

function run(start: PumpStart, report: (report: PumpReport) => void): void {
  const { ring, wakeFd, totals, bufferBytes } = start;
  const libc = openLibrary();
  const errno = (): number => {
    const at = libc.__errno_location();
    return at === null ? 0 : read.i32(at, 0);
  };
  const control = new Uint8Array(EVENT_BYTES);
  const controlView = new DataView(control.buffer);
  const controlAt = ptr(control);
  const events = new Uint8Array(EVENT_BYTES * EVENTS);
  const eventsView = new DataView(events.buffer);
  const eventsAt = ptr(events);
  const buffer = new Uint8Array(bufferBytes);
  const bufferAt = ptr(buffer);
  const reset = new Int32Array([1, 0]);
  const resetAt = ptr(reset);
  const wakeCount = new Uint8Array(8);
  const wakeAt = ptr(wakeCount);

  const epoll = libc.epoll_create1(0);
  const ends: (End | undefined)[] = [];
  const pairs = new Map<number, Pair>();
  let reports: PumpEnd[] = [];
  let waiting = 0;

  const watch = (operation: number, fd: number, mask: number): void => {
    controlView.setUint32(0, mask, true);
    controlView.setInt32(EVENT_FD, fd, true);
    libc.epoll_ctl(epoll, operation, fd, controlAt);
  };
  const setMask = (end: End, mask: number): void => {
    if (end.mask === mask) return;
    watch(end.mask < 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, end.fd, mask);
    end.mask = mask;
  };

  /** Ends a pair. `abrupt`: the server is reset, as the client was; `reason`: worth telling. */
  const close = (pair: Pair, abrupt: boolean, reason?: string): void => {
    if (!pair.open) return;
    pair.open = false;
    if (pair.deadline !== Number.POSITIVE_INFINITY) waiting -= 1;
    const { client, server } = pair;
    if (abrupt) libc.setsockopt(server.fd, SOL_SOCKET, SO_LINGER, resetAt, 8);
    ends[client.fd] = undefined;
    ends[server.fd] = undefined;
    libc.close(client.fd);
    libc.close(server.fd);
    client.kept = undefined;
    server.kept = undefined;
    pairs.delete(pair.id);
    reports.push({ id: pair.id, reason });
  };
  const limitWait = (pair: Pair): void => {
    if (pair.deadline !== Number.POSITIVE_INFINITY) return;
    pair.deadline = performance.now() + HALF_CLOSED_MS;
    waiting += 1;
  };

  /** Sends what is kept for `end`; true when nothing is left. */
  const flush = (end: End): boolean => {
    const { kept } = end;
    if (kept === undefined) return true;
    const sent = libc.send(end.fd, ptr(kept), kept.length, DONTWAIT | NOSIGNAL);
    if (sent === kept.length) {
      end.kept = undefined;
      return true;
    }
    if (sent > 0) end.kept = kept.subarray(sent);
    else if (errno() !== EAGAIN) close(end.pair, end === end.pair.server);
    return false;
  };

  /** `end` has sent its last byte. */
  const endOfFile = (end: End): void => {
    const { pair, peer } = end;
    end.ended = true;
    if (end === pair.client) {
      if (peer.kept === undefined) libc.shutdown(peer.fd, SHUT_WR);
      setMask(end, end.kept === undefined ? 0 : EPOLLOUT);
      limitWait(pair);
    } else if (peer.kept === undefined) {
      // A pmcd that has stopped talking is done with this client.
      close(pair, false);
    } else {
      setMask(end, 0);
      limitWait(pair);
    }
  };

  /** Moves what `end` has sent to its peer. */
  const forward = (end: End): void => {
    const { pair, peer } = end;
    const got = libc.recv(end.fd, bufferAt, bufferBytes, DONTWAIT);
    if (got <= 0) {
      if (got === 0) return endOfFile(end);
      const reason = errno();
      if (reason !== EAGAIN && reason !== EINTR) close(pair, end === pair.client);
      return;
    }
    if (end === pair.client) {
      const verdict = pair.gate?.pass(buffer, got);
      if (verdict !== undefined) return close(pair, true, verdict);
      pair.asked = true;
      totals[0] = (totals[0] ?? 0) + got;
    } else {
      pair.bounds?.pass(buffer, got);
      pair.asked = false;
      pair.moved = true;
      totals[1] = (totals[1] ?? 0) + got;
    }
    let sent = libc.send(peer.fd, bufferAt, got, DONTWAIT | NOSIGNAL);
    if (sent === got) return;
    if (sent < 0) {
      if (errno() !== EAGAIN) return close(pair, end === pair.client);
      sent = 0;
    }
    peer.kept = buffer.slice(sent, got);
    setMask(peer, peer.mask | EPOLLOUT);
    setMask(end, end.mask & ~EPOLLIN);
  };

  /** `end` takes bytes again. */
  const drained = (end: End): void => {
    if (!flush(end)) return;
    const { pair, peer } = end;
    if (!pair.open) return;
    setMask(end, end.mask & ~EPOLLOUT);
    if (!peer.ended) setMask(peer, (peer.mask < 0 ? 0 : peer.mask) | EPOLLIN);
    else if (peer === pair.server) close(pair, false);
    else libc.shutdown(end.fd, SHUT_WR);
  };

  /** `end` is gone in both directions while it was not read from. */
  const gone = (end: End): void => {
    const { pair, peer } = end;
    if (end === pair.client || peer.kept === undefined) return close(pair, end === pair.client);
    // The client still gets what is kept for it; the kernel would report the same again and again.
    watch(EPOLL_CTL_DEL, end.fd, 0);
    end.mask = -1;
    limitWait(pair);
  };

  const take = (
    id: number,
    clientFd: number,
    serverFd: number,
    ceiling: number,
    isFramed: boolean,
  ): void => {
    const pair = new Pair(
      id,
      clientFd,
      serverFd,
      ceiling > 0 ? new PduGate(ceiling, false) : undefined,
      isFramed,
    );
    pairs.set(id, pair);
    ends[clientFd] = pair.client;
    ends[serverFd] = pair.server;
    watch(EPOLL_CTL_ADD, clientFd, EPOLLIN);
    watch(EPOLL_CTL_ADD, serverFd, EPOLLIN);
  };

  /** Takes over what is in the ring. */
  const takeAll = (): void => {
    libc.read(wakeFd, wakeAt, 8);
    for (;;) {
      const head = Atomics.load(ring, READER) >>> 0;
      if (head === Atomics.load(ring, WRITER) >>> 0) return;
      const at = FIRST_SLOT + (head % SLOTS) * SLOT_WORDS;
      const word = (index: number): number => Atomics.load(ring, at + index);
      take(word(0), word(1), word(2), word(3), word(4) === 1);
      Atomics.store(ring, READER, (head + 1) | 0);
    }
  };

  /** Half closed pairs at their deadline, and quiet ones while the server is stopping. */
  const look = (draining: boolean): void => {
    const at = performance.now();
    for (const pair of pairs.values()) {
      if (pair.deadline <= at) close(pair, false);
      else if (draining && pair.isBusy()) pair.quietLooks = 0;
      else if (draining && ++pair.quietLooks > 1) close(pair, false);
      pair.moved = false;
    }
  };

  watch(EPOLL_CTL_ADD, wakeFd, EPOLLIN);
  report({ kind: "ready", ended: [] });
  let looked = performance.now();
  for (;;) {
    const mode = Atomics.load(ring, MODE);
    if (mode === MODES.stop) break;
    const draining = mode === MODES.drain;
    const pause = draining ? DRAIN_LOOK_MS : waiting > 0 ? LOOK_MS : -1;
    const count = libc.epoll_wait(epoll, eventsAt, EVENTS, pause);
    for (let i = 0; i < count; i++) {
      const mask = eventsView.getUint32(i * EVENT_BYTES, true);
      const fd = eventsView.getInt32(i * EVENT_BYTES + EVENT_FD, true);
      if (fd === wakeFd) {
        takeAll();
        continue;
      }
      const end = ends[fd];
      if (end === undefined) continue;
      if ((mask & EPOLLOUT) !== 0) drained(end);
      if (!end.pair.open) continue;
      if ((mask & EPOLLIN) !== 0) forward(end);
      else if ((mask & EPOLL_GONE) !== 0) gone(end);
    }
    if (pause > 0 && performance.now() - looked >= pause) {
      looked = performance.now();
      look(draining);
    }
    if (reports.length > 0) {
      report({ kind: "ended", ended: reports });
      reports = [];
    }
  }
  takeAll();
  for (const pair of pairs.values()) close(pair, false);
  libc.close(epoll);
  report({ kind: "stopped", ended: reports });
}

declare const self: Worker;

self.onmessage = ({ data }: MessageEvent<PumpStart>) => {
  run(data, (report) => self.postMessage(report));
};
