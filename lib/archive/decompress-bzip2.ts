// Files of bzip2 (old archives have them): blocks of up to 900,000 bytes, each decoded by itself, by the
// system's libbz2 where it is and takes the block, else here, because the package for it
// (docs/dependencies.md) cannot tell the end of its input from data. Refuses broken checksums of blocks
// and streams, and the randomised blocks of bzip2 before 0.9.5.
import type { PcpError } from "../base/mod.ts";
import {
  type ByteSource,
  type Compressed,
  damaged,
  endsEarly,
  type EntryPoint,
  START,
  watched,
} from "./decompress.ts";
import { type BlockBuffers, libraryBlock } from "./decompress-bzip2-block.ts";

const INPUT_PIECE = 64 * 1024;
const OUTPUT_PIECE = 256 * 1024;
const BLOCK_UNIT = 100_000;
const MAX_CODE_BITS = 20;
const GROUP_SYMBOLS = 50;
const RUN_B = 1;
/** 48-bit marks before a block and before the end of a stream, in two halves. */
const BLOCK_MARK = [0x314159, 0x265359] as const;
const END_MARK = [0x177245, 0x385090] as const;

/** Made when it is first needed: most runs read no such file. */
let crcTable: Int32Array | undefined;

function makeCrcTable(): Int32Array {
  const table = new Int32Array(256);
  for (let i = 0; i < 256; i++) {
    let word = i << 24;
    for (let bit = 0; bit < 8; bit++) word = (word << 1) ^ (word < 0 ? 0x04c11db7 : 0);
    table[i] = word;
  }
  return table;
}

function crcAdd(crc: number, bytes: Uint8Array): number {
  const table = (crcTable ??= makeCrcTable());
  for (let i = 0; i < bytes.length; i++) {
    crc = (crc << 8) ^ (table[(crc >>> 24) ^ (bytes[i] as number)] as number);
  }
  return crc;
}

/** Bits of the file, most significant first. */
class BitInput {
  private bytes: Uint8Array = new Uint8Array(0);
  private base: number;
  private next = 0;
  private bits = 0;
  private count = 0;

  constructor(
    readonly source: ByteSource,
    bit: number,
  ) {
    this.base = Math.floor(bit / 8);
    this.refill();
    if (bit % 8 !== 0) this.read(bit % 8);
  }

  private refill(): void {
    this.base += this.bytes.length;
    this.bytes = this.source.read(this.base, INPUT_PIECE);
    this.next = 0;
  }

  /** Offset of the next bit in the file. */
  get position(): number {
    return (this.base + this.next) * 8 - this.count;
  }

  get ended(): boolean {
    return this.position >= this.source.size * 8;
  }

  /** The next 1 to 24 bits; throws at the end of the file. */
  read(count: number): number {
    while (this.count < count) {
      if (this.next >= this.bytes.length) this.refill();
      const byte = this.bytes[this.next++];
      if (byte === undefined) {
        throw endsEarly(this.source);
      }
      this.bits = (this.bits << 8) | byte;
      this.count += 8;
    }
    this.count -= count;
    return (this.bits >>> this.count) & ((1 << count) - 1);
  }

  /** The next MAX_CODE_BITS bits without taking them; zeros after the end of the file. */
  peek(): number {
    while (this.count < MAX_CODE_BITS) {
      if (this.next >= this.bytes.length) this.refill();
      const byte = this.bytes[this.next];
      if (byte === undefined) {
        return (this.bits << (MAX_CODE_BITS - this.count)) & ((1 << MAX_CODE_BITS) - 1);
      }
      this.next++;
      this.bits = (this.bits << 8) | byte;
      this.count += 8;
    }
    return (this.bits >>> (this.count - MAX_CODE_BITS)) & ((1 << MAX_CODE_BITS) - 1);
  }

  /** Takes bits that peek() has shown. */
  skip(count: number): void {
    if (count > this.count) throw endsEarly(this.source);
    this.count -= count;
  }

