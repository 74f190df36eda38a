// Single blocks of a bzip2 file for the system's libbz2: a block begins at any bit, so its bits are found
// by the marks around it, moved to whole bytes and made a stream of one block. A mark is a guess
// here, since data may look like one: whatever the library does not take, all damage with it, is told
// as undefined and left to our own decoder, which reads from symbol to symbol and says what is wrong.
import { viewOf } from "../base/mod.ts";
import type { ByteSource } from "./decompress.ts";
import { type Bzip2Handle, bzip2Handle } from "./decompress-library.ts";

const PIECE = 64 * 1024;
/** Most bytes of a block: 900,000 symbols of 20 bits, its tables, and some more. */
const MOST = 2.5 * 1024 * 1024;
/** Bits of a mark, and of the checksum after it. */
const MARK_BITS = 48;
const SUM_BITS = 32;
const BLOCK_MARK = 0x314159265359n;
const END_MARK = 0x177245385090n;
/** Bytes of a stream before its first block. */
const HEAD = 4;
/** Where the checksum of its first block is. */
const SUM_AT = HEAD + MARK_BITS / 8;
/** Bytes after a block: end mark, checksum, bits that fill up, rounded up. */
const TAIL = 16;

/**
 * For each pair of bytes, one bit for each way in which they can be the second and third byte
 * that a mark touches: bit `shift` of the low byte for a block's mark, of the high byte for an
 * end's, when the mark begins `shift` bits after the first byte does.
 */
function markPairs(): Uint16Array {
  const pairs = new Uint16Array(65_536);
  [BLOCK_MARK, END_MARK].forEach((mark, kind) => {
    for (let shift = 0; shift < 8; shift++) {
      const pair = Number((mark >> BigInt(MARK_BITS - 24 + shift)) & 0xffffn);
      pairs[pair] = (pairs[pair] ?? 0) | (1 << (8 * kind + shift));
    }
  });
  return pairs;
}
let pairs: Uint16Array | undefined;

/** Whether a mark begins at this bit of the bytes. */
function isMark(bytes: Uint8Array, bit: number): boolean {
  let value = 0n;
  for (let i = 0; i < 7; i++) value = (value << 8n) | BigInt(bytes[(bit >> 3) + i] ?? 0);
  const mark = BigInt.asUintN(MARK_BITS, value >> BigInt(8 - (bit & 7)));
  return mark === BLOCK_MARK || mark === END_MARK;
}

/** The first mark that begins at or after bit `from` and ends before byte `end`; −1 for none. */
function findMark(bytes: Uint8Array, from: number, end: number): number {
  const table = (pairs ??= markPairs());
  const first = from >> 3;
  let pair = bytes[first + 1] ?? 0;
  for (let i = first + 2; i < end; i++) {
    pair = ((pair & 0xff) << 8) | (bytes[i] as number);
    const ways = table[pair] as number;
    if (ways === 0) continue;
    for (let way = 0; way < 16; way++) {
      if ((ways & (1 << way)) === 0) continue;
      const bit = (i - 2) * 8 + (way & 7);
      if (bit >= from && bit + MARK_BITS <= end * 8 && isMark(bytes, bit)) return bit;
    }
  }
  return -1;
}

/** Memory for blocks, used again for each. */
export interface BlockBuffers {
  packed: Uint8Array;
  stream: Uint8Array;
}

/** `bytes`, or a copy with room for `length`, and for more the next time. */
function grown(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length >= length) return bytes;
  const more = new Uint8Array(new ArrayBuffer(Math.max(length, 2 * bytes.length)));
  more.set(bytes);
  return more;
}

/**
 * Loads the file from the byte with bit `from` on, until the mark after the block there is among what is
 * loaded; that mark's bit, counted from that byte, −1 for none.
 */
function loadBlock(source: ByteSource, from: number, buffers: BlockBuffers): number {
  const base = Math.floor(from / 8);
  let searched = (from % 8) + MARK_BITS + SUM_BITS;
  for (let length = 0; length < MOST;) {
    const piece = source.read(base + length, PIECE);
    if (piece.length === 0) return -1;
    buffers.packed = grown(buffers.packed, length + piece.length);
    buffers.packed.set(piece, length);
    length += piece.length;
    const mark = findMark(buffers.packed, searched, length);
    if (mark >= 0) return mark;
    // The last bytes may be the beginning of a mark.
    searched = Math.max(searched, (length - 7) * 8);
  }
  return -1;
}

/** The stream of the block in bits `[shift, end)` of what was loaded, as bytes. */
function streamOf(buffers: BlockBuffers, shift: number, end: number, level: number): Uint8Array {
  const { packed } = buffers;
  const bits = end - shift;
  const bytes = Math.ceil(bits / 8);
  buffers.stream = grown(buffers.stream, HEAD + bytes + TAIL);
  const { stream } = buffers;
  stream.set([0x42, 0x5a, 0x68, 0x30 + level]);
  for (let i = 0; i < bytes; i++) {
    const word = ((packed[i] as number) << 8) | (packed[i + 1] ?? 0);
    stream[HEAD + i] = word >> (8 - shift);
  }
  // The end mark, and the checksum of a stream of one block: that of the block.
  const tail = (END_MARK << 32n) | BigInt(viewOf(stream).getUint32(SUM_AT));
  const tailAt = HEAD + Math.floor(bits / 8);
  const over = bits % 8;
  const kept = over === 0 ? 0n : BigInt((stream[tailAt] ?? 0) >> (8 - over));
  let rest = ((kept << 80n) | tail) << BigInt(8 - over);
  for (let i = 10; i >= 0; i--, rest >>= 8n) stream[tailAt + i] = Number(rest & 0xffn);
  return stream.subarray(0, tailAt + 11);
}

/** A block given to the library. */
export interface LibraryBlock {
  /** Bit of the file after it, where the next mark is. */
  readonly end: number;
  readonly handle: Bzip2Handle;
}

/**
 * Starts the library on the block of a stream of this level whose mark is at bit `from` of the file.
 * Undefined without a library, where no mark follows, and for randomised blocks, which we refuse.
 */
export function libraryBlock(
  source: ByteSource,
  from: number,
  level: number,
  buffers: BlockBuffers,
): LibraryBlock | undefined {
  const end = loadBlock(source, from, buffers);
  if (end < 0) return undefined;
  const stream = streamOf(buffers, from % 8, end, level);
  const randomised = ((stream[SUM_AT + SUM_BITS / 8] ?? 0) & 0x80) !== 0;
  const handle = randomised ? undefined : bzip2Handle(stream);
  return handle && { end: Math.floor(from / 8) * 8 + end, handle };
}
