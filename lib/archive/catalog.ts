// The metadata of an archive, or of all archives of a set together (spec archive.md 5.3, 7):
// descriptors, names, instances, labels, help texts. Records are kept as the bytes they are and
// decoded when asked for. Refused: descriptors of one metric that differ, with the code of what
// differs; names that are no names, with PM_ERR_PMNS. A name that is both a metric and a branch is a
// branch.
import { bufferOf, PM_ERR, type PmErrCode, viewOf } from "../base/mod.ts";
import { type Desc, type Indom, Names, type Pmid, pmIDStr, type Timestamp } from "../pcp/mod.ts";
import { descAt, eachDescName } from "./desc.ts";
import { archiveError, type RecordPlace } from "./fault.ts";
import { META_TYPE } from "./frame.ts";
import { decodeText, isTextType, textHead } from "./helptext.ts";
import { viewIndom } from "./indom.ts";
import { InstanceHistory } from "./instances.ts";
import {
  type ArchiveLabelSet,
  checkLabelSets,
  decodeLabelSets,
  labelSetsBody,
  type LabelSetRecord,
} from "./labelset.ts";
import { compareTimes, lastNotAfter } from "./timestamp.ts";

interface TimedLabels {
  readonly timestamp: Timestamp;
  readonly bytes: Uint8Array;
}

/** Level or text type and identifier as one number. */
const keyOf = (type: number, ident: number): number => type * 0x1_0000_0000 + ident;

const DIFFERENCES: readonly (readonly [keyof Desc, PmErrCode, string])[] = [
  ["type", PM_ERR.LOGCHANGETYPE, "type"],
  ["sem", PM_ERR.LOGCHANGESEM, "semantics"],
  ["indom", PM_ERR.LOGCHANGEINDOM, "instance domain"],
  ["units", PM_ERR.LOGCHANGEUNITS, "units"],
];

const sameLabels = (a: TimedLabels, b: TimedLabels): boolean =>
  Buffer.compare(labelSetsBody(a.bytes), labelSetsBody(b.bytes)) === 0;

/** Metadata by identifier. Filled by `add`, record by record; the bytes given are kept. */
export class Catalog {
  /** Descriptors by PMID in the order of their first appearance. */
  readonly descs: Map<Pmid, Desc> = new Map();
  /** All names; a new child stands before its siblings, as in PCP. */
  readonly names: Names = new Names({
    newestFirst: true,
    keepFirst: true,
    mixed: true,
  });
  /** Instances of each domain that has records. */
  readonly indoms: Map<Indom, InstanceHistory> = new Map();
  private readonly labels = new Map<number, TimedLabels[]>();
  private readonly texts = new Map<number, Uint8Array>();
  private readonly textTypes = new Set<number>();

  /** Adds a whole record of a known type whose frame was checked. */
  add(type: number, bytes: Uint8Array, place: RecordPlace): void {
    if (type === META_TYPE.DESC) {
      this.addDescAt(bufferOf(bytes), viewOf(bytes), 0, bytes.length, place);
    } else if (type === META_TYPE.TEXT) this.addText(bytes, place);
    else if (type === META_TYPE.LABEL || type === META_TYPE.LABEL_V2) {
      this.addLabels(bytes, place);
    } else this.addIndom(bytes, place);
  }

  /** Adds the descriptor record at `[at, at + length)` of `bytes`, over which `view` is, too. */
  addDescAt(bytes: Buffer, view: DataView, at: number, length: number, place: RecordPlace): void {
    const desc = descAt(view, at, length, place);
    const known = this.descs.get(desc.pmid);
    if (known === undefined) this.descs.set(desc.pmid, desc);
    else {
      for (const [field, code, word] of DIFFERENCES) {
        if (known[field] === desc[field]) continue;
        const what = this.names.namesOf(desc.pmid)[0] ?? pmIDStr(desc.pmid);
        const reason = `${word} of ${what} changes from ${known[field]} to ${desc[field]}`;
        throw archiveError(code, "descriptor record", place, reason);
      }
    }
    eachDescName(bytes, view, at, length, place, (name) => this.addName(name, desc.pmid, place));
  }

