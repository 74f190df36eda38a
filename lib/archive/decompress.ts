// What every decoder of compressed archive files shares: where the bytes come from, what a decoder
// gives, and how damage is reported. A decoder is a generator of pieces, so that a file of any size is
// decoded with the memory of a few pieces and can be left and taken up again without threads.
import { PM_ERR, PcpError } from "../base/mod.ts";

/** The compressed file as a decoder sees it. */
export interface ByteSource {
  /** Named in errors. */
  readonly path: string;
  /** Bytes in the compressed file when it was opened. */
  readonly size: number;
  /** Bytes `[at, at + length)`, fewer only at the end of the file; the caller may keep them. */
  read(at: number, length: number): Uint8Array;
}

/** A place where decoding can begin without anything before it. */
export interface EntryPoint {
  /** Offset in the compressed file: bits for bzip2, bytes for every other format. */
  readonly at: number;
  /** Offset of its first byte in the decoded data. */
  readonly position: number;
  /** What else the format needs there; the meaning is the format's own. */
  readonly note?: number;
}

/** A compressed file whose outline has been read. */
export interface Compressed {
  /** Bytes of the decoded data when the file says so, else undefined. */
  readonly size: number | undefined;
  /** Entry points known from the outline in ascending order; the first one is the start. */
  readonly entries: readonly EntryPoint[];
  /**
   * Decodes from an entry point to the end of the file. A piece may be overwritten by the next step.
   * `found` hears of entry points as they are passed, the given one not among them. Throws PcpError
   * PM_ERR_LOGREC at damage, after everything that precedes it was given.
   */
  decode(from: EntryPoint, found: (entry: EntryPoint) => void): Generator<Uint8Array, void>;
}

/**
 * Looks at the outline of a file of one format; throws PcpError PM_ERR_LOGREC when it is broken.
 * `library`: whether a library of the system may do the decoding.
 */
export type OpenCompressed = (source: ByteSource, library: boolean) => Compressed;

const BROKEN = "compressed data broken";

/** Damage at byte `at` of the compressed file. */
export const damaged = (source: ByteSource, at: number, reason: string): PcpError =>
  new PcpError(PM_ERR.LOGREC, `${source.path}: ${BROKEN} at offset ${at}: ${reason}`);

/** Whether an error is such damage, for which PCP does not even open an archive. */
export const isBrokenCompression = (error: PcpError): boolean => error.message.includes(BROKEN);

/** The file ends where there should be more of it. */
export const endsEarly = (source: ByteSource, at = source.size): PcpError =>
  damaged(source, at, "the file ends early");

/** Reads exactly `length` bytes at `at`, or throws that the file ends early. */
export function readExactly(source: ByteSource, at: number, length: number): Uint8Array {
  const bytes = source.read(at, length);
  if (bytes.length < length) throw endsEarly(source, Math.max(at, source.size));
  return bytes;
}

/** The start as the only entry point. */
export const START: readonly EntryPoint[] = [{ at: 0, position: 0 }];

/**
 * Gives the pieces of `pieces`, each shown to `look` before, and returns what that returns. Unlike a loop
 * over them, it also ends them when it is left early.
 */
export function* watched<T>(
  pieces: Generator<Uint8Array, T>,
  look: (piece: Uint8Array) => void,
): Generator<Uint8Array, T> {
  let step = pieces.next();
  try {
    for (; step.done !== true; step = pieces.next()) {
      look(step.value);
      yield step.value;
    }
    return step.value;
  } finally {
    if (step.done !== true) (pieces as Generator<Uint8Array, unknown>).return(undefined);
  }
}
