// Files of xz: the .xz container (streams of blocks with an index at the end, so that any block can be
// decoded by itself) and the older .lzma form (one stream, no checks). Refuses filters other than
// LZMA2, broken checksums of any part (CRC32, CRC64, SHA-256), and data cut short.
import { CryptoHasher, hash } from "bun";
import { PcpError, viewOf } from "../base/mod.ts";
import {
  type ByteSource,
  type Compressed,
  damaged,
  endsEarly,
  type EntryPoint,
  readExactly,
  START,
  watched,
} from "./decompress.ts";
import { libraryCrc64 } from "./decompress-library.ts";
import { checkWindow, LzmaDamage, LzmaDecoder, SYMBOL_INPUT } from "./decompress-lzma.ts";
import { lzma2Pieces } from "./decompress-lzma2.ts";

const HEADER_BYTES = 12;
const MAGIC = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0];
const FOOTER_MAGIC = 0x595a;
const CHECK = { NONE: 0, CRC32: 1, CRC64: 4, SHA256: 10 } as const;
/** Bytes of each kind of check, by its number. */
const CHECK_BYTES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
const LZMA2 = 0x21;
/** Blocks of a file; a million of 10 MiB are more than any volume. */
const MAX_BLOCKS = 1_000_000;
/** Index of one stream; a record has 2 to 18 bytes. */
const MAX_INDEX_BYTES = 16 * 1024 * 1024;
const MAX_STREAMS = 100_000;
/** Bytes of .lzma data decoded before they are given out. */
const PIECE = 256 * 1024;
const INPUT_PIECE = 64 * 1024;
const LZMA_HEADER = 13;

/**
 * 64-bit checksum of xz (ECMA-182, reflected) in two halves: tables of 8 × 256 words, so that eight
 * bytes are taken at a step.
 */
function crc64Tables(): { readonly high: Int32Array; readonly low: Int32Array } {
  const high = new Int32Array(8 * 256);
  const low = new Int32Array(8 * 256);
  for (let i = 0; i < 256; i++) {
    let h = 0;
    let l = i;
    for (let bit = 0; bit < 8; bit++) {
      const odd = l & 1;
      l = (l >>> 1) | (h << 31);
      h >>>= 1;
      if (odd === 1) {
        h ^= 0xc96c5795;
        l ^= 0xd7870f42;
      }
    }
    high[i] = h;
    low[i] = l;
  }
  for (let i = 256; i < 8 * 256; i++) {
    const h = high[i - 256] as number;
    const l = low[i - 256] as number;
    low[i] = ((l >>> 8) | (h << 24)) ^ (low[l & 0xff] as number);
    high[i] = (h >>> 8) ^ (high[l & 0xff] as number);
  }
  return { high, low };
}
let crc64: ReturnType<typeof crc64Tables> | undefined;

/** Takes `bytes` into the checksum `sum`: its low half, its high half. */
function crc64Add(sum: Int32Array, bytes: Uint8Array): void {
  const { high, low } = (crc64 ??= crc64Tables());
  const view = viewOf(bytes);
  let l = sum[0] as number;
  let h = sum[1] as number;
  let i = 0;
  for (const end = bytes.length - 7; i < end; i += 8) {
    l ^= view.getInt32(i, true);
    h ^= view.getInt32(i + 4, true);
    let nextLow = 0;
    let nextHigh = 0;
    for (let table = 1792, shift = 0; shift < 32; table -= 256, shift += 8) {
      const first = table + ((l >>> shift) & 0xff);
      const second = table - 1024 + ((h >>> shift) & 0xff);
      nextLow ^= (low[first] as number) ^ (low[second] as number);
      nextHigh ^= (high[first] as number) ^ (high[second] as number);
    }
    l = nextLow;
    h = nextHigh;
  }
  for (; i < bytes.length; i++) {
    const index = (l ^ (bytes[i] as number)) & 0xff;
    l = ((l >>> 8) | (h << 24)) ^ (low[index] as number);
    h = (h >>> 8) ^ (high[index] as number);
  }
  sum[0] = l;
  sum[1] = h;
}

/** A check of decoded data: fed with pieces, then compared with what the file has. */
interface Checker {
  add(bytes: Uint8Array): void;
  matches(stored: Uint8Array): boolean;
}

