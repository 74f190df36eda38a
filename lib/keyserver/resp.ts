// The wire form of a key server (RESP 2, with the types that RESP 3 adds): commands are written into bytes
// that are used again and again, replies are found in bytes as they come and read where they lie.
// Nothing is made for a reply that nobody wants to see. Refused: bytes that are no reply, lines longer than
// MAX_LINE, texts and lists longer than MAX_REPLY, and replies that are nested deeper than MAX_DEPTH.
import { PM_ERR, PcpError } from "../base/mod.ts";
import { SeriesProblem } from "../series/mod.ts";
import { slotOf } from "./slot.ts";

/** One part of a command. Identifiers are 20 bytes, all else is text. */
export type KeyArgument = string | Buffer;
/** A command; its key, if it has one, is the second part. */
export type KeyCommand = readonly KeyArgument[];
/** An answer as it came. An error that the server answered is a value, too. */
export type KeyReply = null | number | string | Buffer | SeriesProblem | readonly KeyReply[];
/** Hears of a reply: the number of its command, and where it lies. The bytes are only lent. */
export type TakeReply = (command: number, bytes: Buffer, from: number, to: number) => void;

/** Most bytes of one reply, and of a text in it. */
export const MAX_REPLY = 512 * 1024 * 1024;
/** Most bytes of a line: an error, a number, a short text. */
const MAX_LINE = 1024 * 1024;
const MAX_DEPTH = 32;
const FIRST_BYTES = 4096;
const FIRST_COMMANDS = 64;
/** Room for a head: type, ten digits, end of line. */
const HEAD_ROOM = 13;

/** A part with two digits has no fewer bytes behind its first one. */
const SHORT_PART = 8;
const CR = 0x0d;
const LF = 0x0a;
const ZERO = 0x30;
const MINUS = 0x2d;
const STAR = 0x2a;
const DOLLAR = 0x24;

/** How many digits a whole number from 0 has. */
export function digitsOf(value: number): number {
  let count = 1;
  for (let limit = 10; value >= limit; limit *= 10) count++;
  return count;
}

/** Commands as bytes, one behind the other. Kept and cleared, since room costs more than what is in it. */
export class CommandBuffer {
  bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
  /** Bytes that are in use. */
  length = 0;
  /** Commands that are whole. */
  count = 0;
  /** For each command where it ends, and the slot of its key. */
  private ends = new Uint32Array(FIRST_COMMANDS);
  private slots = new Uint16Array(FIRST_COMMANDS);

  clear(): void {
    this.length = 0;
    this.count = 0;
  }

  endOf(command: number): number {
    return command < 0 ? 0 : (this.ends[command] ?? 0);
  }

  slotOf(command: number): number {
    return this.slots[command] ?? 0;
  }

  /** Makes room for so many more bytes. */
  room(more: number): void {
    const wanted = this.length + more;
    if (wanted <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(wanted, 2 * this.bytes.length));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }

  /** A head: a type and a number, where there is room for HEAD_ROOM. */
  head(type: number, value: number): void {
    const { bytes } = this;
    let at = this.length;
    bytes[at++] = type;
    at += digitsOf(value);
    this.length = at + 2;
    bytes[at] = CR;
    bytes[at + 1] = LF;
    let rest = value;
    do {
      const higher = Math.floor(rest / 10);
      bytes[--at] = ZERO + rest - 10 * higher;
      rest = higher;
    } while (rest > 0);
  }

  private line(): void {
    this.bytes[this.length] = CR;
    this.bytes[this.length + 1] = LF;
    this.length += 2;
  }

  private part(part: KeyArgument): void {
    const size = typeof part === "string" ? Buffer.byteLength(part) : part.length;
    this.room(size + HEAD_ROOM + 2);
    this.head(DOLLAR, size);
    if (typeof part === "string") this.length += this.bytes.write(part, this.length);
    else {
      this.bytes.set(part, this.length);
      this.length += size;
    }
    this.line();
  }

  /** Begins a command of so many parts, which are written behind it. */
  begin(parts: number): void {
    this.room(HEAD_ROOM);
    this.head(STAR, parts);
  }

