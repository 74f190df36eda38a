// Which labels are taken, and what their archives are called (spec webapi.md 18): a logger is not to
// be trusted with names of files. Refuses host names, time zones and zoneinfos that are not plain.
import type { ArchiveLabel } from "../archive/mod.ts";

/** Last number that is appended to a name that is taken. */
export const MOST_SUFFIX = 99;

const HOST = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/;
const ZONE = /^(?!\/)[A-Za-z0-9/_+.:,-]*$/;
const isPlainZone = (text: string): boolean => ZONE.test(text) && !text.includes("..");

/** What is unsafe about a label, as pmproxy says it; undefined: nothing. */
export function unsafety({ host, timezone, zoneinfo }: ArchiveLabel): string | undefined {
  if (!HOST.test(host)) return `hostname: ${host}`;
  if (!isPlainZone(timezone)) return `timezone: ${timezone}`;
  return isPlainZone(zoneinfo) ? undefined : `zoneinfo: ${zoneinfo}`;
}

/** YYYYMMDD.HH.MM of a start in this process's time zone; undefined: no such year. */
export function baseName(seconds: number): string | undefined {
  const date = new Date(seconds * 1000);
  const year = date.getFullYear();
  if (Number.isNaN(year) || year < 0 || year > 9999) return undefined;
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = `${String(year).padStart(4, "0")}${two(date.getMonth() + 1)}${two(date.getDate())}`;
  return `${day}.${two(date.getHours())}.${two(date.getMinutes())}`;
}
