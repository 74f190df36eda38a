// The drawing of an answer: lines, the list of them with their values, what is no number as a list of
// changes, and both as a file.
import { el, set, write } from "./dom.ts";
import { createLegend } from "./legend.ts";
import { formatted, type Kind, type Unit } from "./numbers.ts";
import { CHANGES_MOST, type PastAnswer } from "./past-answer.ts";
import {
  changesCsv,
  csvOf,
  type NamedLine,
  type Table,
  tableOf,
  valueBefore,
} from "./past-lines.ts";
import { lengthText, timeText } from "./past-range.ts";
import { createPlot, type Plot } from "./plot.ts";
import { MAX_LINES } from "./route.ts";
import { createSlots } from "./slots.ts";

/** Lines that are drawn where nobody has chosen. */
const FIRST = 8;
const HEIGHT = 320;
const PLAIN: Unit = { style: "decimal", factor: 1, suffix: "", title: "" };

export interface ChartEvents {
  picked(from: number, to: number): void;
  back(): void;
  nearer(): void;
  moved(share: number): void;
  /** The link to what is shown. */
  copy(): void;
  /** Lines that are to be drawn. */
  chosen(names: readonly string[]): void;
}

export interface PastChart {
  readonly element: HTMLElement;
  /** Pixels of the drawing's width. */
  readonly width: number;
  /** Draws an answer; lines: names of those to be drawn, or undefined. */
  show(title: string, answer: PastAnswer, lines: readonly string[] | undefined): void;
  repaint(): void;
}