  /** Ends a command whose key has this slot. */
  end(slot: number): void {
    if (this.count === this.ends.length) {
      const ends = new Uint32Array(2 * this.count);
      ends.set(this.ends);
      this.ends = ends;
      const slots = new Uint16Array(2 * this.count);
      slots.set(this.slots);
      this.slots = slots;
    }
    this.ends[this.count] = this.length;
    this.slots[this.count++] = slot;
  }

  /** Adds a command. */
  add(command: KeyCommand): void {
    this.begin(command.length);
    for (const part of command) this.part(part);
    const key = command[1];
    this.end(key === undefined ? 0 : slotOf(key));
  }

  /** Adds a command of another buffer. */
  copy(source: CommandBuffer, command: number): void {
    const from = source.endOf(command - 1);
    const to = source.endOf(command);
    this.room(to - from);
    source.bytes.copy(this.bytes, this.length, from, to);
    this.length += to - from;
    this.end(source.slotOf(command));
  }
}

/** Sends commands that are bytes; see KeyServer.pipe. */
export type Pipe = (commands: CommandBuffer, take: TakeReply) => Promise<void>;

const broken = (what: string): PcpError => new PcpError(PM_ERR.IPC, `key server: ${what}`);

/** What follows a head: nothing, bytes, or other parts. */
const enum Kind {
  Line = 1,
  Bytes,
  Parts,
  Pairs,
  Attribute,
}

const KINDS = new Uint8Array(256);
for (const type of "+-:_#,(") KINDS[type.charCodeAt(0)] = Kind.Line;
for (const type of "$=!") KINDS[type.charCodeAt(0)] = Kind.Bytes;
for (const type of "*~>") KINDS[type.charCodeAt(0)] = Kind.Parts;
KINDS[0x25] = Kind.Pairs;
KINDS[0x7c] = Kind.Attribute;

/** Finds the ends of replies in bytes that come in pieces. */
export class ReplyScanner {
  /** How far was looked: behind a reply when `next` was true. */
  at = 0;
  /** Parts that a reply still needs. */
  private need = 1;

  /** Looks on from `at`; true when a reply ends there, false when more bytes are needed. */
  next(bytes: Uint8Array, end: number): boolean {
    let { at, need } = this;
    while (need > 0) {
      // Most parts are short texts: one or two digits, both ends of line.
      if (bytes[at] === DOLLAR && at + SHORT_PART < end) {
        const first = (bytes[at + 1] ?? 0) - ZERO;
        const second = (bytes[at + 2] ?? 0) - ZERO;
        if (first >= 0 && first <= 9) {
          let behind = 0;
          if (bytes[at + 2] === CR) behind = at + 6 + first;
          else if (second >= 0 && second <= 9 && bytes[at + 3] === CR)
            behind = at + 7 + 10 * first + second;
          if (behind > 0 && behind <= end) {
            at = behind;
            need--;
            continue;
          }
        }
      }
      const kind = at < end ? (KINDS[bytes[at] ?? 0] ?? 0) : Kind.Line;
      if (kind === 0) throw broken(`a byte ${bytes[at]} where a reply begins`);
      let line = at + 1;
      let value = 0;
      let negative = false;
      if (kind === Kind.Line) {
        while (line < end && bytes[line] !== CR) line++;
      } else {
        for (; line < end && bytes[line] !== CR; line++) {
          const digit = (bytes[line] ?? 0) - ZERO;
          if (digit >= 0 && digit <= 9) value = value * 10 + digit;
          else if (bytes[line] === MINUS && line === at + 1) negative = true;
          else throw broken("a length that is no number");
        }
        if (value > MAX_REPLY) throw broken(`a reply of ${value} parts or bytes`);
      }
      // One that has not come whole is looked through again.
      if (line - at > MAX_LINE) throw broken(`a line of more than ${MAX_LINE} bytes`);
      // The end of the line, and of bytes that follow it.
      let next = line + 2;
      if (kind === Kind.Bytes && !negative) next += value + 2;
      if (next > end) break;
      at = next;
      if (kind === Kind.Parts || kind === Kind.Pairs)
        need += (negative ? 0 : kind === Kind.Pairs ? 2 * value : value) - 1;
      else if (kind === Kind.Attribute) need += 2 * value;
      else need--;
    }
    this.at = at;
    this.need = need;
    if (need > 0) return false;
    this.need = 1;
    return true;
  }
}

