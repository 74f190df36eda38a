// Choosing what is asked of the past: where values come from, and the metric, found as it is typed by its
// name and, where the server has an index of texts, by its help text.
import type { App } from "./app.ts";
import { OVERVIEW } from "./board.ts";
import { el, freshId, set, write } from "./dom.ts";
import { namesWith } from "./match.ts";
import {
  askNames,
  askOrigins,
  askSearch,
  askStatus,
  type Found,
  type Origins,
} from "./past-rest.ts";
import type { PastState } from "./past-state.ts";
import { RestFault } from "./rest.ts";
import { fieldsOf } from "./types.ts";

const DEBOUNCE_MS = 150;
/** Names that are offered at a time. */
const OFFERED = 40;
/** Before names are asked for again. */
const STALE_MS = 60_000;

export interface Choose {
  readonly element: HTMLElement;
  show(past: PastState): void;
  /** Asks where there are values of; rejects with RestFault. */
  load(): Promise<Origins>;
  /** Metrics that are offered before anything is typed; rejects with RestFault. */
  usual(): Promise<readonly string[]>;
  choose(metric: string): void;
}

const wordsOf = (text: string): readonly string[] =>
  text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "");

/** Asks for names and texts, and keeps them for a while. */
function createNames() {
  let names: Promise<readonly string[]> | undefined;
  let askedAt = 0;
  /** Whether there is an index of texts; where the state does not tell, it is asked. */
  let hasTexts: Promise<boolean> | undefined;
  const all = (): Promise<readonly string[]> => {
    if (names !== undefined && Date.now() - askedAt < STALE_MS) return names;
    askedAt = Date.now();
    const asked = askNames();
    names = asked;
    const forget = (): void => {
      if (names === asked) names = undefined;
    };
    // What is not there yet may come any moment.
    asked.then((found) => found.length === 0 && forget(), forget);
    return asked;
  };
  const texts = async (words: string): Promise<readonly Found[]> => {
    try {
      hasTexts ??= askStatus().then((status) => fieldsOf(status["series"])["search"] !== false);
      return (await hasTexts) ? await askSearch(words) : [];
    } catch (error) {
      if (!(error instanceof RestFault)) throw error;
      // Names alone do as well; a server without an index is not asked again.
      hasTexts = error.kind === "refused" ? Promise.resolve(false) : undefined;
      return [];
    }
  };
  return { all, texts };
}

/** The list below the field of the metric. */
function createOffer(choose: (name: string) => void) {
  const id = freshId("offer");
  const list = el("ul", {
    id,
    role: "listbox",
    class: "results offer",
    "aria-label": "Metrics",
    hidden: true,
  });
  let active = -1;
  let names: readonly string[] = [];
  const options = (): Element[] => [...list.children];
  return {
    id,
    list,
    get isOpen() {
      return !list.hidden;
    },
    show(found: readonly Found[]): void {
      names = found.map(({ name }) => name);
      active = -1;
      list.hidden = found.length === 0;
      list.replaceChildren(
        ...found.map(({ name, oneline }, at) =>
          el(
            "li",
            {
              role: "option",
              id: `${id}-${at}`,
              "aria-selected": "false",
              // The field keeps the focus.
              mousedown: (event) => event.preventDefault(),
              click: () => choose(name),
            },
            el("span", { class: "label" }, name),
            oneline === "" ? null : el("span", { class: "oneline" }, oneline),
          ),
        ),
      );
    },
    hide: (): void => void (list.hidden = true),
    /** The id of the option that is chosen now. */
    go(by: number): string | undefined {
      const all = options();
      all[active]?.setAttribute("aria-selected", "false");
      active = Math.max(-1, Math.min(active + by, all.length - 1));
      const option = all[active];
      option?.setAttribute("aria-selected", "true");
      option?.scrollIntoView({ block: "nearest" });
      return option?.id;
    },
    get chosen() {
      return names[active];
    },
  };
}

