// One chosen metric: its head, its drawing with the list of instances, or its values as text. Asks for
// what it needs to know by itself, and asks again where that failed.
import type { App } from "./app.ts";
import { el, restLink, set, write } from "./dom.ts";
import { addGap, addSamples, chooseLines, newHistory } from "./history.ts";
import { createLegend, type Legend } from "./legend.ts";
import { formatted, kindOf, sampleOf, unitOf, type Unit } from "./numbers.ts";
import { createPlot, type Plot } from "./plot.ts";
import { type ChartState, MAX_LINES, withoutChart } from "./route.ts";
import { createSlots } from "./slots.ts";
import type { Source } from "./source.ts";
import type { Fetched, Metric, RawSet } from "./types.ts";

/** Instances that are drawn of a metric whose instances nobody has chosen. */
const FIRST = 8;
/** Seconds that an axis has at least. */
const SHORTEST = 60;
/** Rows of a text card. */
const ROWS = 200;
/** Before names or descriptions are asked for again. */
const AGAIN_MS = 10_000;
const NEW_NAMES_MS = 5_000;

export interface Card {
  readonly element: HTMLElement;
  /** Shows what the state says. */
  show(chart: ChartState): void;
  fetched(fetched: Fetched | undefined): void;
  /** Draws again: the span, the pause or the colours are others. */
  redraw(): void;
  repaint(): void;
  close(): void;
}

interface Drawing {
  readonly plot: Plot;
  readonly legend: Legend;
  readonly unit: Unit;
}

