// What archives are called that programs make by themselves: YYYYMMDD.HH.MM of their start in this
// process's time zone, with -01 to -99 behind it where that is taken (as pmlogger's scripts do).
import { readdir } from "node:fs/promises";
import { join } from "node:path";

const MOST_SUFFIX = 99;

/** The name of an archive that starts at a second; undefined: no such year. */
export function archiveName(seconds: number): string | undefined {
  const date = new Date(seconds * 1000);
  const year = date.getFullYear();
  if (Number.isNaN(year) || year < 0 || year > 9999) return undefined;
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = `${String(year).padStart(4, "0")}${two(date.getMonth() + 1)}${two(date.getDate())}`;
  return `${day}.${two(date.getHours())}.${two(date.getMinutes())}`;
}

/**
 * The path without suffix for a new archive of this name: the first of which `folder` has no file,
 * hidden or compressed ones included. Undefined when all are taken.
 */
export async function freeArchive(folder: string, name: string): Promise<string | undefined> {
  const names = await readdir(folder);
  for (let suffix = 0; suffix <= MOST_SUFFIX; suffix++) {
    const base = suffix === 0 ? name : `${name}-${String(suffix).padStart(2, "0")}`;
    if (!names.some((each) => each.startsWith(`${base}.`) || each.startsWith(`.${base}.`)))
      return join(folder, base);
  }
  return undefined;
}
