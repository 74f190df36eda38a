// Requests of a key server's protocol (RESP) found in a stream that comes in pieces of any size: where each
// begins and ends, its name, and the slot of its key. Nothing of the stream is kept but the first two words,
// so that a value of any size passes. Refused: what is no array of bulk strings, and lengths beyond those
// that servers take.

import { utf8 } from "../base/mod.ts";
import { KeySlot } from "../keyserver/mod.ts";

/** Most parts of a request, as servers have it. */
const PARTS_MAX = 1 << 20;
/** Longest part, as servers have it. */
const BULK_MAX = 512 << 20;
/** Longest word that is looked at: no command has a longer name. */
const WORD_MAX = 64;
/** What tells where a request goes. */
export interface Route {
  /** Name of the command in capitals; empty for one that is longer than any. */
  readonly name: string;
  /** The next word in capitals, empty where there is none or it was not asked for. */
  readonly word: string;
  /** The slot of its key; undefined without one. */
  readonly slot: number | undefined;
  /** How many parts it has, the name among them. */
  readonly parts: number;
}

/** Hears of the requests in a stream. */
export interface RequestSink {
  /** Place of the word that has to be seen before `route`, and whether it is a key; 0: the name is enough. */
  look(name: string): { readonly place: number; readonly isKey: boolean };
  /** A piece of a request, in order; the first comes before `route`, the last before `ended`. */
  piece(bytes: Uint8Array): void;
  /** Once for each request, as early as it is known. */
  route(route: Route): void;
  /** A request is whole. False: no more of the stream is taken. */
  ended(): boolean;
}

const enum At {
  Start,
  SkippedReturn,
  Parts,
  PartsEnd,
  Dollar,
  Length,
  LengthEnd,
  Body,
  BodyReturn,
  BodyNewline,
}

const RETURN = 0x0d;
const NEWLINE = 0x0a;
const STAR = 0x2a;
const DOLLAR = 0x24;
const MINUS = 0x2d;
const DIGITS_MAX = 10;

/** Follows one stream of requests. */
export class RequestFramer {
  private at: At = At.Start;
  private number = 0;
  private digits = 0;
  private negative = false;
  private parts = 0;
  private part = 0;
  private left = 0;
  private words: string[] = [];
  private isWord = false;
  private key: KeySlot | undefined;
  private keyPlace = -1;
  private lookPlace = 0;
  private routed = false;
  /** The first line came in more than one piece: it is given on made anew, when it is known to count. */
  private split = false;

  constructor(private readonly sink: RequestSink) {}

  /** Nothing of a request has come since the last one ended. */
  get atBoundary(): boolean {
    return this.at === At.Start || this.at === At.SkippedReturn;
  }

  /**
   * Takes the stream from `from` on. Gives the index up to which it was taken, which is less than the
   * length only where `ended` said so; -1 for what is no request.
   */
  pass(bytes: Uint8Array, from: number): number {
    let begin = from;
    let index = from;
    while (index < bytes.length) {
      if (this.at === At.Body) {
        index = this.body(bytes, index);
        continue;
      }
      const byte = bytes[index] ?? 0;
      if (this.at === At.Start || this.at === At.SkippedReturn) {
        // Programs of PCP send an empty line after some requests.
        begin = index;
        if (!this.start(byte)) return -1;
        index += 1;
        if (byte !== STAR) begin = index;
        continue;
      }
      index += 1;
      const done = this.step(byte);
      if (done === undefined) return -1;
      if (this.split && this.at === At.Dollar && this.part === 0 && this.parts > 0) {
        this.split = false;
        this.sink.piece(utf8(`*${this.parts}\r\n`));
        begin = index;
      }
      if (!done) continue;
      if (this.parts > 0) {
        this.sink.piece(bytes.subarray(begin, index));
        if (!this.routed) this.tell();
      }
      begin = index;
      const goOn = this.parts <= 0 || this.sink.ended();
      this.reset();
      if (!goOn) return index;
    }
    if (this.at === At.Parts || this.at === At.PartsEnd) this.split = true;
    else if (begin < index && !this.atBoundary) this.sink.piece(bytes.subarray(begin, index));
    if (!this.routed && this.part > this.lookPlace) this.tell();
    return index;
  }

