// Times as PCP's tools print them, in a zone that the caller names. Refuses nothing.
import type { Instant } from "./instant.ts";
import { localTime, type Zone } from "./timezone.ts";

const DAYS = "SunMonTueWedThuFriSat";
const MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec";

const two = (value: number): string => String(value).padStart(2, "0");
const three = (names: string, index: number): string => names.slice(index * 3, index * 3 + 3);

/** Digits of a second that tools print; further ones are cut off, not rounded. */
export type FractionDigits = 0 | 3 | 6 | 9;

const fraction = (at: Instant, digits: FractionDigits): string =>
  digits === 0 ? "" : `.${String(at.nsec).padStart(9, "0").slice(0, digits)}`;

/**
 * `20:53:02.423213` in the zone: pmPrintStamp(3) with 3 digits, pmPrintHighResStamp(3) with 9, and
 * the other forms of the library with 6 and 9.
 */
export function clockText(at: Instant, zone: Zone, digits: FractionDigits = 3): string {
  const { hour, minute, second } = localTime(at, zone);
  return `${two(hour)}:${two(minute)}:${two(second)}${fraction(at, digits)}`;
}

/** `Sat Nov 21 20:53:02 2026`, pmCtime(3) without its newline, or with digits after the second. */
export function ctimeText(at: Instant, zone: Zone, digits: FractionDigits = 0): string {
  const { year, month, day, weekDay } = localTime(at, zone);
  const date = `${three(DAYS, weekDay)} ${three(MONTHS, month)} ${String(day).padStart(2)}`;
  return `${date} ${clockText(at, zone, digits)} ${year}`;
}
