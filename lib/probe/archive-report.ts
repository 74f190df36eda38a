// What archives hold, as data: labels, files, times, hosts, zones, counts, gaps, marks, overlaps,
// compression, damage, and on request every contradiction between values and metadata. Streams: memory
// is that of the metadata and of bounded lists. Archives that PCP refuses are reported with its code
// and with whatever can still be read; nothing is thrown about the content of files.
import {
  type Archive,
  archiveEnd,
  Catalog,
  compareTimes,
  indexEntryBytes,
  labelBytes,
  listArchives,
  openArchives,
} from "../archive/mod.ts";
import { PcpError } from "../base/mod.ts";
import { secondsBetween, type Timestamp } from "../pcp/mod.ts";
import { type Checker, newChecker } from "./archive-check.ts";
import { checkEnds, checkIndex, checkMetadata } from "./archive-check-metadata.ts";
import { reportError } from "./archive-damage.ts";
import { type Findings, newFindings } from "./archive-findings.ts";
import { type Opened, type OpenedFile, openForReport } from "./archive-open.ts";
import {
  addBorder,
  addMark,
  densityOf,
  type DensityState,
  MIN_GAP,
  newDensity,
  newSpacing,
  spacingOf,
} from "./archive-spacing.ts";
import { addTally, countsOf, emptyTally, type Tally, tallyOf } from "./archive-tally.ts";
import type {
  ArchiveCounts,
  ArchiveFileReport,
  ArchiveReport,
  ArchiveReportOptions,
  Gap,
  MemberReport,
  Overlap,
} from "./archive-types.ts";
import { type ArchiveWalk, walkArchive } from "./archive-walk.ts";

const MAX_FINDINGS = 100;
const GAP_FACTOR = 3;
/** Missing volumes that are named. */
const MAX_MISSING = 100;

/** One member under way. Of several, the metadata are let go of once they are counted. */
interface Member {
  readonly opened: Opened;
  /** Of the metadata; what belongs to other files is 0. */
  readonly counts: ArchiveCounts;
  readonly end: Timestamp | null;
}

/** Counts of everything but metadata, before it is looked at. */
const NOTHING = {
  indexEntries: 0,
  dataRecords: 0,
  markRecords: 0,
  values: null,
  bytes: 0,
  decodedBytes: 0,
};

const seconds = (from: Timestamp | null, to: Timestamp | null): number | null =>
  from === null || to === null ? null : secondsBetween(to, from);

/** The time of the last sound record, null when there is none or the files do not let it be known. */
function endOf(archive: Archive | undefined): Timestamp | null {
  if (archive === undefined) return null;
  try {
    return archiveEnd(archive) ?? null;
  } catch (error) {
    if (error instanceof PcpError) return null;
    throw error;
  }
}

function fileReport(
  { label, ...file }: OpenedFile,
  opened: Opened,
  walk: ArchiveWalk | undefined,
): ArchiveFileReport {
  const none = { marks: 0, first: null, last: null, incompleteBytes: 0, recordsBehindDamage: 0 };
  const plain = file.compression === null;
  if (file.kind === "metadata") {
    const { records } = opened.frames;
    const end = opened.frames.end || (label === null ? file.bytes : labelBytes(label.version));
    const incompleteBytes = plain ? Math.max(0, file.bytes - end) : 0;
    const decodedBytes = plain ? file.bytes : end;
    return { ...file, label, ...none, records, incompleteBytes, decodedBytes };
  }
  if (file.kind === "index") {
    const index = opened.archive?.index;
    const records = index?.count ?? 0;
    const at = (i: number): Timestamp | null => index?.entry(i).timestamp ?? null;
    const times = records === 0 ? {} : { first: at(0), last: at(records - 1) };
    const { version } = label ?? {};
    const end = version && labelBytes(version) + records * indexEntryBytes(version);
    // Whole entries behind it were written after it was read.
    const left = version === undefined ? 0 : (file.bytes - (end ?? 0)) % indexEntryBytes(version);
    const incompleteBytes = plain ? Math.max(0, left) : 0;
    const decodedBytes = plain ? file.bytes : (end ?? 0);
    return { ...file, label, ...none, ...times, records, incompleteBytes, decodedBytes };
  }
  const found = walk?.volumes.get(file.volume);
  return {
    ...file,
    label,
    ...none,
    decodedBytes: plain ? file.bytes : (found?.end ?? 0),
    records: found?.records ?? 0,
    marks: found?.marks ?? 0,
    first: found?.first ?? null,
    last: found?.last ?? null,
    incompleteBytes: found?.rest ?? 0,
    recordsBehindDamage: found?.behindDamage ?? 0,
  };
}

