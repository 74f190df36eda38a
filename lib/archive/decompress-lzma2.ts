// LZMA2 data, as blocks of .xz hold them: chunks of up to 64 KiB, each decoded to at most 2 MiB by the
// system's liblzma or by our own decoder, with the same result and the same errors. Refuses chunks out of
// order, windows over MAX_WINDOW, and data that do not fill their chunk exactly.
import { type ByteSource, damaged, endsEarly } from "./decompress.ts";
import { lzma2Handle, type LzmaHandle } from "./decompress-library.ts";
import { LzmaDamage, LzmaDecoder, SYMBOL_INPUT } from "./decompress-lzma.ts";

const UNPACKED_HEAD = 3;
/** What the range decoder begins with. */
const RANGE_BYTES = 5;
/** lc and lp together may be at most this in LZMA2. */
const MAX_LITERAL_BITS = 4;

/** A chunk that has data: its bytes with the head, and how many bytes they give. */
interface Chunk {
  readonly length: number;
  readonly size: number;
}

/** What the chunks before have set: without it some kinds of chunks mean nothing. */
interface Progress {
  window: boolean;
  model: boolean;
}

/** The chunk at `at`; 0 for the end mark, undefined where the file ends in the head. */
function chunkAt(source: ByteSource, at: number, progress: Progress): Chunk | 0 | undefined {
  const head = source.read(at, 6);
  const control = head[0];
  if (control === undefined) return undefined;
  if (control === 0) return 0;
  const headBytes = control >= 0xc0 ? 6 : control >= 0x80 ? 5 : UNPACKED_HEAD;
  if (head.length < headBytes) return undefined;
  if (control === 1 || control >= 0xe0) {
    progress.window = true;
    progress.model = false;
  }
  if (control >= 0xc0) progress.model = true;
  const known = control <= 2 || (control >= 0x80 && progress.model);
  if (!known || !progress.window) throw damaged(source, at, `chunk control ${control}`);
  const low = (head[1] ?? 0) * 256 + (head[2] ?? 0) + 1;
  if (control < 0x80) return { length: headBytes + low, size: low };
  const properties = head[5] ?? 0;
  if (control >= 0xc0) {
    const literalBits = (properties % 9) + (Math.floor(properties / 9) % 5);
    if (properties >= 225 || literalBits > MAX_LITERAL_BITS) {
      throw damaged(source, at, `properties ${properties} unknown`);
    }
  }
  const packed = (head[3] ?? 0) * 256 + (head[4] ?? 0) + 1;
  return { length: headBytes + packed, size: ((control & 0x1f) << 16) + low };
}

/** One chunk by our own decoder: see LzmaHandle. */
function decodeChunk(decoder: LzmaDecoder, chunk: Uint8Array, size: number): Uint8Array {
  const control = chunk[0] ?? 0;
  if (control === 1 || control >= 0xe0) decoder.resetWindow();
  decoder.room(size);
  const start = decoder.at;
  if (control < 0x80) {
    decoder.putRaw(chunk.subarray(UNPACKED_HEAD));
    return decoder.window.subarray(start, decoder.at);
  }
  const dataAt = control >= 0xc0 ? 6 : 5;
  const end = dataAt + (chunk[3] ?? 0) * 256 + (chunk[4] ?? 0) + 1;
  if (control >= 0xc0) decoder.setProperties(chunk[5] ?? 0);
  else if (control >= 0xa0) decoder.resetState();
  decoder.input = chunk;
  decoder.inputAt = dataAt;
  if (chunk.length >= end) {
    decoder.startRange();
    const stop = decoder.run(start + size, end);
    decoder.normalize();
    const whole = stop === "output" && decoder.at === start + size;
    if (!whole || decoder.inputAt !== end || !decoder.rangeDone) throw new LzmaDamage("LZMA data");
    return decoder.window.subarray(start, decoder.at);
  }
  if (chunk.length > dataAt && chunk[dataAt] !== 0) throw new LzmaDamage("LZMA data");
  if (chunk.length < dataAt + RANGE_BYTES) return chunk.subarray(0, 0);
  decoder.startRange();
  return decoder.window.subarray(start, decodeCut(decoder, start + size));
}

/** Decodes what the input has all of; returns the place after it. */
function decodeCut(decoder: LzmaDecoder, end: number): number {
  const { length } = decoder.input;
  if (decoder.run(end, length - SYMBOL_INPUT) === "end") throw new LzmaDamage("LZMA data");
  // The last symbols one by one: the first that wants more than there is does not count.
  for (let good = decoder.at; good < end; good = decoder.at) {
    try {
      if (decoder.run(good + 1, length) === "end") throw new LzmaDamage("LZMA data");
    } catch (error) {
      if (decoder.inputAt <= length || !(error instanceof LzmaDamage)) throw error;
    }
    if (decoder.inputAt > length) return good;
  }
  // All that the chunk is to give is there, although a part of it is not.
  decoder.normalize();
  if (decoder.at > end || decoder.inputAt <= length) throw new LzmaDamage("LZMA data");
  return end;
}

function ownHandle(dictionary: number): LzmaHandle {
  const decoder = new LzmaDecoder(dictionary);
  return {
    decode(chunk, size) {
      try {
        return decodeChunk(decoder, chunk, size);
      } catch (error) {
        if (error instanceof LzmaDamage) return undefined;
        throw error;
      }
    },
    close: () => undefined,
  };
}

/**
 * Decodes LZMA2 data from `at` to their end mark, with a window of `dictionary` bytes. A piece may be
 * overwritten by the next step. Returns the offset after the end mark. Throws PcpError PM_ERR_LOGREC
 * at damage and where the file ends early, after everything that precedes it was given.
 */
export function* lzma2Pieces(
  source: ByteSource,
  from: number,
  dictionary: number,
  library: boolean,
): Generator<Uint8Array, number> {
  const handle = (library ? lzma2Handle(dictionary) : undefined) ?? ownHandle(dictionary);
  try {
    const progress = { window: false, model: false };
    for (let at = from; ;) {
      const chunk = chunkAt(source, at, progress);
      if (chunk === 0) return at + 1;
      if (chunk === undefined) throw endsEarly(source);
      const bytes = source.read(at, chunk.length);
      const piece = handle.decode(bytes, chunk.size);
      const cut = bytes.length < chunk.length;
      if (piece === undefined || (piece.length < chunk.size && !cut)) {
        throw damaged(source, at, "LZMA data");
      }
      if (piece.length > 0) yield piece;
      if (cut) throw endsEarly(source);
      at += chunk.length;
    }
  } finally {
    handle.close();
  }
}
