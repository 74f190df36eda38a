// The LZMA decoder that .xz and .lzma files share: range decoder, probability model and window. It
// decodes symbols from bytes that the container hands over and knows nothing of containers. Our own,
// for machines without liblzma and for .lzma, because archives must be read at random, synchronously
// and without another program, in two containers; the packages there are decode one .xz stream,
// asynchronously (docs/dependencies.md). Refuses windows over MAX_WINDOW and reports damage as text, to
// which the container adds the place.

/** Largest window accepted: four times that of `xz -9`. */
export const MAX_WINDOW = 256 * 1024 * 1024;
/** First size of the window buffer; it doubles as data come, so that a false head costs nothing. */
const FIRST_WINDOW = 1024 * 1024;
/** Most bytes of input that one symbol takes. */
export const SYMBOL_INPUT = 24;
/** Longest match. */
const MATCH_MAX = 273;
/** The window slides by multiples of this, so that position bits stay as they are. */
const SLIDE = 16;

// Places of the probabilities in one array.
const IS_MATCH = 0;
const IS_REP = IS_MATCH + 192;
const IS_REP_G0 = IS_REP + 12;
const IS_REP_G1 = IS_REP_G0 + 12;
const IS_REP_G2 = IS_REP_G1 + 12;
const IS_REP0_LONG = IS_REP_G2 + 12;
const SLOT = IS_REP0_LONG + 192;
const SPECIAL = SLOT + 256;
const ALIGN = SPECIAL + 128;
const LENGTH = ALIGN + 16;
const REP_LENGTH = LENGTH + 514;
const LITERAL = REP_LENGTH + 514;
// Places inside a length coder.
const LOW = 2;
const MIDDLE = LOW + 128;
const HIGH = MIDDLE + 128;

const EVEN = 1024;

/** What a run of symbols ended with. */
export type LzmaStop = "output" | "input" | "end";

/** Damage inside LZMA data: a reason without a place. */
export class LzmaDamage extends Error {}

/** Refuses a window that would take too much memory, whoever decodes. */
export function checkWindow(dictionary: number): void {
  if (dictionary <= MAX_WINDOW) return;
  throw new LzmaDamage(`a window of ${dictionary} bytes, at most ${MAX_WINDOW} are accepted`);
}

/** One LZMA stream being decoded: model, window and input. */
export class LzmaDecoder {
  /** Compressed bytes being read, and the place of the next one. */
  input: Uint8Array = new Uint8Array(0);
  inputAt = 0;
  /** Decoded bytes; the newest one lies before `at`. */
  window: Uint8Array = new Uint8Array(0);
  at = 0;
  /** First byte of the window that a match may reach. */
  private start = 0;
  private zero = 0;
  private probs = new Uint16Array(0);
  private contextBits = 0;
  private positionMask = 0;
  private literalMask = 0;
  private state = 0;
  private rep0 = 0;
  private rep1 = 0;
  private rep2 = 0;
  private rep3 = 0;
  private range = 0;
  private code = 0;

  /** `dictionary`: bytes that matches may reach back. */
  constructor(private readonly dictionary: number) {
    checkWindow(dictionary);
  }

  /** Forgets the window. */
  resetWindow(): void {
    this.start = this.at;
    this.zero = this.at;
  }

  /** Sets lc, lp and pb from their common byte and forgets the model. */
  setProperties(byte: number): void {
    if (byte >= 225) throw new LzmaDamage(`properties ${byte} unknown`);
    const lc = byte % 9;
    const rest = (byte - lc) / 9;
    const lp = rest % 5;
    this.contextBits = lc;
    this.literalMask = (1 << lp) - 1;
    this.positionMask = (1 << ((rest - lp) / 5)) - 1;
    const size = LITERAL + (0x300 << (lc + lp));
    if (this.probs.length !== size) this.probs = new Uint16Array(size);
    this.resetState();
  }

  /** Forgets the model, not the properties. */
  resetState(): void {
    this.probs.fill(EVEN);
    this.state = 0;
    this.rep0 = this.rep1 = this.rep2 = this.rep3 = 0;
  }

  /** Starts the range decoder on the next five bytes of the input. */
  startRange(): void {
    const input = this.input;
    const at = this.inputAt;
    if (input.length - at < 5) throw new LzmaDamage("range decoder cut short");
    if (input[at] !== 0) throw new LzmaDamage("range decoder does not start with 0");
    this.range = -1;
    this.code =
      ((input[at + 1] ?? 0) << 24) |
      ((input[at + 2] ?? 0) << 16) |
      ((input[at + 3] ?? 0) << 8) |
      (input[at + 4] ?? 0);
    this.inputAt = at + 5;
  }

