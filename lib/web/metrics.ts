// /metrics and /openmetrics: values as text. /metrics is what pmproxy writes for Prometheus, with PCP's own
// comment before each metric (spec webapi.md 13); /openmetrics keeps the letter of OpenMetrics 1.0: units
// in names, `_total` for counters, an end. Each metric and name once, in the order of the name space.
// Lines are put together from kept parts.
import {
  type Label,
  mergeLabels,
  numberAt,
  PM_INDOM_NULL,
  PM_SEM,
  pmIDStr,
  pmInDomStr,
  pmSemStr,
  pmUnitsStr,
  type Timestamp,
  type ValueSetCursor,
} from "../pcp/mod.ts";
import type { Call, Handler } from "./call.ts";
import { faultReply } from "./fault.ts";
import type { InstanceFacts, Metric } from "./metadata.ts";
import { typeWord } from "./metric.ts";
import { encoded, Out, type Words, writeNumber } from "./out.ts";
import { helpLine, labelString } from "./quote.ts";
import { type Claims, instancesIn, type Shown, walkValues } from "./walk.ts";

const WORDS: Words = { nan: "NaN", positive: "+Inf", negative: "-Inf" };

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

/** One way to write. */
interface Format {
  /** Part of the keys of what is kept. */
  readonly key: string;
  readonly type: string;
  readonly claims: Claims;
  readonly comments: (name: string, metric: Metric, oneline: string) => string;
  /** The name of a sample, from what `comments` is about. */
  readonly sampleName: (name: string, metric: Metric) => string;
  readonly time: (timestamp: Timestamp) => string;
  /** Whether a counter may have this value. */
  readonly takes: (value: number) => boolean;
  /** Last line. */
  readonly end: string;
}

/** Stands for a value that is not shown. */
const NO_TAIL = new Uint8Array(0);
/** Instances above twice those that there are, before all are forgotten. */
const SPARE_TAILS = 64;

/** The value of a label as text: JSON strings without their quotes, everything else as it is. */
export function labelText({ value }: Label): string {
  if (!value.startsWith('"')) return value;
  try {
    return String(JSON.parse(value));
  } catch (error) {
    // Agents write what they like between the quotes.
    if (!(error instanceof SyntaxError)) throw error;
    return value.slice(1, -1);
  }
}

const labelName = (name: string): string => name.replaceAll(".", "_").replace(/^\d/, "_$&");

/** `{a="b",…}`, more pairs after those of `labels`; empty without any. */
function labelSet(labels: readonly Label[], more: readonly (readonly [string, string])[]): string {
  const pairs = new Map<string, string>();
  for (const label of labels) pairs.set(labelName(label.name), labelText(label));
  for (const [name, value] of more) if (!pairs.has(name)) pairs.set(name, value);
  if (pairs.size === 0) return "";
  return `{${[...pairs].map(([name, value]) => `${name}=${labelString(value)}`).join(",")}}`;
}

const isCounter = ({ desc }: Metric): boolean => desc.sem === PM_SEM.COUNTER;
const kindOf = (metric: Metric): string => (isCounter(metric) ? "counter" : "gauge");
const underscored = (name: string): string => name.replaceAll(".", "_");

/** pmproxy's own; `compat`: the old form. */
const pcpFormat = (compat: boolean): Format => {
  const shownName = compat ? (name: string) => name.replaceAll(".", ":") : underscored;
  return {
    key: compat ? "pcp_" : "pcp",
    type: "text/plain",
    claims: (name) => [shownName(name)],
    comments(name, metric, oneline) {
      const { pmid, desc } = metric;
      const sem = pmSemStr(desc.sem);
      const units = pmUnitsStr(desc.units) || "none";
      const facts = `${pmIDStr(pmid)} ${typeWord(desc.type)} ${pmInDomStr(desc.indom)}`;
      const first = compat
        ? `# PCP ${name} ${sem} ${units}\n`
        : `# PCP5 ${name} ${facts} ${sem} ${units}\n`;
      const shown = shownName(name);
      const help = oneline === "" ? "" : `# HELP ${shown} ${helpLine(oneline)}\n`;
      return `${first}${help}# TYPE ${shown} ${kindOf(metric)}\n`;
    },
    sampleName: shownName,
    time: ({ sec, nsec }) => ` ${sec * 1000 + Math.trunc(nsec / 1_000_000)}`,
    takes: () => true,
    end: "",
  };
};

const PCP = pcpFormat(false);
const PCP_COMPAT = pcpFormat(true);

/** Units as the end of a name: `kbyte_per_sec`; a plain count and no units have none. */
function unitWord(units: number): string {
  const text = pmUnitsStr(units).toLowerCase();
  if (text === "count") return "";
  return text
    .replaceAll("/", "per")
    .replace(/[^a-z0-9]+/g, "_")
    .replace(/^_|_$/g, "");
}