/** Reads replies that are known to be whole. */
export class ReplyReader {
  constructor(
    readonly bytes: Buffer,
    public at: number,
  ) {}

  /** The number of a head, -1 for none; stands behind the line then. */
  size(): number {
    const { bytes } = this;
    let { at } = this;
    const negative = bytes[++at] === MINUS;
    if (negative) at++;
    let value = 0;
    for (; bytes[at] !== CR && at < bytes.length; at++)
      value = value * 10 + (bytes[at] ?? 0) - ZERO;
    this.at = at + 2;
    return negative ? -1 : value;
  }

  private line(): string {
    const from = this.at + 1;
    const to = this.bytes.indexOf(CR, from);
    this.at = to + 2;
    return this.bytes.toString("utf8", from, to);
  }

  /** The next reply; its bytes are those of the whole. */
  read(depth = 0): KeyReply {
    const { bytes } = this;
    if (depth > MAX_DEPTH) throw broken("a reply that is nested too deep");
    switch (String.fromCharCode(bytes[this.at] ?? 0)) {
      case "$":
      case "=": {
        const size = this.size();
        if (size < 0) return null;
        const from = this.at;
        this.at = from + size + 2;
        return bytes.subarray(from, from + size);
      }
      case ":":
        return Number(this.line());
      case "-":
        return new SeriesProblem(this.line(), "bad response");
      case "!": {
        const size = this.size();
        if (size < 0) return new SeriesProblem("", "bad response");
        const from = this.at;
        this.at = from + size + 2;
        return new SeriesProblem(bytes.toString("utf8", from, from + size), "bad response");
      }
      case "_":
        this.line();
        return null;
      case "*":
      case "~":
      case ">":
        return this.parts(this.size(), depth);
      case "%":
        return this.parts(2 * this.size(), depth);
      case "|":
        this.parts(2 * this.size(), depth);
        return this.read(depth);
      default:
        return this.line();
    }
  }

  private parts(count: number, depth: number): KeyReply {
    if (count < 0) return null;
    const parts: KeyReply[] = [];
    for (let part = 0; part < count; part++) parts.push(this.read(depth + 1));
    return parts;
  }
}

/** A reply that lies at `from`. */
export const readReply = (bytes: Buffer, from: number): KeyReply =>
  new ReplyReader(bytes, from).read();

/** Commands of one call of askInBytes that are on their way at once, and their bytes. */
const ASKED_COMMANDS = 4096;
const ASKED_BYTES = 1024 * 1024;
/** Buffers that are kept for the next commands, and the largest of them. */
const KEPT_BUFFERS = 16;
const KEPT_BYTES = 64 * 1024;
const kept: CommandBuffer[] = [];

/** Asks in bytes, and gives the replies in order; `check` sees each, and may throw. */
export async function askInBytes(
  pipe: Pipe,
  commands: readonly KeyCommand[],
  check: (reply: KeyReply) => void,
): Promise<readonly KeyReply[]> {
  const replies: KeyReply[] = [];
  for (let from = 0; from < commands.length;) {
    const buffer = kept.pop() ?? new CommandBuffer();
    let next = from;
    do buffer.add(commands[next++] ?? []);
    while (next < commands.length && buffer.count < ASKED_COMMANDS && buffer.length < ASKED_BYTES);
    const first = from;
    await pipe(buffer, (number, bytes, at) => {
      const reply = readReply(bytes, at);
      check(reply);
      replies[first + number] = reply;
    });
    // One that was not sent whole is not used again.
    buffer.clear();
    if (kept.length < KEPT_BUFFERS && buffer.bytes.length <= KEPT_BYTES) kept.push(buffer);
    from = next;
  }
  return replies;
}
