// The source form of help texts (spec pmda.md 12): entries that start with `@ KEY ONELINE` in the
// first column. Read as newhelp does, with its messages and its limits on lines and entries, so that
// what compiles here compiles there; nothing is refused, wrong entries are dropped with a message.
import { PcpError, pmErrStr } from "../base/mod.ts";
import type { Pmid } from "../pcp/mod.ts";

/** Set in the number of an instance domain to tell it from a metric's. */
export const INDOM_BIT = 0x80000000;
/** Bytes of a line before it is split, and of an entry before it is cut. */
const LINE_BYTES = 127;
const ENTRY_BYTES = 1024;
/** How much of a cut entry is shown. */
const TAIL_BYTES = 64;

/** One entry. Texts are bytes as latin1 characters, so that any encoding passes through. */
export interface HelpEntry {
  /** PMID, or InDom + INDOM_BIT. */
  readonly ident: number;
  readonly key: string;
  readonly oneline: string;
  readonly text: string;
}

/** What newhelp says: `verbose` messages only when asked for more; an omission counts all the same. */
export interface HelpMessage {
  readonly level: "accepted" | "omission" | "warning" | "error";
  readonly verbose: boolean;
  readonly text: string;
}

/** What reading one or more sources gave. */
export interface HelpSource {
  readonly entries: readonly HelpEntry[];
  readonly messages: readonly HelpMessage[];
}

/** Finds the PMID of a name; throws PcpError when it has none. */
export type NameLookup = (name: string) => Pmid;

const INTEGER = "\\s*([+-]?\\d+)";
const NUMERIC = new RegExp(`^${INTEGER}\\.${INTEGER}(?:\\.${INTEGER})?`);

/** The number of a key, or the code of what is wrong with it. */
function identOf(key: string, lookup: NameLookup): number | PcpError {
  try {
    return lookup(key);
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    const fields = NUMERIC.exec(key);
    if (fields === null) return error;
    const [, domain = "", second = "", item] = fields;
    const base = (Number(domain) & 0x1ff) * 0x400000;
    if (item === undefined) return INDOM_BIT + base + (Number(second) & 0x3fffff);
    return base + (Number(second) & 0xfff) * 0x400 + (Number(item) & 0x3ff);
  }
}

/** Pieces of at most LINE_BYTES, as a reader with a small buffer gets them. */
function* pieces(source: string): Generator<string> {
  for (let at = 0; at < source.length;) {
    const end = source.indexOf("\n", at) + 1;
    const piece = source.slice(at, Math.min(end === 0 ? source.length : end, at + LINE_BYTES));
    at += piece.length;
    yield piece;
  }
}

class Reader {
  readonly entries: HelpEntry[] = [];
  readonly messages: HelpMessage[] = [];
  /** The entry so far without its `@`; undefined where lines belong to none. */
  private buffer: string | undefined;
  /** After a cut: what comes is lost up to the entry after the next one. */
  private cut = false;
  private file = "";
  private line = 1;

  constructor(private readonly lookup: NameLookup) {}

  private say(level: HelpMessage["level"], text: string, verbose = false): void {
    const place = level === "accepted" ? "" : `newhelp: [${this.file}:${this.line}] `;
    this.messages.push({ level, verbose, text: place + text });
  }

  private finish(): void {
    const { buffer } = this;
    this.buffer = undefined;
    if (buffer === undefined) return;
    const [key = ""] = /^\S*/.exec(buffer) ?? [];
    const ident = identOf(key, this.lookup);
    if (ident instanceof PcpError) {
      this.say("error", `${key}: ${pmErrStr(ident.code, 6)}, entry abandoned`);
      return;
    }
    // The very first entry is not looked at, as in PCP.
    if (this.entries.length > 1 && this.entries.at(-1)?.ident === ident) {
      const parts = [(ident >>> 22) & 0x1ff];
      if (ident >= INDOM_BIT) parts.push(ident & 0x3fffff);
      else parts.push((ident >>> 10) & 0xfff, ident & 0x3ff);
      this.say("error", `duplicate key (${parts.join(".")}) entry abandoned`);
      return;
    }
    const [first = ""] = /^[^\n]*/.exec(buffer) ?? [];
    const oneline = first.slice(key.length).replace(/^\s+/, "");
    const text = buffer.slice(first.length + 1).replace(/\n+$/, "");
    this.entries.push({ ident, key, oneline, text });
    if (oneline === "") this.say("warning", `${first}: warning, null oneline`, true);
    if (text === "") this.say("warning", `${first}: warning, null help`, true);
    if (oneline !== "" && text !== "") this.say("accepted", key, true);
  }

  private begin(piece: string): void {
    this.finish();
    const rest = piece.slice(1).replace(/^\s+/, "");
    if (this.cut || rest === "") this.say("omission", "null entry?", true);
    else this.append("", rest);
    this.cut = false;
  }

  private append(buffer: string, piece: string): void {
    const whole = piece.endsWith("\n");
    const grown = `${buffer}${piece}${whole ? "" : "\n"}`;
    if (!whole) {
      this.say("warning", `long line split after ...\n${grown.slice(0, -1)}`);
      // The rest belongs to the same line. Where nobody wants the text, pieces count as lines.
      this.line -= 1;
    }
    if (grown.length > ENTRY_BYTES) {
      this.buffer = grown.slice(0, ENTRY_BYTES - 2);
      this.cut = true;
      this.say("warning", `entry truncated after ... ${this.buffer.slice(2 - TAIL_BYTES)}`);
      return;
    }
    this.buffer = grown;
  }

  read(file: string, source: string): void {
    this.file = file;
    this.line = 1;
    for (const piece of pieces(source)) {
      if (piece.startsWith("@")) this.begin(piece);
      else if (!piece.startsWith("#") && !this.cut && this.buffer !== undefined)
        this.append(this.buffer, piece);
      this.line += 1;
    }
    this.finish();
    this.cut = false;
  }
}

/** Reads sources in order; `bytes` as they are in the file that messages call `file`. */
export function parseHelpSource(
  sources: readonly { readonly file: string; readonly bytes: Uint8Array }[],
  lookup: NameLookup,
): HelpSource {
  const reader = new Reader(lookup);
  for (const { file, bytes } of sources)
    reader.read(file, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1"));
  return reader;
}

/** newhelp's exit status: 0, 1 after warnings, 2 after errors; verbose warnings count when asked for. */
export function helpStatus({ messages }: HelpSource, verbose: boolean): 0 | 1 | 2 {
  if (messages.some(({ level }) => level === "error")) return 2;
  const doubtful = messages.some(
    (message) =>
      message.level === "omission" ||
      (message.level === "warning" && (verbose || !message.verbose)),
  );
  return doubtful ? 1 : 0;
}