export function createChoose(app: App): Choose {
  const names = createNames();
  const change = (next: Partial<PastState>): void =>
    app.change((state) => ({
      ...state,
      past: { ...state.past, lines: undefined, query: undefined, ...next },
    }));
  const origin = el("select", {
    class: "origin",
    change: () => change({ origin: origin.value }),
  });
  const oneline = el("p", { class: "oneline muted" });
  const choose = (name: string): void => {
    input.value = name;
    close();
    change({ metric: name });
  };
  const offer = createOffer(choose);
  let shown = "";
  let told = "";
  /** The text of a metric, where there is an index of texts. */
  const tell = async (metric: string): Promise<void> => {
    told = metric;
    write(oneline, "");
    if (metric === "") return;
    const found = await names.texts(metric);
    const text = found.find(({ name }) => name === metric)?.oneline ?? "";
    if (told === metric) write(oneline, text);
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  let turn = 0;
  const input = el("input", {
    class: "metric",
    placeholder: "Metric: type a part of its name or text",
    "aria-label": "Metric",
    role: "combobox",
    "aria-expanded": "false",
    "aria-controls": offer.id,
    "aria-autocomplete": "list",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    maxlength: 500,
    input: () => {
      clearTimeout(timer);
      timer = setTimeout(() => void search(), DEBOUNCE_MS);
    },
    focus: () => input.select(),
    blur: () => close(),
  });
  const close = (): void => {
    turn++;
    clearTimeout(timer);
    offer.hide();
    set(input, "aria-expanded", "false");
    set(input, "aria-activedescendant", undefined);
  };
  const search = async (): Promise<void> => {
    const mine = ++turn;
    const words = wordsOf(input.value);
    try {
      const [all, texts] = await Promise.all([
        names.all(),
        words.length === 0 ? [] : names.texts(words.join(" ")),
      ]);
      if (mine !== turn) return;
      const lines = new Map(texts.map((each) => [each.name, each.oneline]));
      const byName = namesWith(all, words).slice(0, OFFERED);
      const byText = texts.filter(({ name }) => !byName.includes(name) && all.includes(name));
      const found = byName.map((name) => ({ name, oneline: lines.get(name) ?? "" }));
      offer.show([...found, ...byText].slice(0, OFFERED));
      set(input, "aria-expanded", String(offer.isOpen));
      if (found.length + byText.length === 0)
        write(oneline, "No metric has this in its name or text.");
    } catch (error) {
      if (mine !== turn) return;
      write(oneline, `No names: ${error instanceof Error ? error.message : String(error)}.`);
    }
  };
  input.addEventListener("keydown", (event) => {
    const { key } = event;
    if (key === "ArrowDown" && !offer.isOpen) void search();
    else if (key === "ArrowDown" || key === "ArrowUp") {
      set(input, "aria-activedescendant", offer.go(key === "ArrowDown" ? 1 : -1));
      void tell(offer.chosen ?? "");
    } else if (key === "Enter") choose(offer.chosen ?? input.value.trim());
    else if (key === "Escape" && offer.isOpen) close();
    else return;
    event.preventDefault();
  });

  let known: Origins = { hosts: [], archives: [] };
  const group = (label: string, list: readonly string[]): HTMLElement | null =>
    list.length === 0
      ? null
      : el("optgroup", { label }, ...list.map((name) => el("option", { value: name }, name)));
  const fill = (wanted: string): void => {
    const all = [...known.hosts, ...known.archives];
    const others = wanted === "" || all.includes(wanted) ? [] : [wanted];
    const groups = [
      // A query that was typed says itself of which.
      wanted === "" ? el("option", { value: "" }, "any host") : null,
      group("Hosts", [...known.hosts, ...others]),
      group("Archives", known.archives),
    ];
    origin.replaceChildren(...groups.filter((each) => each !== null));
    origin.value = wanted;
  };
  return {
    element: el(
      "div",
      { class: "past-choose" },
      el("label", { class: "field" }, el("span", {}, "of"), origin),
      el("div", { class: "combo" }, input, offer.list),
      oneline,
    ),
    show(past) {
      fill(past.origin);
      if (past.metric === shown) return;
      shown = past.metric;
      if (document.activeElement !== input || input.value === "") input.value = shown;
      void tell(shown);
    },
    choose,
    async usual() {
      const all = new Set(await names.all());
      return OVERVIEW.filter((name) => all.has(name));
    },
    async load() {
      known = await askOrigins();
      fill(app.state.past.origin);
      return known;
    },
  };
}