  private addName(text: string, pmid: Pmid, place: RecordPlace): void {
    // Some old writers padded names; for PCP a name ends at its first NUL.
    const nul = text.indexOf("\0");
    try {
      this.names.add(nul < 0 ? text : text.slice(0, nul), pmid);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw archiveError(PM_ERR.PMNS, "descriptor record", place, reason);
    }
  }

  private addIndom(bytes: Uint8Array, place: RecordPlace): void {
    const record = viewIndom(bytes, place);
    // As in PCP, a record without instances changes nothing.
    if (record.count === 0) return;
    let history = this.indoms.get(record.indom);
    if (history === undefined) {
      history = new InstanceHistory();
      this.indoms.set(record.indom, history);
    }
    history.add(record);
  }

  private addLabels(bytes: Uint8Array, place: RecordPlace): void {
    const { timestamp, type, ident } = checkLabelSets(bytes, place);
    const key = keyOf(type, ident);
    const added = { timestamp, bytes };
    const list = this.labels.get(key);
    if (list === undefined) {
      this.labels.set(key, [added]);
      return;
    }
    let at = list.length;
    while (at > 0 && compareTimes((list[at - 1] as TimedLabels).timestamp, timestamp) > 0) at--;
    const before = list[at - 1];
    if (before !== undefined && sameLabels(before, added)) return;
    list.splice(at, 0, added);
    const after = list[at + 1];
    if (after !== undefined && sameLabels(added, after)) list.splice(at + 1, 1);
  }

  private addText(bytes: Uint8Array, place: RecordPlace): void {
    const { type, ident } = textHead(bytes, place);
    if (!isTextType(type)) return;
    this.textTypes.add(type);
    this.texts.set(keyOf(type, ident), bytes);
  }

  /**
   * The label sets of a level (PM_LABEL) and identifier at a time: those of the newest record that
   * is not later, of several at one time the first, as in PCP. undefined when there is none yet. JSON
   * texts share the memory of the record.
   */
  labelsAt(type: number, ident: number, time: Timestamp): readonly ArchiveLabelSet[] | undefined {
    const list = this.labels.get(keyOf(type, ident)) ?? [];
    let index = lastNotAfter(list, time);
    let found = list[index];
    for (let before = list[--index]; found !== undefined && before !== undefined;) {
      if (compareTimes(before.timestamp, found.timestamp) < 0) break;
      found = before;
      before = list[--index];
    }
    return found === undefined ? undefined : decodeLabelSets(found.bytes).sets;
  }

  /** Every level and identifier that has labels, with the times of its records. */
  *labelKeys(): Generator<{
    readonly type: number;
    readonly ident: number;
    readonly times: readonly Timestamp[];
  }> {
    for (const [key, list] of this.labels) {
      const type = Math.floor(key / 0x1_0000_0000);
      const ident = key - type * 0x1_0000_0000;
      yield { type, ident, times: list.map((each) => each.timestamp) };
    }
  }

  /** The label records of a level and identifier in order of time, each as it was written. */
  labelRecords(type: number, ident: number): readonly LabelSetRecord[] {
    return (this.labels.get(keyOf(type, ident)) ?? []).map(({ bytes }) => decodeLabelSets(bytes));
  }

  /** The text of a type (PM_TEXT bits) and identifier; undefined without one. */
  text(type: number, ident: number): string | undefined {
    const bytes = this.texts.get(keyOf(type, ident));
    return bytes === undefined ? undefined : decodeText(bytes).text;
  }

  /** Whether there is any text of a type: without one the answer to a lookup has its own code. */
  hasTexts(type: number): boolean {
    return this.textTypes.has(type);
  }

  /** Every text's type and identifier in the order of first appearance. */
  *textKeys(): Generator<{ readonly type: number; readonly ident: number }> {
    for (const key of this.texts.keys()) {
      const type = Math.floor(key / 0x1_0000_0000);
      yield { type, ident: key - type * 0x1_0000_0000 };
    }
  }
}
