// What the page shows, as the part of its address behind "#": a reload, a bookmark or a link sent to
// somebody gives the same charts. Pure. What cannot be read is left out; bounds hold for addresses too.

import { type PastState, readPast, writePast } from "./past-state.ts";

/** The parts of the page. */
export const VIEWS = ["live", "history", "server"] as const;
export type View = (typeof VIEWS)[number];

/** A chart that is shown. */
export interface ChartState {
  readonly host: string;
  readonly metric: string;
  /** Names of the shown instances; undefined: the first ones. */
  readonly instances: readonly string[] | undefined;
}

/** What the page shows. */
export interface PageState {
  readonly view: View;
  /** Host specifications that are open; at least one. */
  readonly hosts: readonly string[];
  /** The one whose metrics are listed. */
  readonly host: string;
  readonly charts: readonly ChartState[];
  /** Seconds between two samples. */
  readonly every: number;
  /** Seconds on a chart. */
  readonly span: number;
  /** What is asked of the past. */
  readonly past: PastState;
}

export const INTERVALS: readonly number[] = [1, 2, 5, 10, 30, 60];
export const SPANS: readonly number[] = [60, 300, 900, 3600];
export const DEFAULT_HOST = "localhost";
/** Most charts, hosts, and instances of one chart. */
export const MAX_CHARTS = 24;
export const MAX_HOSTS = 12;
export const MAX_LINES = 64;

const oneOf = (values: readonly number[], text: string | null, otherwise: number): number =>
  values.find((value) => String(value) === text) ?? otherwise;

/** Reads the address. */
export function readRoute(hash: string): PageState {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const parameters = new URLSearchParams(query);
  const hosts: string[] = [];
  const charts: { host: string; metric: string; instances: string[] | undefined }[] = [];
  let host = DEFAULT_HOST;
  for (const [key, value] of parameters) {
    if (key === "h" && value !== "") {
      host = value;
      if (!hosts.includes(host) && hosts.length < MAX_HOSTS) hosts.push(host);
    } else if (key === "m" && value !== "" && charts.length < MAX_CHARTS) {
      if (hosts.length === 0) hosts.push(host);
      // Charts of a host too many go with it.
      if (!hosts.includes(host)) continue;
      charts.push({ host, metric: value, instances: undefined });
    } else if (key === "i") {
      const chart = charts.at(-1);
      if (chart === undefined) continue;
      chart.instances ??= [];
      if (value !== "" && chart.instances.length < MAX_LINES) chart.instances.push(value);
    }
  }
  if (hosts.length === 0) hosts.push(DEFAULT_HOST);
  const listed = parameters.get("list") ?? "";
  return {
    view: VIEWS.find((view) => view === path) ?? "live",
    hosts,
    host: hosts.includes(listed) ? listed : (hosts[0] ?? DEFAULT_HOST),
    charts,
    every: oneOf(INTERVALS, parameters.get("every"), 1),
    span: oneOf(SPANS, parameters.get("span"), 300),
    past: readPast(parameters),
  };
}

/** Writes the address, without what is usual. */
export function writeRoute(state: PageState): string {
  const parameters = new URLSearchParams();
  const [first = DEFAULT_HOST] = state.hosts;
  if (state.every !== 1) parameters.append("every", String(state.every));
  if (state.span !== 300) parameters.append("span", String(state.span));
  if (state.host !== first) parameters.append("list", state.host);
  const isUsual = state.hosts.length === 1 && first === DEFAULT_HOST;
  if (!isUsual) for (const host of state.hosts) parameters.append("h", host);
  let current = isUsual ? first : (state.hosts.at(-1) ?? first);
  for (const { host, metric, instances } of state.charts) {
    if (host !== current) parameters.append("h", host);
    current = host;
    parameters.append("m", metric);
    if (instances?.length === 0) parameters.append("i", "");
    for (const name of instances ?? []) parameters.append("i", name);
  }
  writePast(state.past, parameters);
  const query = parameters.toString();
  return `#${state.view}${query === "" ? "" : `?${query}`}`;
}

/** The same state with one chart more, or as it is when it is there already or there are too many. */
export const withChart = (state: PageState, host: string, metric: string): PageState =>
  state.charts.length >= MAX_CHARTS || hasChart(state, host, metric)
    ? state
    : { ...state, charts: [...state.charts, { host, metric, instances: undefined }] };

export const hasChart = (state: PageState, host: string, metric: string): boolean =>
  state.charts.some((chart) => chart.host === host && chart.metric === metric);

export const withoutChart = (state: PageState, host: string, metric: string): PageState => ({
  ...state,
  charts: state.charts.filter((chart) => chart.host !== host || chart.metric !== metric),
});
