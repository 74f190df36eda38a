// Search over all metrics of the current host: words that stand in the name or in the one-line text.
// The list of metrics is asked for at the first letter, once for each context.
import type { App, Part } from "./app.ts";
import { el, freshId, set, write } from "./dom.ts";
import { found, type Hit } from "./match.ts";
import { hasChart, withChart } from "./route.ts";

/** Most results that are listed. */
const MOST = 200;
const DEBOUNCE_MS = 120;

export interface Search extends Part {
  readonly element: HTMLElement;
  /** Goes to the field. */
  focus(): void;
}

/** A text with the places of the words marked. */
function marked(text: string, words: readonly string[]): (Node | string)[] {
  const lower = text.toLowerCase();
  const parts: (Node | string)[] = [];
  let at = 0;
  while (at < text.length) {
    const next = words
      .map((word) => ({ word, place: lower.indexOf(word, at) }))
      .filter(({ place }) => place >= 0)
      .toSorted((a, b) => a.place - b.place || b.word.length - a.word.length)[0];
    if (next === undefined) break;
    parts.push(text.slice(at, next.place));
    at = next.place + next.word.length;
    parts.push(el("mark", {}, text.slice(next.place, at)));
  }
  parts.push(text.slice(at));
  return parts;
}

/** `isSearching` is told whether there is something in the field: the tree makes room. */
export function createSearch(app: App, isSearching: (value: boolean) => void): Search {
  const listId = freshId("results");
  const input = el("input", {
    type: "search",
    class: "search",
    placeholder: "Search names and texts",
    "aria-label": "Search metrics",
    role: "combobox",
    "aria-expanded": "false",
    "aria-controls": listId,
    "aria-autocomplete": "list",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    input: () => {
      clearTimeout(timer);
      timer = setTimeout(() => void search(), DEBOUNCE_MS);
    },
  });
  const count = el("p", { class: "notice", role: "status" });
  const list = el("ul", { id: listId, role: "listbox", class: "results", "aria-label": "Found" });
  const box = el("div", { class: "result-box", hidden: true }, count, list);
  const element = el("div", { class: "search-box" }, input, box);
  let timer: ReturnType<typeof setTimeout> | undefined;
  let hits: readonly Hit[] = [];
  let active = -1;
  let turn = 0;

  const options = (): HTMLElement[] => [...list.querySelectorAll<HTMLElement>('[role="option"]')];

  const go = (to: number): void => {
    const all = options();
    all[active]?.setAttribute("aria-selected", "false");
    active = Math.max(-1, Math.min(to, all.length - 1));
    const option = all[active];
    set(input, "aria-activedescendant", option?.id);
    if (option === undefined) return;
    set(option, "aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    const name = hits[active]?.metric.name;
    if (name !== undefined) app.choose(name);
  };

  const chart = (at: number): void => {
    const name = hits[at]?.metric.name;
    if (name === undefined) return;
    if (hasChart(app.state, app.state.host, name)) app.say(`${name} is on a chart`);
    app.change((state) => withChart(state, state.host, name));
  };

  const show = (words: readonly string[], total: number): void => {
    list.replaceChildren(
      ...hits.slice(0, MOST).map(({ metric }, at) =>
        el(
          "li",
          {
            role: "option",
            id: `${listId}-${at}`,
            "aria-selected": "false",
            click: (event) => {
              go(at);
              if ((event.target as Element).closest(".add") !== null) chart(at);
            },
            dblclick: () => chart(at),
          },
          el("span", { class: "label" }, ...marked(metric.name, words)),
          el("span", { class: "add", "aria-hidden": "true", title: `Chart ${metric.name}` }, "+"),
          el("span", { class: "oneline" }, ...marked(metric.oneline, words)),
        ),
      ),
    );
    active = -1;
    set(input, "aria-activedescendant", undefined);
    const some = hits.length > MOST ? `, ${MOST} listed` : "";
    write(count, `${hits.length} of ${total} metrics${some}`);
  };

  const search = async (): Promise<void> => {
    const mine = ++turn;
    const words = input.value
      .toLowerCase()
      .split(/\s+/)
      .filter((word) => word !== "");
    const isOn = words.length > 0;
    set(input, "aria-expanded", String(isOn));
    box.hidden = !isOn;
    isSearching(isOn);
    if (!isOn) return;
    if (hits.length === 0) write(count, "Reading all metrics …");
    try {
      const all = await app.source(app.state.host).catalogue();
      if (mine !== turn) return;
      hits = found(all, words);
      show(words, all.length);
    } catch (error) {
      if (mine !== turn) return;
      hits = [];
      list.replaceChildren();
      write(
        count,
        `No list of metrics: ${error instanceof Error ? error.message : String(error)}.`,
      );
    }
  };

  const clear = (): void => {
    input.value = "";
    void search();
  };
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") go(active + 1);
    else if (event.key === "ArrowUp") go(active - 1);
    else if (event.key === "Enter") chart(Math.max(active, hits.length === 1 ? 0 : active));
    else if (event.key === "Escape" && input.value !== "") clear();
    else return;
    event.preventDefault();
  });

  let host = "";
  return {
    element,
    focus: () => {
      input.focus();
      input.select();
    },
    update(state) {
      if (state.host === host) return;
      host = state.host;
      if (input.value !== "") void search();
    },
    chosen(_, reveal) {
      if (reveal && input.value !== "") clear();
    },
  };
}