/** Hands a file to the browser. */
function save(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  el("a", { href: url, download: name }).click();
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** The unit of all these lines; one without a name where they differ. */
function commonUnit(lines: readonly NamedLine[], units: ReadonlyMap<string, Unit>): Unit {
  const own = lines.map(({ name }) => units.get(name) ?? PLAIN);
  const [first = PLAIN] = own;
  return own.every((each) => each.style === first.style && each.title === first.title)
    ? { ...first, factor: 1 }
    : PLAIN;
}

/** Lines that are drawn: those chosen that there are, or the first. */
function drawnOf(
  lines: readonly NamedLine[],
  chosen: readonly string[] | undefined,
): readonly NamedLine[] {
  if (chosen === undefined) return lines.slice(0, FIRST);
  return lines.filter(({ name }) => name === "" || chosen.includes(name)).slice(0, MAX_LINES);
}

/** How much is shown of how much, in words. */
function extentText(answer: PastAnswer, drawn: number): string {
  const { lines, leftOut, step, values } = answer;
  const all = lines.length + leftOut;
  const parts = [`${values.toLocaleString("en")} values`];
  if (all > 1) parts.push(`${drawn} of ${all} lines drawn`);
  if (leftOut > 0) parts.push(`${leftOut} smaller ones left out`);
  if (step !== undefined) parts.push(`one sample in ${lengthText(step)}`);
  return parts.join(", ");
}

export function createPastChart(events: ChartEvents): PastChart {
  const title = el("h2");
  const unitText = el("span", { class: "unit" });
  const extent = el("span", { class: "muted extent", role: "status" });
  const moment = el("p", { class: "moment muted" });
  const place = el("div", { class: "past-plot", tabindex: 0, role: "img" });
  const legend = createLegend("the answer", (names) => events.chosen(names.slice(0, MAX_LINES)));
  const changes = el("div", { class: "text-values changes", hidden: true });
  const slots = createSlots();
  let plot: Plot | undefined;
  let plotKey = "";
  let answer: PastAnswer | undefined;
  let drawn: readonly NamedLine[] = [];
  let table: Table = { times: [], columns: [] };
  let pointed: number | undefined;
  let name = "";

  const unitOf = (line: string): Unit => answer?.units.get(line) ?? PLAIN;
  const writeValues = (): void => {
    const at = pointed ?? table.times.length - 1;
    const time = table.times[at];
    write(
      moment,
      time === undefined ? "" : `${pointed === undefined ? "last values, " : ""}${timeText(time)}`,
    );
    legend.values((line) => {
      const place = drawn.findIndex((each) => each.name === line);
      const column = table.columns[place];
      return column === undefined ? "" : formatted(valueBefore(column, at), unitOf(line));
    });
  };
  const plotFor = (unit: Unit): Plot => {
    const key = `${unit.style} ${unit.title}`;
    if (plot !== undefined && key === plotKey) return plot;
    plot?.close();
    plotKey = key;
    const kind: Kind =
      unit.style === "percent" || /per second|\/s$/.test(unit.title) ? "rate" : "value";
    const made = createPlot({
      unit,
      kind,
      height: HEIGHT,
      window: () => {
        const { from, to } = answer?.ends ?? { from: 0, to: 1 };
        return [from, to];
      },
      pointed: (at) => {
        pointed = at;
        writeValues();
      },
      picked: events.picked,
      back: events.back,
    });
    plot = made;
    place.replaceChildren(made.element);
    return made;
  };
  const showChanges = ({ changes: all }: PastAnswer): void => {
    changes.hidden = all.length === 0;
    const rows = all.map(({ time, line, text }) =>
      el(
        "tr",
        {},
        el("th", { scope: "row" }, timeText(time)),
        el("td", {}, line),
        el("td", { class: "value" }, text),
      ),
    );
    const more = all.length === CHANGES_MOST ? ` (the newest ${CHANGES_MOST})` : "";
    changes.replaceChildren(
      el(
        "table",
        {},
        el("caption", {}, `Changes of what is no number${more}`),
        el("tbody", {}, ...rows),
      ),
    );
  };
  const exportAll = (): void => {
    if (answer === undefined) return;
    const stem = `${name.replace(/[^\w.-]+/g, "_").slice(0, 80)}_${Math.floor(answer.ends.from)}`;
    const heads = drawn.map((line) =>
      [line.name || name, unitOf(line.name).title].filter(Boolean).join(", "),
    );
    const file = drawn.length > 0 ? csvOf(table, heads) : changesCsv(answer.changes);
    save(`${stem}.csv`, file);
  };
  const keys: Readonly<Record<string, () => void>> = {
    ArrowLeft: () => events.moved(-0.25),
    ArrowRight: () => events.moved(0.25),
    "+": () => events.nearer(),
    "=": () => events.nearer(),
    "-": () => events.back(),
    Backspace: () => events.back(),
  };
  place.addEventListener("keydown", (event) => {
    const act = keys[event.key];
    if (act === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    act();
  });
  set(place, "aria-keyshortcuts", "ArrowLeft ArrowRight + -");
  const element = el(
    "article",
    { class: "card past-card", hidden: true },
    el(
      "header",
      {},
      title,
      unitText,
      extent,
      el("button", { type: "button", class: "quiet", click: exportAll }, "Save as CSV"),
      el("button", { type: "button", class: "quiet", click: events.copy }, "Copy link"),
    ),
    place,
    moment,
    legend.element,
    changes,
  );
  return {
    element,
    get width() {
      // Before the first answer it is not laid out.
      return place.clientWidth || (element.parentElement?.clientWidth ?? 0);
    },
    show(heading, next, chosen) {
      answer = next;
      name = heading;
      pointed = undefined;
      element.hidden = next.values === 0;
      if (next.values === 0) return;
      drawn = drawnOf(next.lines, chosen);
      slots.keep(drawn.map((line) => line.name));
      const unit = commonUnit(drawn, next.units);
      const scaled = drawn.map((line) => {
        const { factor } = unitOf(line.name);
        const values = line.values.map((value) => (value === null ? null : value * factor));
        return { ...line, values };
      });
      table = tableOf(scaled);
      set(element, "aria-label", `${heading} of the past`);
      write(title, heading);
      write(unitText, unit.title);
      write(extent, extentText(next, drawn.length));
      place.hidden = next.lines.length === 0;
      const { from, to } = next.ends;
      const what = `${drawn.length} ${drawn.length === 1 ? "line" : "lines"}`;
      set(
        place,
        "aria-label",
        `Chart of ${heading}, ${what}, from ${timeText(from)} to ${timeText(to)}. ` +
          "The values are listed below it. Left and right move in time, plus and minus zoom.",
      );
      if (!place.hidden) {
        const lines = drawn.map((line, at) => ({
          name: line.name,
          slot: slots.of(line.name),
          values: table.columns[at] ?? [],
        }));
        plotFor(unit).draw(table.times, lines);
      }
      const isDrawn = new Set(drawn.map((line) => line.name));
      legend.show(
        next.lines.map((line) => ({
          name: line.name,
          slot: isDrawn.has(line.name) ? slots.of(line.name) : undefined,
        })),
      );
      showChanges(next);
      writeValues();
    },
    repaint: () => plot?.repaint(),
  };
}
