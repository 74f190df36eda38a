// Random access to archive files, compressed or not (spec archive.md 1.3). A compressed file is decoded
// in this process, without temporary files: the decoded data are cut into chunks, of which a bounded
// number over all files is kept, and decoding goes on where it stopped or begins anew at the nearest
// place that the format allows. Refuses what the system refuses, and damage with PM_ERR_LOGREC.
import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { asPcpError, PcpError } from "../base/mod.ts";
import {
  type ByteSource,
  type Compressed,
  damaged,
  type EntryPoint,
  type OpenCompressed,
} from "./decompress.ts";
import { openBzip2 } from "./decompress-bzip2.ts";
import { openLzw } from "./decompress-lzw.ts";
import { openGzip, openZstd } from "./decompress-native.ts";
import { openLzma, openXz } from "./decompress-xz.ts";
import { type ArchiveFile, openPlainFile, READ_ONLY } from "./plain-file.ts";

/** Decoded bytes that are kept, over all open files. */
export const MAX_CACHE_BYTES = 64 * 1024 * 1024;
/** Decoded data are kept in chunks of this size. */
const CHUNK = 256 * 1024;
/** Small reads of a compressed file are taken from a block of this size. */
const SOURCE_BLOCK = 64 * 1024;
/** A length word: fewer bytes than this before damage are not worth a short read. */
const WORTH = 4;
const NOTHING = new Uint8Array(0);

const byMagic =
  (first: number, second: number, open: OpenCompressed, other: OpenCompressed): OpenCompressed =>
  (source, library) => {
    const head = source.read(0, 2);
    const right = head[0] === first && head[1] === second ? open : other;
    return right(source, library);
  };
// As the programs for these suffixes do: xz takes both of its forms, gzip takes data of compress(1).
const xzOrLzma = byMagic(0xfd, 0x37, openXz, openLzma);
const gzipOrLzw = byMagic(0x1f, 0x9d, openLzw, openGzip);

const DECODERS: ReadonlyMap<string, OpenCompressed> = new Map([
  [".xz", xzOrLzma],
  [".lzma", xzOrLzma],
  [".bz2", openBzip2],
  [".bz", openBzip2],
  [".gz", gzipOrLzw],
  [".Z", gzipOrLzw],
  [".z", gzipOrLzw],
  [".zst", openZstd],
]);

/** How a file is compressed, as its suffix says: ".xz" and the like; undefined for a plain file. */
export function compressionOf(path: string): string | undefined {
  const suffix = path.slice(path.lastIndexOf("."));
  return DECODERS.has(suffix) ? suffix : undefined;
}

/** Bytes of chunks that were made since memory was last collected. */
let made = 0;

/**
 * Memory for a chunk with anything in it: it is filled before it is seen. Chunks that left the cache
 * are small objects with much behind them: on a large machine the engine would let hundreds of
 * megabytes of them wait, so it is asked to collect them.
 */
function newChunk(): Uint8Array {
  made += CHUNK;
  if (made > MAX_CACHE_BYTES / 2) {
    made = 0;
    Bun.gc(true);
  }
  return new Uint8Array(Buffer.allocUnsafeSlow(CHUNK).buffer);
}

/** Chunks in order of their last use, with the file's own map and the number in it. */
const cache = new Map<Uint8Array, readonly [chunks: Map<number, Uint8Array>, index: number]>();

function keep(chunks: Map<number, Uint8Array>, index: number, bytes: Uint8Array): void {
  const before = chunks.get(index);
  if (before !== undefined) cache.delete(before);
  chunks.set(index, bytes);
  cache.set(bytes, [chunks, index]);
  if (cache.size <= MAX_CACHE_BYTES / CHUNK) return;
  for (const [oldest, [owner, number]] of cache) {
    cache.delete(oldest);
    owner.delete(number);
    return;
  }
}

function lookUp(chunks: Map<number, Uint8Array>, index: number): Uint8Array | undefined {
  const bytes = chunks.get(index);
  const place = bytes && cache.get(bytes);
  if (bytes === undefined || place === undefined) return undefined;
  cache.delete(bytes);
  cache.set(bytes, place);
  return bytes;
}

