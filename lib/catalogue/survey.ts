// What one archive would put on a key server (spec series.md 3.3, 4): its source, the series with their
// labels, and which instances each has. Metadata are read whole, data records only up to a limit: series
// and instances that come later are taken from the metadata. A survey that is kept goes on where it was when
// the archive grows, as long as that gives what a survey of all would. Refuses what opening an archive
// refuses; damage in data ends the survey of them, as it ends loading.
import { PcpError } from "../base/mod.ts";
import {
  type Archive,
  ArchiveCursor,
  archiveEnd,
  type Catalog,
  compareTimes,
  compressionOf,
  type CursorPlace,
  decodeDesc,
  findArchive,
  type IndomView,
  instanceAt,
  instanceNameAt,
  labelSetHead,
  type Listings,
  loadMeta,
  type LookAtMeta,
  META_TYPE,
  openArchive,
  openArchiveFile,
  viewIndom,
} from "../archive/mod.ts";
import {
  type Indom,
  PM_INDOM_NULL,
  type Pmid,
  type ResultView,
  type Timestamp,
} from "../pcp/mod.ts";
import {
  indomDocument,
  instanceDocument,
  metricDocument,
  type SeriesId,
  type TextDocument,
} from "../series/mod.ts";
import { type SurveyedInstance, type SurveyedSeries, type Surveyor, surveyorOf } from "./meet.ts";
import { isStill, type Prefix, prefixOf } from "./prefix.ts";

/** All that is catalogued of one archive. */
export interface Survey {
  readonly archive: Archive;
  readonly source: SeriesId;
  readonly host: string;
  readonly series: readonly SurveyedSeries[];
  /** All instances in the order in which loading writes them: of those with one identifier the last counts. */
  readonly instances: readonly SurveyedInstance[];
  /** What can be found by words, in sets that other archives are likely to have, too. */
  readonly texts: readonly (readonly TextDocument[])[];
  /** Times in microseconds since 1970; the end is unknown where it would have to be unpacked. */
  readonly begin: number;
  readonly end: number | undefined;
  /** Whether all data were looked at: else series and instances may be here that have no values. */
  readonly complete: boolean;
}

/** How an archive is surveyed. */
export interface SurveyOptions {
  /** Bytes of data records that are looked at. */
  readonly dataBytes?: number;
  /** Bytes of instance domain records that are kept meanwhile; INDOM_BYTES by default. */
  readonly indomBytes?: number;
  /** Whether a metric of this name is left out. */
  readonly excluded?: (name: string) => boolean;
  /** Directories that were read before. */
  readonly listings?: Listings;
}

/**
 * Bytes of instance domain records that are kept while an archive is surveyed: enough for the records of the
 * first data. Of what follows only instances are kept that were not there before.
 */
const INDOM_BYTES = 16 * 1024 * 1024;

/** Enough for the first records of every group of pmlogger, and for whole small archives. */
const SURVEY_BYTES = 1024 * 1024;

const INDOM_TYPES: ReadonlySet<number> = new Set([
  META_TYPE.INDOM_V2,
  META_TYPE.INDOM,
  META_TYPE.INDOM_DELTA,
]);

export const microseconds = ({ sec, nsec }: Timestamp): number =>
  sec * 1_000_000 + Math.floor(nsec / 1000);

interface Named {
  readonly inst: number;
  readonly name: string;
}

/** Takes the instances of a record that are new, ascending. */
function takeInstances(record: IndomView, found: Map<number, Named>): void {
  const fresh: Named[] = [];
  for (let i = 0; i < record.count; i++) {
    const inst = instanceAt(record, i);
    const name = found.has(inst) ? undefined : instanceNameAt(record, i);
    if (name !== undefined) fresh.push({ inst, name });
  }
  for (const each of fresh.sort((a, b) => a.inst - b.inst)) found.set(each.inst, each);
}

/** Instances of domains from records that are not kept. */
function lateInstances(kept = INDOM_BYTES) {
  const domains = new Map<Indom, Map<number, Named>>();
  let bytes = 0;
  const look: LookAtMeta = (type, record, place) => {
    if (!INDOM_TYPES.has(type)) return true;
    bytes += record.length;
    if (bytes <= kept) return true;
    const view = viewIndom(record, place);
    const found = domains.get(view.indom) ?? new Map<number, Named>();
    domains.set(view.indom, found);
    takeInstances(view, found);
    return false;
  };
  return { domains, look };
}

/** All instances that a domain ever has, in the order in which they appear, under their first names. */
function everyInstance(
  catalog: Catalog,
  late: ReadonlyMap<Indom, ReadonlyMap<number, Named>>,
  indom: Indom,
): ReadonlyMap<number, string> {
  const found = new Map<number, Named>();
  for (const record of catalog.indoms.get(indom)?.records ?? []) takeInstances(record, found);
  for (const each of late.get(indom)?.values() ?? [])
    if (!found.has(each.inst)) found.set(each.inst, each);
  return new Map([...found.values()].map(({ inst, name }) => [inst, name]));
}

