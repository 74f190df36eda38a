// Random access to an archive file that is not compressed. Blocks are read into one buffer that grows
// to the largest read asked for. Refuses what the system refuses, with the errno of it.
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { asPcpError } from "../base/mod.ts";

/** How files are opened: a pipe is then refused by its first read, and does not wait for a writer. */
export const READ_ONLY = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** Bytes of an archive file, decompressed where need be, at any position. */
export interface ArchiveFile {
  /** Bytes in the file now; undefined for a compressed one that has not been read to its end. */
  readonly size: number | undefined;
  /**
   * Bytes `[position, position + length)`, fewer only at the end of the file. They may be overwritten
   * by the next read. A file that is not compressed uses `memory` for them if they fit there. Throws
   * PcpError.
   */
  read(position: number, length: number, memory?: Uint8Array): Uint8Array;
  close(): void;
}

/** Opens a file; throws PcpError with the errno. */
export function openPlainFile(path: string): ArchiveFile {
  const run = <T>(body: () => T): T => {
    try {
      return body();
    } catch (error) {
      throw asPcpError(error);
    }
  };
  const descriptor = run(() => openSync(path, READ_ONLY));
  const sizeNow = (): number => run(() => fstatSync(descriptor).size);
  let buffer = new Uint8Array(0);
  const fill = (target: Uint8Array, position: number, wanted: number): Uint8Array => {
    let got = 0;
    while (got < wanted) {
      const step = run(() => readSync(descriptor, target, got, wanted - got, position + got));
      if (step === 0) break;
      got += step;
    }
    return target.subarray(0, got);
  };
  return {
    get size() {
      return sizeNow();
    },
    read(position, length, memory) {
      let wanted = length;
      if (memory !== undefined && memory.length >= wanted) return fill(memory, position, wanted);
      // A length that damage made up must not become memory.
      if (wanted > buffer.length) wanted = Math.max(0, Math.min(wanted, sizeNow() - position));
      if (wanted > buffer.length) buffer = new Uint8Array(wanted);
      return fill(buffer, position, wanted);
    },
    close: () => closeSync(descriptor),
  };
}

/** The size of a file; a compressed one is decoded to its end for it when need be. */
export function sizeOf(file: ArchiveFile): number {
  if (file.size === undefined) file.read(Number.MAX_SAFE_INTEGER - 1, 1);
  return file.size ?? 0;
}

const CHUNK = 1024 * 1024;

/** All bytes from a position to the end, at most `limit`, in memory of their own. */
export function readToEnd(
  file: ArchiveFile,
  from: number,
  limit = Number.POSITIVE_INFINITY,
): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (let at = from; ;) {
    const piece = file.read(at, Math.min(CHUNK, from + limit - at)).slice();
    pieces.push(piece);
    at += piece.length;
    if (piece.length < CHUNK) return pieces.length === 1 ? piece : Buffer.concat(pieces);
  }
}
