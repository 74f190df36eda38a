// The report about an archive or a set as text: a verdict, what it holds, its members and files, a
// picture of its time, and what is wrong with it. Pure; names and reasons are made harmless here.
import { pmErrSymbol } from "../base/mod.ts";
import { ctimeText, type Timestamp, type Zone } from "../pcp/mod.ts";
import type {
  ArchiveCounts,
  ArchiveReport,
  CheckReport,
  Counts,
  Damage,
  Gap,
  LoggerRecord,
  MemberReport,
} from "./archive-types.ts";
import { HARMLESS, OF_ENTRIES } from "./archive-findings.ts";
import { plainText } from "./plain.ts";
import { countText, fieldText, NO_BREAK, paint, type Style, tableText, wrapText } from "./style.ts";
import { verdictLine } from "./text-live.ts";
import { timelineLegend, timelineLines } from "./timeline.ts";

/** Most members, gaps and damages that are listed; the rest is counted. */
const MAX_LISTED = 20;

/** Ends of gaps below so many seconds are shown with milliseconds. */
const SHORT = 60;

const SIZES = ["bytes", "KB", "MB", "GB", "TB"] as const;

/** `812 bytes`, `1.3 MB`, in powers of 1024. */
export function bytesText(bytes: number): string {
  let value = bytes;
  let step = 0;
  while (value >= 1024 && step < SIZES.length - 1) {
    value /= 1024;
    step += 1;
  }
  return `${step === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${SIZES[step] ?? ""}`;
}

/** `20 ms`, `4.0 s`, `12 min 5 s`, `3 h 20 min`, `2 days 4 h`. */
export function spanText(seconds: number): string {
  if (seconds < 0.9995) return `${(seconds * 1000).toFixed(0)} ms`;
  if (seconds < 59.5) return `${seconds < 9.95 ? seconds.toFixed(1) : seconds.toFixed(0)} s`;
  const whole = Math.round(seconds);
  const two = (large: number, one: string, small: number, other: string): string =>
    small === 0 ? `${large} ${one}` : `${large} ${one} ${small} ${other}`;
  if (whole < 3600) return two(Math.floor(whole / 60), "min", whole % 60, "s");
  const minutes = Math.round(whole / 60);
  if (minutes < 1440) return two(Math.floor(minutes / 60), "h", minutes % 60, "min");
  const hours = Math.round(whole / 3600);
  const days = Math.floor(hours / 24);
  return two(days, days === 1 ? "day" : "days", hours % 24, "h");
}

const timeOf = (time: Timestamp | null, zone: Zone): string =>
  time === null ? "unknown" : ctimeText(time, zone, 6);

const list = (texts: readonly string[]): string =>
  texts.length === 0 ? "none" : texts.map(plainText).join(", ");

const countsText = (counts: Counts): string =>
  Object.entries(counts)
    .filter(([, count]) => count > 0)
    .sort(([, a], [, b]) => b - a)
    // A number stays with its word when lines are broken.
    .map(([name, count]) => `${count} ${plainText(name)}`.replaceAll(" ", NO_BREAK))
    .join(", ");

const total = (counts: Counts): number =>
  Object.values(counts).reduce((sum, each) => sum + each, 0);

function countLines(style: Style, counts: ArchiveCounts): readonly string[] {
  const field = (name: string, text: string): string => fieldText(style, name, text);
  const { largestDomain } = counts;
  const largest =
    largestDomain === null
      ? ""
      : `; most in ${largestDomain.indom}: ${largestDomain.instances}, ${largestDomain.atOnce} at once`;
  const values = counts.values === null ? "" : ` with ${countText(counts.values, "value")}`;
  const lines = [
    field(
      "records",
      `${countText(counts.dataRecords, "sample")}${values}, ${countText(counts.markRecords, "mark")}`,
    ),
    field(
      "metrics",
      `${counts.metrics}${counts.names === counts.metrics ? "" : ` under ${countText(counts.names, "name")}`}: ${countsText(counts.metricsBySemantics) || "none"}`,
    ),
    field("", countsText(counts.metricsByType)),
    field(
      "instances",
      `${counts.instances} in ${countText(counts.instanceDomains, "domain")}${largest}`,
    ),
    field(
      "metadata",
      `${countText(counts.metadataRecords, "record")}: ${countText(total(counts.labelSets), "label set")}, ${countText(total(counts.texts), "text")}; ${countText(counts.indexEntries, "index entry", "index entries")}`,
    ),
    field(
      "size",
      counts.decodedBytes > counts.bytes
        ? `${bytesText(counts.bytes)} on disk, ${bytesText(counts.decodedBytes)} decompressed`
        : bytesText(counts.bytes),
    ),
  ];
  return lines.filter((line) => line.trim() !== "");
}

