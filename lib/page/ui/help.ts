// What the chosen metric is: texts, type, semantics, units, labels, its values now, and the requests
// that tell all this. For a branch of the names, what there is below it.
import type { App, Part } from "./app.ts";
import { type Child, el, restLink, write } from "./dom.ts";
import { kindOf } from "./numbers.ts";
import { urlOf } from "./rest.ts";
import { hasChart, type PageState, withChart, withoutChart } from "./route.ts";
import type { Source } from "./source.ts";
import type { Metric } from "./types.ts";

/** A choice that another one follows at once is not asked for. */
const SETTLE_MS = 150;
/** Values that are listed. */
const VALUES = 6;

const KINDS = {
  rate: "drawn as a rate",
  value: "drawn as it is",
  text: "shown as text",
} as const;

/** Rows of a list of facts; those without a value are left out. */
export const facts = (
  rows: readonly (readonly [name: string, value: Child | undefined])[],
): HTMLElement => {
  const list = el("dl", { class: "facts" });
  for (const [name, value] of rows) {
    if (value === undefined || value === "") continue;
    list.append(el("dt", {}, name), el("dd", {}, value));
  }
  return list;
};

async function valuesNow(source: Source, metric: Metric): Promise<string> {
  const [{ sets }, names] = await Promise.all([
    source.values([metric.name]),
    metric.indom === undefined ? undefined : source.instances(metric.name),
  ]);
  const values = sets.find((set) => set.name === metric.name)?.values ?? [];
  if (values.length === 0) return "no values";
  const texts = values.slice(0, VALUES).map(([instance, value]) => {
    const text = value === null ? "none" : String(value);
    return instance === null ? text : `${names?.get(instance) ?? instance}: ${text}`;
  });
  const more = values.length - texts.length;
  return more > 0 ? `${texts.join("\n")}\nand ${more} more` : texts.join("\n");
}

export function createHelp(app: App): Part & { readonly element: HTMLElement } {
  const element = el("section", { class: "help", "aria-label": "About the chosen metric" });
  let name = "";
  let turn = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let button: HTMLButtonElement | undefined;

  const label = (state: PageState): void => {
    if (button === undefined) return;
    write(button, hasChart(state, state.host, name) ? "Remove chart" : "Add chart");
  };

  const links = (source: Source, entries: readonly (readonly [string, string])[]): HTMLElement => {
    const items = entries.map(([href, text]) => el("li", {}, restLink(href, text)));
    return el("ul", { class: "links", "aria-label": `Requests to ${source.host}` }, ...items);
  };

  const showBranch = (source: Source): void => {
    button = undefined;
    const hostspec = source.host === "localhost" ? undefined : source.host;
    element.replaceChildren(
      el("h2", {}, name),
      el("p", { class: "muted" }, "A branch of the names. Open it to see what is below."),
      links(source, [
        [source.link("children", { prefix: name }), "children"],
        [source.link("metric", { prefix: name }), "metrics"],
        [urlOf("/metrics", { names: name, hostspec }), "Prometheus"],
      ]),
    );
  };

  const showMetric = (source: Source, metric: Metric): void => {
    const toggle = (): void =>
      app.change((state) =>
        hasChart(state, state.host, name)
          ? withoutChart(state, state.host, name)
          : withChart(state, state.host, name),
      );
    button = el("button", { type: "button", class: "primary", click: toggle });
    label(app.state);
    const now = el("dd", { class: "values" }, "…");
    const hostspec = source.host === "localhost" ? undefined : source.host;
    const labels = Object.entries(metric.labels).map(([key, value]) => `${key}=${value}`);
    const list = facts([
      ["type", metric.type],
      ["semantics", `${metric.sem}, ${KINDS[kindOf(metric)]}`],
      ["units", metric.units],
      ["instances", metric.indom ?? "none"],
      ["PMID", metric.pmid],
      ["labels", labels.join("\n")],
    ]);
    list.prepend(el("dt", {}, "now"), now);
    element.replaceChildren(
      el("h2", {}, metric.name),
      el("p", { class: "oneline" }, metric.oneline || "No text."),
      el("p", {}, button),
      list,
      el("p", { class: "long" }, metric.help === metric.oneline ? "" : metric.help),
      links(source, [
        [source.link("fetch", { names: name }), "fetch"],
        [source.link("metric", { names: name }), "metric"],
        ...(metric.indom === undefined
          ? []
          : ([[source.link("indom", { name }), "instances"]] as const)),
        [urlOf("/metrics", { names: name, hostspec }), "Prometheus"],
      ]),
    );
    const mine = turn;
    const put = (text: string): void => {
      if (mine === turn) write(now, text);
    };
    valuesNow(source, metric).then(put, (error: unknown) =>
      put(error instanceof Error ? error.message : String(error)),
    );
  };

  const load = async (): Promise<void> => {
    const mine = ++turn;
    const source = app.source(app.state.host);
    try {
      const metric = await source.metric(name);
      if (mine === turn) showMetric(source, metric);
    } catch (error) {
      if (mine !== turn) return;
      const message = error instanceof Error ? error.message : String(error);
      if (/is no metric of/.test(message)) showBranch(source);
      else element.replaceChildren(el("h2", {}, name), el("p", { class: "notice" }, message));
    }
  };

  element.append(
    el(
      "p",
      { class: "muted" },
      "Choose a metric to read what it is. Enter or + puts it on a chart.",
    ),
  );
  return {
    element,
    chosen(chosen) {
      if (chosen === name) return;
      name = chosen;
      clearTimeout(timer);
      timer = setTimeout(() => void load(), SETTLE_MS);
    },
    update: label,
  };
}
