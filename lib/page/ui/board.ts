// The charts, and what holds for all of them: interval, span, pause.
import type { App, Part } from "./app.ts";
import { type Card, createCard } from "./card.ts";
import { el, write } from "./dom.ts";
import { copyLink } from "./link.ts";
import { ask, RestFault, urlOf } from "./rest.ts";
import { type ChartState, INTERVALS, SPANS, withChart } from "./route.ts";
import { fieldsOf, listOf, readMetric } from "./types.ts";

/** What somebody who looks at a host first wants to see, on whatever system. */
export const OVERVIEW: readonly string[] = [
  "kernel.all.load",
  "kernel.percpu.cpu.user",
  "mem.util.available",
  "mem.util.used",
  "disk.dev.total_bytes",
  "network.interface.in.bytes",
  "network.interface.out.bytes",
];
/** Where none of these are: what pmcd tells about itself. */
const OF_PMCD: readonly string[] = ["pmcd.numclients", "pmcd.pdu_in.total", "pmcd.pdu_out.total"];

const keyOf = ({ host, metric }: ChartState): string => `${host}\n${metric}`;

const spanText = (seconds: number): string =>
  seconds < 3600 ? `${seconds / 60} min` : `${seconds / 3600} h`;

/** A list of numbers to choose from. */
function chooser(
  label: string,
  values: readonly number[],
  textOf: (value: number) => string,
  choose: (value: number) => void,
): { element: HTMLElement; show(value: number): void } {
  const select = el(
    "select",
    { change: () => choose(Number(select.value)) },
    ...values.map((value) => el("option", { value }, textOf(value))),
  );
  return {
    element: el("label", { class: "field" }, el("span", {}, label), select),
    show(value) {
      select.value = String(value);
    },
  };
}

/** The charts of OVERVIEW that a host has. */
async function overviewOf(app: App, host: string): Promise<readonly string[]> {
  const names = [...OVERVIEW, ...OF_PMCD];
  const url = urlOf("/pmapi/metric", {
    names: names.join(","),
    context: app.source(host).context?.id,
  });
  const reply = fieldsOf(await ask(url));
  const there = new Set(listOf(reply["metrics"]).map((entry) => readMetric(entry)?.name));
  const usual = OVERVIEW.filter((name) => there.has(name));
  return usual.length > 0 ? usual : OF_PMCD.filter((name) => there.has(name));
}

export function createBoard(app: App): Part & { readonly element: HTMLElement } {
  const cards = new Map<string, Card & { readonly host: string }>();
  const every = chooser(
    "every",
    INTERVALS,
    (value) => `${value} s`,
    (value) => app.change((state) => ({ ...state, every: value })),
  );
  const span = chooser("show", SPANS, spanText, (value) =>
    app.change((state) => ({ ...state, span: value })),
  );
  const redraw = (): void => {
    for (const card of cards.values()) card.redraw();
  };
  const pause = el(
    "button",
    {
      type: "button",
      "aria-pressed": "false",
      title: "Let the charts stand still; values are still collected",
      click: () => {
        app.isPaused = !app.isPaused;
        pause.setAttribute("aria-pressed", String(app.isPaused));
        write(pause, app.isPaused ? "Go on" : "Pause");
        redraw();
      },
    },
    "Pause",
  );
  const tools = el(
    "div",
    { class: "tools", role: "group", "aria-label": "All charts" },
    every.element,
    span.element,
    pause,
    el(
      "button",
      { type: "button", class: "quiet", click: () => void copyLink(app, "these charts") },
      "Copy link",
    ),
    el(
      "button",
      {
        type: "button",
        class: "quiet",
        click: () => app.change((state) => ({ ...state, charts: [] })),
      },
      "Remove all",
    ),
  );
  const grid = el("div", { class: "cards" });
  const overview = async (): Promise<void> => {
    const { host } = app.state;
    try {
      const names = await overviewOf(app, host);
      if (names.length === 0) app.say(`${host} has none of the usual metrics.`);
      app.change((state) => names.reduce((next, name) => withChart(next, host, name), state));
    } catch (error) {
      if (!(error instanceof RestFault)) throw error;
      app.say(error.message);
    }
  };
  const empty = el(
    "div",
    { class: "empty", hidden: true },
    el("h2", {}, "No charts yet"),
    el(
      "p",
      {},
      "Choose metrics in the list: Enter or + puts one on a chart. / goes to the search.",
    ),
    el(
      "p",
      {},
      el(
        "button",
        { type: "button", class: "primary", click: () => void overview() },
        "Show an overview",
      ),
    ),
  );
  const element = el(
    "section",
    { class: "board", tabindex: -1, "aria-label": "Charts" },
    tools,
    empty,
    grid,
  );

  return {
    element,
    update(state) {
      every.show(state.every);
      span.show(state.span);
      const wanted = new Set(state.charts.map(keyOf));
      for (const [key, card] of cards) {
        if (wanted.has(key)) continue;
        const { element: gone } = card;
        const hadFocus = gone.contains(document.activeElement);
        const next = gone.nextElementSibling ?? gone.previousElementSibling;
        card.close();
        gone.remove();
        cards.delete(key);
        // Keys go on where they were.
        if (hadFocus) (next?.querySelector<HTMLElement>(".close") ?? element).focus();
      }
      state.charts.forEach((chart, at) => {
        let card = cards.get(keyOf(chart));
        if (card === undefined) {
          const { host } = chart;
          card = { ...createCard(app, app.source(host), chart), host };
          cards.set(keyOf(chart), card);
        }
        // Moved only where it is not: focus and scroll stay.
        if (grid.children[at] !== card.element)
          grid.insertBefore(card.element, grid.children[at] ?? null);
        card.show(chart);
      });
      const isEmpty = state.charts.length === 0;
      empty.hidden = !isEmpty;
      tools.hidden = isEmpty;
    },
    fetched(source, fetched) {
      for (const card of cards.values()) if (card.host === source.host) card.fetched(fetched);
    },
    repaint() {
      for (const card of cards.values()) card.repaint();
    },
  };
}