/** Who began and ended it, as far as the archive tells. */
function loggerText({ prologue, epilogue }: MemberReport, zone: Zone): string {
  const by = ({ pid, host }: LoggerRecord): string => `pmlogger ${pid} on ${plainText(host)}`;
  if (prologue === null && epilogue === null) return "neither prologue nor epilogue";
  if (prologue !== null && epilogue !== null && by(prologue) === by(epilogue)) {
    return `prologue and epilogue by ${by(prologue)}`;
  }
  return [
    prologue === null ? "no prologue" : `prologue by ${by(prologue)}`,
    epilogue === null
      ? "no epilogue"
      : `epilogue by ${by(epilogue)} at ${ctimeText(epilogue.time, zone)}`,
  ].join(", ");
}

function fileLines(style: Style, member: MemberReport): readonly string[] {
  const rows = member.files.map((file) => [
    plainText(file.path.slice(file.path.lastIndexOf("/") + 1)),
    file.kind === "volume" ? `volume ${file.volume}` : file.kind,
    bytesText(file.bytes),
    file.compression === null
      ? ""
      : `${file.compression.slice(1)} of ${bytesText(file.decodedBytes)}`,
    countText(
      file.records,
      file.kind === "index" ? "entry" : "record",
      file.kind === "index" ? "entries" : "records",
    ),
    file.marks > 0 ? countText(file.marks, "mark") : "",
    file.incompleteBytes > 0 ? `${file.incompleteBytes} bytes incomplete` : "",
  ]);
  const used = rows[0]?.map((_, i) => rows.some((row) => (row[i] ?? "") !== "")) ?? [];
  const shown = rows.map((row) => row.filter((_, i) => used[i] === true));
  return tableText(shown).map((line) => `  ${paint(style, "dim", line)}`);
}

function memberLines(style: Style, member: MemberReport, zone: Zone): readonly string[] {
  const { label } = member;
  const lines: string[] = [];
  const field = (key: string, text: string): void => {
    lines.push(fieldText(style, key, text));
  };
  if (member.error !== null) {
    field("error", paint(style, "bad", plainText(member.error.message || member.error.text)));
  }
  if (label !== null) {
    const features =
      label.features === 0 ? "" : `, features 0x${(label.features >>> 0).toString(16)}`;
    field("label", `version ${label.version}, pmlogger ${label.pid}${features}`);
    field("host", plainText(label.host));
    const zoneinfo = label.zoneinfo === "" ? "" : ` (${plainText(label.zoneinfo)})`;
    field("time zone", `${plainText(label.timezone)}${zoneinfo}`);
  }
  if (label === null) return lines;
  field("start", timeOf(member.start, zone));
  field(
    "end",
    member.duration === null
      ? "unknown"
      : `${timeOf(member.end, zone)} (${spanText(member.duration)})`,
  );
  const { interval } = member.spacing;
  if (interval !== null) field("interval", `${spanText(interval)} between samples as a rule`);
  field("logger", loggerText(member, zone));
  if (member.missingVolumes.length > 0) {
    field("missing", paint(style, "bad", `volumes ${member.missingVolumes.join(", ")}`));
  }
  if (member.growing) field("state", "is being written");
  return lines;
}

function gapLines(style: Style, gaps: readonly Gap[], zone: Zone): readonly string[] {
  if (gaps.length === 0) return [];
  const lines = ["", paint(style, "strong", "Gaps")];
  for (const gap of gaps.slice(0, MAX_LISTED)) {
    const mark = gap.mark ? ", marked" : "";
    const digits = gap.seconds < SHORT ? 3 : 0;
    lines.push(
      `  ${ctimeText(gap.from, zone, digits)} to ${ctimeText(gap.to, zone, digits)}: ${spanText(gap.seconds)}${mark}`,
    );
  }
  if (gaps.length > MAX_LISTED) lines.push(`  and ${gaps.length - MAX_LISTED} more`);
  return lines;
}

/** `FILE offset 1234: record cut short (PM_ERR_LOGREC)`. */
export function damageText(damage: Damage): string {
  const place = damage.offset === null ? "" : ` offset ${damage.offset}`;
  const symbol = pmErrSymbol(damage.code) ?? String(damage.code);
  return `${plainText(damage.file)}${place}, ${damage.kind}: ${plainText(damage.reason)} (${symbol})`;
}

/** What checks have found, a sentence each; nothing of what sound archives have as well. */
function findingTexts({ findings, counts }: CheckReport, name: string): readonly string[] {
  const told = findings.filter((each) => !HARMLESS.has(each.sort));
  const sorts = new Set(findings.map((each) => each.sort));
  return [
    ...told.map(({ sort, file, offset, message }) => {
      const place = offset === null || OF_ENTRIES.has(sort) ? "" : ` offset ${offset}`;
      return `${plainText(file)}${place}: ${plainText(message)}`;
    }),
    // Of a sort that came after too many others only the number is known.
    ...Object.entries(counts)
      .filter(([sort]) => !HARMLESS.has(sort) && !sorts.has(sort))
      .map(([sort, count]) => `${name}: ${countText(count, "finding")} of the sort ${sort}`),
  ];
}