/** The metrics that are wanted, with their names. */
function wantedMetrics(
  catalog: Catalog,
  excluded: ((name: string) => boolean) | undefined,
): Map<Pmid, readonly string[]> {
  const wanted = new Map<Pmid, readonly string[]>();
  for (const pmid of catalog.descs.keys()) {
    const names = catalog.names.namesOf(pmid);
    if (names.length > 0 && !(excluded !== undefined && names.some(excluded)))
      wanted.set(pmid, names);
  }
  return wanted;
}

const byName = (a: TextDocument, b: TextDocument): number =>
  a.name < b.name ? -1 : Number(a.name > b.name);

/** Texts: one set of all metrics and their domains, and one for the instances of each domain. */
function textsOf(
  catalog: Catalog,
  wanted: ReadonlyMap<Pmid, readonly string[]>,
  { state: { domains, written } }: Surveyor,
): TextDocument[][] {
  const documents: TextDocument[] = [];
  const described = new Set<Indom>();
  for (const [pmid, names] of wanted) {
    const desc = catalog.descs.get(pmid);
    if (desc === undefined) continue;
    if (desc.indom !== PM_INDOM_NULL) described.add(desc.indom);
    for (const name of names) documents.push(metricDocument(catalog, desc, name));
  }
  for (const indom of described) documents.push(indomDocument(catalog, indom));
  const sets = [documents.sort(byName)];
  for (const [indom, { instances }] of domains) {
    const shown = [...instances.values()].filter((each) => written.has(each));
    const names = new Set(shown.map(({ name }) => name));
    sets.push([...names].sort().map((name) => instanceDocument(indom, name)));
  }
  return sets.filter((set) => set.length > 0);
}

/** Data as far as they were looked at. */
interface DataLook {
  /** Bytes that may be looked at yet. */
  left: number;
  /** Whether these were all. */
  complete: boolean;
  damaged: boolean;
  /** Behind the last record; undefined before the first look. */
  place: CursorPlace | undefined;
  /** Time of that record. */
  end: Timestamp | undefined;
}

/** Looks at records from where the last look ended; false when nothing can be read there any more. */
function lookAtData(archive: Archive, data: DataLook, look: (result: ResultView) => void): boolean {
  const cursor = new ArchiveCursor(archive);
  try {
    if (data.place !== undefined && !cursor.resume(data.place)) return false;
    while (cursor.next()) {
      data.left -= cursor.record.length;
      if (data.left < 0) {
        data.complete = false;
        break;
      }
      if (cursor.record.numpmid > 0) look(cursor.record.result());
      const { sec, nsec } = cursor.record;
      data.end = { sec, nsec };
    }
    data.place = cursor.place;
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    data.damaged = true;
  } finally {
    cursor.close();
  }
  return true;
}

/** Volumes that are looked at to know whether an archive is still the same. */
const MOST_VOLUMES = 16;

/** The files of an archive as far as they were read; undefined where it cannot be read on from there. */
function prefixesOf({ files, metaEnd }: Archive, place: CursorPlace): Prefix[] | undefined {
  const volumes = [...files.volumes].filter(([number]) => number <= place.volume);
  if (volumes.length > MOST_VOLUMES || compressionOf(files.meta) !== undefined) return undefined;
  const prefixes = [prefixOf(files.meta, metaEnd)];
  for (const [number, path] of volumes) {
    if (compressionOf(path) !== undefined) return undefined;
    prefixes.push(number < place.volume ? prefixOf(path) : prefixOf(path, place.offset));
  }
  const found = prefixes.filter((each) => each !== undefined);
  return found.length === prefixes.length ? found : undefined;
}

/** New metadata records, and whether a survey of all would have come to the same before it met them. */
function newRecords(
  { catalog }: Archive,
  { state: { latest, strange } }: Surveyor,
  next: LookAtMeta,
) {
  const seen = { any: false, metrics: false, fit: true };
  const look: LookAtMeta = (type, bytes, place) => {
    seen.any = true;
    const isDesc = type === META_TYPE.DESC;
    seen.metrics ||= isDesc || type === META_TYPE.TEXT;
    if (isDesc) seen.fit &&= !strange && !catalog.descs.has(decodeDesc(bytes, place).desc.pmid);
    else if (type !== META_TYPE.TEXT) {
      const { timestamp } = INDOM_TYPES.has(type)
        ? viewIndom(bytes, place)
        : labelSetHead(bytes, place);
      seen.fit &&= compareTimes(timestamp, latest) > 0;
    }
    return next(type, bytes, place);
  };
  return { seen, look };
}

