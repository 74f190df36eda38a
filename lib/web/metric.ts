// /pmapi/context, /pmapi/metric and /pmapi/children: what there is, without values (spec webapi.md 5,
// 6, 10, 15). The entry of each metric is made once and kept with the metadata of its context.
import { asPcpError } from "../base/mod.ts";
import {
  DYNAMIC_DOMAIN,
  type Label,
  labelsText,
  PM_ID_NULL,
  PM_INDOM_NULL,
  PM_LABEL,
  PM_TYPE,
  pmidDomain,
  pmIDStr,
  pmInDomStr,
  pmSemStr,
  type PmType,
  pmTypeStr,
  pmUnitsStr,
} from "../pcp/mod.ts";
import { type Call, type Handler, headOf, restReply } from "./call.ts";
import { faultOf, jsonReply, WebFault } from "./fault.ts";
import { joinAs } from "./join.ts";
import { hashOf, identityLabels, type Metric, NAMES_MS, type Texts } from "./metadata.ts";
import { encoded, Out } from "./out.ts";
import { firstOf, listOf } from "./parameters.ts";
import { jsonString } from "./quote.ts";

/** /pmapi/context. */
export const tellContext: Handler = async (call) => {
  if (call.compat) return jsonReply(200, `{"context":${call.id}}`);
  await call.metadata.refresh();
  const labels = await call.metadata.labels(PM_LABEL.CONTEXT, 0);
  const name = await call.metadata.kept("hostname", async () => ({
    text: await call.context.hostName(),
  }));
  const source = hashOf(`{"series":"source","labels":${identityLabels(labels)}}`);
  const rest = `"hostspec":${jsonString(name?.text ?? "")},"labels":${labelsText(labels)}`;
  return jsonReply(200, `{${headOf(call)},"source":"${source}",${rest}}`);
};

/** A type as the REST API writes it (spec webapi.md 6). */
export function typeWord(type: PmType): string {
  if (type === PM_TYPE.NOSUPPORT) return "unsupported";
  const word = pmTypeStr(type).toLowerCase();
  return word === "???" ? "unknown" : word;
}

/** The members that hold help texts, each with a comma before it. */
export function textMembers({ oneline, help }: Texts): string {
  const first = oneline === undefined ? "" : `,"text-oneline":${jsonString(oneline)}`;
  const long = help ?? oneline;
  return long === undefined ? first : `${first},"text-help":${jsonString(long)}`;
}

/** Identity of a metric (spec webapi.md 15.3). */
function seriesOf(name: string, { desc }: Metric, labels: readonly Label[]): string {
  const parts = [
    `"name":"${name}"`,
    `"labels":${identityLabels(labels)}`,
    `"semantics":"${pmSemStr(desc.sem)}"`,
    `"type":"${pmTypeStr(desc.type)}"`,
    `"units":"${pmUnitsStr(desc.units)}"`,
  ];
  return hashOf(`{"series":"metric",${parts.join(",")}}`);
}

/** Derived metrics have texts, which are empty. */
const EMPTY_TEXTS: Texts = { oneline: "", help: "" };

async function entryOf({ metadata, compat }: Call, name: string, metric: Metric): Promise<string> {
  const { pmid, desc } = metric;
  const labels = await metadata.metricLabels(metric);
  const isDerived = pmidDomain(pmid) === DYNAMIC_DOMAIN;
  const texts = isDerived ? EMPTY_TEXTS : await metadata.texts("metric", pmid);
  const indom = compat ? String(desc.indom) : `"${pmInDomStr(desc.indom)}"`;
  const members = [
    `"name":${jsonString(name)}`,
    `"series":"${seriesOf(name, metric, labels)}"`,
    `"pmid":${compat ? pmid : `"${pmIDStr(pmid)}"`}`,
    ...(desc.indom === PM_INDOM_NULL ? [] : [`"indom":${indom}`]),
    `"type":"${typeWord(desc.type)}"`,
    `"sem":"${pmSemStr(desc.sem)}"`,
    `"units":"${pmUnitsStr(desc.units) || "none"}"`,
    `"labels":${labelsText(labels)}`,
  ];
  return `{${members.join(",")}${textMembers(texts)}}`;
}

