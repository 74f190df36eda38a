// The list below a chart: each instance with its colour, its value, and whether it is drawn. Long lists
// have a filter. A metric without instances has one line, which cannot be switched off.
import { el, set, write } from "./dom.ts";

/** Instances that are listed at a time. */
const LISTED = 100;
/** More instances than this get a filter and buttons for all of them. */
const SHORT = 8;

/** One line of the list. */
export interface LegendEntry {
  /** The instance's name; empty: there are no instances. */
  readonly name: string;
  /** Number of its colour; undefined: it is not drawn. */
  readonly slot: number | undefined;
}

export interface Legend {
  readonly element: HTMLElement;
  show(entries: readonly LegendEntry[]): void;
  /** Writes the values of what is listed. */
  values(textOf: (name: string) => string): void;
}

interface Row {
  readonly item: HTMLElement;
  readonly box: HTMLInputElement;
  readonly value: HTMLElement;
}

/** `choose` is told the instances that are to be drawn. `title` names the metric for screen readers. */
export function createLegend(title: string, choose: (names: readonly string[]) => void): Legend {
  const list = el("ul", { class: "legend", "aria-label": `Instances of ${title}` });
  const filter = el("input", {
    type: "search",
    class: "filter",
    placeholder: "Filter instances",
    "aria-label": `Filter instances of ${title}`,
    autocomplete: "off",
    spellcheck: "false",
    input: () => render(),
  });
  const count = el("span", { class: "muted" });
  const button = (text: string, names: () => readonly string[]): HTMLElement =>
    el("button", { type: "button", class: "quiet", click: () => choose(names()) }, text);
  const tools = el(
    "div",
    { class: "legend-tools", hidden: true },
    filter,
    button("All", () => matching().map(({ name }) => name)),
    button("None", () => []),
    count,
  );
  const element = el("div", { class: "legend-box" }, tools, list);
  let entries: readonly LegendEntry[] = [];
  let rows = new Map<string, Row>();
  let shown = "";
  let texts: ((name: string) => string) | undefined;

  const matching = (): readonly LegendEntry[] => {
    const wanted = filter.value.toLowerCase();
    return wanted === ""
      ? entries
      : entries.filter(({ name }) => name.toLowerCase().includes(wanted));
  };

  const toggle = (name: string, isOn: boolean): void => {
    const drawn = entries.filter(({ slot }) => slot !== undefined).map((entry) => entry.name);
    choose(isOn ? [...drawn, name] : drawn.filter((each) => each !== name));
  };

  const makeRow = (name: string): Row => {
    const value = el("span", { class: "value" });
    const box = el("input", { type: "checkbox", change: () => toggle(name, box.checked) });
    const text = el("span", { class: "name", title: name }, name);
    const swatch = el("span", { class: "swatch", "aria-hidden": "true" });
    const item =
      name === ""
        ? el("li", { class: "single" }, swatch, value)
        : el("li", {}, el("label", {}, box, swatch, text, value));
    return { item, box, value };
  };

  const render = (): void => {
    const all = matching();
    const listed = all.slice(0, LISTED);
    const key = JSON.stringify(listed.map(({ name }) => name));
    if (key !== shown) {
      shown = key;
      const before = rows;
      rows = new Map(listed.map(({ name }) => [name, before.get(name) ?? makeRow(name)]));
      list.replaceChildren(...[...rows.values()].map(({ item }) => item));
    }
    for (const { name, slot } of listed) {
      const row = rows.get(name);
      if (row === undefined) continue;
      row.box.checked = slot !== undefined;
      set(row.item, "data-slot", slot === undefined ? undefined : slot % 10);
      set(row.item, "data-dash", slot !== undefined && slot >= 10);
    }
    tools.hidden = entries.length <= SHORT;
    const drawn = entries.filter(({ slot }) => slot !== undefined).length;
    const some = all.length > listed.length ? `, ${listed.length} listed` : "";
    write(count, `${drawn} of ${entries.length} drawn${some}`);
    fill();
  };

  const fill = (): void => {
    if (texts === undefined) return;
    for (const [name, { value }] of rows) write(value, texts(name));
  };

  return {
    element,
    show(next) {
      entries = next;
      render();
    },
    values(textOf) {
      texts = textOf;
      fill();
    },
  };
}
