// A small picture of when archives have records, for a terminal: height of a column is the number of
// records in its time, below it stand marks, borders of volumes and members, gaps, and a time axis.
// A pure function from a report to lines; nothing is coloured and nothing is refused.
import { localTime, secondOfLocal, secondsBetween, type Timestamp, type Zone } from "../pcp/mod.ts";
import type { ArchiveReport, Density, Gap } from "./archive-types.ts";

/** How a picture is drawn. */
export interface TimelineOptions {
  /** Columns; below MIN_WIDTH there is no picture. */
  readonly width: number;
  readonly zone: Zone;
  /** Rows of the columns (default 2). */
  readonly height?: number;
  /** Plain ASCII instead of blocks and lines. */
  readonly ascii?: boolean;
}

/** Fewer columns show nothing. */
export const MIN_WIDTH = 16;

interface Signs {
  /** Parts of a cell, from nothing to full. */
  readonly blocks: string;
  readonly gap: string;
  readonly mark: string;
  readonly volume: string;
  readonly member: string;
  readonly axis: string;
  readonly tick: string;
}

const UNICODE: Signs = {
  blocks: " ▁▂▃▄▅▆▇█",
  gap: "╌",
  mark: "▲",
  volume: "│",
  member: "┃",
  axis: "─",
  tick: "┬",
};
const ASCII: Signs = {
  blocks: " .:oO#",
  gap: "~",
  mark: "^",
  volume: "|",
  member: "H",
  axis: "-",
  tick: "+",
};

/** Steps of an axis below a day, in seconds. */
const CLOCK_STEPS: readonly number[] = [
  [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5],
  [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800],
  [3600, 7200, 10_800, 21_600, 43_200],
].flat();

/** A step of the calendar, with its seconds at least. */
interface CalendarStep {
  readonly seconds: number;
  readonly unit: "day" | "month" | "year";
  readonly count: number;
}

const DAY = 86_400;
const CALENDAR_STEPS: readonly CalendarStep[] = [
  ...[1, 2, 7, 14].map((count) => ({ seconds: count * DAY, unit: "day", count }) as const),
  ...[1, 3, 6].map((count) => ({ seconds: count * 28 * DAY, unit: "month", count }) as const),
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].map(
    (count) => ({ seconds: count * 365 * DAY, unit: "year", count }) as const,
  ),
];

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const two = (value: number): string => String(value).padStart(2, "0");

/** The picture's own data: seconds from its start to columns. */
interface Frame {
  readonly from: Timestamp;
  readonly seconds: number;
  readonly width: number;
}

function columnOf({ from, seconds, width }: Frame, time: Timestamp): number {
  const at = Math.floor((secondsBetween(time, from) / seconds) * width);
  return Math.min(Math.max(at, 0), width - 1);
}

/** Sums of steps for each column, by the share of a step that lies in it. */
function rebin(steps: readonly number[], width: number): number[] {
  const columns = Array.from({ length: width }, () => 0);
  const ratio = width / steps.length;
  steps.forEach((count, i) => {
    if (count === 0) return;
    const from = i * ratio;
    const to = from + ratio;
    for (let column = Math.floor(from); column < Math.min(to, width); column++) {
      const share = Math.min(to, column + 1) - Math.max(from, column);
      if (share > 0) columns[column] = (columns[column] ?? 0) + (count * share) / ratio;
    }
  });
  return columns;
}

/** Columns that are silent and more than half within a gap. */
function silent(frame: Frame, gaps: readonly Gap[], columns: readonly number[]): Set<number> {
  const found = new Set<number>();
  const step = frame.seconds / frame.width;
  for (const { from, to } of gaps) {
    const start = secondsBetween(from, frame.from) / step;
    const end = secondsBetween(to, frame.from) / step;
    for (let i = Math.max(0, Math.round(start)); i < Math.min(end, frame.width); i++) {
      if (columns[i] === 0) found.add(i);
    }
  }
  return found;
}

function bars(
  columns: readonly number[],
  gaps: ReadonlySet<number>,
  height: number,
  { blocks, gap }: Signs,
): string[] {
  // Bursts are cut off, so that they do not make everything else flat.
  const usual = columns.filter((count) => count > 0).sort((a, b) => a - b);
  const most = Math.min(usual.at(-1) ?? 1, 2 * (usual[usual.length >> 1] ?? 1));
  const parts = blocks.length - 1;
  const levels = columns.map((count) =>
    count === 0
      ? 0
      : Math.max(1, Math.min(Math.round((count / most) * parts * height), parts * height)),
  );
  return Array.from({ length: height }, (_, row) => {
    const below = (height - 1 - row) * parts;
    return levels
      .map((level, column) => {
        if (row === height - 1 && gaps.has(column)) return gap;
        return blocks[Math.min(Math.max(level - below, 0), parts)];
      })
      .join("")
      .trimEnd();
  });
}

/** Marks and borders in one row; a border of members hides a mark, that a border of volumes. */
function events(frame: Frame, density: Density, signs: Signs): string {
  const row = Array.from({ length: frame.width }, () => " ");
  for (const time of density.volumeBorders) row[columnOf(frame, time)] = signs.volume;
  density.marks.forEach((count, i) => {
    if (count > 0) row[Math.floor((i * frame.width) / density.marks.length)] = signs.mark;
  });
  for (const time of density.memberBorders) row[columnOf(frame, time)] = signs.member;
  return row.join("").trimEnd();
}

