// Replies of a key server (RESP2, RESP3): where each ends in a stream that comes in pieces, and what whole
// ones hold, for the few that the proxy asks for itself. Refused: types that no version has, and numbers
// that are none.

const NEWLINE = 0x0a;
const RETURN = 0x0d;
/** Longest line that announces a length. */
const HEAD_MAX = 32;
/** Deepest nesting that is read. */
const DEPTH_MAX = 16;

/** Types by their first byte: a line, a counted text, so many parts for each that is counted. */
const LINE = new Set([..."+-:,#_("].map((each) => each.charCodeAt(0)));
const BULK = new Set([..."$!="].map((each) => each.charCodeAt(0)));
const MANY = new Map<number, number>([..."*~>"].map((each) => [each.charCodeAt(0), 1]));
for (const each of "%|") MANY.set(each.charCodeAt(0), 2);
const ATTRIBUTE = 0x7c;

/** Follows one stream of replies; keeps nothing but the line of a length. */
export class ReplyFramer {
  /** Replies and parts of them that are still to come; 0 between replies. */
  private parts = 0;
  private skip = 0;
  private type = 0;
  private head = "";
  /** The last byte was the first of a line's end. */
  private returned = false;

  /** Nothing of a reply has come since the last one ended. */
  get atBoundary(): boolean {
    return this.parts === 0;
  }

  /**
   * Takes one reply, or what there is of it, from `from` on. Gives the index after it; 0 where all
   * bytes belong to it and more has to come; -1 for what is no reply.
   */
  take(bytes: Uint8Array, from: number): number {
    if (this.parts === 0) this.parts = 1;
    let index = from;
    while (index < bytes.length) {
      if (this.skip > 0) {
        const step = Math.min(this.skip, bytes.length - index);
        this.skip -= step;
        index += step;
        if (this.skip > 0) return 0;
        this.parts -= 1;
        if (this.parts === 0) return index;
        continue;
      }
      const byte = bytes[index] ?? 0;
      index += 1;
      if (this.type === 0) {
        if (!LINE.has(byte) && !BULK.has(byte) && !MANY.has(byte)) return -1;
        this.type = byte;
        continue;
      }
      if (LINE.has(this.type)) {
        if (!(byte === NEWLINE && this.returned)) {
          // Nothing in a line is of interest before its end.
          this.returned = byte === RETURN;
          if (this.returned) continue;
          const end = bytes.indexOf(RETURN, index);
          index = end < 0 ? bytes.length : end;
          continue;
        }
        this.type = 0;
        this.returned = false;
        this.parts -= 1;
      } else if (byte !== NEWLINE) {
        this.head += String.fromCharCode(byte);
        if (this.head.length > HEAD_MAX) return -1;
        continue;
      } else if (!this.counted()) return -1;
      if (this.parts === 0) return index;
    }
    return 0;
  }

  /** The line of a length is whole; false: it is none. */
  private counted(): boolean {
    const { type, head } = this;
    this.type = 0;
    this.head = "";
    if (!/^(?:-1|\d{1,10})\r$/.test(head)) return false;
    const count = Number(head.slice(0, -1));
    const each = MANY.get(type);
    if (each === undefined) {
      if (count < 0) this.parts -= 1;
      else this.skip = count + 2;
      return true;
    }
    // What is described by an attribute follows it, and is what counts.
    this.parts += Math.max(count, 0) * each - (type === ATTRIBUTE ? 0 : 1);
    return Number.isSafeInteger(this.parts);
  }
}

/** A reply's value. Errors are texts with their sign. */
export type ReplyValue = null | number | string | readonly ReplyValue[];

/** Reads one whole reply, as ReplyFramer finds it; undefined for one that does not fit itself. */
export function replyValue(bytes: Uint8Array): ReplyValue | undefined {
  let at = 0;
  const decoder = new TextDecoder("latin1");
  const read = (depth: number): ReplyValue | undefined => {
    const end = bytes.indexOf(NEWLINE, at);
    if (end < at + 2 || depth > DEPTH_MAX) return undefined;
    const type = bytes[at] ?? 0;
    const line = decoder.decode(bytes.subarray(at + 1, end - 1));
    at = end + 1;
    if (type === 0x3a) return Number(line);
    if (type === 0x2d) return `-${line}`;
    const each = MANY.get(type);
    const count = Number(line);
    if (each === undefined && !BULK.has(type)) return line;
    if (count < 0) return null;
    if (each === undefined) {
      const value = decoder.decode(bytes.subarray(at, at + count));
      at += count + 2;
      return value;
    }
    const parts: ReplyValue[] = [];
    for (let part = 0; part < count * each; part++) {
      const value = read(depth + 1);
      if (value === undefined) return undefined;
      parts.push(value);
    }
    return parts;
  };
  return read(0);
}