function checker(kind: number, library: boolean): Checker {
  if (kind === CHECK.CRC32) {
    let crc = 0;
    return {
      add: (bytes) => void (crc = hash.crc32(bytes, crc)),
      matches: (stored) => viewOf(stored).getUint32(0, true) === crc,
    };
  }
  const native = kind === CHECK.CRC64 && library ? libraryCrc64() : undefined;
  if (native !== undefined) {
    let sum = 0n;
    return {
      add: (bytes) => void (sum = native(bytes, sum)),
      matches: (stored) => viewOf(stored).getBigUint64(0, true) === sum,
    };
  }
  if (kind === CHECK.CRC64) {
    const sum = Int32Array.of(-1, -1);
    return {
      add: (bytes) => crc64Add(sum, bytes),
      matches: (stored) => {
        const view = viewOf(stored);
        return (
          view.getInt32(0, true) === ~(sum[0] ?? 0) && view.getInt32(4, true) === ~(sum[1] ?? 0)
        );
      },
    };
  }
  if (kind === CHECK.SHA256) {
    const hasher = new CryptoHasher("sha256");
    return {
      add: (bytes) => void hasher.update(bytes),
      matches: (stored) => Buffer.compare(hasher.digest(), stored) === 0,
    };
  }
  // The format asks decoders to accept checks they do not know.
  return { add: () => undefined, matches: () => true };
}

/** An integer of 7 bits a byte, and the offset after it; undefined when it is broken. */
function variableInteger(bytes: Uint8Array, at: number): readonly [number, number] | undefined {
  let value = 0;
  let factor = 1;
  for (let i = 0; i < 9; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * factor;
    factor *= 128;
    if (byte < 0x80) return value <= Number.MAX_SAFE_INTEGER ? [value, at + i + 1] : undefined;
  }
  return undefined;
}

const crcMatches = (bytes: Uint8Array, storedAt: number, from = 0): boolean =>
  hash.crc32(bytes.subarray(from, storedAt)) === viewOf(bytes).getUint32(storedAt, true);

const pad4 = (size: number): number => Math.ceil(size / 4) * 4;

/** Check kind of the stream header at `at`. */
function streamHeader(source: ByteSource, at: number): number {
  const head = readExactly(source, at, HEADER_BYTES);
  if (MAGIC.some((byte, i) => head[i] !== byte)) throw damaged(source, at, "no xz stream header");
  if (!crcMatches(head, 8, 6)) throw damaged(source, at, "checksum of the stream header");
  if (head[6] !== 0 || (head[7] ?? 0) > 15) throw damaged(source, at + 6, "stream flags unknown");
  return head[7] ?? 0;
}

/** The index at `at`: bytes up to its padding and checksum, sizes of its blocks. */
interface Index {
  readonly bytes: number;
  /** Compressed bytes with padding, and decoded bytes of each block, in turn. */
  readonly sizes: readonly number[];
}

function readIndex(source: ByteSource, at: number, most = MAX_INDEX_BYTES): Index {
  const bytes = source.read(at, Math.min(most, source.size - at));
  const broken = (reason: string): PcpError => damaged(source, at, reason);
  const count = variableInteger(bytes, 1);
  if (bytes[0] !== 0 || count === undefined || count[0] > bytes.length / 2) {
    throw broken("no index of blocks");
  }
  if (count[0] > MAX_BLOCKS) throw broken(`${count[0]} blocks, at most ${MAX_BLOCKS} are accepted`);
  let cursor = count[1];
  const sizes: number[] = [];
  for (let i = 0; i < count[0]; i++) {
    const packed = variableInteger(bytes, cursor);
    const size = packed && variableInteger(bytes, packed[1]);
    if (packed === undefined || size === undefined) throw broken("record of the index");
    cursor = size[1];
    sizes.push(pad4(packed[0]), size[0]);
  }
  const storedAt = pad4(cursor);
  if (storedAt + 4 > bytes.length) throw endsEarly(source);
  if (!crcMatches(bytes, storedAt)) throw broken("checksum of the index");
  return { bytes: storedAt + 4, sizes };
}

interface Stream {
  readonly at: number;
  readonly check: number;
  readonly sizes: readonly number[];
}