  /** A 32-bit word, signed. */
  word(): number {
    return (this.read(16) << 16) | this.read(16);
  }

  alignToByte(): void {
    this.count -= this.count % 8;
  }
}

/** One Huffman code: symbols in order of their codes, and per length the largest code and its base. */
interface Code {
  readonly shortest: number;
  readonly symbols: Uint16Array;
  readonly limit: Int32Array;
  readonly base: Int32Array;
}

function codeOf(lengths: Uint8Array): Code {
  const counts = new Int32Array(MAX_CODE_BITS + 2);
  for (const length of lengths) counts[length] = (counts[length] ?? 0) + 1;
  const limit = new Int32Array(MAX_CODE_BITS + 2).fill(-1);
  const base = new Int32Array(MAX_CODE_BITS + 2);
  let code = 0;
  let before = 0;
  for (let length = 1; length <= MAX_CODE_BITS; length++) {
    const count = counts[length] ?? 0;
    base[length] = before - code;
    code += count;
    before += count;
    limit[length] = code - 1;
    code <<= 1;
  }
  const symbols = new Uint16Array(lengths.length);
  let at = 0;
  for (let length = 1; length <= MAX_CODE_BITS; length++) {
    lengths.forEach((each, symbol) => {
      if (each === length) symbols[at++] = symbol;
    });
  }
  return { shortest: Math.min(...lengths), symbols, limit, base };
}

function toFront(list: Uint8Array, index: number): number {
  const value = list[index] as number;
  if (index > 32) list.copyWithin(1, 0, index);
  else for (let i = index; i > 0; i--) list[i] = list[i - 1] as number;
  list[0] = value;
  return value;
}

/** Byte values that a block uses. */
function usedBytes(input: BitInput): Uint8Array {
  const used: number[] = [];
  const groups = input.read(16);
  for (let group = 0; group < 16; group++) {
    if ((groups & (0x8000 >> group)) === 0) continue;
    const bits = input.read(16);
    for (let i = 0; i < 16; i++) if ((bits & (0x8000 >> i)) !== 0) used.push(group * 16 + i);
  }
  return Uint8Array.from(used);
}

function readSelectors(
  input: BitInput,
  codes: number,
  broken: (what: string) => PcpError,
): Uint8Array {
  const selectors = new Uint8Array(input.read(15));
  const order = Uint8Array.from({ length: codes }, (_, i) => i);
  for (let i = 0; i < selectors.length; i++) {
    let index = 0;
    while (input.read(1) === 1) if (++index >= codes) throw broken("selector");
    selectors[i] = toFront(order, index);
  }
  return selectors;
}

function readCode(input: BitInput, symbols: number, broken: (what: string) => PcpError): Code {
  const lengths = new Uint8Array(symbols);
  let length = input.read(5);
  for (let i = 0; i < symbols; i++) {
    for (;;) {
      if (length < 1 || length > MAX_CODE_BITS) throw broken("code length");
      if (input.read(1) === 0) break;
      length += input.read(1) === 0 ? 1 : -1;
    }
    lengths[i] = length;
  }
  return codeOf(lengths);
}

/** What the symbols of a block say: `links` has a byte in the low 8 bits of each word. */
interface Symbols {
  readonly links: Int32Array;
  readonly count: number;
  readonly origin: number;
}