export function createCard(app: App, source: Source, first: ChartState): Card {
  const { host, metric: name } = first;
  const unitText = el("span", { class: "unit" });
  const oneline = el("p", { class: "oneline" });
  const body = el("div", { class: "card-body" });
  const notice = el("p", { class: "notice", role: "status" }, "Reading …");
  const title = el(
    "button",
    {
      type: "button",
      class: "title",
      title: "Show what it is",
      click: () => app.choose(name, true),
    },
    name,
  );
  const remove = (): void => app.change((state) => withoutChart(state, host, name));
  /** To what archives have of it. */
  const older = (): void =>
    app.change((state) => {
      const origin = source.context?.hostName ?? host;
      const past = { ...state.past, origin, metric: name, lines: undefined, query: undefined };
      return { ...state, view: "history", past };
    });
  const element = el(
    "article",
    { class: "card", "aria-label": `${name} of ${host}` },
    el(
      "header",
      {},
      el("h3", {}, title),
      unitText,
      el("span", { class: "host" }, host),
      el(
        "button",
        { type: "button", class: "quiet older", "aria-label": `History of ${name}`, click: older },
        "history",
      ),
      restLink(source.link("fetch", { names: name }), "REST", {
        "aria-label": `Request of ${name}`,
      }),
      el(
        "button",
        { type: "button", class: "quiet close", "aria-label": `Remove ${name}`, click: remove },
        "×",
      ),
    ),
    oneline,
    notice,
    body,
  );

  const past = newHistory();
  let chart = first;
  let metric: Metric | undefined;
  let drawing: Drawing | undefined;
  let names: ReadonlyMap<number, string> = new Map();
  let seen: readonly string[] = [];
  let usual: readonly string[] = [];
  let latest: RawSet | undefined;
  let pointed: number | undefined;
  let askedAt = 0;
  let isAsking = false;
  let frozen: number | undefined;
  let isClosed = false;
  const slots = createSlots();

  const nameOf = (instance: number | null): string =>
    instance === null ? "" : (names.get(instance) ?? "");

  const selection = (): readonly string[] => {
    if (metric?.indom === undefined) return [""];
    if (chart.instances !== undefined) return chart.instances;
    // Those that are drawn stay, in whatever order values come.
    const others = seen.filter((line) => !usual.includes(line));
    usual = [...usual.filter((line) => seen.includes(line)), ...others].slice(0, FIRST);
    return usual;
  };

  const choose = (chosen: readonly string[]): void => {
    if (chosen.length > MAX_LINES) app.say(`The first ${MAX_LINES} instances are drawn.`);
    const instances = chosen.slice(0, MAX_LINES);
    app.change((state) => ({
      ...state,
      charts: state.charts.map((each) =>
        each.host === host && each.metric === name ? { ...each, instances } : each,
      ),
    }));
  };

  const window = (): readonly [number, number] => {
    const end = frozen ?? past.times.at(-1) ?? Date.now() / 1000;
    // A new page grows its axis up to the span instead of showing an empty one.
    return [Math.max(end - app.state.span, Math.min(source.since ?? end, end - SHORTEST)), end];
  };

  const writeValues = (): void => {
    if (drawing === undefined) return;
    const { legend, unit } = drawing;
    const end = frozen;
    const at =
      pointed ?? (end === undefined ? -1 : past.times.findLastIndex((time) => time <= end));
    const current = new Map(latest?.values.map(([instance, value]) => [nameOf(instance), value]));
    legend.values((line) => {
      const drawn = past.lines.get(line);
      if (drawn !== undefined) return formatted(drawn.values.at(at), unit);
      // Not drawn: there is no rate without a history.
      const value = current.get(line);
      if (metric === undefined || kindOf(metric) !== "value" || value === undefined) return "";
      return formatted(Number(value) * unit.factor, unit);
    });
  };

  const draw = (): void => {
    if (drawing === undefined) return;
    if (app.isPaused) frozen ??= past.times.at(-1);
    else frozen = undefined;
    const lines = [...past.lines].map(([line, { values }]) => ({
      name: line,
      slot: slots.of(line),
      values,
    }));
    drawing.plot.draw(past.times, lines);
    writeValues();
  };

  /** Brings lines and list in step with what there is and what is chosen. */
  const arrange = (): void => {
    if (drawing === undefined || metric === undefined) return;
    const chosen = selection();
    chooseLines(past, chosen);
    slots.keep(chosen);
    const listed = metric.indom === undefined ? [""] : [...new Set([...seen, ...chosen])];
    drawing.legend.show(
      listed.map((line) => ({
        name: line,
        slot: past.lines.has(line) ? slots.of(line) : undefined,
      })),
    );
  };

  const showText = (): void => {
    if (latest === undefined || metric === undefined) return;
    const isNumber = sampleOf(latest.values[0]?.[1] ?? null, metric.type) !== undefined;
    const unit = isNumber && metric.units !== "none" ? ` ${metric.units}` : "";
    const rows = latest.values.slice(0, ROWS).map(([instance, value]) => {
      const text = el("td", { class: "value" }, value === null ? "–" : `${value}${unit}`);
      return instance === null
        ? el("tr", {}, text)
        : el("tr", {}, el("th", { scope: "row" }, nameOf(instance) || String(instance)), text);
    });
    body.replaceChildren(
      el("div", { class: "text-values" }, el("table", {}, el("tbody", {}, ...rows))),
    );
  };

  const prepare = (found: Metric): void => {
    const kind = kindOf(found);
    const unit = unitOf(found);
    write(oneline, found.oneline);
    write(unitText, kind === "text" ? found.sem : unit.title);
    if (kind === "text" || drawing !== undefined) return;
    const plot = createPlot({
      unit,
      kind,
      window,
      pointed: (at) => {
        pointed = at;
        writeValues();
      },
    });
    set(plot.element, "role", "img");
    set(plot.element, "aria-label", `Chart of ${name}. The values are listed below it.`);
    const legend = createLegend(name, choose);
    drawing = { plot, legend, unit };
    body.replaceChildren(plot.element, legend.element);
  };

  const ask = async (): Promise<void> => {
    if (isAsking) return;
    isAsking = true;
    askedAt = Date.now();
    try {
      const found = await source.metric(name);
      if (found.indom !== undefined) names = await source.instances(name);
      if (isClosed) return;
      metric = found;
      prepare(found);
      write(notice, "");
      take();
    } catch (error) {
      write(notice, error instanceof Error ? error.message : String(error));
    } finally {
      isAsking = false;
    }
  };

  /** Looks at the values that have come last. */
  const take = (time?: number): void => {
    if (metric === undefined || latest === undefined) return;
    const { values } = latest;
    const strangers = values.some(([instance]) => instance !== null && !names.has(instance));
    if (strangers && Date.now() - askedAt > NEW_NAMES_MS) void ask();
    write(notice, values.length === 0 ? "No values at the moment." : "");
    if (drawing === undefined) {
      showText();
      return;
    }
    seen = values.map(([instance]) => nameOf(instance)).filter((each) => each !== "");
    arrange();
    const { type } = metric;
    if (time !== undefined) {
      const samples = new Map(
        values
          .map(([instance, value]) => [nameOf(instance), sampleOf(value, type)] as const)
          .filter((entry): entry is readonly [string, number | bigint] => entry[1] !== undefined),
      );
      const patience = Math.max(3 * app.state.every, app.state.every + 5);
      const { factor } = drawing.unit;
      addSamples(past, time, samples, { kind: kindOf(metric), type, factor, patience });
    }
    draw();
  };

  void ask();
  return {
    element,
    show(next) {
      chart = next;
      set(element, "data-host", app.state.hosts.length > 1);
      arrange();
      draw();
    },
    fetched(fetched) {
      if (fetched === undefined) {
        // What failed meanwhile is asked for as soon as the host answers.
        askedAt = 0;
        addGap(past);
        draw();
        return;
      }
      if (metric === undefined && Date.now() - askedAt > AGAIN_MS) void ask();
      const set = fetched.sets.find((each) => each.name === name);
      if (set === undefined) return;
      latest = set;
      take(fetched.time);
    },
    redraw: draw,
    repaint: () => drawing?.plot.repaint(),
    close() {
      isClosed = true;
      drawing?.plot.close();
    },
  };
}
