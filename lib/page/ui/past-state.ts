// What is asked of the past, as a part of the page's address. Pure. What cannot be read is left out.
import { between, LAST, type PastRange, USUAL_LAST } from "./past-range.ts";

/** A question about the past. */
export interface PastState {
  /** Where values come from: a host, or an archive by its path; empty: not chosen. */
  readonly origin: string;
  /** Empty: not chosen. */
  readonly metric: string;
  /** Names of the lines that are drawn; undefined: the largest ones. */
  readonly lines: readonly string[] | undefined;
  /** What was typed instead of choosing; undefined: what is made of the choice. */
  readonly query: string | undefined;
  readonly range: PastRange;
  /** Asked again and again as time goes on. */
  readonly follow: boolean;
}

/** Longest query, and most lines, that an address brings. */
const QUERY_MOST = 4_000;
const LINES_MOST = 64;

export const FIRST_PAST: PastState = {
  origin: "",
  metric: "",
  lines: undefined,
  query: undefined,
  range: { kind: "last", seconds: USUAL_LAST },
  follow: false,
};

function readRange(parameters: URLSearchParams): PastRange {
  const last = parameters.get("last");
  if (last === "all") return { kind: "all" };
  const from = Number(parameters.get("from") || Number.NaN);
  const to = Number(parameters.get("to") || Number.NaN);
  if (Number.isFinite(from) && Number.isFinite(to)) return between(from, to);
  const seconds = LAST.find(([each]) => String(each) === last)?.[0] ?? USUAL_LAST;
  return { kind: "last", seconds };
}

/** Reads the part of the address. */
export function readPast(parameters: URLSearchParams): PastState {
  const lines = parameters.getAll("line").slice(0, LINES_MOST);
  const query = parameters.get("query")?.slice(0, QUERY_MOST);
  return {
    origin: parameters.get("of") ?? "",
    metric: parameters.get("metric") ?? "",
    // One empty name: none is drawn.
    lines: lines.length === 0 ? undefined : lines.filter((line) => line !== ""),
    query: query === undefined || query.trim() === "" ? undefined : query,
    range: readRange(parameters),
    follow: parameters.has("follow"),
  };
}

/** Writes the part of the address, without what is usual. */
export function writePast(state: PastState, parameters: URLSearchParams): void {
  const { origin, metric, lines, query, range, follow } = state;
  if (origin !== "") parameters.append("of", origin);
  if (metric !== "") parameters.append("metric", metric);
  for (const line of lines?.length === 0 ? [""] : (lines ?? [])) parameters.append("line", line);
  if (query !== undefined) parameters.append("query", query);
  if (range.kind === "all") parameters.append("last", "all");
  if (range.kind === "last" && range.seconds !== USUAL_LAST)
    parameters.append("last", String(range.seconds));
  if (range.kind === "between") {
    parameters.append("from", String(range.from));
    parameters.append("to", String(range.to));
  }
  if (follow) parameters.append("follow", "");
}
