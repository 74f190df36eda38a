// /metrics: values as Prometheus reads them, PCP's own comment before each metric (spec webapi.md 13).
// One block for each name, whatever a request mentions how often; names that cannot be told apart any
// more come once. Lines of metrics and instances are put together from kept parts.
import { asPcpError } from "../base/mod.ts";
import {
  type Indom,
  type Label,
  mergeLabels,
  PM_INDOM_NULL,
  PM_SEM,
  PM_TYPE,
  pmIDStr,
  pmInDomStr,
  pmSemStr,
  pmUnitsStr,
  type ResultView,
  type ValueSetCursor,
} from "../pcp/mod.ts";
import type { Call, Handler } from "./call.ts";
import { faultOf, faultReply } from "./fault.ts";
import { fetchFrom } from "./fetch.ts";
import { matcherOf } from "./instances.ts";
import type { InstanceFacts, Metric } from "./metadata.ts";
import { typeWord } from "./metric.ts";
import { encoded, Out, type Words, writeNumber } from "./out.ts";
import { firstOf, listOf } from "./parameters.ts";
import { helpLine, labelString } from "./quote.ts";

/** Metrics in one request to pmcd. */
const BATCH = 256;

const WORDS: Words = { nan: "NaN", positive: "+Inf", negative: "-Inf" };

/** A metric and the names that are told of it. */
interface Shown {
  readonly metric: Metric;
  readonly names: readonly string[];
}

/** What stands before the values of a metric, under each name. */
interface Block {
  /** Comment lines, and the name as the lines of values have it. */
  readonly heads: readonly { readonly comments: Uint8Array; readonly name: Uint8Array }[];
  readonly labels: readonly Label[];
  /** Labels of a metric without instances, or nothing. */
  readonly tail: Uint8Array;
  /** Labels of instances under the names that they had. */
  readonly instances: Map<number, { readonly name: string; readonly tail: Uint8Array }>;
}

/** Stands for an instance that has no name. */
const NO_TAIL = new Uint8Array(0);
/** Instances above twice those that there are, before all are forgotten. */
const SPARE_TAILS = 64;

/** The value of a label as text: JSON strings without their quotes, everything else as it is. */
function labelText({ value }: Label): string {
  if (!value.startsWith('"')) return value;
  try {
    return String(JSON.parse(value));
  } catch (error) {
    // Agents write what they like between the quotes.
    if (!(error instanceof SyntaxError)) throw error;
    return value.slice(1, -1);
  }
}

const labelName = (name: string): string => name.replaceAll(".", "_");

/** `{a="b",…}`, more pairs after those of `labels`; empty without any. */
function labelSet(labels: readonly Label[], more: readonly (readonly [string, string])[]): string {
  const pairs = new Map<string, string>();
  for (const label of labels) pairs.set(labelName(label.name), labelText(label));
  for (const [name, value] of more) if (!pairs.has(name)) pairs.set(name, value);
  if (pairs.size === 0) return "";
  return `{${[...pairs].map(([name, value]) => `${name}=${labelString(value)}`).join(",")}}`;
}

/** The name of a metric in the lines of a reply. */
const shownName = (name: string, compat: boolean): string =>
  name.replaceAll(".", compat ? ":" : "_");

async function blockOf({ metadata, compat }: Call, { metric, names }: Shown): Promise<Block> {
  const { pmid, desc } = metric;
  const labels = await metadata.metricLabels(metric);
  const { oneline } = await metadata.texts("metric", pmid);
  const sem = pmSemStr(desc.sem);
  const units = pmUnitsStr(desc.units) || "none";
  const facts = `${pmIDStr(pmid)} ${typeWord(desc.type)} ${pmInDomStr(desc.indom)} ${sem} ${units}`;
  const kind = desc.sem === PM_SEM.COUNTER ? "counter" : "gauge";
  const heads = names.map((name) => {
    const shown = shownName(name, compat);
    const first = compat ? `# PCP ${name} ${sem} ${units}\n` : `# PCP5 ${name} ${facts}\n`;
    const help =
      oneline === undefined || oneline === "" ? "" : `# HELP ${shown} ${helpLine(oneline)}\n`;
    return { comments: encoded(`${first}${help}# TYPE ${shown} ${kind}\n`), name: encoded(shown) };
  });
  return { heads, labels, tail: encoded(labelSet(labels, [])), instances: new Map() };
}

/**
 * The labels of one instance, made once for all values of its metric; undefined for one without a
 * name.
 */
function instanceTail(block: Block, facts: InstanceFacts, id: number): Uint8Array | undefined {
  const name = facts.names.get(id);
  if (name === undefined) return undefined;
  const known = block.instances.get(id);
  if (known?.name === name) return known.tail;
  const own = facts.labels.get(id) ?? [];
  const labels = own.length === 0 ? block.labels : mergeLabels([block.labels, own]);
  const tail = encoded(
    labelSet(labels, [
      ["instname", name],
      ["instid", String(id >>> 0)],
    ]),
  );
  // Those that are gone are not told apart: all are made again now and then.
  if (block.instances.size > 2 * facts.names.size + SPARE_TAILS) block.instances.clear();
  block.instances.set(id, { name, tail });
  return tail;
}