/** What is wrong with an archive, a sentence each. */
export function archiveComplaints(report: ArchiveReport): readonly string[] {
  const found: string[] = [];
  found.push(...report.warnings.map(plainText));
  for (const member of report.members) {
    const name = plainText(member.base ?? member.name);
    // A member that is left out has a warning with its name.
    const warned = report.warnings.some((each) => each.includes(`"${member.name}"`));
    if (member.error !== null && member.error.code !== report.error?.code && !warned) {
      found.push(`${name} cannot be opened: ${plainText(member.error.text)}`);
    }
    if (member.missingVolumes.length > 0) {
      found.push(`${name} lacks volumes ${member.missingVolumes.join(", ")}`);
    }
    const backwards = member.spacing.backwards;
    if (backwards > 0)
      found.push(`${name}: ${countText(backwards, "record")} earlier than the one before`);
    found.push(...findingTexts(member.check, name));
  }
  for (const overlap of report.overlaps) {
    found.push(
      `${plainText(overlap.earlier)} and ${plainText(overlap.later)} overlap by ${spanText(overlap.seconds)}`,
    );
  }
  const damages = report.damage.map(damageText);
  found.push(...damages.slice(0, MAX_LISTED));
  if (damages.length > MAX_LISTED) found.push(`and ${damages.length - MAX_LISTED} more damages`);
  return found;
}

/** The picture of its time, with what its signs mean. */
function pictureLines(style: Style, report: ArchiveReport, zone: Zone, ascii: boolean): string[] {
  const picture = timelineLines(report, { zone, width: Math.min(style.width, 120) - 2, ascii });
  if (picture.length === 0) return [];
  const legend = timelineLegend(report, ascii);
  const lines = legend === "" ? picture : [...picture, paint(style, "dim", legend)];
  return ["", paint(style, "strong", "Time"), ...lines.map((line) => `  ${line}`.trimEnd())];
}

const title = (style: Style, text: string): readonly string[] => ["", paint(style, "strong", text)];

/** What the members of a set have in common. */
function setLines(style: Style, report: ArchiveReport, zone: Zone): readonly string[] {
  if (report.start === null) return [];
  const duration = report.duration === null ? "" : ` (${spanText(report.duration)})`;
  return [
    ...title(style, `Set of ${countText(report.members.length, "archive")}`),
    fieldText(style, "hosts", list(report.hosts)),
    fieldText(style, "time zones", list(report.timezones)),
    fieldText(style, "start", timeOf(report.start, zone)),
    fieldText(style, "end", `${timeOf(report.end, zone)}${duration}`),
  ];
}

function verdictLines(style: Style, report: ArchiveReport): readonly string[] {
  const complaints = archiveComplaints(report);
  const what = `archive "${plainText(report.name)}"`;
  const few = complaints.slice(0, 2 * MAX_LISTED);
  const rest = complaints.length - few.length;
  const opens = `opens, with ${countText(complaints.length, "complaint")}`;
  const verdict =
    report.error !== null
      ? verdictLine(style, what, "cannot be opened", "bad")
      : complaints.length === 0
        ? verdictLine(style, what, "opens, no fault found", "good")
        : verdictLine(style, what, opens, "warn");
  return [
    verdict,
    ...few.map(
      (each) => `  ${paint(style, "bad", "!")} ${wrapText(each, style.width, 4).slice(4)}`,
    ),
    ...(rest > 0 ? [`  and ${rest} more`] : []),
  ];
}

/** The whole report; `ascii` keeps its picture to plain characters. */
export function archiveText(
  style: Style,
  report: ArchiveReport,
  zone: Zone,
  ascii: boolean,
): string {
  const { members } = report;
  const [only, ...others] = members;
  const lines = [...verdictLines(style, report)];
  const nameOf = (member: MemberReport): string => plainText(member.base ?? member.name);
  if (only !== undefined && others.length === 0) {
    lines.push(...title(style, "Archive"), ...memberLines(style, only, zone));
  } else lines.push(...setLines(style, report, zone));
  const any = members.some((each) => each.files.length > 0);
  if (any) lines.push(...title(style, "Holds"), ...countLines(style, report.counts));
  lines.push(...pictureLines(style, report, zone, ascii), ...gapLines(style, report.gaps, zone));
  if (only !== undefined && others.length === 0) {
    if (any) lines.push(...title(style, "Files"), ...fileLines(style, only));
  } else {
    for (const member of members.slice(0, MAX_LISTED)) {
      lines.push(
        ...title(style, `Archive ${nameOf(member)}`),
        ...memberLines(style, member, zone),
        ...fileLines(style, member),
      );
    }
  }
  if (members.length > MAX_LISTED) {
    lines.push(
      "",
      `and ${countText(members.length - MAX_LISTED, "more archive", "more archives")}`,
    );
  }
  return `${lines.join("\n")}\n`;
}
