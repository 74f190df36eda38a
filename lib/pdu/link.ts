// One socket to pmcd as a stream of PDUs: a bounded queue of exchanges, which pmcd answers in order, so
// that some are sent while one before them is being answered; time limits for header and body of a
// reply (spec pdu.md 1.4), TLS on the same socket, hang-ups.
// Knows nothing of what the PDUs say but for the ERROR with which pmcd refuses after the handshake
// (spec pdu.md 8.2). Refuses PDUs that nobody asked for, and everything after a time-out: a late
// reply must not be taken for that of the next request.
import type { Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";
import { createDeadline, PcpError, PM_ERR, pmErrStr, viewOf } from "../base/mod.ts";
import { errnoError } from "./endpoint.ts";
import { createFramer, readHeader } from "./frame.ts";
import { PDU_TYPE } from "./types.ts";

/** Exchanges that may wait behind the one that is being answered, unless told otherwise. */
export const QUEUE_LIMIT = 1024;
/**
 * Of those that wait, requests and bytes of them that are sent already: few enough for what the
 * system keeps of a socket, so that neither side waits for the other to read.
 */
const AHEAD_LIMIT = 32;
const AHEAD_BYTES = 16 * 1024;
/** PDUs kept for whoever asks next during the handshake. */
const INBOX_LIMIT = 4;
/** Milliseconds that an orderly close waits for the peer. */
const CLOSE_GRACE = 250;

/** Why a connection is over. `error` is what further requests fail with. */
export interface LinkEnd {
  /**
   * closed: by this side; hang-up: the peer closed or reset between PDUs; truncated: inside a PDU;
   * time-out: no reply in time; protocol: a PDU that does not belong there or has a bad header;
   * refused: pmcd did not like the flags, the user or the container (`error` has its code).
   */
  readonly kind: "closed" | "hang-up" | "truncated" | "time-out" | "protocol" | "refused";
  readonly error: PcpError;
}

/** Type word of a whole PDU. */
export const pduType = (pdu: Uint8Array): number =>
  ((pdu[4] ?? 0) << 24) | ((pdu[5] ?? 0) << 16) | ((pdu[6] ?? 0) << 8) | (pdu[7] ?? 0);

/** Bytes of a plain ERROR PDU, and where its code stands. */
const ERROR_BYTES = 16;
const ERROR_CODE_AT = 12;

/** The code of a plain ERROR PDU; undefined for every other PDU. */
export const errorCode = (pdu: Uint8Array): number | undefined =>
  pdu.length === ERROR_BYTES && pduType(pdu) === PDU_TYPE.ERROR
    ? viewOf(pdu).getInt32(ERROR_CODE_AT)
    : undefined;

/**
 * True for codes with which pmcd refuses flags, authentication, container or user after CREDS. It
 * says so in place of the reply to the first request (spec pdu.md 8.2, 8.5, 8.8, 10.7).
 */
function isRefusal(code: number): boolean {
  switch (code) {
    case PM_ERR.PERMISSION:
    case PM_ERR.CONNLIMIT:
    case PM_ERR.NEEDCLIENTCERT:
    case PM_ERR.NOTCONN:
    case PM_ERR.IPC:
    case -3: // ESRCH: authenticated, but no such account
    case -22: // EINVAL: container name
    case -95: // EOPNOTSUPP: flags
      return true;
    default:
      return code < PM_ERR.NYI;
  }
}

/** What a PDU is to an exchange: its last one, one of several, or none that it can have. */
export type Verdict = "last" | "more" | "wrong";

interface Exchange {
  readonly kind: "waiting";
  readonly bytes: Uint8Array | undefined;
  readonly limit: number;
  readonly judge: (pdu: Uint8Array) => Verdict;
  readonly resolve: (pdu: Uint8Array) => void;
  readonly reject: (error: PcpError) => void;
  idle: IdleState;
  /** Its bytes went out before its turn. */
  isAhead: boolean;
  /** The part of the reply whose time runs. */
  part: "header" | "body";
}

type IdleState =
  /** Handshake: what comes unasked is kept for whoever asks next. */
  | { readonly kind: "handshake" }
  /** Handshake done, no reply yet: pmcd may still refuse. */
  | { readonly kind: "untried" }
  | { readonly kind: "ready" };

type LinkState =
  | IdleState
  | Exchange
  /** TLS is being started on the socket. */
  | { readonly kind: "upgrading" }
  | { readonly kind: "ended"; readonly end: LinkEnd };

const HANDSHAKE: IdleState = { kind: "handshake" };
const READY: IdleState = { kind: "ready" };
const UNTRIED: IdleState = { kind: "untried" };

/** How a link behaves. */
export interface LinkOptions {
  /** Largest reply in bytes. */
  readonly ceiling: number;
  /** Most exchanges in the queue. */
  readonly queueLimit: number;
  /** Milliseconds for header and body of a reply, unless the exchange says otherwise; 0: none. */
  readonly timeout: number;
}

/** A stream of PDUs over one socket. */
export interface Link {
  /**
   * Sends `bytes`, whole PDUs if any, when or before its turn comes, and hands PDUs to `judge` from then
   * on until one is the last, which is returned. Rejects with PcpError: PM_ERR_IPC when the connection ends or a PDU is wrong,
   * PM_ERR_TIMEOUT, PM_ERR_TOOBIG for a full queue or a reply above the ceiling, or pmcd's refusal.
   */
  exchange(
    bytes: Uint8Array | undefined,
    judge: (pdu: Uint8Array) => Verdict,
    limit?: number,
  ): Promise<Uint8Array>;
  /** Sends whole PDUs that have no reply; only while nothing is outstanding. */
  post(bytes: Uint8Array): void;
  /**
   * Goes on in TLS. Throws PcpError PM_ERR_TLS, -ENOTCONN or PM_ERR_TIMEOUT. `inspect` sees the
   * socket when the handshake is over, also when it has failed.
   */
  startTls(
    options: ConnectionOptions,
    limit: number,
    inspect?: (socket: TLSSocket) => void,
  ): Promise<void>;
  /** Ends the handshake: from now on PDUs that come unasked are refusals or faults. */
  open(): void;
  /** Ends the link because a reply made no sense. */
  fail(error: PcpError): void;
  /** Orderly close; what is outstanding fails with PM_ERR_IPC. */
  close(): Promise<void>;
  readonly status: LinkState["kind"];
  readonly ended: Promise<LinkEnd>;
}

/** For "error" events: a reset is a hang-up (spec pdu.md 1.5), and "close" follows every error. */
const ignore = (): void => undefined;

const brokenError = (reason: string, cause?: unknown): PcpError =>
  new PcpError(PM_ERR.IPC, `${pmErrStr(PM_ERR.IPC)}: ${reason}`, { cause });

/** TLS over a socket whose bytes nobody reads any more; the socket is destroyed on failure. */
function wrapInTls(
  socket: Socket,
  options: ConnectionOptions,
  limit: number,
  inspect: (socket: TLSSocket) => void,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    let secure: TLSSocket;
    try {
      // Whether the chain is trusted is looked at below: a certificate that is refused can be shown.
      secure = connectTls({ ...options, rejectUnauthorized: false, socket });
    } catch (error) {
      socket.destroy();
      reject(new PcpError(PM_ERR.TLS, `TLS settings: ${String(error)}`, { cause: error }));
      return;
    }
    let clock: ReturnType<typeof setTimeout> | undefined;
    const settle = (error?: PcpError): void => {
      clearTimeout(clock);
      secure.off("error", onFailure);
      secure.off("close", onHangUp);
      secure.off("end", onHangUp);
      // A socket that is given up may still report an error; nobody waits for it.
      secure.on("error", ignore);
      inspect(secure);
      if (error === undefined) {
        resolve(secure);
        return;
      }
      secure.destroy();
      socket.destroy();
      reject(error);
    };
    const onFailure = (error: Error): void =>
      settle(new PcpError(PM_ERR.TLS, `TLS: ${error.message}`, { cause: error }));
    const onHangUp = (): void =>
      settle(errnoError("ENOTCONN", "pmcd closed during the TLS handshake"));
    if (limit !== 0) {
      const late = new PcpError(PM_ERR.TIMEOUT, "the TLS handshake takes too long");
      clock = setTimeout(() => settle(late), limit);
    }
    secure.on("error", onFailure);
    secure.on("close", onHangUp);
    secure.on("end", onHangUp);
    secure.once("secureConnect", () => {
      if (options.rejectUnauthorized === false || secure.authorized) settle();
      else settle(new PcpError(PM_ERR.TLS, `TLS: ${String(secure.authorizationError)}`));
    });
  });
}

