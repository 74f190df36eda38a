// Files of gzip and zstd, decoded by the runtime's own code: a member or frame of any size goes through
// in small pieces, synchronously. node:zlib has no synchronous interface for pieces, so its native
// handle is used as its own synchronous calls use it; the runtime's version is pinned and the tests
// run every form. The containers are read here, for entry points, checksums and data cut short.
import { hash } from "bun";
import { PM_ERR, PcpError, viewOf } from "../base/mod.ts";
import {
  type ByteSource,
  type Compressed,
  damaged,
  type EntryPoint,
  readExactly,
  START,
  watched,
} from "./decompress.ts";

/** Not an import at the top: most archives are plain, and it takes longer to load than they do. */
const zlib = () => process.getBuiltinModule("node:zlib");

/** Compressed bytes given to the native code at a time; what one broken piece costs. */
const INPUT_PIECE = 4096;
const OUTPUT_PIECE = 256 * 1024;
/** Frames of zstd that are kept as entry points. */
const MAX_FRAMES = 1_000_000;

/** What is used of node:zlib's native side. */
interface NativeHandle {
  onerror: (message: string) => void;
  writeSync(
    flush: number,
    input: Uint8Array,
    inputAt: number,
    inputLength: number,
    output: Uint8Array,
    outputAt: number,
    outputLength: number,
  ): void;
}
interface NativeStream {
  readonly _handle?: Partial<NativeHandle>;
  /** Room left in the output, bytes left of the input. */
  readonly _writeState?: Uint32Array;
  close(): void;
}

/** A native decoder for pieces. */
interface NativeDecoder {
  /** Decodes from `input` into `output`, both from their starts. */
  step(input: Uint8Array, output: Uint8Array): { readonly taken: number; readonly given: number };
  /** Message of the native code; undefined while all is well. */
  readonly problem: string | undefined;
  close(): void;
}

function nativeDecoder(stream: NativeStream): NativeDecoder {
  const handle = stream._handle;
  const state = stream._writeState;
  if (handle?.writeSync === undefined || state === undefined) {
    throw new PcpError(PM_ERR.GENERIC, "this runtime cannot decode gzip and zstd synchronously");
  }
  let problem: string | undefined;
  handle.onerror = (message) => {
    problem = message;
  };
  return {
    step: (input, output) => {
      handle.writeSync?.(0, input, 0, input.length, output, 0, output.length);
      if (problem !== undefined) return { taken: 0, given: 0 };
      return { taken: input.length - (state[1] ?? 0), given: output.length - (state[0] ?? 0) };
    },
    get problem() {
      return problem;
    },
    close: () => stream.close(),
  };
}

/**
 * Feeds `[at, end)` to a decoder and gives what comes out, until the decoder takes no more or the end
 * is reached; returns the offset of the first byte that was not taken.
 */
function* feed(
  source: ByteSource,
  decoder: NativeDecoder,
  at: number,
  end: number,
): Generator<Uint8Array, number> {
  const output = new Uint8Array(OUTPUT_PIECE);
  for (;;) {
    const input = source.read(at, Math.min(INPUT_PIECE, end - at));
    const { taken, given } = decoder.step(input, output);
    if (decoder.problem !== undefined) throw damaged(source, at, decoder.problem);
    at += taken;
    if (given > 0) yield output.subarray(0, given);
    const full = given === output.length;
    if (!full && (taken < input.length || input.length === 0)) return at;
  }
}

const GZIP_FLAGS = { HEADER_CRC: 2, EXTRA: 4, NAME: 8, COMMENT: 16, RESERVED: 0xe0 } as const;
const GZIP_HEADER = 10;
const GZIP_TRAILER = 8;

/** Offset after the member header at `at`. */
function memberData(source: ByteSource, at: number): number {
  const head = readExactly(source, at, GZIP_HEADER);
  const flags = head[3] ?? 0;
  if (
    head[0] !== 0x1f ||
    head[1] !== 0x8b ||
    head[2] !== 8 ||
    (flags & GZIP_FLAGS.RESERVED) !== 0
  ) {
    throw damaged(source, at, "no gzip member header");
  }
  let cursor = at + GZIP_HEADER;
  if ((flags & GZIP_FLAGS.EXTRA) !== 0) {
    cursor += 2 + viewOf(readExactly(source, cursor, 2)).getUint16(0, true);
  }
  for (const flag of [GZIP_FLAGS.NAME, GZIP_FLAGS.COMMENT]) {
    if ((flags & flag) === 0) continue;
    for (;;) {
      const piece = source.read(cursor, INPUT_PIECE);
      if (piece.length === 0) throw damaged(source, source.size, "the file ends early");
      const end = piece.indexOf(0);
      cursor += end < 0 ? piece.length : end + 1;
      if (end >= 0) break;
    }
  }
  return cursor + ((flags & GZIP_FLAGS.HEADER_CRC) === 0 ? 0 : 2);
}

function* gzipMember(source: ByteSource, at: number): Generator<Uint8Array, number> {
  const decoder = nativeDecoder(zlib().createInflateRaw() as unknown as NativeStream);
  try {
    let sum = 0;
    let size = 0;
    const pieces = feed(source, decoder, memberData(source, at), source.size);
    const trailerAt = yield* watched(pieces, (piece) => {
      sum = hash.crc32(piece, sum);
      size += piece.length;
    });
    const trailer = viewOf(readExactly(source, trailerAt, GZIP_TRAILER));
    if (trailer.getUint32(0, true) !== sum) throw damaged(source, trailerAt, "checksum");
    if (trailer.getUint32(4, true) !== size % 2 ** 32) throw damaged(source, trailerAt + 4, "size");
    return trailerAt + GZIP_TRAILER;
  } finally {
    decoder.close();
  }
}

