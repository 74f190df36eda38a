// Requests for time series: hosts, names, texts of metrics, series with what they are, values. Answers
// are checked as they come; nothing is kept here. Rejects with RestFault.
import { exactTimes, type PastValue, readValues } from "./past-lines.ts";
import { askText, parsed, plainJson, RestFault, urlOf, type Query } from "./rest.ts";
import { fieldsOf, listOf, textOf } from "./types.ts";

/** Old values may lie on slow disks; the one who waits can call it off. */
const PATIENCE_MS = 120_000;

/** Asks, and answers with the parsed reply. */
const askPast = async (path: string, query: Query, signal?: AbortSignal): Promise<unknown> => {
  const body = await askText(urlOf(path, query), { timeoutMs: PATIENCE_MS, signal });
  return parsed(plainJson(exactTimes(body)));
};

const textsOf = (reply: unknown): readonly string[] =>
  listOf(reply).map((each) => (typeof each === "string" ? each : JSON.stringify(each)));

const inOrder = (texts: Iterable<string>): readonly string[] => {
  const { compare } = new Intl.Collator("en", { numeric: true });
  return [...new Set(texts)].toSorted(compare);
};

/** Where there are values of. */
export interface Origins {
  /** Names of hosts. */
  readonly hosts: readonly string[];
  /** Paths of archives. */
  readonly archives: readonly string[];
}

/** Hosts and archives that are known. */
export async function askOrigins(signal?: AbortSignal): Promise<Origins> {
  const [labels, sources] = await Promise.all([
    askPast("/series/labels", { names: "hostname" }, signal),
    askPast("/series/sources", { match: "*" }, signal),
  ]);
  const archives = textsOf(sources).filter((name) => name.startsWith("/"));
  const names = textsOf(sources).filter((name) => !name.startsWith("/"));
  const hosts = textsOf(fieldsOf(labels)["hostname"]);
  return {
    hosts: inOrder([...hosts, ...(hosts.length === 0 ? names : [])]),
    archives: inOrder(archives),
  };
}

/** Names of all metrics of all hosts. */
export const askNames = async (signal?: AbortSignal): Promise<readonly string[]> =>
  inOrder(textsOf(await askPast("/series/metrics", {}, signal)));

/** A metric that text search has found. */
export interface Found {
  readonly name: string;
  readonly oneline: string;
}

/** Metrics with these words in name or text. */
export async function askSearch(words: string, signal?: AbortSignal): Promise<readonly Found[]> {
  const reply = await askPast(
    "/search/text",
    { query: words, type: "metric", return: "name,oneline", limit: 30 },
    signal,
  );
  return listOf(fieldsOf(reply)["results"]).map((each) => {
    const fields = fieldsOf(each);
    return { name: textOf(fields["name"]), oneline: textOf(fields["oneline"]) };
  });
}

/** An answer to a query. */
export type QueryAnswer =
  | { readonly kind: "series"; readonly series: readonly string[] }
  | { readonly kind: "values"; readonly values: readonly PastValue[] };

/** The address of a query. */
export const queryUrl = (expr: string): string => urlOf("/series/query", { expr });

/** Evaluates a query. */
export async function askQuery(expr: string, signal?: AbortSignal): Promise<QueryAnswer> {
  const reply = await askPast("/series/query", { expr }, signal);
  const values = readValues(reply);
  if (values === undefined) return { kind: "series", series: textsOf(reply) };
  // What is empty may be either.
  return { kind: "values", values };
}

/** What a series is. */
export interface SeriesFacts {
  readonly id: string;
  /** Of the metric; of a function its text. */
  readonly name: string;
  readonly type: string;
  readonly sem: string;
  readonly units: string;
  /** Names of instances by their identifier. */
  readonly instances: ReadonlyMap<string, string>;
  /** Empty: it was not asked for, or is unknown. */
  readonly host: string;
}

async function hostsOf(
  facts: readonly SeriesFacts[],
  signal?: AbortSignal,
): Promise<readonly string[]> {
  // Series with instances have their labels there.
  const ids = facts.map(({ id, instances }) => instances.keys().next().value ?? id);
  const reply = await askPast("/series/labels", { series: ids.join(",") }, signal);
  const hosts = new Map<string, string>();
  for (const each of listOf(reply)) {
    const fields = fieldsOf(each);
    hosts.set(textOf(fields["series"]), textOf(fieldsOf(fields["labels"])["hostname"]));
  }
  return ids.map((id) => hosts.get(id) ?? "");
}

/** What series are, in their order. Hosts are looked up where there is more than one series. */
export async function askFacts(
  series: readonly string[],
  signal?: AbortSignal,
): Promise<readonly SeriesFacts[]> {
  if (series.length === 0) return [];
  const query = { series: series.join(",") };
  const [descs, names, instances] = await Promise.all(
    ["descs", "metrics", "instances"].map((what) => askPast(`/series/${what}`, query, signal)),
  );
  const descOf = new Map(
    listOf(descs).map((each) => [textOf(fieldsOf(each)["series"]), fieldsOf(each)]),
  );
  const nameOf = new Map<string, string>();
  for (const each of listOf(names)) {
    const { series: id, name } = fieldsOf(each);
    nameOf.set(textOf(id), textOf(name));
  }
  const instancesOf = new Map<string, Map<string, string>>();
  for (const each of listOf(instances)) {
    const { series: id, instance, name } = fieldsOf(each);
    const own = instancesOf.get(textOf(id)) ?? new Map<string, string>();
    instancesOf.set(textOf(id), own.set(textOf(instance), textOf(name)));
  }
  const facts = series.map((id): SeriesFacts => {
    const desc = descOf.get(id) ?? {};
    const units = textOf(desc["units"]);
    return {
      id,
      name: nameOf.get(id) ?? "",
      type: textOf(desc["type"]).toLowerCase(),
      sem: textOf(desc["semantics"]),
      units: units === "unknown" ? "none" : units,
      instances: instancesOf.get(id) ?? new Map<string, string>(),
      host: "",
    };
  });
  if (facts.length < 2) return facts;
  const hosts = await hostsOf(facts, signal);
  return facts.map((each, at) => ({ ...each, host: hosts[at] ?? "" }));
}

/** The proxy's own state. */
export const askStatus = async (signal?: AbortSignal): Promise<Readonly<Record<string, unknown>>> =>
  fieldsOf(parsed(await askText("/-/status", { signal })));

/** Whether a fault says that there is nothing that answers such requests. */
export const isAbsent = (error: unknown): boolean =>
  error instanceof RestFault && /no handler/i.test(error.message);