/** A survey that can go on when its archive has grown. */
export interface OpenSurvey {
  /** Bytes of metadata that it keeps. */
  readonly bytes: number;
  /** The files that it was read from, if it can go on as far as that is known now. */
  readonly files: readonly Pick<Prefix, "path" | "inode">[] | undefined;
  /** What it has come to. */
  survey(): Survey;
  /** When the archive ends; microseconds. */
  end(): number | undefined;
  /**
   * Takes up what was added to the archive; whether something is new but values. Undefined: it is not
   * the same archive any more, or what is new changes what was met before; it is to be surveyed again.
   */
  grow(listings?: Listings): boolean | undefined;
}

/**
 * Surveys the archive of a name, and stays ready to go on unless that is not to be kept. Throws PcpError when
 * it cannot be opened.
 */
export function openSurvey(name: string, options: SurveyOptions = {}, keep = true): OpenSurvey {
  const { excluded, dataBytes = SURVEY_BYTES } = options;
  const late = lateInstances(options.indomBytes);
  const how = { growing: true, look: late.look };
  const archive = openArchive(name, how, undefined, undefined, options.listings);
  const { catalog, label } = archive;
  const data: DataLook = {
    left: dataBytes,
    complete: true,
    damaged: false,
    place: undefined,
    end: undefined,
  };
  const found = surveyorOf(catalog, label);
  let wanted = wantedMetrics(catalog, excluded);
  const lookOn = (): boolean => lookAtData(archive, data, (result) => found.record(result, wanted));
  lookOn();
  let prefixes: readonly Prefix[] | undefined;
  const canGoOn = (): boolean => {
    const isWhole = !data.damaged && late.domains.size === 0;
    prefixes = isWhole && data.place !== undefined ? prefixesOf(archive, data.place) : undefined;
    return prefixes !== undefined;
  };

  const end = (): number | undefined => {
    const lastVolume = [...archive.files.volumes.values()].at(-1) ?? "";
    if (compressionOf(lastVolume) !== undefined) return undefined;
    const time = data.complete && !data.damaged ? data.end : archiveEnd(archive);
    return time === undefined ? undefined : microseconds(time);
  };
  /** With all that the metadata have where not all data were looked at. */
  const withRest = (): Surveyor => {
    if (data.complete && late.domains.size === 0) return found;
    const all = keep ? found.copy() : found;
    const domains = new Map<Indom, ReadonlyMap<number, string>>();
    all.rest(wanted, (indom) => {
      const instances = domains.get(indom) ?? everyInstance(catalog, late.domains, indom);
      domains.set(indom, instances);
      return instances;
    });
    return all;
  };
  /** Files of the same names, as far as they were read. */
  const refresh = (listings: Listings | undefined): boolean => {
    const { files } = archive;
    const now = findArchive(name, listings);
    const last = data.place?.volume ?? 0;
    const read = ({ volumes }: typeof files): string =>
      [...volumes].filter(([number]) => number <= last).join();
    if (now.meta !== files.meta || read(now) !== read(files)) return false;
    archive.files = now;
    return true;
  };
  const readMetadata = () => {
    const { seen, look } = newRecords(archive, found, late.look);
    const file = openArchiveFile(archive.files.meta);
    try {
      const { meta } = archive.files;
      archive.metaEnd = loadMeta(file, meta, archive.metaEnd, catalog, true, look).end;
    } finally {
      file.close();
    }
    return seen;
  };
  const goOn = (listings: Listings | undefined): boolean | undefined => {
    if (!refresh(listings) || prefixes?.every(isStill) !== true) return undefined;
    const { changes } = found.state;
    const seen = readMetadata();
    if (!seen.fit) return undefined;
    if (seen.metrics) wanted = wantedMetrics(catalog, excluded);
    const wasComplete = data.complete;
    if (wasComplete && !lookOn()) return undefined;
    if (!canGoOn()) return undefined;
    if (!data.complete && (wasComplete || seen.any)) return true;
    return seen.metrics || found.state.changes !== changes;
  };

  if (keep) canGoOn();
  return {
    get bytes() {
      return archive.metaEnd;
    },
    get files() {
      return prefixes;
    },
    end,
    survey: () => {
      const all = withRest();
      return {
        archive,
        source: all.source,
        host: label.host,
        instances: [...all.state.written],
        series: all.series(),
        texts: textsOf(catalog, wanted, all),
        begin: microseconds(label.start),
        end: end(),
        complete: data.complete,
      };
    },
    grow: (listings) => {
      try {
        return goOn(listings);
      } catch (error) {
        // Whatever it is, a survey of all says it.
        if (error instanceof PcpError) return undefined;
        throw error;
      }
    },
  };
}

/** Surveys the archive of a name. Throws PcpError when it cannot be opened. */
export const surveyArchive = (name: string, options: SurveyOptions = {}): Survey =>
  openSurvey(name, options, false).survey();