const failedEntry = (name: string, message: string): string =>
  `{"name":${jsonString(name)},"message":"${message}","success":false}`;

/** Writes the entries of the metrics `names`, a comma before each but the first of the reply. */
async function writeEntries(out: Out, call: Call, names: readonly string[], start: number) {
  const { metadata } = call;
  const pmids = await metadata.lookup(names);
  const metrics = await metadata.metrics(pmids);
  const known = metrics.filter((metric) => metric !== undefined);
  await metadata.prepare(known, ["oneline", "help"]);
  for (const [index, name] of names.entries()) {
    const metric = metrics[index];
    if (out.length > start) out.ascii(",");
    if (metric === undefined) {
      out.text(failedEntry(name, "failed to lookup metric name"));
      continue;
    }
    const entry = await metadata.kept(`metric ${call.compat ? "_" : ""}${name}`, async () =>
      encoded(await entryOf(call, name, metric)),
    );
    if (entry !== undefined) out.raw(entry);
  }
}

/** The entries of a request, and the end of its reply; kept for some seconds, as lists of names are. */
interface Entries {
  readonly until: number;
  readonly rest: Uint8Array;
}

async function entriesOf(call: Call, text: string): Promise<Entries> {
  const list = listOf(text);
  const until = performance.now() + NAMES_MS;
  const out = new Out(16 * 1024);
  out.text('"metrics":[');
  const start = out.length;
  for (const name of list.length === 0 ? [""] : list) {
    let names;
    try {
      names = await call.metadata.traverse(name);
    } catch (error) {
      const pcp = asPcpError(error);
      const what = name === "" ? "namespace" : name;
      if (list.length <= 1) throw faultOf(pcp, `${what} traversal failed - `);
      if (out.length > start) out.ascii(",");
      out.text(failedEntry(name, faultOf(pcp).message));
      continue;
    }
    await writeEntries(out, call, names, start);
  }
  out.ascii("]}\r\n");
  return { until, rest: out.finish() };
}

/** /pmapi/metric. */
export const tellMetrics: Handler = async (call) => {
  const text = firstOf(call.parameters, "prefix", "names", "name") ?? "";
  const { metadata } = call;
  await metadata.refresh();
  const key = `metric ${call.compat ? "_" : ""}${text}`;
  let entries = metadata.plan(key) as Entries | undefined;
  if (entries === undefined || entries.until < performance.now()) {
    entries = await joinAs(call.joints, key, undefined, () => entriesOf(call, text));
    metadata.keepPlan(key, entries, entries.rest.length);
  }
  return restReply(call, `{${headOf(call)},`, entries.rest);
};

/** /pmapi/children. */
export const tellChildren: Handler = async (call) => {
  const name = firstOf(call.parameters, "prefix", "name") ?? "";
  let children;
  try {
    children = await call.context.children(name);
  } catch (error) {
    throw faultOf(asPcpError(error), "child traversal failed - ");
  }
  const { names, statuses } = children;
  const pick = (isLeaf: boolean): string =>
    names
      .filter((_, index) => (statuses[index] === 0) === isLeaf)
      .map(jsonString)
      .join(",");
  const lists = `"leaf":[${pick(true)}],"nonleaf":[${pick(false)}]`;
  return jsonReply(200, `{${headOf(call)},"name":${jsonString(name)},${lists}}`);
};

/** The metric of a name; throws WebFault as the requests that take one metric do. */
export async function metricOf({ metadata }: Call, name: string): Promise<Metric> {
  const [pmid = PM_ID_NULL] = await metadata.lookup([name]);
  const [metric] = await metadata.metrics([pmid]);
  if (metric === undefined) throw new WebFault(400, `${name} - failed to lookup metric`);
  return metric;
}
