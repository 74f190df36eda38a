// Identifiers: PMID, InDom and instance numbers, their fields and their text (spec pdu.md 5.1 to 5.3
// and 6.1). All are plain numbers with a brand, so that one cannot stand for another. Building from
// fields out of range and reading texts of another form are refused with PM_ERR_PMID or
// PM_ERR_INDOM; a number read from a peer is never refused here.
import { PM_ERR, PcpError } from "../base/mod.ts";

declare const pmidBrand: unique symbol;
declare const indomBrand: unique symbol;
declare const instanceBrand: unique symbol;

/** Metric identifier, an unsigned 32-bit number. */
export type Pmid = number & { readonly [pmidBrand]: true };
/** Instance domain identifier, an unsigned 32-bit number. */
export type Indom = number & { readonly [indomBrand]: true };
/** Instance number, a signed 32-bit number; PM_IN_NULL for a metric without instances. */
export type InstanceId = number & { readonly [instanceBrand]: true };

/** A metric that is not there. */
export const PM_ID_NULL = 0xffffffff as Pmid;
/** The instance domain of a metric with one value. */
export const PM_INDOM_NULL = 0xffffffff as Indom;
/** The instance of a metric with one value. */
export const PM_IN_NULL = -1 as InstanceId;

/** Domain of dynamic roots and derived metrics; no agent has it. */
export const DYNAMIC_DOMAIN = 511;

/** Any number taken as a PMID: its low 32 bits. */
export const asPmid = (word: number): Pmid => (word >>> 0) as Pmid;
/** Any number taken as an InDom: its low 32 bits. */
export const asIndom = (word: number): Indom => (word >>> 0) as Indom;
/** Any number taken as an instance: its low 32 bits, signed. */
export const asInstance = (word: number): InstanceId => (word | 0) as InstanceId;

const inField = (value: number, limit: number): boolean =>
  Number.isInteger(value) && value >= 0 && value <= limit;

/** PMID of domain 0-511, cluster 0-4095, item 0-1023; throws PM_ERR_PMID out of these ranges. */
export function pmidBuild(domain: number, cluster: number, item: number): Pmid {
  if (!inField(domain, 511) || !inField(cluster, 4095) || !inField(item, 1023)) {
    throw new PcpError(PM_ERR.PMID, `metric identifier ${domain}.${cluster}.${item} out of range`);
  }
  return (((domain << 22) | (cluster << 10) | item) >>> 0) as Pmid;
}

/** Domain number, 0-511. */
export const pmidDomain = (pmid: Pmid): number => (pmid >>> 22) & 0x1ff;
/** Cluster number, 0-4095. */
export const pmidCluster = (pmid: Pmid): number => (pmid >>> 10) & 0xfff;
/** Item number, 0-1023. */
export const pmidItem = (pmid: Pmid): number => pmid & 0x3ff;

/** The three fields at once. Allocates: not for loops over values. */
export const pmidParts = (pmid: Pmid): { domain: number; cluster: number; item: number } => ({
  domain: pmidDomain(pmid),
  cluster: pmidCluster(pmid),
  item: pmidItem(pmid),
});

/** InDom of domain 0-511 and serial 0-4194303; throws PM_ERR_INDOM out of these ranges. */
export function indomBuild(domain: number, serial: number): Indom {
  if (!inField(domain, 511) || !inField(serial, 0x3fffff)) {
    throw new PcpError(PM_ERR.INDOM, `instance domain ${domain}.${serial} out of range`);
  }
  return (((domain << 22) | serial) >>> 0) as Indom;
}

/** Domain number, 0-511. */
export const indomDomain = (indom: Indom): number => (indom >>> 22) & 0x1ff;
/** Serial number, 0-4194303. */
export const indomSerial = (indom: Indom): number => indom & 0x3fffff;

/** The two fields at once. */
export const indomParts = (indom: Indom): { domain: number; serial: number } => ({
  domain: indomDomain(indom),
  serial: indomSerial(indom),
});

/** The PMID that stands for the root of a dynamic subtree whose metrics `domain` serves. */
export const dynamicRootPmid = (domain: number): Pmid => pmidBuild(DYNAMIC_DOMAIN, domain, 0);
/** Whether a PMID stands for the root of a dynamic subtree (spec pdu.md 5.3). */
export const isDynamicRoot = (pmid: Pmid): boolean =>
  pmidDomain(pmid) === DYNAMIC_DOMAIN && pmidItem(pmid) === 0 && pmid !== PM_ID_NULL;

/** `domain.cluster.item`, `domain.*.*` for a dynamic root, `PM_ID_NULL` (spec pdu.md 6.1). */
export function pmIDStr(pmid: Pmid): string {
  if (pmid === PM_ID_NULL) return "PM_ID_NULL";
  if (isDynamicRoot(pmid)) return `${pmidCluster(pmid)}.*.*`;
  return `${pmidDomain(pmid)}.${pmidCluster(pmid)}.${pmidItem(pmid)}`;
}

/** `domain.serial` or `PM_INDOM_NULL` (spec pdu.md 6.1). */
export function pmInDomStr(indom: Indom): string {
  if (indom === PM_INDOM_NULL) return "PM_INDOM_NULL";
  return `${indomDomain(indom)}.${indomSerial(indom)}`;
}

/** Reads what pmIDStr writes; throws PM_ERR_PMID for anything else. */
export function pmidParse(text: string): Pmid {
  if (text === "PM_ID_NULL") return PM_ID_NULL;
  const fields = /^(\d{1,3})\.(?:(\d{1,4})\.(\d{1,4})|\*\.\*)$/.exec(text);
  if (fields === null) {
    throw new PcpError(PM_ERR.PMID, `"${text}" is not a metric identifier (domain.cluster.item)`);
  }
  if (fields[2] === undefined) return dynamicRootPmid(Number(fields[1]));
  return pmidBuild(Number(fields[1]), Number(fields[2]), Number(fields[3]));
}

/** Reads what pmInDomStr writes; throws PM_ERR_INDOM for anything else. */
export function indomParse(text: string): Indom {
  if (text === "PM_INDOM_NULL") return PM_INDOM_NULL;
  const fields = /^(\d{1,3})\.(\d{1,7})$/.exec(text);
  if (fields === null) {
    throw new PcpError(PM_ERR.INDOM, `"${text}" is not an instance domain (domain.serial)`);
  }
  return indomBuild(Number(fields[1]), Number(fields[2]));
}