  private start(byte: number): boolean {
    if (this.at === At.SkippedReturn) {
      if (byte !== NEWLINE) return false;
      this.at = At.Start;
      return true;
    }
    if (byte === RETURN) this.at = At.SkippedReturn;
    else if (byte === STAR) this.beginNumber(At.Parts);
    else return false;
    return true;
  }

  private beginNumber(at: At): void {
    this.at = at;
    this.number = 0;
    this.digits = 0;
    this.negative = false;
  }

  /** One byte outside of bodies. True: the request is whole; undefined: it is none. */
  private step(byte: number): boolean | undefined {
    switch (this.at) {
      case At.Parts:
        return this.digit(byte, At.PartsEnd) ? false : undefined;
      case At.PartsEnd:
        if (byte !== NEWLINE || this.number > PARTS_MAX) return undefined;
        this.parts = this.negative ? 0 : this.number;
        this.at = At.Dollar;
        // An empty array is no request, and has no answer.
        return this.parts === 0;
      case At.Dollar:
        if (byte !== DOLLAR) return undefined;
        this.beginNumber(At.Length);
        return false;
      case At.Length:
        return this.digit(byte, At.LengthEnd) ? false : undefined;
      case At.LengthEnd:
        if (byte !== NEWLINE || this.negative || this.number > BULK_MAX) return undefined;
        this.beginPart();
        return false;
      case At.BodyReturn:
        this.at = At.BodyNewline;
        return byte === RETURN ? false : undefined;
      case At.BodyNewline:
        if (byte !== NEWLINE) return undefined;
        this.endPart();
        this.at = At.Dollar;
        return this.part === this.parts;
      default:
        return undefined;
    }
  }

  /** One byte of a number; false: it is none. */
  private digit(byte: number, end: At): boolean {
    if (byte === RETURN) {
      this.at = end;
      return this.digits > 0;
    }
    if (byte === MINUS && this.digits === 0 && !this.negative) {
      this.negative = true;
      return true;
    }
    this.digits += 1;
    this.number = this.number * 10 + byte - 0x30;
    return byte >= 0x30 && byte <= 0x39 && this.digits <= DIGITS_MAX;
  }

  private beginPart(): void {
    this.left = this.number;
    this.at = this.left === 0 ? At.BodyReturn : At.Body;
    this.isWord = this.part < 2 && this.left <= WORD_MAX;
    if (this.part < 2) this.words[this.part] = "";
    if (this.part === this.keyPlace) this.key = new KeySlot();
  }

  /** Bytes of a part, as many as there are. */
  private body(bytes: Uint8Array, from: number): number {
    const end = Math.min(bytes.length, from + this.left);
    if (this.isWord || this.part === this.keyPlace) {
      const some = bytes.subarray(from, end);
      if (this.part === this.keyPlace) this.key?.add(some);
      if (this.isWord) this.words[this.part] += String.fromCharCode(...some);
    }
    this.left -= end - from;
    if (this.left === 0) this.at = At.BodyReturn;
    return end;
  }

  private endPart(): void {
    if (this.part === 0) {
      const { place, isKey } = this.sink.look((this.words[0] ?? "").toUpperCase());
      this.lookPlace = place;
      this.keyPlace = isKey ? place : -1;
    }
    this.part += 1;
  }

  private tell(): void {
    this.routed = true;
    this.sink.route({
      name: (this.words[0] ?? "").toUpperCase(),
      word: (this.words[1] ?? "").toUpperCase(),
      slot: this.key?.slot,
      parts: this.parts,
    });
  }

  private reset(): void {
    this.at = At.Start;
    this.parts = 0;
    this.part = 0;
    this.words = [];
    this.isWord = false;
    this.key = undefined;
    this.keyPlace = -1;
    this.lookPlace = 0;
    this.routed = false;
    this.split = false;
  }
}
