// The content of an archive as the lines that pmdumplog prints for it, section by section, and
// pmdumplog's own text cut into the same sections. Sections whose order is that of a hash table in
// pmdumplog are sorted by blocks on both sides; times are UTC.
import {
  type Archive,
  ArchiveCursor,
  archiveEnd,
  type DataRecord,
  decodeData,
  encodeResult,
} from "../../lib/archive/mod.ts";
import { PM_ERR, PcpError, pmErrStr, utf8Text } from "../../lib/base/mod.ts";
import {
  asIndom,
  asPmid,
  type Desc,
  type EventCursor,
  eventsOf,
  type Indom,
  type InstanceId,
  labelSetsText,
  PM_INDOM_NULL,
  PM_TYPE,
  pmDescStr,
  pmEventFlagsStr,
  type Pmid,
  pmIDStr,
  pmInDomStr,
  pmPrintValue,
  type Timestamp,
  type ValueSet,
  type ValueSetInit,
} from "../../lib/pcp/mod.ts";

/** Sections of a dump; blocks of several lines are one text each. */
export interface Dump {
  readonly label: readonly string[];
  readonly descs: readonly string[];
  readonly labels: readonly string[];
  readonly texts: readonly string[];
  readonly indoms: readonly string[];
  readonly index: readonly string[];
  readonly records: readonly string[];
}

const two = (value: number): string => String(value).padStart(2, "0");

function clock(time: Timestamp, digits: number): string {
  const day = ((time.sec % 86400) + 86400) % 86400;
  const fraction = String(time.nsec).padStart(9, "0").slice(0, digits);
  return `${two(Math.floor(day / 3600))}:${two(Math.floor(day / 60) % 60)}:${two(day % 60)}.${fraction}`;
}

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

function dateText(time: Timestamp, digits: number): string {
  const date = new Date(time.sec * 1000);
  const day = String(date.getUTCDate()).padStart(2);
  return `${DAYS[date.getUTCDay()]} ${MONTHS[date.getUTCMonth()]} ${day} ${clock(time, digits)} ${date.getUTCFullYear()}`;
}

/** What the lines of one archive share. */
class Printer {
  readonly digits: number;
  private readonly names = new Map<Pmid, string>();
  private now: Timestamp = { sec: 0, nsec: 0 };
  private named: Indom | undefined;
  private instances: Map<InstanceId, string> = new Map();

  constructor(readonly archive: Archive) {
    this.digits = archive.label.version === 2 ? 6 : 9;
    for (const { name, pmid } of archive.catalog.names.traverse()) {
      const known = this.names.get(pmid);
      this.names.set(pmid, known === undefined ? name : `${name} or ${known}`);
    }
  }

  time(time: Timestamp): string {
    return clock(time, this.digits);
  }
  metric(pmid: Pmid): string {
    return `${pmIDStr(pmid)} (${this.names.get(pmid) ?? "???"})`;
  }
  desc(pmid: Pmid): Desc | undefined {
    return this.archive.catalog.descs.get(pmid);
  }
  /** Instances are named as they are at this time. */
  at(time: Timestamp): void {
    this.now = { sec: time.sec, nsec: time.nsec };
    this.named = undefined;
  }
  instance(indom: Indom, inst: InstanceId): string {
    if (this.named !== indom) {
      const state = this.archive.catalog.indoms.get(indom)?.at(this.now);
      this.instances = new Map(state?.ids.map((id, i) => [id, state.names[i] ?? ""]));
      this.named = indom;
    }
    const name = this.instances.get(inst);
    return name === undefined ? `${inst} or ???` : `${inst} or "${name}"`;
  }
}

function eventLines(print: Printer, events: EventCursor): string[] {
  const lines: string[] = [];
  for (let i = 0; events.next(); i++) {
    const digits = events.highres ? 9 : 6;
    const at = clock(events, digits);
    const flags = `flags 0x${events.flags.toString(16)} (${pmEventFlagsStr(events.flags)})`;
    const shown = events.flags === 0 ? "" : ` ${flags}`;
    lines.push(`        --- event record [${i}] timestamp ${at}${shown} ---`);
    if (events.missed) {
      lines.push(`        ==> ${events.nparams} missed event records`);
      continue;
    }
    if (events.flags === 0 && events.nparams === 0) lines.push("\t          No parameters");
    while (events.nextParameter()) {
      const desc = print.desc(events.pmid);
      if (desc === undefined) {
        lines.push(
          `        PMID: ${pmIDStr(events.pmid)}: pmLookupDesc: ${pmErrStr(PM_ERR.PMID_LOG, 6)}`,
        );
        continue;
      }
      const set = parameterSet(events);
      lines.push(
        `        ${print.metric(events.pmid)}: value ${pmPrintValue(set, 0, desc.type, 1)}`,
      );
    }
  }
  return lines;
}