/** Reads a block after its checksum: tables, then symbols, undoing Huffman, move-to-front and runs. */
function readSymbols(input: BitInput, most: number): Symbols {
  const at = input.position;
  const broken = (what: string): PcpError =>
    damaged(input.source, Math.floor(at / 8), `${what} of a bzip2 block`);
  if (input.read(1) === 1) throw broken("randomisation, obsolete,");
  const origin = input.read(24);
  const used = usedBytes(input);
  const codeCount = input.read(3);
  if (used.length === 0 || codeCount < 2 || codeCount > 6) throw broken("tables");
  const selectors = readSelectors(input, codeCount, broken);
  const end = used.length + 1;
  const codes: Code[] = [];
  for (let i = 0; i < codeCount; i++) codes.push(readCode(input, end + 1, broken));
  const links = new Int32Array(most);
  const order = Uint8Array.from({ length: 256 }, (_, i) => i);
  let count = 0;
  let run = 0;
  let weight = 1;
  for (let group = 0; ; group++) {
    const code = codes[selectors[group] ?? codeCount];
    if (code === undefined) throw broken("number of symbols");
    const { shortest, limit, base, symbols } = code;
    for (let i = 0; i < GROUP_SYMBOLS; i++) {
      const ahead = input.peek();
      let length = shortest;
      while (ahead >>> (MAX_CODE_BITS - length) > (limit[length] as number)) {
        if (++length > MAX_CODE_BITS) throw broken("code");
      }
      input.skip(length);
      const symbol = symbols[(ahead >>> (MAX_CODE_BITS - length)) + (base[length] as number)];
      if (symbol === undefined) throw broken("code");
      if (symbol <= RUN_B) {
        if (weight > most) throw broken("run");
        run += weight << symbol;
        weight *= 2;
        continue;
      }
      if (run > 0) {
        if (count + run > most) throw broken("run");
        const byte = used[order[0] as number] as number;
        if (run > 32) links.fill(byte, count, count + run);
        else for (let each = 0; each < run; each++) links[count + each] = byte;
        count += run;
        run = 0;
        weight = 1;
      }
      if (symbol === end) {
        if (origin >= count) throw broken("origin");
        return { links, count, origin };
      }
      if (count >= most) throw broken("length");
      links[count++] = used[toFront(order, symbol - 1)] as number;
    }
  }
}

/** Links each byte to the one that follows it (the inverse of the Burrows-Wheeler transform). */
function link({ links, count }: Symbols): void {
  const starts = new Uint32Array(257);
  for (let i = 0; i < count; i++) {
    const after = ((links[i] as number) & 0xff) + 1;
    starts[after] = (starts[after] as number) + 1;
  }
  for (let i = 1; i < 257; i++) starts[i] = (starts[i] as number) + (starts[i - 1] as number);
  for (let i = 0; i < count; i++) {
    const byte = (links[i] as number) & 0xff;
    const place = starts[byte] as number;
    starts[byte] = place + 1;
    links[place] = (links[place] as number) | (i << 8);
  }
}

/** How far a block has been unfolded. */
interface Unfolding {
  readonly output: Uint8Array;
  at: number;
  left: number;
  previous: number;
  same: number;
}

/** Fills the output with what follows, undoing runs (a count follows four equal bytes). */
function unfoldSome(links: Int32Array, state: Unfolding): number {
  const { output } = state;
  let { at, left, previous, same } = state;
  let length = 0;
  for (; left > 0 && length < OUTPUT_PIECE; left--) {
    const word = links[at] as number;
    const byte = word & 0xff;
    at = word >>> 8;
    if (same === 4) {
      for (const end = length + byte; length < end; length++) output[length] = previous;
      same = 0;
      previous = -1;
    } else {
      same = byte === previous ? same + 1 : 1;
      previous = byte;
      output[length++] = byte;
    }
  }
  Object.assign(state, { at, left, previous, same });
  return length;
}

/** The bytes of a linked block. The work is not done in the generator, where it is not compiled well. */
function* unfold({ links, count, origin }: Symbols): Generator<Uint8Array, void> {
  const output = new Uint8Array(OUTPUT_PIECE + 256);
  const at = (links[origin] as number) >>> 8;
  const state: Unfolding = { output, at, left: count, previous: -1, same: 0 };
  while (state.left > 0) {
    const length = unfoldSome(links, state);
    if (length > 0) yield output.subarray(0, length);
  }
}

