// The state of the proxy itself, as /-/status tells it, and of the pmcd behind each open host. Asked for
// while it is looked at. Members of the status that this page does not know are listed as they are.
import type { App, Part } from "./app.ts";
import { type Child, el, restLink, write } from "./dom.ts";
import { facts } from "./help.ts";
import { stateText } from "./hosts.ts";
import { formatted, type Unit } from "./numbers.ts";
import { seriesRows } from "./past-status.ts";
import { ask, urlOf } from "./rest.ts";
import type { PageState } from "./route.ts";
import type { Source } from "./source.ts";
import { fieldsOf, listOf, textOf } from "./types.ts";

const PERIOD_MS = 5_000;
const BYTES: Unit = { style: "binary", factor: 1, suffix: "B", title: "" };
const SECONDS: Unit = { style: "seconds", factor: 1, suffix: "s", title: "" };

type Fields = ReturnType<typeof fieldsOf>;

const onOff = (value: unknown): string => (value === true ? "on" : "off");

/** A small mark and a word: good or bad is never told by colour alone. */
const mark = (isGood: boolean, text: string): HTMLElement =>
  el("span", { class: isGood ? "good" : "bad" }, `${isGood ? "✓" : "✗"} ${text}`);

const section = (title: string, ...children: readonly Child[]): HTMLElement =>
  el("section", { class: "panel" }, el("h2", {}, title), ...children);

function table(head: readonly string[], rows: readonly (readonly Child[])[]): HTMLElement {
  const cells = (tag: "th" | "td", row: readonly Child[]) => row.map((cell) => el(tag, {}, cell));
  return el(
    "div",
    { class: "scroll" },
    el(
      "table",
      {},
      el("thead", {}, el("tr", {}, ...cells("th", head))),
      el("tbody", {}, ...rows.map((row) => el("tr", {}, ...cells("td", row)))),
    ),
  );
}

/** Any JSON value, in the least of words. */
function plain(value: unknown): string {
  if (typeof value === "object" && value !== null) {
    return Object.entries(value)
      .map(
        ([key, member]) => `${key} ${typeof member === "object" ? JSON.stringify(member) : member}`,
      )
      .join("\n");
  }
  return String(value);
}

/** Members that have a place of their own. */
const KNOWN = new Set(
  `name pid uptimeSeconds ready ports listeners connections pcp http tls resp web counters memory series
  discovery push record`.split(/\s+/),
);

/** Who answers for the proxy's own machine. */
const LOCALHOST: Readonly<Record<string, string>> = {
  pmcd: "answered by pmcd",
  "built-in": "answered by built-in agents",
  unreachable: "nobody answers",
  unasked: "not asked yet",
};

function proxyPanel(status: Fields): HTMLElement {
  const connections = fieldsOf(status["connections"]);
  const memory = fieldsOf(status["memory"]);
  const web = fieldsOf(status["web"]);
  return section(
    "Proxy",
    facts([
      ["state", status["ready"] === true ? mark(true, "ready") : mark(false, "stopping")],
      ["process", `${textOf(status["name"])}, pid ${textOf(status["pid"])}`],
      ["up for", formatted(Number(status["uptimeSeconds"]), SECONDS)],
      ["memory", formatted(Number(memory["residentBytes"]), BYTES)],
      ["connections", `${textOf(connections["open"])} of ${textOf(connections["limit"])}`],
      ["REST contexts", `${textOf(web["contexts"])} of ${textOf(web["limit"])}`],
      ["localhost", LOCALHOST[textOf(web["localhost"])] ?? ""],
      ["TLS", onOff(fieldsOf(status["tls"])["enabled"])],
      ["HTTP", onOff(fieldsOf(status["http"])["enabled"])],
    ]),
  );
}

function relayPanels(status: Fields): HTMLElement {
  const pcp = fieldsOf(status["pcp"]);
  const resp = fieldsOf(status["resp"]);
  const failure = fieldsOf(pcp["lastFailure"]);
  const target = textOf(failure["target"]);
  const failed =
    target === "" ? "none" : `${target}: ${textOf(failure["reason"])} (${textOf(failure["at"])})`;
  return el(
    "div",
    { class: "stack" },
    section(
      "Relay to pmcd",
      facts([
        ["relay", onOff(pcp["enabled"])],
        ["sessions", textOf(pcp["sessions"])],
        ["last failure", failed],
      ]),
    ),
    section(
      "Key server",
      facts([
        ["relay", onOff(resp["enabled"])],
        ["server", textOf(resp["server"])],
      ]),
    ),
    ...seriesPanels(status),
  );
}

function seriesPanels(status: Fields): readonly HTMLElement[] {
  const rows = seriesRows(status);
  return rows.length === 0 ? [] : [section("Time series", facts(rows))];
}