/** Numbers below the highest volume that have no file. */
function missingVolumes(files: readonly OpenedFile[]): number[] {
  const numbers = files.filter(({ kind }) => kind === "volume").map(({ volume }) => volume);
  const present = new Set(numbers);
  const missing: number[] = [];
  for (let i = 0; i < Math.max(0, ...numbers) && missing.length < MAX_MISSING; i++) {
    if (!present.has(i)) missing.push(i);
  }
  return missing;
}

/** The check of the values of a member, its metadata checked; undefined where there are none. */
function checkerOf(member: Opened, findings: Findings, growing: boolean): Checker | undefined {
  // Metadata that were let go of are read once more.
  const opened = member.catalog.descs.size > 0 ? member : openForReport(member.name, growing);
  if (opened.archive === undefined) return undefined;
  const whole = opened.error === undefined;
  if (whole) checkMetadata(findings, opened);
  return newChecker(opened.archive, member.damage, findings, whole);
}

function reportMember(
  { opened, counts, end }: Member,
  density: DensityState | undefined,
  options: ArchiveReportOptions,
): MemberReport {
  const { name, error, archive, damage } = opened;
  const { check = false, growing = false, gapFactor = GAP_FACTOR } = options;
  const findings = newFindings(options.maxFindings ?? MAX_FINDINGS);
  if (error === undefined && archive !== undefined) checkIndex(findings, archive);
  const checker = check ? checkerOf(opened, findings, growing) : undefined;
  const walk = archive && walkArchive(archive, { density, checker, damage });
  const files = opened.files.map((file) => fileReport(file, opened, walk));
  if (!growing) checkEnds(findings, files, damage);
  const start = archive?.label.start ?? null;
  const sum = (value: (file: ArchiveFileReport) => number): number =>
    files.reduce((total, file) => total + value(file), 0);
  return {
    name,
    base: opened.base ?? null,
    error: error === undefined ? null : reportError(error),
    label: archive?.label ?? null,
    files,
    start,
    end,
    duration: seconds(start, end),
    counts: {
      ...counts,
      indexEntries: archive?.index?.count ?? 0,
      dataRecords: walk?.dataRecords ?? 0,
      markRecords: walk?.markRecords ?? 0,
      values: checker?.values() ?? null,
      bytes: sum(({ bytes }) => bytes),
      decodedBytes: sum(({ decodedBytes }) => decodedBytes),
    },
    prologue: walk?.prologue ?? null,
    epilogue: walk?.epilogue ?? null,
    spacing: spacingOf(walk?.spacing ?? newSpacing(), gapFactor),
    marks: walk?.marks ?? [],
    missingVolumes: missingVolumes(opened.files),
    damage: damage.first,
    damageCount: damage.count,
    growing,
    check: findings.report(),
  };
}

/** An archive without its metadata. */
function withoutMetadata(opened: Opened): Opened {
  const catalog = new Catalog();
  return { ...opened, catalog, archive: opened.archive && { ...opened.archive, catalog } };
}

/**
 * Opens every archive of a list once, in order of their starts; those without any are last. `total`
 * takes the metadata of all.
 */
function openMembers(names: readonly string[], growing: boolean, total: Tally): Member[] {
  const different = [...new Set(names)];
  const members = different.map((name) => {
    const opened = openForReport(name, growing);
    const tally = tallyOf(opened.catalog, opened.frames);
    const several = different.length > 1;
    if (several) addTally(total, tally);
    const counts = countsOf(tally, NOTHING);
    const end = endOf(opened.archive);
    return { opened: several ? withoutMetadata(opened) : opened, counts, end };
  });
  const rank = ({ opened: { archive, error } }: Member): number =>
    archive === undefined ? 2 : error === undefined ? 0 : 1;
  return members.sort((a, b) => {
    const [one, other] = [a.opened.archive, b.opened.archive];
    if (rank(a) !== rank(b) || one === undefined || other === undefined) return rank(a) - rank(b);
    return compareTimes(one.label.start, other.label.start);
  });
}

/** The code and the warnings that PCP has for the whole; one archive's own are known already. */
function outcome(
  name: string,
  members: readonly Member[],
  growing: boolean,
): { readonly error: PcpError | undefined; readonly warnings: readonly string[] } {
  const [only] = members;
  if (members.length === 1 && only !== undefined) return { error: only.opened.error, warnings: [] };
  const warnings: string[] = [];
  try {
    openArchives(name, { growing, warn: (message) => warnings.push(message) });
    return { error: undefined, warnings };
  } catch (error) {
    if (error instanceof PcpError) return { error, warnings };
    throw error;
  }
}

