// The frame of metadata records: length, type, body, length (spec archive.md 2.2, 3.2). Bodies are
// read and written by the module of each kind; the frame's own checks are the metadata loader's.
import { Reader, Writer } from "../base/mod.ts";

/** Type words of metadata records. */
export const META_TYPE = {
  DESC: 1,
  INDOM_V2: 2,
  LABEL_V2: 3,
  TEXT: 4,
  INDOM: 5,
  INDOM_DELTA: 6,
  LABEL: 7,
} as const;

/**
 * Longest record that is read, metadata or data. A host with every agent and 10,000 processes writes
 * some megabytes; a longer record is damage, and must not become memory when a file is compressed.
 */
export const MAX_RECORD_BYTES = 256 * 1024 * 1024;

/** Bytes of length and type words before a body. */
export const META_HEAD = 8;
/** Bytes of the length word after a body. */
export const TRAILER = 4;

/** A reader over the body of a whole record. */
export const unframed = (bytes: Uint8Array): Reader =>
  new Reader(bytes, META_HEAD, bytes.length - TRAILER);

/** A whole record of a type with the body that `write` appends. */
export function frame(type: number, write: (out: Writer) => void): Uint8Array {
  const out = new Writer();
  out.i32(0).i32(type);
  write(out);
  const length = out.length + TRAILER;
  out.patchI32(0, length);
  return out.i32(length).finish();
}