/** A parameter as a value set of its own. */
function parameterSet(events: EventCursor): ValueSet {
  const { pmid, type } = events;
  const data = events.data().slice();
  const insitu = type === PM_TYPE.I32 || type === PM_TYPE.U32;
  const value = insitu ? new DataView(data.buffer).getInt32(0) : data;
  const set: ValueSetInit = { pmid, type, instances: [-1], values: [value] };
  const sets = decodeData(encodeResult(3, { timestamp: { sec: 0, nsec: 0 }, sets: [set] }), 3);
  const cursor = sets.sets();
  cursor.next();
  return cursor;
}

function eventHead(events: EventCursor, again: EventCursor): string {
  let missed = 0;
  while (again.next()) if (again.missed) missed += again.nparams;
  if (events.nrecords === 0) return "No event records";
  const records = events.nrecords === 1 ? "record" : "records";
  const lost = missed === 0 ? "" : ` (and ${missed} missed)`;
  return `${events.nrecords}${lost} event ${records}`;
}

/**
 * Blocks of the first archives have no type. The C library leaves their 64-bit values in the byte
 * order of the file, so that pmdumplog prints other numbers for them on most machines.
 */
function valueText(set: ValueSet, i: number, type: number): string {
  const long = type === PM_TYPE.I64 || type === PM_TYPE.U64;
  const at = set.valfmt === 0 ? 0 : set.block(i);
  if (set.valfmt === 0 || !long || set.bytes[at] !== 0) return pmPrintValue(set, i, type, 1);
  const value =
    type === PM_TYPE.U64 ? set.view.getBigUint64(at + 4, true) : set.view.getBigInt64(at + 4, true);
  return String(value);
}

function valueLines(print: Printer, set: ValueSet): string[] {
  const metric = print.metric(set.pmid);
  const desc = print.desc(set.pmid);
  if (set.numval === 0) return [`    ${metric}: No values returned!`];
  if (set.numval < 0) return [`    ${metric}: ${pmErrStr(set.numval, 6)}`];
  const type = desc?.type ?? PM_TYPE.U32;
  const indom = desc?.indom ?? PM_INDOM_NULL;
  if (type === PM_TYPE.EVENT || type === PM_TYPE.HIGHRES_EVENT) {
    return Array.from({ length: set.numval }, (_, i) => {
      const events = eventsOf(set.bytes, set.block(i));
      const instance = indom === PM_INDOM_NULL ? "" : `[${print.instance(indom, set.instance(i))}]`;
      const named = metric.replace(/\)$/, `${instance})`);
      const head = eventHead(events, eventsOf(set.bytes, set.block(i)));
      return [`    ${named}: ${head}`, ...eventLines(print, events)];
    }).flat();
  }
  const values = Array.from({ length: set.numval }, (_, i) => {
    const instance =
      indom === PM_INDOM_NULL ? "" : `inst [${print.instance(indom, set.instance(i))}] `;
    return `${instance}value ${valueText(set, i, type)}`;
  });
  if (values.length === 1) return [`    ${metric}: ${values[0]}`];
  return [`    ${metric}:`, ...values.map((value) => `        ${value}`)];
}

/** Head of a record without its values. */
export function recordHead(print: Printer, record: DataRecord): string {
  if (record.numpmid === 0) return `${print.time(record)}  <mark>`;
  return `${print.time(record)} ${record.numpmid} metric${record.numpmid === 1 ? "" : "s"}`;
}

function recordLines(print: Printer, until: Timestamp | undefined): string[] {
  const blocks: string[] = [];
  const cursor = new ArchiveCursor(print.archive);
  try {
    while (cursor.next()) {
      const { record } = cursor;
      if (until !== undefined && record.sec >= until.sec) break;
      print.at(record);
      const lines = [recordHead(print, record)];
      for (const set = record.result().sets(); set.next();) lines.push(...valueLines(print, set));
      blocks.push(lines.join("\n"));
    }
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    blocks.push(`error ${error.code}`);
  } finally {
    cursor.close();
  }
  // Cut as pmdumplog's text is cut: a name may hold an empty line.
  return blocksAt(blocks.join("\n\n"), /\n\n/);
}

function indomBlocks(print: Printer): string[] {
  return [...print.archive.catalog.indoms].map(([indom, history]) => {
    const lines = [`InDom: ${pmInDomStr(indom)}`];
    history.records.forEach(({ timestamp }, i) => {
      const { ids, names } = history.stateAfter(i);
      lines.push(`${print.time(timestamp)} ${ids.length} instances`);
      ids.forEach((id, at) => lines.push(`   ${id} or "${names[at]}"`));
    });
    return lines.join("\n");
  });
}