/** A link over a connected socket in its handshake; `early` are bytes read from it before. */
export function createLink(socket: Socket, options: LinkOptions, early?: Uint8Array): Link {
  let stream: Socket | TLSSocket = socket;
  let state: LinkState = HANDSHAKE;
  const inbox: Uint8Array[] = [];
  const framer = createFramer(options.ceiling);
  const queue: Exchange[] = [];
  let announceEnd: (end: LinkEnd) => void = () => undefined;
  const ended = new Promise<LinkEnd>((resolve) => {
    announceEnd = resolve;
  });

  const isOver = (): boolean => state.kind === "ended";

  const clock = createDeadline(() => {
    if (state.kind !== "waiting") return;
    const late = new PcpError(PM_ERR.TIMEOUT);
    finish({ kind: "time-out", error: brokenError("an earlier request was not answered") }, late);
  });

  /** Ends the link: `first` is what the outstanding exchange fails with. */
  function finish(end: LinkEnd, first: PcpError = end.error): void {
    if (state.kind === "ended") return;
    const waiting = state.kind === "waiting" ? state : undefined;
    state = { kind: "ended", end };
    clock.stop();
    if (end.kind !== "closed") stream.destroy();
    waiting?.reject(first);
    for (const exchange of queue.splice(0)) exchange.reject(end.error);
    announceEnd(end);
  }

  // Inside TLS each PDU needs a record of its own: pmcd waits for its socket to become readable and
  // does not see a PDU that came in the record of the one before (6.0.3). Writes of one turn share
  // a record, so the next one waits until the last has gone.
  const outbox: Uint8Array[] = [];
  const sendNext = (): void => {
    outbox.shift();
    if (isOver()) outbox.length = 0;
    const [pdu] = outbox;
    if (pdu !== undefined) stream.write(pdu, sendNext);
  };
  const send = (bytes: Uint8Array): void => {
    if (stream === socket) {
      stream.write(bytes);
      return;
    }
    const quiet = outbox.length === 0;
    for (let at = 0; at < bytes.length;) {
      const { length } = readHeader(bytes, at);
      outbox.push(bytes.subarray(at, at + length));
      at += length;
    }
    const [pdu] = outbox;
    if (quiet && pdu !== undefined) stream.write(pdu, sendNext);
  };

  let aheadCount = 0;
  let aheadBytes = 0;
  let isPlanned = false;
  /** Sends what waits, as far as it may, in one piece; those made in the same turn are among it. */
  const sendAhead = (): void => {
    // Before the first reply pmcd may still refuse; inside TLS see above.
    if (isPlanned || stream !== socket || state.kind !== "waiting" || state.idle !== READY) return;
    isPlanned = true;
    queueMicrotask(() => {
      isPlanned = false;
      if (state.kind !== "waiting" || state.idle !== READY) return;
      const pieces: Uint8Array[] = [];
      for (const exchange of queue.slice(aheadCount, AHEAD_LIMIT)) {
        const { bytes } = exchange;
        if (bytes === undefined || aheadBytes + bytes.length > AHEAD_BYTES) break;
        exchange.isAhead = true;
        aheadCount += 1;
        aheadBytes += bytes.length;
        pieces.push(bytes);
      }
      if (pieces.length > 0) send(Buffer.concat(pieces));
    });
  };

  const begin = (exchange: Exchange, idle: IdleState): void => {
    exchange.idle = idle;
    state = exchange;
    if (exchange.isAhead) {
      aheadCount -= 1;
      aheadBytes -= exchange.bytes?.length ?? 0;
    } else if (exchange.bytes !== undefined) send(exchange.bytes);
    clock.start(exchange.limit);
    if (queue.length > aheadCount) sendAhead();
  };

  /** A PDU that no exchange waits for. */
  function unasked(pdu: Uint8Array, idle: IdleState): void {
    if (idle.kind === "handshake" && inbox.length < INBOX_LIMIT) {
      inbox.push(pdu);
      return;
    }
    const code = errorCode(pdu);
    if (idle.kind === "untried" && code !== undefined && code < 0) {
      finish({ kind: "refused", error: new PcpError(code) });
      return;
    }
    const type = `0x${pduType(pdu).toString(16)}`;
    finish({ kind: "protocol", error: brokenError(`PDU ${type} came unasked`) });
  }

  function deliver(pdu: Uint8Array): void {
    if (state.kind === "upgrading" || state.kind === "ended") return;
    if (state.kind !== "waiting") {
      unasked(pdu, state);
      return;
    }
    const exchange = state;
    exchange.part = "header";
    const verdict = exchange.judge(pdu);
    if (verdict === "more") {
      clock.start(exchange.limit);
      return;
    }
    if (verdict === "wrong") {
      const type = `0x${pduType(pdu).toString(16)}`;
      finish({ kind: "protocol", error: brokenError(`PDU ${type} is no reply to the request`) });
      return;
    }
    if (exchange.idle.kind === "untried") {
      const code = errorCode(pdu);
      if (code !== undefined && isRefusal(code)) {
        state = READY;
        exchange.resolve(pdu);
        finish({ kind: "refused", error: new PcpError(code) });
        return;
      }
      exchange.idle = READY;
    }
    state = exchange.idle;
    const next = queue.shift();
    if (next !== undefined) begin(next, state);
    exchange.resolve(pdu);
  }

  function onData(chunk: Uint8Array): void {
    if (isOver()) return;
    framer.feed(chunk);
    try {
      for (let pdu = framer.next(); pdu !== undefined; pdu = framer.next()) {
        deliver(pdu);
        if (isOver()) return;
      }
    } catch (error) {
      if (!(error instanceof PcpError)) throw error;
      finish({ kind: "protocol", error: brokenError(error.message, error) }, error);
      return;
    }
    if (state.kind === "waiting" && state.part === "header" && framer.phase === "body") {
      state.part = "body";
      clock.start(state.limit);
    }
  }

  function onClose(): void {
    const reason =
      framer.phase === "idle"
        ? "pmcd closed the connection"
        : `the connection ended after ${framer.buffered} bytes of a PDU`;
    const kind = framer.phase === "idle" ? "hang-up" : "truncated";
    finish({ kind, error: brokenError(reason) });
  }

  const listen = (to: Socket | TLSSocket): void => {
    to.on("data", onData);
    to.on("end", onClose);
    to.on("close", onClose);
    to.on("error", ignore);
    to.resume();
  };

  listen(socket);
  if (early !== undefined && early.length > 0) onData(early);

  return {
    exchange(bytes, judge, limit = options.timeout) {
      return new Promise((resolve, reject) => {
        const exchange: Exchange = {
          kind: "waiting",
          bytes,
          limit,
          judge,
          resolve,
          reject,
          idle: READY,
          isAhead: false,
          part: "header",
        };
        switch (state.kind) {
          case "ready":
          case "untried":
            begin(exchange, state);
            return;
          case "handshake": {
            const kept = inbox.shift();
            begin(exchange, state);
            if (kept !== undefined) deliver(kept);
            return;
          }
          case "waiting":
            if (queue.length < options.queueLimit) {
              queue.push(exchange);
              sendAhead();
            } else
              reject(
                new PcpError(
                  PM_ERR.TOOBIG,
                  `${options.queueLimit} requests wait for this connection already`,
                ),
              );
            return;
          case "ended": {
            // What pmcd said before it closed during the handshake is still an answer.
            const kept = bytes === undefined ? inbox.shift() : undefined;
            if (kept !== undefined && judge(kept) === "last") resolve(kept);
            else reject(state.end.error);
            return;
          }
          case "upgrading":
            reject(brokenError("TLS is being started"));
        }
      });
    },

    post(bytes) {
      if (state.kind !== "ended") send(bytes);
    },

    async startTls(tlsOptions, limit, inspect = ignore) {
      if (state.kind === "ended") throw state.end.error;
      if (state.kind !== "handshake" || inbox.length > 0 || framer.buffered > 0)
        // Bytes in clear from before must not count as said inside TLS.
        throw brokenError("PDUs in clear where TLS should begin");
      state = { kind: "upgrading" };
      socket.pause();
      socket.off("data", onData);
      socket.off("end", onClose);
      socket.off("close", onClose);
      const secure = await wrapInTls(socket, tlsOptions, limit, inspect);
      stream = secure;
      state = HANDSHAKE;
      listen(secure);
    },

    open() {
      if (state.kind !== "handshake") return;
      state = UNTRIED;
      for (const pdu of inbox.splice(0)) deliver(pdu);
    },

    fail(error) {
      finish({ kind: "protocol", error: brokenError(error.message, error) }, error);
    },

    async close() {
      if (state.kind === "ended") return;
      finish({ kind: "closed", error: brokenError("the connection is closed") });
      if (stream.destroyed) return;
      await new Promise<void>((resolve) => {
        const grace = setTimeout(() => {
          stream.destroy();
          resolve();
        }, CLOSE_GRACE);
        stream.once("close", () => {
          clearTimeout(grace);
          resolve();
        });
        stream.end();
      });
    },

    get status() {
      return state.kind;
    },
    ended,
  };
}