function listenerPanel(status: Fields): HTMLElement {
  const rows = listOf(status["listeners"]).map((each) => {
    const row = fieldsOf(each);
    const isOk = row["ok"] === true;
    return [
      mark(isOk, isOk ? "open" : "failed"),
      textOf(row["family"]),
      textOf(row["port"]),
      textOf(row["address"]),
    ];
  });
  return section("Listeners", table(["state", "family", "port", "address"], rows));
}

function counterPanel(status: Fields): HTMLElement {
  const rows: [string, string][] = [];
  for (const [name, value] of Object.entries(fieldsOf(status["counters"]))) {
    if (typeof value === "number") rows.push([name, value.toLocaleString("en")]);
    else {
      for (const [part, count] of Object.entries(fieldsOf(value))) {
        rows.push([`${name} ${part}`, Number(count).toLocaleString("en")]);
      }
    }
  }
  return section("Counters", el("div", { class: "columns" }, facts(rows)));
}

function otherPanels(status: Fields): readonly HTMLElement[] {
  const others = Object.entries(status).filter(([name]) => !KNOWN.has(name));
  return others.length === 0
    ? []
    : [section("More", facts(others.map(([name, value]) => [name, plain(value)] as const)))];
}

const OF_PMCD = ["pmcd.version", "pmcd.numagents", "pmcd.numclients", "pmcd.agent.status"];

/** What a pmcd tells about itself; words where it does not answer. */
async function pmcdRow(source: Source): Promise<readonly Child[]> {
  const { host, state, context } = source;
  const isUp = state.kind === "up";
  const cells: Child[] = [host, mark(isUp, stateText(source))];
  const number = context?.id ?? "";
  const link =
    number === "" ? "" : restLink(urlOf("/pmapi/context", { context: number }), String(number));
  if (!isUp) return [...cells, "", "", "", link];
  const { sets } = await source.values(OF_PMCD);
  const valuesOf = (name: string) => sets.find((set) => set.name === name)?.values ?? [];
  const only = (name: string): string => textOf(valuesOf(name)[0]?.[1]);
  const bad = valuesOf("pmcd.agent.status").filter(([, value]) => value !== 0);
  let agents = only("pmcd.numagents");
  if (bad.length > 0) {
    const names = await source.instances("pmcd.agent.status");
    const list = bad.map(([instance]) => names.get(instance ?? -1) ?? "?").join(", ");
    agents += `; failing: ${list}`;
  }
  return [...cells, only("pmcd.version"), agents, only("pmcd.numclients"), link];
}

export function createServerView(app: App): Part & { readonly element: HTMLElement } {
  const notice = el("p", { class: "notice", role: "status" });
  const pmcds = el("div");
  const panels = el("div", { class: "panels" });
  const element = el(
    "section",
    { class: "server", "aria-label": "Server", hidden: true },
    el(
      "ul",
      { class: "links", "aria-label": "Requests" },
      ...["/-/status", "/-/metrics", "/-/healthy", "/-/ready", "/metrics", "/openmetrics"].map(
        (path) => el("li", {}, restLink(path, path)),
      ),
    ),
    notice,
    pmcds,
    panels,
  );
  let timer: ReturnType<typeof setInterval> | undefined;
  let isBusy = false;
  /** Kind of the last state of each host. */
  const states = new Map<string, string>();

  const showHosts = async (): Promise<void> => {
    const rows = await Promise.all(
      app.state.hosts.map(async (host) => {
        const source = app.source(host);
        try {
          return await pmcdRow(source);
        } catch (error) {
          return [
            host,
            mark(false, error instanceof Error ? error.message : String(error)),
            "",
            "",
            "",
            "",
          ];
        }
      }),
    );
    const head = ["host", "state", "pmcd", "agents", "clients", "context"];
    pmcds.replaceChildren(section("Hosts", table(head, rows)));
  };
  const load = async (): Promise<void> => {
    if (isBusy) return;
    isBusy = true;
    try {
      const status = fieldsOf(await ask("/-/status"));
      panels.replaceChildren(
        proxyPanel(status),
        listenerPanel(status),
        relayPanels(status),
        ...otherPanels(status),
        counterPanel(status),
      );
      write(notice, "");
    } catch (error) {
      write(
        notice,
        `No state of the proxy: ${error instanceof Error ? error.message : String(error)}.`,
      );
    } finally {
      isBusy = false;
    }
    await showHosts();
  };

  return {
    element,
    update(state: PageState) {
      const isShown = state.view === "server";
      element.hidden = !isShown;
      if (isShown && timer === undefined) {
        void load();
        timer = setInterval(() => void load(), PERIOD_MS);
      } else if (!isShown) {
        clearInterval(timer);
        timer = undefined;
      }
    },
    changed({ host, state }) {
      if (states.get(host) === state.kind) return;
      states.set(host, state.kind);
      if (!element.hidden) void showHosts();
    },
  };
}