/** First and last time of all members; undefined when there is no data. */
function spanOf(
  members: readonly Member[],
): { readonly start: Timestamp; readonly end: Timestamp } | undefined {
  let start: Timestamp | undefined;
  let last: Timestamp | undefined;
  for (const { opened, end } of members) {
    const from = opened.archive?.label.start;
    if (from === undefined) continue;
    if (start === undefined || compareTimes(from, start) < 0) start = from;
    const to = end ?? from;
    if (last === undefined || compareTimes(to, last) > 0) last = to;
  }
  return start === undefined || last === undefined ? undefined : { start, end: last };
}

/** Overlaps of members that follow one another, and the silence between them. */
function between(members: readonly MemberReport[]): { overlaps: Overlap[]; gaps: Gap[] } {
  const overlaps: Overlap[] = [];
  const gaps: Gap[] = [];
  const open = members.filter(({ error }) => error === null);
  for (const [i, later] of open.entries()) {
    const earlier = open[i - 1];
    if (earlier?.end == null || later.start === null) continue;
    const away = secondsBetween(later.start, earlier.end);
    if (away < 0) {
      const last = later.end !== null && compareTimes(later.end, earlier.end) < 0;
      const to = last && later.end !== null ? later.end : earlier.end;
      overlaps.push({
        earlier: earlier.name,
        later: later.name,
        from: later.start,
        to,
        seconds: secondsBetween(to, later.start),
      });
    }
    const threshold = earlier.spacing.threshold ?? later.spacing.threshold ?? MIN_GAP;
    if (away > threshold) {
      gaps.push({ from: earlier.end, to: later.start, seconds: away, mark: true });
    }
  }
  return { overlaps, gaps };
}

const SUMMED = [
  "indexEntries",
  "dataRecords",
  "markRecords",
  "bytes",
  "decodedBytes",
] as const satisfies readonly (keyof ArchiveCounts)[];

function totalCounts(total: Tally, members: readonly MemberReport[]): ArchiveCounts {
  const [only] = members;
  if (members.length === 1 && only !== undefined) return only.counts;
  const sums = { indexEntries: 0, dataRecords: 0, markRecords: 0, bytes: 0, decodedBytes: 0 };
  let values: number | null = null;
  for (const { counts } of members) {
    for (const key of SUMMED) sums[key] += counts[key];
    if (counts.values !== null) values = (values ?? 0) + counts.values;
  }
  return countsOf(total, { ...sums, values });
}

const different = (texts: readonly (string | undefined)[]): string[] => [
  ...new Set(texts.filter((text): text is string => text !== undefined && text !== "")),
];

/**
 * The report about an archive by any of its names, a directory of archives or a comma list of these.
 * Throws nothing about their content: what is wrong is in `error`, `warnings`, `damage` and `check`.
 */
export function archiveReport(name: string, options: ArchiveReportOptions = {}): ArchiveReport {
  const growing = options.growing === true;
  let names: readonly string[] = [];
  let failure: PcpError | undefined;
  try {
    names = listArchives(name);
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    failure = error;
  }
  const total = emptyTally();
  const opened = openMembers(names, growing, total);
  const { error, warnings } =
    failure === undefined
      ? outcome(name, opened, growing)
      : { error: failure, warnings: [] as const };
  const span = spanOf(opened);
  const density = span && newDensity(span.start, span.end);
  const members = opened.map((member, i) => {
    const start = member.opened.archive?.label.start;
    const before = opened[i - 1]?.end;
    if (density !== undefined && start !== undefined && before != null) {
      addMark(density, before.sec, before.nsec);
      addBorder(density.memberBorders, start);
    }
    return reportMember(member, density, options);
  });
  const good = members.filter((member) => member.error === null);
  const { overlaps, gaps } = between(members);
  const labels = members.flatMap(({ label }) => label ?? []);
  const whole = spanOf(opened.filter((member) => member.opened.error === undefined));
  const any = members.some(({ counts }) => counts.dataRecords > 0);
  return {
    name,
    error: error === undefined ? null : reportError(error),
    warnings,
    members,
    start: whole?.start ?? null,
    end: good.some(({ end }) => end !== null) ? (whole?.end ?? null) : null,
    duration: seconds(whole?.start ?? null, whole?.end ?? null),
    hosts: different(labels.map(({ host }) => host)),
    timezones: different(labels.map(({ timezone }) => timezone)),
    zoneinfos: different(labels.map(({ zoneinfo }) => zoneinfo)),
    counts: totalCounts(total, members),
    overlaps,
    gaps: [...members.flatMap(({ spacing }) => spacing.gaps), ...gaps].sort((a, b) =>
      compareTimes(a.from, b.from),
    ),
    damage: members.flatMap(({ damage }) => damage),
    density: density === undefined || !any ? null : densityOf(density),
  };
}
