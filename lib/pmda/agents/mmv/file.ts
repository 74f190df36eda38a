// The layout of memory-mapped value files, versions 1 to 3 (mmv(5)): what a program writes to be read
// by the agent mmv. Bytes in, data out; values are read elsewhere, where they lie. All numbers are in
// the order of the machine, which is little-endian. Refuses files whose sections leave the file, whose
// strings have no end, whose generation numbers differ, and more entries than a bounded number.
import { PcpError, PM_ERR, viewOf } from "../../../base/mod.ts";

/** Bits of a file's flags. */
export const MMV_FLAG = { NO_PREFIX: 1, PROCESS: 2, SENTINEL: 4 } as const;
/** Types of values beyond PM_TYPE: a time that goes on while the extra number is below zero. */
export const MMV_ELAPSED = 9;
/** Bytes of the head, of a value, and of a string or label. */
export const MMV_HEAD_BYTES = 40;
export const MMV_VALUE_BYTES = 32;
export const MMV_STRING_BYTES = 256;

const SECTION = { INDOMS: 1, INSTANCES: 2, METRICS: 3, VALUES: 4, STRINGS: 5, LABELS: 6 } as const;
const TOC_BYTES = 16;
const INDOM_BYTES = 32;
const LABEL_HEAD = 12;
const NAME_BYTES = 64;
/** Most entries of one section: far above what programs write. */
const MAX_ENTRIES = 1_000_000;
const MAX_CLUSTER = 4095;
const NO_INDOM = 0xffffffff;

/** What the head says: enough to see whether a file is the same as before. */
export interface MmvHead {
  readonly version: number;
  /** Time of creation, as the writer counts. */
  readonly generation: bigint;
  /** MMV_FLAG bits. */
  readonly flags: number;
  readonly pid: number;
  /** 0: none wanted. */
  readonly cluster: number;
  readonly sections: number;
}

/** One metric. */
export interface MmvMetric {
  readonly name: string;
  readonly item: number;
  /** PM_TYPE, or MMV_ELAPSED. */
  readonly type: number;
  readonly sem: number;
  readonly units: number;
  /** Serial number within the file; undefined for a metric with one value. */
  readonly indom: number | undefined;
  readonly oneline: string | undefined;
  readonly help: string | undefined;
}

/** One instance domain. */
export interface MmvIndom {
  readonly serial: number;
  readonly instances: readonly { readonly id: number; readonly name: string }[];
  readonly oneline: string | undefined;
  readonly help: string | undefined;
}

/** Where the value of one instance lies. */
export interface MmvValue {
  readonly metric: number;
  /** Undefined for a metric with one value. */
  readonly instance: number | undefined;
  /** Byte of the file. */
  readonly at: number;
}

/** One label: JSON text of an object with one name. */
export interface MmvLabel {
  /** PM_LABEL bits. */
  readonly flags: number;
  /** Cluster, item or serial number of the domain. */
  readonly identity: number;
  /** The instance, at that level. */
  readonly instance: number;
  readonly json: string;
}

/** A whole file. */
export interface MmvFile {
  readonly head: MmvHead;
  readonly metrics: readonly MmvMetric[];
  readonly indoms: readonly MmvIndom[];
  readonly values: readonly MmvValue[];
  readonly labels: readonly MmvLabel[];
  /** Bytes in which all values lie. */
  readonly valuesAt: number;
  readonly valuesEnd: number;
}

const broken = (at: number, reason: string): PcpError =>
  new PcpError(PM_ERR.GENERIC, `offset ${at}: ${reason}`);

/** Reads the head. Throws PcpError with offset and reason. */
export function parseMmvHead(bytes: Uint8Array): MmvHead {
  if (bytes.length < MMV_HEAD_BYTES) throw broken(0, `${bytes.length} bytes are no file of values`);
  const view = viewOf(bytes);
  if (view.getUint32(0) !== 0x4d4d5600) throw broken(0, "no tag MMV");
  const version = view.getUint32(4, true);
  if (version < 1 || version > 3) throw broken(4, `version ${version} is not known`);
  const generation = view.getBigUint64(8, true);
  if (generation !== view.getBigUint64(16, true)) throw broken(16, "the file is being written");
  const cluster = view.getUint32(36, true);
  if (cluster > MAX_CLUSTER) throw broken(36, `cluster ${cluster} is above ${MAX_CLUSTER}`);
  const sections = view.getUint32(24, true);
  if (sections < 2 || sections > 16) throw broken(24, `${sections} sections`);
  return {
    version,
    generation,
    flags: view.getUint32(28, true),
    pid: view.getInt32(32, true),
    cluster,
    sections,
  };
}

interface Section {
  readonly at: number;
  readonly count: number;
}

/** Reads parts of a file with its bounds checked. */
class Scan {
  readonly view: DataView;
  constructor(readonly bytes: Uint8Array) {
    this.view = viewOf(bytes);
  }

  u32(at: number): number {
    return this.view.getUint32(at, true);
  }

  /** A 64-bit offset that must lie in the file. */
  offset(at: number): number {
    const value = this.view.getBigUint64(at, true);
    if (value >= BigInt(this.bytes.length)) throw broken(at, `offset ${value} is outside the file`);
    return Number(value);
  }

  /** A string of at most `size` bytes, with its end. */
  text(at: number, size: number): string {
    const end = this.bytes.indexOf(0, at);
    if (end < 0 || end >= at + size) throw broken(at, "a text without an end");
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + at, end - at).toString("utf8");
  }

  /** The string that an offset leads to; undefined where there is none. */
  string(at: number): string | undefined {
    const place = this.offset(at);
    return place === 0 ? undefined : this.text(place, MMV_STRING_BYTES);
  }
}

