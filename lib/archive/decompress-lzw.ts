// Files of compress(1), which old archives may be in (.Z): LZW with codes of 9 to 16 bits. Refuses heads
// with bits that are not known, and codes that were not defined yet. The format has no checksum and
// no end mark: a file cut short gives fewer bytes, as it does with every other program.
import { type ByteSource, type Compressed, damaged, readExactly, START } from "./decompress.ts";

const HEADER = 3;
const FIRST_BITS = 9;
const MAX_BITS = 16;
const CLEAR = 256;
const OUTPUT_PIECE = 256 * 1024;
/** Codes are read in groups of so many; a group is never split between widths. */
const GROUP = 8;

/** The decoder's table and what it has given since the last piece. */
class Lzw {
  private readonly prefix = new Uint16Array(1 << MAX_BITS);
  private readonly suffix = new Uint8Array(1 << MAX_BITS);
  private readonly stack = new Uint8Array(1 << MAX_BITS);
  readonly output = new Uint8Array(OUTPUT_PIECE + GROUP * (1 << MAX_BITS));
  length = 0;
  /** Bits of a code now. */
  width = FIRST_BITS;
  private free: number;
  private previous = -1;
  private first = 0;

  constructor(
    private readonly maxBits: number,
    private readonly blocks: boolean,
  ) {
    this.free = blocks ? CLEAR + 1 : CLEAR;
  }

  /** Decodes the codes of one group; false at a code that was not defined. */
  group(bytes: Uint8Array): boolean {
    const width = this.width;
    const codes = Math.floor((bytes.length * 8) / width);
    for (let i = 0; i < codes && this.width === width; i++) {
      const low = (i * width) >> 3;
      const word = (bytes[low] ?? 0) | ((bytes[low + 1] ?? 0) << 8) | ((bytes[low + 2] ?? 0) << 16);
      const code = (word >> ((i * width) & 7)) & ((1 << width) - 1);
      if (code === CLEAR && this.blocks) {
        this.free = CLEAR + 1;
        this.previous = -1;
        this.width = FIRST_BITS;
        return true;
      }
      if (!this.code(code)) return false;
    }
    return true;
  }

  private code(code: number): boolean {
    const { prefix, suffix, stack, previous } = this;
    if (code > this.free || (previous < 0 && code > 255)) return false;
    let top = stack.length;
    let link = code;
    if (code === this.free) {
      stack[--top] = this.first;
      link = previous;
    }
    for (; link > 255; link = prefix[link] as number) stack[--top] = suffix[link] as number;
    this.first = link;
    stack[--top] = link;
    let length = this.length;
    for (; top < stack.length; top++) this.output[length++] = stack[top] as number;
    this.length = length;
    if (previous >= 0 && this.free < 1 << this.maxBits) {
      prefix[this.free] = previous;
      suffix[this.free++] = link;
      // The width grows after the code that filled it; the rest of the group is padding.
      if (this.free === 1 << this.width && this.width < this.maxBits) this.width++;
    }
    this.previous = code;
    return true;
  }
}

function* decode(
  source: ByteSource,
  maxBits: number,
  blocks: boolean,
): Generator<Uint8Array, void> {
  const lzw = new Lzw(maxBits, blocks);
  for (let at = HEADER, more = true; more;) {
    // A group of eight codes is as many bytes as a code has bits.
    const group = source.read(at, lzw.width);
    more = group.length === lzw.width;
    const sound = lzw.group(group);
    if ((!more || !sound || lzw.length >= OUTPUT_PIECE) && lzw.length > 0) {
      yield lzw.output.subarray(0, lzw.length);
      lzw.length = 0;
    }
    if (!sound) throw damaged(source, at, "a code before its definition");
    at += group.length;
  }
}

/** Opens data of compress(1). */
export function openLzw(source: ByteSource): Compressed {
  const flags = readExactly(source, 0, HEADER)[2] ?? 0;
  const bits = flags & 0x1f;
  if (bits < FIRST_BITS || bits > MAX_BITS || (flags & 0x60) !== 0) {
    throw damaged(source, 2, `compress(1) flags ${flags}`);
  }
  return { size: undefined, entries: START, decode: () => decode(source, bits, flags >= 0x80) };
}
