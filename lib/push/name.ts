// Which labels are taken (spec webapi.md 18): a logger is not to be trusted with names of files. Refuses host names, time zones and zoneinfos that are not plain.
import type { ArchiveLabel } from "../archive/mod.ts";

const HOST = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/;
const ZONE = /^(?!\/)[A-Za-z0-9/_+.:,-]*$/;
const isPlainZone = (text: string): boolean => ZONE.test(text) && !text.includes("..");

/** What is unsafe about a label, as pmproxy says it; undefined: nothing. */
export function unsafety({ host, timezone, zoneinfo }: ArchiveLabel): string | undefined {
  if (!HOST.test(host)) return `hostname: ${host}`;
  if (!isPlainZone(timezone)) return `timezone: ${timezone}`;
  return isPlainZone(zoneinfo) ? undefined : `zoneinfo: ${zoneinfo}`;
}
