// What one row of the PDU table is, and the helpers that every decoder and encoder shares: padded
// texts, counts, and the one way to say that a PDU is malformed (PM_ERR_IPC, with the offset).
import { pad4, PcpError, PM_ERR, utf8, type Reader, type Writer } from "../base/mod.ts";
import { NO_CEILING, PADDING } from "./frame.ts";
import type { Pdu, PduType } from "./types.ts";

/** Who sends a PDU to whom: C client, D pmcd, A agent (spec pdu.md 2). */
export type Direction = "C>D" | "D>C" | "D>A" | "A>D";

/** One row of the PDU table. */
export interface PduEntry {
  readonly type: PduType;
  /** PCP's name for the type. */
  readonly name: string;
  readonly directions: readonly Direction[];
  /** The kinds that travel under this type. */
  readonly kinds: readonly Pdu["kind"][];
  /** Reads the body; `body` stands at byte 12 of the whole PDU. Throws BoundsError or PcpError. */
  decode(from: number, body: Reader): Pdu;
  /** Bytes of the body that `encode` will write. */
  size(pdu: Pdu): number;
  /** Writes the body behind a header that is already in `out`. */
  encode(pdu: Pdu, out: Writer): void;
}

/** Makes a row from functions for the row's own kinds: the table looks rows up by kind. */
export function entry<P extends Pdu>(row: {
  readonly type: PduType;
  readonly name: string;
  readonly directions: readonly Direction[];
  readonly kinds: readonly P["kind"][];
  decode(from: number, body: Reader): P;
  size(pdu: P): number;
  encode(pdu: P, out: Writer): void;
}): PduEntry {
  return {
    ...row,
    size: (pdu) => row.size(pdu as P),
    encode: (pdu, out) => row.encode(pdu as P, out),
  };
}

/** PM_ERR_IPC for a body that breaks the layout; `at` is the offset in the PDU. */
export const malformed = (name: string, at: number, reason: string): PcpError =>
  new PcpError(PM_ERR.IPC, `malformed ${name} PDU, offset ${at}: ${reason}`);

/** PM_ERR_ARG for something that the layout cannot carry. */
export const unsendable = (name: string, reason: string): PcpError =>
  new PcpError(PM_ERR.ARG, `cannot encode ${name} PDU: ${reason}`);

/** `length` of a PDU to be made; throws PM_ERR_TOOBIG when no reader takes that (spec pdu.md 1.3). */
export function checkedSize(name: string, length: number): number {
  if (length <= NO_CEILING) return length;
  throw new PcpError(PM_ERR.TOOBIG, `cannot encode ${name} PDU: ${length} bytes`);
}

/** Throws unless the body ends where the reader stands. */
export function expectEnd(name: string, body: Reader): void {
  if (body.remaining !== 0)
    throw malformed(name, body.position, `${body.remaining} bytes more than the layout has`);
}

/** Reads a count of things of at least `size` bytes each that must all lie in the rest. */
export function readCount(name: string, body: Reader, size: number, least = 0): number {
  const at = body.position;
  const count = body.i32();
  if (count < least || count > body.remaining / size)
    throw malformed(name, at, `count ${count} does not fit ${body.remaining} bytes`);
  return count;
}

/** Reads the length of a text, in bytes that must all lie in the rest. */
export function readTextSize(name: string, body: Reader): number {
  const at = body.position;
  const size = body.i32();
  if (size < 0 || size > body.remaining)
    throw malformed(name, at, `text of ${size} bytes in ${body.remaining} bytes`);
  return size;
}

/** Reads a text of a checked size and its padding, which may be missing at the end of a PDU. */
export function readPadded(body: Reader, size: number): string {
  const text = body.text(size);
  body.skip(Math.min(pad4(size) - size, body.remaining));
  return text;
}

/** Reads `int32 length, bytes, padding`. */
export const readText = (name: string, body: Reader): string =>
  readPadded(body, readTextSize(name, body));

/** Bytes that `writeText` writes. */
export const textSize = (text: string): number => 4 + pad4(Buffer.byteLength(text));

/** Writes `int32 length, bytes, padding`; returns the length in bytes. */
export function writeText(text: string, out: Writer): number {
  const bytes = utf8(text);
  out.i32(bytes.length).put(bytes);
  out.fill(PADDING, pad4(bytes.length) - bytes.length);
  return bytes.length;
}