/** A clock time on the axis; the day instead where the label before is of another one. */
function clockLabel(time: Timestamp, zone: Zone, step: number, before: string): [string, string] {
  const { month, day, hour, minute, second } = localTime(time, zone);
  const date = `${MONTHS[month]} ${day}`;
  if (date !== before && (before !== "" || (hour === 0 && minute === 0 && second === 0))) {
    return [date, date];
  }
  let clock = `${two(hour)}:${two(minute)}`;
  if (step < 60) clock += `:${two(second)}`;
  if (step < 1) clock += `.${String(time.nsec).padStart(9, "0").slice(0, 3)}`;
  return [clock, date];
}

/** A tick with its label. */
type Tick = readonly [time: Timestamp, label: string];

/** Multiples of a step in local time. */
function* clockTicks({ from, seconds }: Frame, zone: Zone, step: number): Generator<Tick> {
  const { offset } = zone.periodAt(from.sec);
  const second = (((from.sec + offset) % DAY) + DAY) % DAY;
  let before = "";
  for (let n = Math.ceil((second + from.nsec / 1e9) / step); ; n++) {
    const ahead = n * step - second;
    const whole = Math.floor(ahead + 5e-7);
    const time = { sec: from.sec + whole, nsec: Math.round((ahead - whole) * 1e6) * 1000 };
    if (secondsBetween(time, from) > seconds) return;
    const [label, date] = clockLabel(time, zone, step, before);
    before = date;
    yield [time, label];
  }
}

/** Days, months and years that are multiples of a step, at midnight. */
function* calendarTicks(frame: Frame, zone: Zone, step: CalendarStep): Generator<Tick> {
  const { unit, count } = step;
  const start = localTime(frame.from, zone);
  const day = { ...start, hour: 0, minute: 0, second: 0 };
  if (unit !== "day") day.day = 1;
  if (unit === "month") day.month -= day.month % count;
  if (unit === "year") {
    day.month = 0;
    day.year -= day.year % count;
  }
  for (;;) {
    const time = { sec: secondOfLocal(day, zone), nsec: 0 };
    const away = secondsBetween(time, frame.from);
    if (away > frame.seconds) return;
    if (away >= 0) {
      const { year, month, day: number } = localTime(time, zone);
      const labels = {
        day: `${MONTHS[month]} ${number}`,
        month: `${MONTHS[month]} ${year}`,
        year: String(year),
      };
      yield [time, labels[unit]];
    }
    day[unit] += count;
  }
}

/** Columns that a label needs with the blanks beside it. */
const CLOCK_ROOM = 12;
const FINE_ROOM = 16;

function ticksOf(frame: Frame, zone: Zone): Iterable<Tick> {
  const column = frame.seconds / frame.width;
  const clock = CLOCK_STEPS.find((each) => each / column >= (each < 1 ? FINE_ROOM : CLOCK_ROOM));
  if (clock !== undefined) return clockTicks(frame, zone, clock);
  const wide = CALENDAR_STEPS.find(({ seconds }) => seconds / column >= CLOCK_ROOM);
  return wide === undefined ? [] : calendarTicks(frame, zone, wide);
}

/** The axis and its labels, two lines. */
function axis(frame: Frame, zone: Zone, signs: Signs): string[] {
  const { width } = frame;
  const line = Array.from({ length: width }, () => signs.axis);
  let labels = "";
  for (const [time, label] of ticksOf(frame, zone)) {
    const column = columnOf(frame, time);
    line[column] = signs.tick;
    if (column + label.length > width || (labels !== "" && column <= labels.length)) continue;
    labels = labels.padEnd(column) + label;
  }
  return [line.join(""), labels];
}

/**
 * The picture of a report: `height` rows of bars, a row of marks and borders if there are any, the
 * axis and its labels, at most `width` columns each. No lines without records or without width.
 */
export function timelineLines(
  { density, gaps }: Pick<ArchiveReport, "density" | "gaps">,
  options: TimelineOptions,
): string[] {
  const { zone, height = 2 } = options;
  const width = Math.floor(options.width);
  if (density === null || width < MIN_WIDTH) return [];
  const signs = options.ascii === true ? ASCII : UNICODE;
  const frame = { from: density.from, seconds: density.step * density.records.length, width };
  const columns = rebin(density.records, width);
  const row = events(frame, density, signs);
  return [
    ...bars(columns, silent(frame, gaps, columns), Math.max(1, height), signs),
    ...(row === "" ? [] : [row]),
    ...axis(frame, zone, signs),
  ];
}

/** What the signs of a picture mean, for those that this report needs; empty without any. */
export function timelineLegend(
  { density, gaps }: Pick<ArchiveReport, "density" | "gaps">,
  ascii = false,
): string {
  const signs = ascii ? ASCII : UNICODE;
  const words: string[] = [];
  if (density?.marks.some((count) => count > 0) === true) words.push(`${signs.mark} mark`);
  if ((density?.volumeBorders.length ?? 0) > 0) words.push(`${signs.volume} next volume`);
  if ((density?.memberBorders.length ?? 0) > 0) words.push(`${signs.member} next archive`);
  if (gaps.length > 0) words.push(`${signs.gap} gap`);
  return words.join("   ");
}