  /** Whether the range decoder ended as an encoder ends. */
  get rangeDone(): boolean {
    return this.code === 0;
  }

  /** Makes room for `length` more bytes and one match; the window may move, with `at`. */
  room(length: number): void {
    const need = this.at + length + MATCH_MAX;
    if (need <= this.window.length) return;
    const keep = Math.min(this.at - this.start, this.dictionary);
    const drop = Math.floor((this.at - keep) / SLIDE) * SLIDE;
    if (drop > 0 && drop >= keep / 4) {
      this.window.copyWithin(0, drop, this.at);
      this.at -= drop;
      this.start = Math.max(0, this.start - drop);
      this.zero -= drop;
    }
    const size = this.at + length + MATCH_MAX;
    if (size <= this.window.length) return;
    const grown = new Uint8Array(Math.max(size, FIRST_WINDOW, Math.floor(this.at * 1.5)));
    grown.set(this.window.subarray(0, this.at));
    this.window = grown;
  }

  /** Copies `bytes`, which are not compressed, to the window; room must have been made. */
  putRaw(bytes: Uint8Array): void {
    this.window.set(bytes, this.at);
    this.at += bytes.length;
  }

  private bit(index: number): number {
    let range = this.range;
    if ((range & 0xff000000) === 0) {
      range <<= 8;
      this.code = (this.code << 8) | (this.input[this.inputAt++] as number);
    }
    const probability = this.probs[index] as number;
    const bound = Math.imul(range >>> 11, probability);
    // Unsigned comparison of two 32-bit numbers that the engine keeps as signed ones.
    if ((this.code ^ 0x80000000) < (bound ^ 0x80000000)) {
      this.range = bound;
      this.probs[index] = probability + ((2048 - probability) >> 5);
      return 0;
    }
    this.range = (range - bound) | 0;
    this.code = (this.code - bound) | 0;
    this.probs[index] = probability - (probability >> 5);
    return 1;
  }

  private direct(count: number): number {
    let value = 0;
    let range = this.range;
    let code = this.code;
    for (; count > 0; count--) {
      if ((range & 0xff000000) === 0) {
        range <<= 8;
        code = (code << 8) | (this.input[this.inputAt++] as number);
      }
      range >>>= 1;
      const rest = (code - range) | 0;
      if ((code ^ 0x80000000) >= (range ^ 0x80000000)) {
        code = rest;
        value = (value << 1) | 1;
      } else value <<= 1;
    }
    this.range = range;
    this.code = code;
    return value;
  }

  private tree(base: number, bits: number): number {
    let symbol = 1;
    for (let i = 0; i < bits; i++) symbol = (symbol << 1) | this.bit(base + symbol);
    return symbol - (1 << bits);
  }

  private reverseTree(base: number, bits: number): number {
    let symbol = 1;
    let value = 0;
    for (let i = 0; i < bits; i++) {
      const bit = this.bit(base + symbol);
      symbol = (symbol << 1) | bit;
      value |= bit << i;
    }
    return value;
  }

  private length(base: number, positionState: number): number {
    if (this.bit(base) === 0) return 2 + this.tree(base + LOW + (positionState << 3), 3);
    if (this.bit(base + 1) === 0) return 10 + this.tree(base + MIDDLE + (positionState << 3), 3);
    return 18 + this.tree(base + HIGH, 8);
  }

  /** Distance of a new match, less one; −1 for the end mark. */
  private distance(length: number): number {
    const slot = this.tree(SLOT + (Math.min(length - 2, 3) << 6), 6);
    if (slot < 4) return slot;
    const bits = (slot >> 1) - 1;
    const high = (2 | (slot & 1)) << bits;
    if (slot < 14) return high + this.reverseTree(SPECIAL + high - slot, bits);
    const middle = this.direct(bits - 4) << 4;
    return (high + middle + this.reverseTree(ALIGN, 4)) | 0;
  }