function sectionsOf(scan: Scan, head: MmvHead): ReadonlyMap<number, Section> {
  const { version } = head;
  const sizes: Readonly<Record<number, number>> = {
    [SECTION.INDOMS]: INDOM_BYTES,
    [SECTION.INSTANCES]: version === 1 ? 16 + NAME_BYTES : 24,
    [SECTION.METRICS]: version === 1 ? NAME_BYTES + 40 : 48,
    [SECTION.VALUES]: MMV_VALUE_BYTES,
    [SECTION.STRINGS]: MMV_STRING_BYTES,
    [SECTION.LABELS]: MMV_STRING_BYTES,
  };
  const found = new Map<number, Section>();
  if (MMV_HEAD_BYTES + TOC_BYTES * head.sections > scan.bytes.length)
    throw broken(24, `${head.sections} sections do not fit into the file`);
  for (let index = 0; index < head.sections; index++) {
    const at = MMV_HEAD_BYTES + TOC_BYTES * index;
    const type = scan.u32(at);
    const size = sizes[type];
    if (size === undefined) throw broken(at, `section of type ${type}`);
    if (found.has(type)) throw broken(at, `a second section of type ${type}`);
    const count = scan.u32(at + 4);
    const start = scan.offset(at + 8);
    if (count > MAX_ENTRIES || start + count * size > scan.bytes.length)
      throw broken(at, `section of type ${type}: ${count} entries leave the file`);
    found.set(type, { at: start, count });
  }
  if (!found.has(SECTION.METRICS) || !found.has(SECTION.VALUES))
    throw broken(24, "no section of metrics, or none of values");
  return found;
}

const NOTHING: Section = { at: 0, count: 0 };

/** Index of the entry that a file offset leads to. */
function entryAt(scan: Scan, at: number, section: Section, size: number): number {
  const index = (scan.offset(at) - section.at) / size;
  if (!Number.isInteger(index) || index < 0 || index >= section.count)
    throw broken(at, "an offset that leads to no entry");
  return index;
}

function instancesOf(scan: Scan, version: number, indoms: Section, section: Section) {
  const size = version === 1 ? 16 + NAME_BYTES : 24;
  return Array.from({ length: section.count }, (_, index) => {
    const at = section.at + size * index;
    return {
      indom: entryAt(scan, at, indoms, INDOM_BYTES),
      id: scan.u32(at + 12) | 0,
      name: version === 1 ? scan.text(at + 16, NAME_BYTES) : (scan.string(at + 16) ?? ""),
    };
  });
}

function metricsOf(scan: Scan, version: number, section: Section): MmvMetric[] {
  const size = version === 1 ? NAME_BYTES + 40 : 48;
  return Array.from({ length: section.count }, (_, index) => {
    const start = section.at + size * index;
    const name = version === 1 ? scan.text(start, NAME_BYTES) : (scan.string(start) ?? "");
    const at = start + (version === 1 ? NAME_BYTES : 8);
    const indom = scan.u32(at + 16);
    return {
      name,
      item: scan.u32(at),
      type: scan.u32(at + 4) | 0,
      sem: scan.u32(at + 8) | 0,
      // A bit field, whose memory on such a machine is the word of the protocol.
      units: scan.u32(at + 12),
      indom: indom === NO_INDOM || indom === 0 ? undefined : indom,
      oneline: scan.string(at + 24),
      help: scan.string(at + 32),
    };
  });
}

/** Reads a whole file. Throws PcpError with offset and reason. */
export function parseMmv(bytes: Uint8Array): MmvFile {
  const head = parseMmvHead(bytes);
  const { version } = head;
  const scan = new Scan(bytes);
  const sections = sectionsOf(scan, head);
  const section = (type: number): Section => sections.get(type) ?? NOTHING;
  const indomSection = section(SECTION.INDOMS);
  const instanceSection = section(SECTION.INSTANCES);
  const valueSection = section(SECTION.VALUES);
  const labelSection = section(SECTION.LABELS);
  const instances = instancesOf(scan, version, indomSection, instanceSection);
  const metrics = metricsOf(scan, version, section(SECTION.METRICS));
  const members = Map.groupBy(instances, ({ indom }) => indom);
  const indoms = Array.from({ length: indomSection.count }, (_, index) => {
    const at = indomSection.at + INDOM_BYTES * index;
    return {
      serial: scan.u32(at),
      instances: (members.get(index) ?? []).map(({ id, name }) => ({ id, name })),
      oneline: scan.string(at + 16),
      help: scan.string(at + 24),
    };
  });
  const metricBytes = version === 1 ? NAME_BYTES + 40 : 48;
  const instanceBytes = version === 1 ? 16 + NAME_BYTES : 24;
  const values = Array.from({ length: valueSection.count }, (_, index) => {
    const at = valueSection.at + MMV_VALUE_BYTES * index;
    const metric = entryAt(scan, at + 16, section(SECTION.METRICS), metricBytes);
    const single = metrics[metric]?.indom === undefined;
    const instance = single
      ? undefined
      : instances[entryAt(scan, at + 24, instanceSection, instanceBytes)]?.id;
    return { metric, instance, at };
  });
  const labels = Array.from({ length: labelSection.count }, (_, index) => {
    const at = labelSection.at + MMV_STRING_BYTES * index;
    return {
      flags: scan.u32(at),
      identity: scan.u32(at + 4),
      instance: scan.u32(at + 8) | 0,
      json: scan.text(at + LABEL_HEAD, MMV_STRING_BYTES - LABEL_HEAD),
    };
  });
  return {
    head,
    metrics,
    indoms,
    values,
    labels,
    valuesAt: valueSection.at,
    valuesEnd: valueSection.at + MMV_VALUE_BYTES * valueSection.count,
  };
}
