// The PDU table, and decoding and encoding of any PDU through it (spec pdu.md 2, 3).
// Decoding gives a Pdu or throws PcpError PM_ERR_IPC that names the PDU and the offset; unknown
// types are data (kind "unknown"), because each peer reacts to them in its own way.
import { BoundsError, PcpError, PM_ERR, Reader, Writer } from "../base/mod.ts";
import { checkedSize, type PduEntry } from "./codec-entry.ts";
import { LABEL_ENTRIES } from "./codec-label.ts";
import { METADATA_ENTRIES } from "./codec-metadata.ts";
import { NAME_ENTRIES } from "./codec-names.ts";
import { REQUEST_ENTRIES } from "./codec-request.ts";
import { RESULT_ENTRIES } from "./codec-result.ts";
import { SESSION_ENTRIES } from "./codec-session.ts";
import { HEADER_BYTES, readHeader } from "./frame.ts";
import type { Pdu, PduKind } from "./types.ts";

/** Every PDU type, in order of its number. */
export const PDU_TABLE: readonly PduEntry[] = [
  ...SESSION_ENTRIES,
  ...REQUEST_ENTRIES,
  ...RESULT_ENTRIES,
  ...METADATA_ENTRIES,
  ...NAME_ENTRIES,
  ...LABEL_ENTRIES,
].toSorted((a, b) => a.type - b.type);

const byType: ReadonlyMap<number, PduEntry> = new Map(PDU_TABLE.map((row) => [row.type, row]));
const byKind: ReadonlyMap<PduKind, PduEntry> = new Map(
  PDU_TABLE.flatMap((row) => row.kinds.map((kind) => [kind, row] as const)),
);

/** PCP's name of a type number; a hexadecimal number for one that is not in the table. */
export const pduTypeName = (type: number): string =>
  byType.get(type)?.name ?? `0x${(type >>> 0).toString(16)}`;

/**
 * Decodes one whole PDU, as a framer hands it out. Byte arrays in the result share its memory.
 * Throws PcpError: PM_ERR_IPC for a malformed PDU or one whose length differs from its header's,
 * PM_ERR_TOOBIG for a header length next to 2^31, and for PMNS_NAMES with a negative count that
 * count, which is the sender's error code.
 */
export function decodePdu(bytes: Uint8Array): Pdu {
  const { length, type, from } = readHeader(bytes);
  const row = byType.get(type);
  if (length !== bytes.length)
    throw new PcpError(
      PM_ERR.IPC,
      `malformed ${pduTypeName(type)} PDU, offset 0: length ${length} in ${bytes.length} bytes`,
    );
  if (row === undefined) return { kind: "unknown", from, type, body: bytes.subarray(HEADER_BYTES) };
  try {
    return row.decode(from, new Reader(bytes, HEADER_BYTES));
  } catch (error) {
    if (error instanceof BoundsError)
      throw new PcpError(PM_ERR.IPC, `malformed ${row.name} PDU: ${error.message}`, {
        cause: error,
      });
    throw error;
  }
}

/**
 * Encodes one PDU, header included, into one buffer of its size.
 * Throws PcpError PM_ERR_ARG when a count or length is outside what the layout can carry, and
 * PM_ERR_TOOBIG for a PDU that comes near 2^31 bytes.
 */
export function encodePdu(pdu: Pdu): Uint8Array {
  if (pdu.kind === "unknown") {
    const length = HEADER_BYTES + pdu.body.length;
    const out = new Writer(length, length).i32(length).i32(pdu.type).i32(pdu.from);
    return out.put(pdu.body).finish();
  }
  const row = byKind.get(pdu.kind);
  if (row === undefined) throw new PcpError(PM_ERR.ARG, `no PDU of kind ${pdu.kind}`);
  const length = checkedSize(row.name, HEADER_BYTES + row.size(pdu));
  const out = new Writer(length, length).i32(length).i32(row.type).i32(pdu.from);
  row.encode(pdu, out);
  return out.finish();
}