/** Names of instances that a set needs. */
function* instancesIn(set: ValueSetCursor): Generator<number> {
  for (let i = 0; i < set.numval; i++) yield set.instance(i);
}

const BLANK = 0x20;
const NEWLINE = 0x0a;

/** Writes the values of a metric; nothing when it has none that are numbers. */
async function writeMetric(
  out: Out,
  call: Call,
  set: ValueSetCursor,
  shown: Shown,
  time: Uint8Array | undefined,
): Promise<void> {
  const { desc, pmid } = shown.metric;
  const indom: Indom = desc.indom;
  const key = `metrics ${call.compat ? "_" : ""}${pmid} ${shown.names.join(" ")}`;
  const block = await call.metadata.kept(key, () => blockOf(call, shown));
  if (block === undefined || set.numval <= 0) return;
  const tails: Uint8Array[] = [];
  if (indom === PM_INDOM_NULL) tails.push(block.tail);
  else {
    const facts = await call.metadata.instances(indom, instancesIn(set));
    for (let i = 0; i < set.numval; i++) {
      tails.push(instanceTail(block, facts, set.instance(i)) ?? NO_TAIL);
    }
  }
  for (const head of block.heads) {
    out.raw(head.comments);
    for (const [i, tail] of tails.entries()) {
      if (tail === NO_TAIL) continue;
      out.raw(head.name);
      out.raw(tail);
      out.char(BLANK);
      if (!writeNumber(out, set, i, desc.type, WORDS)) out.ascii(WORDS.nan);
      if (time !== undefined) out.raw(time);
      out.char(NEWLINE);
    }
  }
}

const isNumeric = ({ desc: { type } }: Metric): boolean =>
  type >= PM_TYPE.I32 && type <= PM_TYPE.DOUBLE;

async function writeBatch(
  out: Out,
  call: Call,
  batch: readonly Shown[],
  withTimes: boolean,
): Promise<void> {
  const result: ResultView = await fetchFrom(
    call,
    batch.map(({ metric }) => metric.pmid),
  );
  const { sec, nsec } = result.timestamp;
  const time = withTimes ? encoded(` ${sec * 1000 + Math.trunc(nsec / 1_000_000)}`) : undefined;
  const sets = result.sets();
  for (const shown of batch) {
    if (!sets.next()) return;
    if (sets.pmid === shown.metric.pmid) await writeMetric(out, call, sets, shown, time);
  }
}

/** Picks what is new of the metrics below a name: each PMID, each name in the reply, once. */
async function shownBelow(
  call: Call,
  leaves: readonly string[],
  seen: { readonly pmids: Set<number>; readonly names: Set<string> },
): Promise<Shown[]> {
  const { metadata, compat } = call;
  const metrics = await metadata.metrics(await metadata.lookup(leaves));
  const shown: Shown[] = [];
  for (const metric of metrics) {
    if (metric === undefined || !isNumeric(metric) || seen.pmids.has(metric.pmid)) continue;
    seen.pmids.add(metric.pmid);
    const names = metric.names.filter((name) => !seen.names.has(shownName(name, compat)));
    for (const name of names) seen.names.add(shownName(name, compat));
    if (names.length > 0) shown.push({ metric, names });
  }
  return shown;
}

/**
 * /metrics and /pmapi/metrics. The last name decides whether the reply is an error; the values of those
 * before it are told all the same, as pmproxy does.
 */
export const tellValues: Handler = async (call) => {
  const { parameters, metadata } = call;
  const list = listOf(firstOf(parameters, "names", "name", "prefix", "target") ?? "");
  const filter = parameters.get("filter");
  const isHidden = filter === undefined ? undefined : matcherOf(parameters, filter);
  const withTimes = parameters.get("times") === "true";
  const seen = { pmids: new Set<number>(), names: new Set<string>() };
  const out = new Out(64 * 1024);
  await metadata.refresh();
  let status = 200;
  for (const name of list.length === 0 ? [""] : list) {
    status = 200;
    let leaves: readonly string[];
    try {
      leaves = await metadata.traverse(name);
    } catch (error) {
      const fault = faultOf(asPcpError(error), `'${name}' - `);
      if (name !== list.at(-1)) continue;
      if (out.length === 0) return faultReply(fault, String(call.id));
      out.text(faultReply(fault, String(call.id)).body);
      status = fault.status;
      continue;
    }
    const wanted = isHidden === undefined ? leaves : leaves.filter((leaf) => !isHidden(leaf));
    const shown = await shownBelow(call, wanted, seen);
    for (let at = 0; at < shown.length; at += BATCH)
      await writeBatch(out, call, shown.slice(at, at + BATCH), withTimes);
  }
  return { status, type: status === 200 ? "text/plain" : "application/json", body: out.finish() };
};