function labelBlocks(print: Printer): string[] {
  const { catalog } = print.archive;
  const blocks: string[] = [];
  for (const { type, ident, times } of catalog.labelKeys()) {
    for (const time of times) {
      const sets = catalog.labelsAt(type, ident, time) ?? [];
      // pmPrintLabelSets says "(null)" for the JSON that a host left out, here it is empty.
      const text = labelSetsText(ident, type, sets).replaceAll("(null)", "");
      for (const set of text.split(/\n(?= {4}\S)|\n$/)) {
        if (set !== "") blocks.push(`${print.time(time)}\n${set}`.trimEnd());
      }
    }
  }
  return blocks;
}

function textBlocks({ archive: { catalog } }: Printer): string[] {
  return [...catalog.textKeys()].map(({ type, ident }) => {
    const what =
      (type & 4) !== 0 ? `PMID: ${pmIDStr(asPmid(ident))}` : `InDom: ${pmInDomStr(asIndom(ident))}`;
    const text = catalog.text(type, ident) ?? "";
    return (type & 1) !== 0 ? `${what} [${text}]` : `${what}\n${text}`;
  });
}

/** The dump of an archive; records from `until` on are left out. */
export function dumpArchive(archive: Archive, until?: Timestamp): Dump {
  const print = new Printer(archive);
  const { label, index, catalog } = archive;
  const entries = Array.from({ length: index?.count ?? 0 }, (_, i) => index?.entry(i));
  const end = archiveEnd(archive);
  return {
    label: [
      `Log Label (Log Format Version ${label.version})`,
      `Performance metrics from host ${label.host}`,
      `commencing ${dateText(label.start, print.digits)}`,
      end === undefined ? "no end" : `ending ${dateText(end, print.digits)}`,
      `Archive timezone: ${label.timezone}`,
      ...(label.zoneinfo === "" ? [] : [`Archive zoneinfo: ${label.zoneinfo}`]),
      `PID for pmlogger: ${label.pid}`,
    ],
    descs: [...catalog.descs.values()]
      .map((desc) => `PMID: ${print.metric(desc.pmid)}\n${pmDescStr(desc)}`.trimEnd())
      .toSorted(),
    labels: labelBlocks(print).toSorted(),
    texts: textBlocks(print)
      .map((text) => text.trimEnd())
      .toSorted(),
    indoms: indomBlocks(print).toSorted(),
    index: entries.map((entry) =>
      entry === undefined
        ? ""
        : [print.time(entry.timestamp), entry.volume, entry.metaOffset, entry.dataOffset].join(" "),
    ),
    records: recordLines(print, until),
  };
}

const blocksAt = (text: string, start: RegExp): string[] =>
  text
    .split(start)
    .map((block) => block.trimEnd())
    .filter((block) => block !== "");

/** Labels have their time once for several sets. */
function labelsWithTime(text: string): string[] {
  return blocksAt(text, /^(?=\d\d:\d\d:\d\d\.)/m).flatMap((block) => {
    const [time = "", ...rest] = block.split("\n");
    return blocksAt(rest.join("\n"), /\n(?= {4}\S)/).map((set) => `${time}\n${set}`);
  });
}

/** What pmdumplog -LditehMm printed, in sections; `errors` is what it wrote to standard error. */
export function parseDump(bytes: Uint8Array, errors: string): Dump {
  const text = utf8Text(bytes);
  const title =
    /^(Descriptions for Metrics|Metric Labels|Metric Help Text|Instance Domains|Temporal Index)(?: in the Log \.\.\.)?\n/m;
  const [head = "", ...parts] = text.split(title);
  const sections = new Map<string, string>();
  for (let i = 0; i + 1 < parts.length; i += 2) sections.set(parts[i] ?? "", parts[i + 1] ?? "");
  const indexPart = sections.get("Temporal Index") ?? "";
  const cut = indexPart.search(/\n\n/);
  const [indexText, records] =
    cut < 0 ? [indexPart, ""] : [indexPart.slice(0, cut), indexPart.slice(cut + 2)];
  const section = (name: string): string => sections.get(name) ?? "";
  return {
    label: head
      .trim()
      .split("\n")
      .map((line) => line.trim().replace(/^(commencing|ending) +/, "$1 ")),
    descs: blocksAt(section("Descriptions for Metrics"), /^(?=PMID: )/m).toSorted(),
    labels: labelsWithTime(section("Metric Labels")).toSorted(),
    texts: blocksAt(section("Metric Help Text"), /^(?=PMID: |InDom: )/m).toSorted(),
    indoms: blocksAt(section("Instance Domains"), /^(?=InDom: )/m).toSorted(),
    index: indexText
      .split("\n")
      .filter((line) => /^\d\d:/.test(line))
      .map((line) => line.trim().split(/\s+/).join(" ")),
    records: [
      ...blocksAt(records, /\n\n/),
      ...(errors.includes("pmFetch: Corrupted record") ? [`error ${PM_ERR.LOGREC}`] : []),
    ],
  };
}
