// Bounds-checked big-endian access to bytes: the only place that turns a position into a value
// for formats read field by field. A read past the end is a BoundsError, never NaN or undefined.
// Hot paths that have already checked a whole block use DataView directly.

/** A read outside the given bytes: `offset` is absolute in the Reader's array, `need` is in bytes. */
export class BoundsError extends RangeError {
  constructor(
    readonly offset: number,
    readonly need: number,
    readonly have: number,
  ) {
    super(`${need} bytes needed at offset ${offset}, ${have} left`);
    this.name = "BoundsError";
  }
}

// A byte order mark belongs to the text: what is read and written again must be the same bytes.
const textDecoder = new TextDecoder("utf-8", { ignoreBOM: true });
const textEncoder = new TextEncoder();

/** UTF-8 bytes of a text. */
export const utf8 = (text: string): Uint8Array => textEncoder.encode(text);

/** Text of UTF-8 bytes, a byte order mark included; malformed sequences become U+FFFD. */
export const utf8Text = (bytes: Uint8Array): string => textDecoder.decode(bytes);

/** A view over the same memory, big-endian by DataView's default. */
export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** A Buffer over the same memory: its `toString(encoding, start, end)` needs no subarray. */
export const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The next multiple of four: where PCP's formats put what follows a text or a block. */
export const pad4 = (size: number): number => (size + 3) & ~3;

/** Cursor over `bytes[position, end)`. Subarrays that it returns share memory with `bytes`. */
export class Reader {
  /** Over the whole of `bytes`. */
  readonly view: DataView;
  private buffer: Buffer | undefined;

  constructor(
    readonly bytes: Uint8Array,
    public position = 0,
    readonly end: number = bytes.length,
  ) {
    this.view = viewOf(bytes);
  }

  get remaining(): number {
    return this.end - this.position;
  }

  private take(size: number): number {
    const at = this.position;
    if (size < 0 || size > this.end - at) throw new BoundsError(at, size, this.end - at);
    this.position = at + size;
    return at;
  }

  u8(): number {
    return this.view.getUint8(this.take(1));
  }
  u16(): number {
    return this.view.getUint16(this.take(2));
  }
  i32(): number {
    return this.view.getInt32(this.take(4));
  }
  u32(): number {
    return this.view.getUint32(this.take(4));
  }
  i64(): bigint {
    return this.view.getBigInt64(this.take(8));
  }
  u64(): bigint {
    return this.view.getBigUint64(this.take(8));
  }
  f32(): number {
    return this.view.getFloat32(this.take(4));
  }
  f64(): number {
    return this.view.getFloat64(this.take(8));
  }

  /** The next `size` bytes, not copied. */
  slice(size: number): Uint8Array {
    const at = this.take(size);
    return this.bytes.subarray(at, at + size);
  }
  /** The next `size` bytes as utf8Text gives them, in half the time for short texts. */
  text(size: number): string {
    const at = this.take(size);
    this.buffer ??= bufferOf(this.bytes);
    return this.buffer.toString("utf8", at, at + size);
  }
  skip(size: number): void {
    this.take(size);
  }
}

/** Growing big-endian buffer with an upper bound; `finish()` gives a view of what was written. */
export class Writer {
  private buffer: Uint8Array;
  private view: DataView;
  length = 0;

  constructor(
    initial = 256,
    readonly limit = 0x7fffffff,
  ) {
    this.buffer = new Uint8Array(initial);
    this.view = viewOf(this.buffer);
  }

  private room(size: number): number {
    const at = this.length;
    const need = at + size;
    if (need > this.limit) throw new BoundsError(at, size, this.limit - at);
    if (need > this.buffer.length) {
      const grown = new Uint8Array(Math.min(this.limit, Math.max(need, this.buffer.length * 2)));
      grown.set(this.buffer.subarray(0, at));
      this.buffer = grown;
      this.view = viewOf(grown);
    }
    this.length = need;
    return at;
  }

  u8(value: number): this {
    const at = this.room(1);
    this.view.setUint8(at, value);
    return this;
  }
  u16(value: number): this {
    const at = this.room(2);
    this.view.setUint16(at, value);
    return this;
  }
  i32(value: number): this {
    const at = this.room(4);
    this.view.setInt32(at, value);
    return this;
  }
  u32(value: number): this {
    const at = this.room(4);
    this.view.setUint32(at, value);
    return this;
  }
  i64(value: bigint): this {
    const at = this.room(8);
    this.view.setBigInt64(at, value);
    return this;
  }
  u64(value: bigint): this {
    const at = this.room(8);
    this.view.setBigUint64(at, value);
    return this;
  }
  f32(value: number): this {
    const at = this.room(4);
    this.view.setFloat32(at, value);
    return this;
  }
  f64(value: number): this {
    const at = this.room(8);
    this.view.setFloat64(at, value);
    return this;
  }
  put(bytes: Uint8Array): this {
    const at = this.room(bytes.length);
    this.buffer.set(bytes, at);
    return this;
  }
  fill(value: number, count: number): this {
    const at = this.room(count);
    this.buffer.fill(value, at, at + count);
    return this;
  }
  /** Overwrites four bytes written before, e.g. a length known only at the end. */
  patchI32(at: number, value: number): this {
    if (at < 0 || at + 4 > this.length) throw new BoundsError(at, 4, this.length - at);
    this.view.setInt32(at, value);
    return this;
  }
  finish(): Uint8Array {
    return this.buffer.subarray(0, this.length);
  }
}