/** Opens .gz data: members one after another; zero bytes after the last one are padding. */
export function openGzip(source: ByteSource): Compressed {
  memberData(source, 0);
  return {
    size: undefined,
    entries: START,
    decode: function* (from, found) {
      let { at, position } = from;
      for (;;) {
        at = yield* watched(gzipMember(source, at), (piece) => void (position += piece.length));
        const rest = source.read(at, INPUT_PIECE);
        if (rest.every((byte) => byte === 0)) return;
        found({ at, position });
      }
    },
  };
}

const ZSTD_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;

interface Frame {
  readonly at: number;
  readonly end: number;
  /** Decoded bytes if the frame's head has them; 0 for one to be skipped. */
  readonly size: number | undefined;
  readonly skip: boolean;
}

/** The frame at `at`, found by its head and the heads of its blocks. */
function frameAt(source: ByteSource, at: number): Frame {
  const head = source.read(at, 18);
  const view = viewOf(head);
  const cut = (): PcpError => damaged(source, source.size, "the file ends early");
  if (head.length < 8) throw cut();
  const magic = view.getUint32(0, true);
  if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
    const end = at + 8 + view.getUint32(4, true);
    if (end > source.size) throw cut();
    return { at, end, size: 0, skip: true };
  }
  if (magic !== ZSTD_MAGIC) throw damaged(source, at, "no zstd frame");
  const flags = head[4] ?? 0;
  const single = (flags & 0x20) !== 0;
  const sizeAt = 5 + (single ? 0 : 1) + ([0, 1, 2, 4][flags & 3] ?? 0);
  const sizeBytes = [single ? 1 : 0, 2, 4, 8][flags >> 6] ?? 0;
  if (head.length < sizeAt + sizeBytes) throw cut();
  let size: number | undefined;
  if (sizeBytes === 1) size = head[sizeAt];
  else if (sizeBytes === 2) size = view.getUint16(sizeAt, true) + 256;
  else if (sizeBytes === 4) size = view.getUint32(sizeAt, true);
  else if (sizeBytes === 8) size = Number(view.getBigUint64(sizeAt, true));
  let cursor = at + sizeAt + sizeBytes;
  for (let last = false; !last;) {
    const block = source.read(cursor, 3);
    if (block.length < 3) throw cut();
    const word = (block[0] ?? 0) | ((block[1] ?? 0) << 8) | ((block[2] ?? 0) << 16);
    const kind = (word >> 1) & 3;
    if (kind === 3) throw damaged(source, cursor, "zstd block of an unknown kind");
    cursor += 3 + (kind === 1 ? 1 : word >> 3);
    last = (word & 1) === 1;
  }
  cursor += (flags & 4) === 0 ? 0 : 4;
  if (cursor > source.size) throw cut();
  return { at, end: cursor, size, skip: false };
}

function* zstdFrame(source: ByteSource, at: number, end: number): Generator<Uint8Array, void> {
  const decoder = nativeDecoder(zlib().createZstdDecompress() as unknown as NativeStream);
  try {
    const taken = yield* feed(source, decoder, at, end);
    if (taken < end) throw damaged(source, taken, "data after the last block");
  } finally {
    decoder.close();
  }
}

/** Opens .zst data: frames one after another, each an entry point. */
export function openZstd(source: ByteSource): Compressed {
  const entries: EntryPoint[] = [];
  let position: number | undefined = 0;
  let damage: PcpError | undefined;
  const frames: Frame[] = [];
  let at = 0;
  try {
    // Frames are told apart by the heads of their blocks; nothing is decoded yet.
    while (at < source.size) {
      if (frames.length >= MAX_FRAMES) throw damaged(source, at, "too many zstd frames");
      const frame = frameAt(source, at);
      frames.push(frame);
      if (position !== undefined) entries.push({ at, position });
      if (position !== undefined && frame.size !== undefined) position += frame.size;
      else position = undefined;
      at = frame.end;
    }
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    damage = error;
    position = undefined;
  }
  if (at === 0 && !startsAsZstd(source)) throw damage ?? damaged(source, 0, "no zstd frame");
  return {
    size: position,
    entries: entries.length > 0 ? entries : START,
    decode: function* (from, found) {
      let passed = from.position;
      for (const frame of frames) {
        if (frame.at < from.at) continue;
        if (frame.at !== from.at) found({ at: frame.at, position: passed });
        if (frame.skip) continue;
        for (const piece of zstdFrame(source, frame.at, frame.end)) {
          passed += piece.length;
          yield piece;
        }
      }
      if (damage === undefined) return;
      yield* cutFrame(source, at);
      throw damage;
    },
  };
}

const startsAsZstd = (source: ByteSource, at = 0): boolean => {
  const head = source.read(at, 4);
  return head.length === 4 && viewOf(head).getUint32(0, true) === ZSTD_MAGIC;
};

/** What can be had of a frame that is not whole. */
function* cutFrame(source: ByteSource, at: number): Generator<Uint8Array, void> {
  if (startsAsZstd(source, at)) yield* zstdFrame(source, at, source.size);
}