/** The stream whose footer ends at `end`. */
function streamBefore(source: ByteSource, end: number): Stream {
  const footerAt = end - HEADER_BYTES;
  if (footerAt < HEADER_BYTES) throw endsEarly(source, end);
  const footer = readExactly(source, footerAt, HEADER_BYTES);
  const view = viewOf(footer);
  const stored = view.getUint32(0, true);
  if (view.getUint16(10) !== FOOTER_MAGIC || hash.crc32(footer.subarray(4, 10)) !== stored) {
    throw damaged(source, footerAt, "no stream footer, the file may be cut short");
  }
  const indexBytes = (view.getUint32(4, true) + 1) * 4;
  const indexAt = footerAt - indexBytes;
  if (indexAt < HEADER_BYTES || indexBytes > MAX_INDEX_BYTES) {
    throw damaged(source, footerAt + 4, `index of ${indexBytes} bytes`);
  }
  const { sizes } = readIndex(source, indexAt, indexBytes);
  let at = indexAt - HEADER_BYTES;
  for (let i = 0; i < sizes.length; i += 2) at -= sizes[i] as number;
  if (at < 0) throw damaged(source, indexAt, "the index names more than the file holds");
  return { at, check: streamHeader(source, at), sizes };
}

/** Every block of the file, from the indices of its streams, and the size of the decoded data. */
function outline(source: ByteSource): { readonly entries: EntryPoint[]; readonly size: number } {
  const streams: Stream[] = [];
  let blocks = 0;
  let end = source.size;
  while (end > 0) {
    const last = end >= 4 ? readExactly(source, end - 4, 4) : undefined;
    if (last !== undefined && last.every((byte) => byte === 0)) {
      end -= 4;
      continue;
    }
    if (streams.length >= MAX_STREAMS) throw damaged(source, end, "too many streams");
    const stream = streamBefore(source, end);
    streams.push(stream);
    blocks += stream.sizes.length / 2;
    if (blocks > MAX_BLOCKS) throw damaged(source, end, `over ${MAX_BLOCKS} blocks`);
    end = stream.at;
  }
  const entries: EntryPoint[] = [];
  let position = 0;
  for (const stream of streams.reverse()) {
    let at = stream.at + HEADER_BYTES;
    for (let i = 0; i < stream.sizes.length; i += 2) {
      entries.push({ at, position, note: stream.check });
      at += stream.sizes[i] as number;
      position += stream.sizes[i + 1] as number;
    }
  }
  return { entries, size: position };
}

/** Bytes of the header of the block at `at`, and the window its decoder needs. */
function blockHeader(
  source: ByteSource,
  at: number,
): { readonly size: number; readonly dictionary: number } {
  const first = readExactly(source, at, 1)[0] ?? 0;
  const size = (first + 1) * 4;
  const head = readExactly(source, at, size);
  const broken = (reason: string): PcpError => damaged(source, at, reason);
  if (!crcMatches(head, size - 4)) throw broken("checksum of a block header");
  const flags = head[1] ?? 0;
  let cursor = 2;
  for (const bit of [0x40, 0x80]) {
    if ((flags & bit) === 0) continue;
    const value = variableInteger(head, cursor);
    if (value === undefined) throw broken("size in a block header");
    cursor = value[1];
  }
  const [id, properties, code = 255] = head.subarray(cursor, cursor + 3);
  if ((flags & 0x3f) !== 0 || id !== LZMA2 || properties !== 1 || code > 40) {
    throw broken("a filter other than LZMA2");
  }
  const dictionary = code === 40 ? 0xffffffff : (2 | (code & 1)) * 2 ** ((code >> 1) + 11);
  return { size, dictionary };
}

/** Runs LZMA code, giving its damage the place in the file. */
function placed<T>(source: ByteSource, at: number, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof LzmaDamage) throw damaged(source, at, error.message);
    throw error;
  }
}

/** The block at `at`, piece by piece; returns the offset after its check. */
function* decodeBlock(
  source: ByteSource,
  blockAt: number,
  check: number,
  library: boolean,
): Generator<Uint8Array, number> {
  const head = blockHeader(source, blockAt);
  const sum = checker(check, library);
  placed(source, blockAt, () => checkWindow(head.dictionary));
  const pieces = lzma2Pieces(source, blockAt + head.size, head.dictionary, library);
  const end = yield* watched(pieces, (piece) => sum.add(piece));
  const checkAt = blockAt + pad4(end - blockAt);
  const stored = readExactly(source, checkAt, CHECK_BYTES[check] ?? 0);
  if (!sum.matches(stored)) throw damaged(source, checkAt, "checksum of a block");
  return checkAt + stored.length;
}

