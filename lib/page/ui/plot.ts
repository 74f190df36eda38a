// A drawing of lines over time: uPlot, dressed for this page. Knows lines and units, no metrics.
import uPlot from "uplot";
import { type Kind, rangeOf, ticksOf, tickTexts, type Unit } from "./numbers.ts";
import { tickTime } from "./past-range.ts";
import { createPicker } from "./plot-picker.ts";
import { colour } from "./theme.ts";

/** Colours that there are; further lines take them again, dashed. */
export const SLOTS = 10;
const HEIGHT = 168;
/** Width of a time on the axis, pixels. */
const LABEL = 52;

/** What is drawn. */
export interface PlotLine {
  readonly name: string;
  /** Which colour: a number from 0. */
  readonly slot: number;
  /** null: a gap; undefined: a time that is none of this line's. */
  readonly values: readonly (number | null | undefined)[];
}

export interface PlotOptions {
  readonly unit: Unit;
  readonly kind: Kind;
  /** Ends of the time axis, seconds. */
  readonly window: () => readonly [from: number, to: number];
  /** The place of the sample below the pointer; undefined: there is none. */
  readonly pointed: (at: number | undefined) => void;
  /** Given: a range can be chosen by dragging. */
  readonly picked?: (from: number, to: number) => void;
  /** Given: a double click calls it. */
  readonly back?: () => void;
  /** Pixels. */
  readonly height?: number;
}

export interface Plot {
  readonly element: HTMLElement;
  /** Draws these lines; the arrays may be the same as before, and longer. */
  draw(times: readonly number[], lines: readonly PlotLine[]): void;
  /** Draws again, in other colours. */
  repaint(): void;
  close(): void;
}

const dashOf = (slot: number): number[] => (slot < SLOTS ? [] : slot < 2 * SLOTS ? [6, 3] : [2, 3]);

/** Room for texts of the value axis. Nothing is drawn before there are any. */
const axisWidth = (texts: readonly string[] | null): number =>
  14 + 6.4 * Math.max(4, ...(texts ?? []).map((text) => text.length));

export function createPlot(options: PlotOptions): Plot {
  const { unit, kind, height = HEIGHT } = options;
  const element = document.createElement("div");
  element.className = "plot";
  let chart: uPlot | undefined;
  let drawn = "";
  let last: { times: readonly number[]; lines: readonly PlotLine[] } = { times: [], lines: [] };

  const axis = (): uPlot.Axis => ({
    stroke: () => colour("muted"),
    grid: { stroke: () => colour("grid"), width: 1 },
    ticks: { show: false },
    font: "11px system-ui, sans-serif",
  });

  const settings = (lines: readonly PlotLine[]): uPlot.Options => {
    const ticks = ticksOf(unit);
    return {
      width: Math.max(200, element.clientWidth),
      height,
      padding: [10, 8, 0, 0],
      legend: { show: false },
      cursor: {
        // Charts of other times have nothing to show at this one's.
        ...(options.picked === undefined ? { sync: { key: "pcpbox" } } : {}),
        y: false,
        drag: { x: false, y: false },
        points: { size: 6 },
      },
      scales: {
        x: { time: true, range: () => [...options.window()] as [number, number] },
        y: { range: (_, min, max) => rangeOf(min, max, kind) },
      },
      axes: [
        {
          ...axis(),
          space: 70,
          size: 26,
          values: (self, splits) => {
            const { min = 0, max = 0 } = self.scales["x"] ?? {};
            const span = (max ?? 0) - (min ?? 0);
            // The last label would be cut where it is wider than the room behind its line.
            const room = (LABEL / 2) * (span / Math.max(1, self.width - LABEL));
            return splits.map((split) => (split + room > (max ?? 0) ? "" : tickTime(split, span)));
          },
        },
        {
          ...axis(),
          size: (_, texts) => axisWidth(texts),
          space: 32,
          ...(ticks === undefined ? {} : { incrs: ticks }),
          values: (_, splits) => tickTexts(splits, unit),
        },
      ],
      series: [
        {},
        ...lines.map(({ slot }): uPlot.Series => ({
          stroke: () => colour(`s${slot % SLOTS}`),
          width: 1.5,
          dash: dashOf(slot),
          points: { size: 4 },
        })),
      ],
      hooks: {
        setCursor: [(self) => options.pointed(self.cursor.idx ?? undefined)],
      },
    };
  };

  const draw = (): void => {
    const { times, lines } = last;
    const key = JSON.stringify(lines.map(({ name, slot }) => [name, slot]));
    const data = [times, ...lines.map(({ values }) => values)] as unknown as uPlot.AlignedData;
    if (chart !== undefined && key === drawn) {
      chart.setData(data);
      return;
    }
    chart?.destroy();
    drawn = key;
    chart = new uPlot(settings(lines), data, element);
    if (options.picked !== undefined) createPicker(chart, options.picked, options.back);
  };

  const observer = new ResizeObserver(() => {
    const width = element.clientWidth;
    if (width > 0 && chart !== undefined && chart.width !== width) {
      chart.setSize({ width, height });
    }
  });
  observer.observe(element);
  return {
    element,
    draw(times, lines) {
      last = { times, lines };
      draw();
    },
    repaint: () => chart?.redraw(false, true),
    close() {
      observer.disconnect();
      chart?.destroy();
    },
  };
}
