// Cuts a byte stream into PDUs by the length in their headers (spec pdu.md 1.2 to 1.4).
// Refuses headers with a length below 12 or a negative type (PM_ERR_IPC), lengths above the
// reader's ceiling (PM_ERR_TOOBIG), and an end of file inside a PDU (PM_ERR_IPC).
import { PcpError, PM_ERR } from "../base/mod.ts";

/** Bytes of a header: length, type, from. */
export const HEADER_BYTES = 12;
/** Largest length for readers without a ceiling of their own (spec pdu.md 1.3). */
export const NO_CEILING = 0x7fffffff - 1024;
/** What every encoder here pads with. */
export const PADDING = 0x7e;

/** First buffer of a PDU that comes in pieces; longer ones grow with what has arrived. */
const FIRST_BUFFER = 65536;
const EMPTY = new Uint8Array(0);

/** The three header words. */
export interface Header {
  /** Bytes of the whole PDU, header included. */
  readonly length: number;
  readonly type: number;
  readonly from: number;
}

const word = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] ?? 0) << 24) |
  ((bytes[at + 1] ?? 0) << 16) |
  ((bytes[at + 2] ?? 0) << 8) |
  (bytes[at + 3] ?? 0);

/** The checked length in the header at `at`, where 12 bytes must be present. */
function checkedLength(bytes: Uint8Array, at: number, ceiling: number): number {
  const length = word(bytes, at);
  if (length < HEADER_BYTES)
    throw new PcpError(PM_ERR.IPC, `PDU header: length ${length} is below ${HEADER_BYTES}`);
  const type = word(bytes, at + 4);
  if (type < 0)
    throw new PcpError(PM_ERR.IPC, `PDU header: type 0x${(type >>> 0).toString(16)} is negative`);
  if (length > ceiling)
    throw new PcpError(PM_ERR.TOOBIG, `PDU header: length ${length} is above ${ceiling}`);
  return length;
}

/**
 * Reads the header at `at`.
 * Throws PcpError: PM_ERR_IPC when fewer than 12 bytes are there, for a length below 12 and for a
 * negative type; PM_ERR_TOOBIG for a length above `ceiling`.
 */
export function readHeader(bytes: Uint8Array, at = 0, ceiling: number = NO_CEILING): Header {
  if (at < 0 || bytes.length - at < HEADER_BYTES)
    throw new PcpError(
      PM_ERR.IPC,
      `PDU header: ${HEADER_BYTES} bytes needed at ${at}, ${bytes.length - at} there`,
    );
  const length = checkedLength(bytes, at, ceiling);
  return { length, type: word(bytes, at + 4), from: word(bytes, at + 8) };
}

/** Where a framer stands: between PDUs, inside a header, or inside a body (for time limits). */
export type FramerPhase = "idle" | "header" | "body";

/** Cuts one direction of one connection into PDUs. */
export interface Framer {
  /** Adds bytes of the stream. They are kept, not copied, until `next()` has used them up. */
  feed(chunk: Uint8Array): void;
  /**
   * The next whole PDU, or undefined when more bytes are needed. A PDU that lies in one chunk is a
   * subarray of it; one that spans chunks has its own buffer, that nobody else writes to.
   * Throws PcpError PM_ERR_IPC or PM_ERR_TOOBIG for a bad header, and again on every later call.
   */
  next(): Uint8Array | undefined;
  /** `next()` until it has no more: `for (const pdu of framer)`. */
  [Symbol.iterator](): Iterator<Uint8Array>;
  /** End of file: throws PcpError PM_ERR_IPC when it falls inside a PDU. Call after `next()`. */
  end(): void;
  /** Takes out the bytes that are not part of a PDU yet, e.g. when TLS begins on the same stream. */
  takeRest(): Uint8Array;
  /** Bytes fed and not handed out yet. */
  readonly buffered: number;
  readonly phase: FramerPhase;
}

