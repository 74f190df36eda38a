// Compiled help texts (spec pmda.md 13): BASE.dir, sorted records that lead into BASE.pag, as newhelp
// writes and pmdaText reads them. help-source.ts reads what they are made from. A directory with
// another magic number or a size that is none is EINVAL; an entry that leads nowhere has no text.
import { readFileSync } from "node:fs";
import { asPcpError, PcpError, utf8Text, viewOf } from "../base/mod.ts";
import type { HelpTexts } from "./agent.ts";
import {
  type HelpEntry,
  type HelpMessage,
  INDOM_BIT,
  type NameLookup,
  parseHelpSource,
} from "./help-source.ts";

const MAGIC = 0x50635068;
const VERSION = 0x3132;
const RECORD_BYTES = 12;
const PAG_HEAD = "PcPh22\n";
const EINVAL = -22;

/** The two files as bytes. */
export interface CompiledHelp {
  readonly dir: Uint8Array;
  readonly pag: Uint8Array;
}

/** The place of an entry in the directory: instance domains behind metrics, domains left aside. */
const rank = (ident: number): number => (ident >= INDOM_BIT ? 0x400000 : 0) + (ident & 0x3fffff);

/** Makes the two files; entries stay in their order in BASE.pag. */
export function encodeHelp(entries: readonly HelpEntry[]): CompiledHelp {
  const parts = [Buffer.from(PAG_HEAD)];
  let at = PAG_HEAD.length;
  const placed = entries.map(({ ident, key, oneline, text }) => {
    const head = Buffer.from(`\n@ ${key} `, "latin1");
    const line = Buffer.from(`${oneline}\0`, "latin1");
    const body = Buffer.from(`${text}\0`, "latin1");
    const onelineAt = at + head.length;
    const textAt = onelineAt + line.length;
    at = textAt + body.length;
    parts.push(head, line, body);
    return { ident, onelineAt, textAt };
  });
  const dir = new Uint8Array(RECORD_BYTES * (placed.length + 1));
  const view = viewOf(dir);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, VERSION * 0x10000, true);
  view.setUint32(8, placed.length, true);
  placed.sort((a, b) => rank(a.ident) - rank(b.ident));
  for (const [i, { ident, onelineAt, textAt }] of placed.entries()) {
    const record = RECORD_BYTES * (i + 1);
    view.setUint32(record, ident, true);
    view.setUint32(record + 4, onelineAt, true);
    view.setUint32(record + 8, textAt, true);
  }
  return { dir, pag: Buffer.concat(parts) };
}

/** Where the two texts of an entry start. */
interface Place {
  readonly oneline: number;
  readonly help: number;
}

/** Reads the two files, of either byte order. Throws PcpError EINVAL. */
export function decodeHelp({ dir, pag }: CompiledHelp): HelpTexts {
  if (dir.length < RECORD_BYTES)
    throw new PcpError(EINVAL, `help directory of ${dir.length} bytes has no header`);
  const view = viewOf(dir);
  const little = view.getUint32(0, true) === MAGIC;
  const [magic, version] = [view.getUint32(0, little), view.getUint32(4, little)];
  if (magic !== MAGIC || version >>> 16 !== VERSION) {
    const words = `${magic.toString(16)} ${version.toString(16)}`;
    throw new PcpError(EINVAL, `help directory starts with ${words}, which is no PCP help`);
  }
  const count = view.getUint32(8, little);
  if (count > dir.length / RECORD_BYTES - 1)
    throw new PcpError(EINVAL, `help directory of ${dir.length} bytes says ${count} entries`);
  const places = new Map<number, Place>();
  for (let i = 1; i <= count; i++) {
    const at = RECORD_BYTES * i;
    const ident = view.getUint32(at, little);
    // Of several, PCP finds the first one of a metric and the last one of an instance domain.
    if (ident < INDOM_BIT && places.has(ident)) continue;
    places.set(ident, {
      oneline: view.getUint32(at + 4, little),
      help: view.getUint32(at + 8, little),
    });
  }
  return {
    text: (subject, ident, level) => {
      const bit = subject === "metric" ? 0 : INDOM_BIT;
      const at = places.get(ident + bit)?.[level];
      const end = at === undefined ? -1 : pag.indexOf(0, at);
      return end < 0 ? undefined : utf8Text(pag.subarray(at, end));
    },
  };
}

/** Reads BASE.dir and BASE.pag. Throws PcpError: a negated errno. */
export function readHelp(base: string): HelpTexts {
  try {
    return decodeHelp({ dir: readFileSync(`${base}.dir`), pag: readFileSync(`${base}.pag`) });
  } catch (error) {
    throw asPcpError(error);
  }
}

/**
 * Help of a source file, compiled when the first text is asked for: the names in it may become known
 * later than the file. A symbol before a number, `@ SAMPLE.1`, stands for `domain`, as for PCP's
 * Install. `said` hears what newhelp would say.
 */
export function sourceHelp(
  { file, bytes }: { readonly file: string; readonly bytes: Uint8Array },
  domain: number,
  lookup: NameLookup,
  said: (message: HelpMessage) => void,
): HelpTexts {
  let texts: HelpTexts | undefined;
  const compile = (): HelpTexts => {
    const source = Buffer.from(bytes)
      .toString("latin1")
      .replaceAll(/^@ [A-Z_]\w*\.(?=\d)/gm, `@ ${domain}.`);
    const read = parseHelpSource([{ file, bytes: Buffer.from(source, "latin1") }], lookup);
    for (const message of read.messages) if (!message.verbose) said(message);
    return decodeHelp(encodeHelp(read.entries));
  };
  return {
    text(subject, ident, level) {
      texts ??= compile();
      return texts.text(subject, ident, level);
    },
  };
}
