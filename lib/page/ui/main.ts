// The page: puts its parts together and starts them. What it shows is in the address (route.ts); what it
// knows of hosts comes from source.ts; each part below draws one thing and is told what has changed.
import { createApp, type Part } from "./app.ts";
import { createBoard } from "./board.ts";
import { el, set, write } from "./dom.ts";
import { createHelp } from "./help.ts";
import { createHosts } from "./hosts.ts";
import { createPastView } from "./past-view.ts";
import { type View, VIEWS, writeRoute } from "./route.ts";
import { createSearch } from "./search.ts";
import { createServerView } from "./server.ts";
import { createThemeButton } from "./theme.ts";
import { createTree } from "./tree.ts";

const SAID_MS = 6_000;
const TITLES: Readonly<Record<View, string>> = {
  live: "Live",
  history: "History",
  server: "Server",
};

const said = el("div", { class: "said", role: "status" });
let saidTimer: ReturnType<typeof setTimeout> | undefined;
const app = createApp((text) => {
  write(said, text);
  clearTimeout(saidTimer);
  saidTimer = setTimeout(() => write(said, ""), SAID_MS);
});

const hosts = createHosts(app);
const tree = createTree(app);
const search = createSearch(app, (isSearching) => {
  tree.element.hidden = isSearching;
});
const help = createHelp(app);
const board = createBoard(app);
const past = createPastView(app);
const server = createServerView(app);

const tabs = VIEWS.map((view) =>
  el(
    "a",
    {
      href: `#${view}`,
      click: (event) => {
        event.preventDefault();
        app.change((state) => ({ ...state, view }));
      },
    },
    TITLES[view],
  ),
);

/** On narrow screens the list of metrics is behind a button. */
const drawer = el(
  "button",
  {
    type: "button",
    class: "drawer",
    "aria-controls": "metrics",
    click: () => openDrawer(drawer.getAttribute("aria-expanded") !== "true"),
  },
  "Metrics",
);
const openDrawer = (isOpen: boolean): void => {
  set(drawer, "aria-expanded", String(isOpen));
  side.classList.toggle("open", isOpen);
};
const side = el(
  "aside",
  { id: "metrics", class: "side", tabindex: -1, "aria-label": "Metrics of the host" },
  search.element,
  tree.element,
  help.element,
);
openDrawer(app.state.charts.length === 0);

const live = el("div", { class: "live" }, drawer, side, board.element);
const skip = (id: string, text: string): HTMLElement =>
  el(
    "a",
    {
      class: "skip",
      href: `#${id}`,
      click: (event) => {
        event.preventDefault();
        document.getElementById(id)?.focus();
      },
    },
    text,
  );

const frame: Part = {
  update(state) {
    live.hidden = state.view !== "live";
    // The past has hosts of its own.
    hosts.bar.hidden = state.view === "history";
    hosts.troubles.hidden = state.view === "history";
    VIEWS.forEach((view, at) => {
      const tab = tabs[at];
      tab?.setAttribute("href", writeRoute({ ...state, view }));
      if (tab !== undefined) set(tab, "aria-current", view === state.view ? "page" : undefined);
    });
    const past = state.past.origin === "" ? "History" : state.past.origin;
    document.title = `${state.view === "history" ? past : state.host} · pcpbox`;
  },
};
for (const part of [hosts, tree, search, help, board, past, server, frame]) app.add(part);

document.body.append(
  skip("content", "Skip to the charts"),
  el(
    "header",
    { class: "top" },
    el("h1", {}, "pcpbox"),
    el("nav", { "aria-label": "Views" }, ...tabs),
    hosts.bar,
    createThemeButton(() => app.repaint()),
  ),
  hosts.troubles,
  el("main", { id: "content", tabindex: -1 }, live, past.element, server.element),
  said,
);

addEventListener("keydown", (event) => {
  const target = event.target as Element;
  if (event.key !== "/" || target.closest("input, select, textarea") !== null) return;
  if (event.ctrlKey || event.altKey || event.metaKey || app.state.view !== "live") return;
  event.preventDefault();
  openDrawer(true);
  search.focus();
});
