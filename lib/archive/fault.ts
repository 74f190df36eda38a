// What is wrong where in an archive, as data: file, offset, kind of record, reason. Every error about
// the bytes of an archive is made here, so that all of them name the same four things.
import { BoundsError, PcpError, type PmErrCode } from "../base/mod.ts";

/** The kinds of record that an error can be about. */
export type RecordKind =
  | "label record"
  | "metadata record"
  | "descriptor record"
  | "instance domain record"
  | "label set record"
  | "help text record"
  | "index entry"
  | "data record";

/** Where a record stands; `offset` is that of its first byte in the (decompressed) file. */
export interface RecordPlace {
  readonly file: string;
  readonly offset: number;
}

/** The `cause` of a PcpError about damage in an archive. */
export interface ArchiveFault extends RecordPlace {
  readonly record: RecordKind;
  readonly reason: string;
}

/** A record that belongs to no file: one that was just made, or a piece of bytes in a test. */
export const NO_PLACE: RecordPlace = { file: "archive", offset: 0 };

/** The error for a fault; its message is "FILE: KIND at offset N: REASON". */
export function archiveError(
  code: PmErrCode,
  record: RecordKind,
  { file, offset }: RecordPlace,
  reason: string,
): PcpError {
  const cause: ArchiveFault = { file, offset, record, reason };
  return new PcpError(code, `${file}: ${record} at offset ${offset}: ${reason}`, { cause });
}

/** The fault that an error of this room carries, undefined for other errors. */
export function faultOf(error: unknown): ArchiveFault | undefined {
  const cause = error instanceof PcpError ? error.cause : undefined;
  const named = typeof cause === "object" && cause !== null && "record" in cause;
  return named ? (cause as ArchiveFault) : undefined;
}

/** Runs `read`; a read past the end of the record becomes the error of `code` at `place`. */
export function within<T>(
  code: PmErrCode,
  record: RecordKind,
  place: RecordPlace,
  read: () => T,
): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof BoundsError)) throw error;
    throw archiveError(
      code,
      record,
      place,
      `${error.need} bytes needed at its byte ${error.offset}, ${Math.max(error.have, 0)} left`,
    );
  }
}