/** The family of a metric: its name with its unit. */
function familyOf(name: string, { desc }: Metric): string {
  const base = underscored(name);
  const unit = unitWord(desc.units);
  return unit === "" || base.endsWith(`_${unit}`) ? base : `${base}_${unit}`;
}

/** Content-Type of /openmetrics. */
export const OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const OPENMETRICS: Format = {
  key: "openmetrics",
  type: OPENMETRICS_TYPE,
  claims(name, metric) {
    const family = familyOf(name, metric);
    return isCounter(metric) ? [family, `${family}_total`, `${family}_created`] : [family];
  },
  comments(name, metric, oneline) {
    const family = familyOf(name, metric);
    const unit = unitWord(metric.desc.units);
    const units = unit === "" ? "" : `# UNIT ${family} ${unit}\n`;
    const text = helpLine(oneline).replaceAll('"', '\\"');
    const help = oneline === "" ? "" : `# HELP ${family} ${text}\n`;
    return `# TYPE ${family} ${kindOf(metric)}\n${units}${help}`;
  },
  sampleName: (name, metric) => `${familyOf(name, metric)}${isCounter(metric) ? "_total" : ""}`,
  time: ({ sec, nsec }) => ` ${sec}.${String(Math.trunc(nsec / 1_000_000)).padStart(3, "0")}`,
  takes: (value) => value >= 0,
  end: "# EOF\n",
};

async function blockOf(
  { metadata }: Call,
  { metric, names }: Shown,
  format: Format,
): Promise<Block> {
  const labels = await metadata.metricLabels(metric);
  const { oneline = "" } = await metadata.texts("metric", metric.pmid);
  const heads = names.map((name) => ({
    comments: encoded(format.comments(name, metric, oneline)),
    name: encoded(format.sampleName(name, metric)),
  }));
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

/** The labels of each value of a set, NO_TAIL for one that is not shown. */
async function tailsOf(
  call: Call,
  set: ValueSetCursor,
  { desc }: Metric,
  block: Block,
  takes: ((value: number) => boolean) | undefined,
): Promise<readonly Uint8Array[]> {
  const tails: Uint8Array[] = [];
  const facts =
    desc.indom === PM_INDOM_NULL
      ? undefined
      : await call.metadata.instances(desc.indom, instancesIn(set));
  const count = facts === undefined ? 1 : set.numval;
  for (let i = 0; i < count; i++) {
    const isGood = takes === undefined || takes(numberAt(set, i, desc.type));
    const tail = facts === undefined ? block.tail : instanceTail(block, facts, set.instance(i));
    tails.push(isGood && tail !== undefined ? tail : NO_TAIL);
  }
  return tails;
}

const BLANK = 0x20;
const NEWLINE = 0x0a;

/** Writes the values of a metric under each of its names. */
async function writeMetric(
  out: Out,
  call: Call,
  set: ValueSetCursor,
  shown: Shown,
  format: Format,
  time: string,
): Promise<void> {
  const { metric } = shown;
  const key = `${format.key} ${metric.pmid} ${shown.names.join(" ")}`;
  const block = await call.metadata.kept(key, () => blockOf(call, shown, format));
  if (block === undefined) return;
  const takes = isCounter(metric) ? format.takes : undefined;
  const tails = await tailsOf(call, set, metric, block, takes);
  if (tails.every((tail) => tail === NO_TAIL)) return;
  for (const head of block.heads) {
    out.raw(head.comments);
    for (const [i, tail] of tails.entries()) {
      if (tail === NO_TAIL) continue;
      out.raw(head.name);
      out.raw(tail);
      out.char(BLANK);
      if (!writeNumber(out, set, i, metric.desc.type, WORDS)) out.ascii(WORDS.nan);
      out.ascii(time);
      out.char(NEWLINE);
    }
  }
}

const handlerOf =
  (formatOf: (call: Call) => Format): Handler =>
  async (call) => {
    const format = formatOf(call);
    const withTimes = call.parameters.get("times") === "true";
    const out = new Out(64 * 1024);
    const fault = await walkValues(call, format.claims, (set, shown, timestamp) =>
      writeMetric(out, call, set, shown, format, withTimes ? format.time(timestamp) : ""),
    );
    if (fault !== undefined) {
      const reply = faultReply(fault, String(call.id));
      // The values of good names before it are told all the same, as pmproxy does.
      if (out.length === 0 || format.end !== "") return reply;
      out.text(reply.body);
      return { ...reply, body: out.finish() };
    }
    out.ascii(format.end);
    return { status: 200, type: format.type, body: out.finish() };
  };

/** /metrics and /pmapi/metrics. */
export const tellValues = handlerOf(({ compat }) => (compat ? PCP_COMPAT : PCP));

/** /openmetrics. */
export const tellOpenMetrics = handlerOf(() => OPENMETRICS);