function streamLevel(input: BitInput): number {
  const at = input.position / 8;
  const magic = input.read(24);
  const level = input.read(8) - 0x30;
  if (magic !== 0x425a68 || level < 1 || level > 9) {
    throw damaged(input.source, at, "no bzip2 stream");
  }
  return level;
}

/** A block being decoded: where its mark is, its stream's level, its checksum. */
interface Block {
  readonly at: number;
  readonly level: number;
  readonly stored: number;
}

/**
 * The bytes of a block by the system's library: how many were given, and the bit after the block, unless
 * the library did not take all of it.
 */
function* fromLibrary(
  source: ByteSource,
  { at, level }: Block,
  buffers: BlockBuffers,
): Generator<Uint8Array, { readonly given: number; readonly end?: number }> {
  const block = libraryBlock(source, at, level, buffers);
  let given = 0;
  if (block === undefined) return { given };
  const { end, handle } = block;
  try {
    for (;;) {
      const piece = handle.next();
      if (piece === undefined) return { given };
      if (piece.length === 0) return { given, end };
      given += piece.length;
      yield piece;
    }
  } finally {
    handle.close();
  }
}

/** The bytes of a block whose checksum has been read, after the first `skip`. */
function* fromSymbols(input: BitInput, block: Block, skip: number): Generator<Uint8Array, void> {
  const symbols = readSymbols(input, block.level * BLOCK_UNIT);
  link(symbols);
  let crc = -1;
  let left = skip;
  for (const piece of unfold(symbols)) {
    crc = crcAdd(crc, piece);
    if (left < piece.length) yield piece.subarray(left);
    left = Math.max(0, left - piece.length);
  }
  if (~crc === block.stored) return;
  throw damaged(input.source, Math.floor(block.at / 8), "checksum of a bzip2 block");
}

function* decode(
  source: ByteSource,
  from: EntryPoint,
  found: (entry: EntryPoint) => void,
  library: boolean,
): Generator<Uint8Array, void> {
  let input = new BitInput(source, from.at);
  const buffers: BlockBuffers = { packed: new Uint8Array(0), stream: new Uint8Array(0) };
  // Entry points inside a stream carry its level; its own checksum can then not be verified.
  let level = from.note ?? streamLevel(input);
  let whole = from.note === undefined;
  let combined = 0;
  let position = from.position;
  const count = (piece: Uint8Array): void => void (position += piece.length);
  for (;;) {
    const at = input.position;
    const mark = [input.read(24), input.read(24)];
    const stored = input.word();
    if (mark[0] === BLOCK_MARK[0] && mark[1] === BLOCK_MARK[1]) {
      if (at !== from.at) found({ at, position, note: level });
      const block = { at, level, stored };
      const pieces = library ? fromLibrary(source, block, buffers) : undefined;
      const { given, end } = pieces === undefined ? { given: 0 } : yield* watched(pieces, count);
      if (end === undefined) yield* watched(fromSymbols(input, block, given), count);
      else input = new BitInput(source, end);
      combined = ((combined << 1) | (combined >>> 31)) ^ stored;
      continue;
    }
    if (mark[0] !== END_MARK[0] || mark[1] !== END_MARK[1]) {
      throw damaged(source, Math.floor(at / 8), "neither a block nor the end of the bzip2 stream");
    }
    if (whole && combined !== stored) {
      throw damaged(source, Math.floor(at / 8), "checksum of the bzip2 stream");
    }
    input.alignToByte();
    if (input.ended) return;
    level = streamLevel(input);
    combined = 0;
    whole = true;
  }
}

/** Opens .bz2 data: streams of blocks; blocks become entry points as they are passed. */
export function openBzip2(source: ByteSource, library: boolean): Compressed {
  streamLevel(new BitInput(source, 0));
  return {
    size: undefined,
    entries: START,
    decode: (from, found) => decode(source, from, found, library),
  };
}
