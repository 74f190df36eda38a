// The recordings under tests/fixtures/pdu, and the four ways in which each is put through the PDU
// codecs: whole, byte by byte, cut at every position, and encoded again to the same bytes.
import { expect } from "bun:test";
import { join } from "node:path";
import { PM_ERR, PcpError } from "../../lib/base/mod.ts";
import { createFramer, decodePdu, encodePdu, type Pdu } from "../../lib/pdu/mod.ts";

/** A JSON value of vectors.json. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
/** A JSON object of vectors.json. */
export interface JsonObject {
  readonly [key: string]: Json;
}

/** One recorded PDU. */
export interface Vector {
  readonly id: number;
  readonly name: string;
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly decoded: JsonObject;
}

/** One recorded exchange: PDUs in order, with their side. */
export interface Conversation {
  readonly name: string;
  readonly exchange: readonly { readonly dir: string; readonly hex: string }[];
}

/** What a real peer answered to requests, some of them malformed. */
export interface Reaction {
  readonly peer: string;
  readonly case: string;
  readonly send: readonly string[];
  readonly "reply_6.0.3": string | readonly string[];
  readonly "reply_7.2.1": string | readonly string[];
}

interface VectorFile {
  readonly vectors: readonly (Omit<Vector, "bytes"> & { readonly bytes: number })[];
  readonly conversations: readonly Conversation[];
  readonly reactions: readonly Reaction[];
}

/** Directory of the recordings. */
export const VECTOR_DIRECTORY = join(import.meta.dir, "../fixtures/pdu");

/** Bytes of a hexadecimal text. */
export const unhex = (text: string): Uint8Array =>
  new Uint8Array(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));
/** Hexadecimal text of bytes. */
export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

const index = (await Bun.file(join(VECTOR_DIRECTORY, "vectors.json")).json()) as VectorFile;

/** Every recorded PDU, in order of its number. */
export const VECTORS: readonly Vector[] = await Promise.all(
  index.vectors.map(async (vector) => ({
    ...vector,
    bytes: unhex(await Bun.file(join(VECTOR_DIRECTORY, vector.file)).text()),
  })),
);
/** Complete recorded exchanges. */
export const CONVERSATIONS: readonly Conversation[] = index.conversations;
/** Requests with the reply of the real program. */
export const REACTIONS: readonly Reaction[] = index.reactions;

/** The PDU of `bytes`, or the PcpError that decoding threw; any other exception is passed on. */
export function decodeOutcome(bytes: Uint8Array): Pdu | PcpError {
  try {
    return decodePdu(bytes);
  } catch (error) {
    if (error instanceof PcpError) return error;
    throw error;
  }
}

/** First way: whole, through decodePdu; the bytes are left alone. */
export function decodeWhole(bytes: Uint8Array): Pdu {
  const before = hex(bytes);
  const pdu = decodePdu(bytes);
  expect(hex(bytes)).toBe(before);
  return pdu;
}

/** Second way: one byte at a time through a framer; exactly one PDU comes out, after the last byte. */
export function decodeByteByByte(bytes: Uint8Array): Pdu {
  const framer = createFramer();
  for (let at = 0; at < bytes.length; at++) {
    expect(framer.next()).toBeUndefined();
    framer.feed(bytes.slice(at, at + 1));
  }
  const pdu = framer.next();
  expect(framer.next()).toBeUndefined();
  framer.end();
  expect(pdu && hex(pdu)).toBe(hex(bytes));
  return decodePdu(pdu ?? bytes.subarray(0, 0));
}

/**
 * Third way: cut at every position. The framer wants more and calls an end of file there
 * PM_ERR_IPC; a PDU whose length says that it ends there is PM_ERR_IPC or legal.
 */
export function cutEverywhere(bytes: Uint8Array): void {
  for (let at = 1; at < bytes.length; at++) {
    const framer = createFramer();
    framer.feed(bytes.subarray(0, at));
    expect(framer.next()).toBeUndefined();
    let end: unknown;
    try {
      framer.end();
    } catch (error) {
      end = error;
    }
    expect(end).toBeInstanceOf(PcpError);
    expect((end as PcpError).code).toBe(PM_ERR.IPC);
    if (at < 12) continue;
    const short = bytes.slice(0, at);
    new DataView(short.buffer).setInt32(0, at);
    const outcome = decodeOutcome(short);
    if (outcome instanceof PcpError) expect(outcome.code).toBe(PM_ERR.IPC);
  }
}

/** Fourth way: encoded again, the bytes are the same, padding and leftovers included. */
export function encodeAgain(pdu: Pdu, bytes: Uint8Array): void {
  expect(hex(encodePdu(pdu))).toBe(hex(bytes));
}
