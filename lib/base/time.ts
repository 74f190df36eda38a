// Times as PCP's daemons print them: ctime(3) form in local time. Refuses nothing; an invalid Date
// prints as the epoch so that a log line never fails.

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"] as const;
const MONTHS = [
  "Jan",
  "Feb",
  "Mar",
  "Apr",
  "May",
  "Jun",
  "Jul",
  "Aug",
  "Sep",
  "Oct",
  "Nov",
  "Dec",
] as const;

const two = (value: number): string => (value < 10 ? `0${value}` : `${value}`);

/** `Sat Nov  1 21:18:24`: the first 19 characters of ctime(3), local time. */
export function ctimeShort(date: Date): string {
  const at = Number.isNaN(date.getTime()) ? new Date(0) : date;
  const day = `${at.getDate()}`.padStart(2, " ");
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return `${DAYS[at.getDay()]} ${MONTHS[at.getMonth()]} ${day} ${clock}`;
}

/** `Sat Nov  1 21:18:24 2026`: ctime(3) without its newline, local time. */
export function ctime(date: Date): string {
  const year = Number.isNaN(date.getTime()) ? 1970 : date.getFullYear();
  return `${ctimeShort(date)} ${year}`;
}