/** A framer that refuses PDUs longer than `ceiling` bytes. */
export function createFramer(ceiling: number = NO_CEILING): Framer {
  // chunks[0] is read at `at`. A PDU that spans chunks is collected in `partial`, of which
  // `have` bytes are filled and `need` wanted (12 until its header is complete).
  const chunks: Uint8Array[] = [];
  let at = 0;
  let partial: Uint8Array = EMPTY;
  let have = 0;
  let need = 0;
  let buffered = 0;
  let failure: unknown;

  const dropChunk = (): void => {
    chunks.shift();
    at = 0;
  };

  const startPartial = (size: number): void => {
    partial = new Uint8Array(Math.min(size, FIRST_BUFFER));
    have = 0;
    need = size;
  };

  /** Moves bytes into `partial`; true when it has all that it needs. */
  const fill = (): boolean => {
    while (have < need) {
      const chunk = chunks[0];
      if (chunk === undefined) return false;
      const size = Math.min(chunk.length - at, need - have);
      if (have + size > partial.length) {
        const grown = new Uint8Array(Math.min(need, Math.max(have + size, partial.length * 2)));
        grown.set(partial.subarray(0, have));
        partial = grown;
      }
      partial.set(at === 0 && size === chunk.length ? chunk : chunk.subarray(at, at + size), have);
      have += size;
      at += size;
      if (at === chunk.length) dropChunk();
    }
    return true;
  };

  const takePartial = (): Uint8Array => {
    const pdu = partial.subarray(0, need);
    partial = EMPTY;
    have = 0;
    need = 0;
    buffered -= pdu.length;
    return pdu;
  };

  const take = (): Uint8Array | undefined => {
    if (need === 0) {
      const chunk = chunks[0];
      if (chunk === undefined) return undefined;
      const left = chunk.length - at;
      if (left < HEADER_BYTES) {
        startPartial(HEADER_BYTES);
      } else {
        const length = checkedLength(chunk, at, ceiling);
        if (left >= length) {
          const pdu = chunk.subarray(at, at + length);
          at += length;
          if (at === chunk.length) dropChunk();
          buffered -= length;
          return pdu;
        }
        startPartial(length);
      }
    }
    if (!fill()) return undefined;
    if (need === HEADER_BYTES) {
      const length = checkedLength(partial, 0, ceiling);
      if (length > HEADER_BYTES) {
        // Twelve bytes are the one thing copied twice: the size was unknown before they were there.
        const header = partial;
        startPartial(length);
        partial.set(header);
        have = HEADER_BYTES;
        if (!fill()) return undefined;
      }
    }
    return takePartial();
  };

  const next = (): Uint8Array | undefined => {
    if (failure !== undefined) throw failure;
    try {
      return take();
    } catch (error) {
      failure = error;
      throw error;
    }
  };

  return {
    feed(chunk) {
      if (chunk.length === 0) return;
      chunks.push(chunk);
      buffered += chunk.length;
    },
    next,
    *[Symbol.iterator]() {
      for (let pdu = next(); pdu !== undefined; pdu = next()) yield pdu;
    },
    end() {
      if (failure !== undefined) throw failure;
      if (buffered > 0)
        throw new PcpError(PM_ERR.IPC, `end of file inside a PDU, after ${buffered} bytes of it`);
    },
    takeRest() {
      const rest = new Uint8Array(buffered);
      rest.set(partial.subarray(0, have));
      let position = have;
      for (const [index, chunk] of chunks.entries()) {
        const part = index === 0 ? chunk.subarray(at) : chunk;
        rest.set(part, position);
        position += part.length;
      }
      chunks.length = 0;
      at = 0;
      partial = EMPTY;
      have = 0;
      need = 0;
      buffered = 0;
      return rest;
    },
    get buffered() {
      return buffered;
    },
    get phase() {
      if (buffered === 0) return "idle";
      return buffered < HEADER_BYTES ? "header" : "body";
    },
  };
}