function byteSource(path: string, descriptor: number): ByteSource {
  const size = fstatSync(descriptor).size;
  const load = (at: number, length: number): Uint8Array => {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, size - at)));
    let got = 0;
    while (got < bytes.length) {
      let step: number;
      try {
        step = readSync(descriptor, bytes, got, bytes.length - got, at + got);
      } catch (error) {
        throw asPcpError(error);
      }
      if (step === 0) break;
      got += step;
    }
    return got < bytes.length ? bytes.subarray(0, got) : bytes;
  };
  let block: Uint8Array = new Uint8Array(0);
  let base = 0;
  return {
    path,
    size,
    read(at, length) {
      if (length >= SOURCE_BLOCK) return load(at, length);
      if (at < base || at + length > base + block.length) {
        base = at;
        block = load(at, SOURCE_BLOCK);
      }
      return block.subarray(at - base, at - base + length);
    },
  };
}

/** Decoding under way: pieces, and the chunk that they fill. */
interface Run {
  readonly pieces: Generator<Uint8Array, void>;
  /** Offset of the next piece in the decoded data. */
  position: number;
  /** Number of the chunk being filled, and its bytes. */
  index: number;
  chunk: Uint8Array;
  filled: number;
}

/** Damage met by decoding from an entry point. */
interface Damage {
  /** Where the data from before it end. */
  readonly position: number;
  readonly error: PcpError;
}

/** The decoded data of one compressed file, by chunks. */
class Decoded {
  size: number | undefined;
  private readonly chunks = new Map<number, Uint8Array>();
  private readonly entries: EntryPoint[];
  private readonly damages: Damage[] = [];
  private run: Run | undefined;

  constructor(
    private readonly source: ByteSource,
    private readonly compressed: Compressed,
  ) {
    this.size = compressed.size;
    this.entries = [...compressed.entries];
  }

  /** The chunk of a number: whole, or short at the end of the data; throws at damage. */
  chunk(index: number): Uint8Array | undefined {
    const known = lookUp(this.chunks, index);
    if (known !== undefined) return known;
    if (this.size !== undefined && index * CHUNK >= this.size) return undefined;
    const entry = this.checkDamage(index * CHUNK);
    if (this.run === undefined || this.run.index > index || entry.position > this.run.position) {
      this.stop();
      this.run = this.start(entry);
    }
    // Every chunk passed on the way is kept; the one wanted is the last one.
    while (this.run !== undefined && this.run.index <= index) this.step(this.run);
    return lookUp(this.chunks, index);
  }

  /** Where decoding for `position` begins; throws the damage between there and it, if it is known. */
  checkDamage(position: number): EntryPoint {
    const entry = this.entryBefore(position);
    const damage = this.damages.find(
      (each) => entry.position <= each.position && each.position <= position,
    );
    if (damage !== undefined) throw damage.error;
    return entry;
  }

  close(): void {
    this.stop();
    for (const bytes of this.chunks.values()) cache.delete(bytes);
    this.chunks.clear();
  }

  private entryBefore(position: number): EntryPoint {
    const { entries } = this;
    let low = 0;
    let high = entries.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((entries[middle] as EntryPoint).position <= position) low = middle;
      else high = middle;
    }
    return entries[low] as EntryPoint;
  }

  private found(entry: EntryPoint): void {
    const last = this.entries.at(-1);
    if (last !== undefined && entry.position > last.position) this.entries.push(entry);
  }

  private start(entry: EntryPoint): Run {
    return {
      pieces: this.compressed.decode(entry, (each) => this.found(each)),
      position: entry.position,
      index: Math.ceil(entry.position / CHUNK),
      chunk: newChunk(),
      filled: 0,
    };
  }

  private stop(): void {
    this.run?.pieces.return();
    this.run = undefined;
  }

  private step(run: Run): void {
    let piece: Uint8Array | undefined;
    try {
      const { done, value } = run.pieces.next();
      if (done !== true) piece = value;
      else if (this.size !== undefined && this.size !== run.position) {
        const counts = `${run.position} decoded bytes, ${this.size} expected`;
        throw damaged(this.source, this.source.size, counts);
      }
    } catch (error) {
      if (!(error instanceof PcpError)) throw error;
      this.damages.push({ position: run.position, error });
      this.finish(run);
      return;
    }
    if (piece === undefined) {
      this.size = run.position;
      this.finish(run);
      return;
    }
    // What lies before the first whole chunk after an entry point is of no use.
    let at = Math.min(piece.length, Math.max(0, run.index * CHUNK - run.position));
    run.position += piece.length;
    while (at < piece.length) {
      const part = piece.subarray(at, at + CHUNK - run.filled);
      run.chunk.set(part, run.filled);
      run.filled += part.length;
      at += part.length;
      if (run.filled < CHUNK) break;
      keep(this.chunks, run.index, run.chunk);
      run.index++;
      run.chunk = newChunk();
      run.filled = 0;
    }
  }

  /** Keeps the last chunk, which is short. */
  private finish(run: Run): void {
    if (run.filled > 0) keep(this.chunks, run.index, run.chunk.slice(0, run.filled));
    this.stop();
  }
}