  /** One literal; the range decoder's fields are kept in locals, since most symbols are literals. */
  private literal(): void {
    const probs = this.probs;
    const input = this.input;
    const at = this.at;
    const window = this.window;
    const before = at > this.start ? (window[at - 1] as number) : 0;
    const context =
      (((at - this.zero) & this.literalMask) << this.contextBits) |
      (before >> (8 - this.contextBits));
    const base = LITERAL + 0x300 * context;
    let range = this.range;
    let code = this.code;
    let inputAt = this.inputAt;
    let symbol = 1;
    // After a match the byte it would have gone on with chooses the model, until it differs.
    let matched = 0;
    let offset = 0;
    if (this.state >= 7) {
      matched = window[at - this.rep0 - 1] as number;
      offset = 0x100;
    }
    do {
      matched <<= 1;
      const matchedBit = matched & offset;
      const index = base + offset + matchedBit + symbol;
      if ((range & 0xff000000) === 0) {
        range <<= 8;
        code = (code << 8) | (input[inputAt++] as number);
      }
      const probability = probs[index] as number;
      const bound = Math.imul(range >>> 11, probability);
      if ((code ^ 0x80000000) < (bound ^ 0x80000000)) {
        range = bound;
        probs[index] = probability + ((2048 - probability) >> 5);
        symbol <<= 1;
        offset &= ~matchedBit;
      } else {
        range = (range - bound) | 0;
        code = (code - bound) | 0;
        probs[index] = probability - (probability >> 5);
        symbol = (symbol << 1) | 1;
        offset &= matchedBit;
      }
    } while (symbol < 0x100);
    this.range = range;
    this.code = code;
    this.inputAt = inputAt;
    window[at] = symbol;
    this.at = at + 1;
    this.state = this.state < 4 ? 0 : this.state < 10 ? this.state - 3 : this.state - 6;
  }

  /** Length of the next match, whose distance is in rep0 then; 0 for the end mark. */
  private match(positionState: number): number {
    const state = this.state;
    if (this.bit(IS_REP + state) === 0) {
      this.rep3 = this.rep2;
      this.rep2 = this.rep1;
      this.rep1 = this.rep0;
      const length = this.length(LENGTH, positionState);
      this.rep0 = this.distance(length);
      this.state = state < 7 ? 7 : 10;
      return this.rep0 === -1 ? 0 : length;
    }
    if (this.bit(IS_REP_G0 + state) === 0) {
      if (this.bit(IS_REP0_LONG + (state << 4) + positionState) === 0) {
        this.state = state < 7 ? 9 : 11;
        return 1;
      }
    } else {
      let distance = this.rep1;
      if (this.bit(IS_REP_G1 + state) !== 0) {
        distance = this.rep2;
        if (this.bit(IS_REP_G2 + state) !== 0) {
          distance = this.rep3;
          this.rep3 = this.rep2;
        }
        this.rep2 = this.rep1;
      }
      this.rep1 = this.rep0;
      this.rep0 = distance;
    }
    this.state = state < 7 ? 8 : 11;
    return this.length(REP_LENGTH, positionState);
  }

  /**
   * Decodes symbols until `at` is `outputEnd` or over it by part of a match, the input is read past
   * `inputEnd`, or the end mark is met. Room for the output must have been made.
   */
  run(outputEnd: number, inputEnd: number): LzmaStop {
    while (this.at < outputEnd) {
      if (this.inputAt > inputEnd) return "input";
      const positionState = (this.at - this.zero) & this.positionMask;
      if (this.bit(IS_MATCH + (this.state << 4) + positionState) === 0) {
        this.literal();
        continue;
      }
      const length = this.match(positionState);
      if (length === 0) return "end";
      const distance = (this.rep0 >>> 0) + 1;
      const from = this.at - distance;
      if (from < this.start) throw new LzmaDamage("a match reaches before the start");
      if (distance > this.dictionary) throw new LzmaDamage("a match reaches before the window");
      this.copy(from, length);
    }
    return "output";
  }

  private copy(from: number, length: number): void {
    const window = this.window;
    let at = this.at;
    if (length > 32 && at - from >= length) {
      window.copyWithin(at, from, from + length);
      this.at = at + length;
      return;
    }
    for (const end = at + length; at < end; at++) window[at] = window[from++] as number;
    this.at = at;
  }

  /** Ends a run: moves the range decoder to its normal form, as an encoder's flush leaves it. */
  normalize(): void {
    if ((this.range & 0xff000000) === 0) {
      this.range <<= 8;
      this.code = (this.code << 8) | (this.input[this.inputAt++] as number);
    }
  }
}