/** Blocks from an entry point on, over the ends of streams; returns at the end of the file. */
function* decodeBlocks(
  source: ByteSource,
  from: EntryPoint,
  library: boolean,
): Generator<Uint8Array, void> {
  let at = from.at;
  let check = from.note ?? 0;
  if (from.note === undefined) {
    check = streamHeader(source, at);
    at += HEADER_BYTES;
  }
  for (;;) {
    const first = readExactly(source, at, 1)[0];
    if (first !== 0) {
      at = yield* decodeBlock(source, at, check, library);
      continue;
    }
    at += readIndex(source, at).bytes;
    readExactly(source, at, HEADER_BYTES);
    at += HEADER_BYTES;
    for (;;) {
      const padding = source.read(at, 4);
      if (padding.length === 0) return;
      if (padding.some((byte) => byte !== 0)) break;
      at += padding.length;
    }
    check = streamHeader(source, at);
    at += HEADER_BYTES;
  }
}

/**
 * Opens .xz data. Where the indices are sound every block is an entry point and the size is known;
 * where they are not (a file cut short), blocks are decoded from the start until the damage.
 */
export function openXz(source: ByteSource, library: boolean): Compressed {
  let damage: PcpError | undefined;
  let found: ReturnType<typeof outline> | undefined;
  try {
    found = outline(source);
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    streamHeader(source, 0);
    damage = error;
  }
  return {
    size: found?.size,
    entries: found !== undefined && found.entries.length > 0 ? found.entries : START,
    decode: function* (from) {
      if (found?.size === 0) return;
      yield* decodeBlocks(source, from, library);
      if (damage !== undefined) throw damage;
    },
  };
}

/** Opens .lzma data: 13 bytes of head (properties, window, size or −1), then one LZMA stream. */
export function openLzma(source: ByteSource): Compressed {
  const head = readExactly(source, 0, LZMA_HEADER);
  const view = viewOf(head);
  const stored = view.getBigUint64(5, true);
  const size = stored === 0xffffffffffffffffn ? undefined : Number(stored);
  if ((head[0] ?? 255) >= 225 || (size !== undefined && size > 2 ** 48)) {
    throw damaged(source, 0, "no .lzma header");
  }
  return {
    size,
    entries: START,
    decode: () => decodeLzma(source, view.getUint32(1, true), head[0] ?? 0, size),
  };
}

function* decodeLzma(
  source: ByteSource,
  dictionary: number,
  properties: number,
  size: number | undefined,
): Generator<Uint8Array, void> {
  const decoder = placed(source, 1, () => new LzmaDecoder(Math.max(dictionary, 4096)));
  decoder.setProperties(properties);
  let inputBase = LZMA_HEADER;
  decoder.input = source.read(inputBase, INPUT_PIECE);
  placed(source, inputBase, () => decoder.startRange());
  let left = size ?? Infinity;
  // Symbols are decoded while there is input for a longest one, so that those before the end of a
  // file cut short are good; the last few of a whole file are decoded by themselves.
  let last = false;
  let tail = false;
  while (left > 0) {
    if (!last && decoder.input.length - decoder.inputAt <= SYMBOL_INPUT) {
      inputBase += decoder.inputAt;
      decoder.input = source.read(inputBase, INPUT_PIECE);
      decoder.inputAt = 0;
      last = decoder.input.length < INPUT_PIECE;
    }
    const want = Math.min(PIECE, left);
    decoder.room(want);
    const start = decoder.at;
    const inputEnd = decoder.input.length - (tail ? 0 : SYMBOL_INPUT);
    const stop = placed(source, inputBase, () => decoder.run(start + want, inputEnd));
    const got = decoder.at - start;
    if (decoder.inputAt > decoder.input.length) throw endsEarly(source);
    if (got > left)
      throw damaged(source, inputBase + decoder.inputAt, "more data than the head says");
    if (got > 0) yield decoder.window.subarray(start, decoder.at);
    left -= got;
    if (stop === "input") tail = last;
    if (stop === "end") {
      if (size !== undefined && left > 0)
        throw damaged(source, inputBase, "fewer data than the head says");
      return;
    }
  }
}