/** The decoded data of an open file, for all who have it open. */
interface Opened {
  readonly decoded: Decoded;
  readonly descriptor: number;
  users: number;
}

/** Open compressed files by path, place on disk, size and time of change. */
const opened = new Map<string, Opened>();

function keyOf(path: string): string {
  try {
    const { dev, ino, size, mtimeMs } = statSync(path);
    return `${dev} ${ino} ${size} ${mtimeMs} ${path}`;
  } catch (error) {
    throw asPcpError(error);
  }
}

function openDecoded(path: string, open: OpenCompressed, library: boolean): Opened {
  let descriptor: number;
  try {
    descriptor = openSync(path, READ_ONLY);
  } catch (error) {
    throw asPcpError(error);
  }
  try {
    const source = byteSource(path, descriptor);
    return { decoded: new Decoded(source, open(source, library)), descriptor, users: 0 };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/**
 * Opens a compressed file; it is decoded once for all who have it open at the same time. A read may
 * end short before damage; a read there (or less than a length word before it) throws PM_ERR_LOGREC,
 * naming file, offset in the compressed file and reason.
 */
function openCompressedFile(path: string, open: OpenCompressed, library: boolean): ArchiveFile {
  const key = `${library} ${keyOf(path)}`;
  const file = opened.get(key) ?? openDecoded(path, open, library);
  opened.set(key, file);
  file.users++;
  let closed = false;
  // Reads over the ends of chunks are put together here; new memory for each costs more than the copy.
  let joined: Uint8Array = NOTHING;
  return {
    get size() {
      return file.decoded.size;
    },
    read(position, length) {
      const pieces = readDecoded(file.decoded, position, length);
      const [only = NOTHING] = pieces;
      if (pieces.length <= 1) return only;
      const total = pieces.reduce((sum, piece) => sum + piece.length, 0);
      if (joined.length < total) joined = new Uint8Array(total);
      let at = 0;
      for (const piece of pieces) {
        joined.set(piece, at);
        at += piece.length;
      }
      return joined.subarray(0, total);
    },
    close() {
      if (closed) return;
      closed = true;
      file.users--;
      if (file.users > 0) return;
      opened.delete(key);
      file.decoded.close();
      closeSync(file.descriptor);
    },
  };
}

/** The bytes of a read, as they lie in chunks. */
function readDecoded(decoded: Decoded, position: number, length: number): readonly Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let at = position;
  let left = length;
  while (left > 0) {
    let chunk: Uint8Array | undefined;
    try {
      chunk = decoded.chunk(Math.floor(at / CHUNK));
    } catch (error) {
      if (at - position < WORTH) throw error;
      break;
    }
    const from = at % CHUNK;
    const piece = chunk?.subarray(from, from + left);
    if (piece === undefined || piece.length === 0) {
      if (at - position < WORTH) decoded.checkDamage(at);
      break;
    }
    pieces.push(piece);
    at += piece.length;
    left -= piece.length;
  }
  return pieces;
}

/** How an archive file is opened. */
export interface FileOptions {
  /** Whether the system's liblzma and libbz2 may decode, where they are. Default: true. */
  readonly library?: boolean;
}

/** Opens an archive file of any form; the suffix says how it is compressed. Throws PcpError. */
export function openArchiveFile(path: string, { library = true }: FileOptions = {}): ArchiveFile {
  const open = DECODERS.get(compressionOf(path) ?? "");
  return open === undefined ? openPlainFile(path) : openCompressedFile(path, open, library);
}
