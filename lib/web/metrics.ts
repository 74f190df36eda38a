// /metrics and /openmetrics: values as text. /metrics is what pmproxy writes for Prometheus, with PCP's own
// comment before each metric (spec webapi.md 13); /openmetrics keeps the letter of OpenMetrics 1.0: units
// in names, `_total` for counters, an end. Each metric and name once, in the order of the name space.
// Lines are put together from kept parts.
import { utf8 } from "../base/mod.ts";
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
import { faultReply, type WebFault } from "./fault.ts";
import { joinAs } from "./join.ts";
import type { InstanceFacts, Metric } from "./metadata.ts";
import { typeWord } from "./metric.ts";
import { encoded, Out, type Words, writeNumber } from "./out.ts";
import { helpLine, labelString } from "./quote.ts";
import {
  type Claims,
  instancesIn,
  selectionText,
  type Shown,
  type ShownName,
  walkValues,
} from "./walk.ts";

const WORDS: Words = { nan: "NaN", positive: "+Inf", negative: "-Inf" };

/** What stands before the values of a metric, under each name. */
interface Block {
  /** Comment lines, and the name as the lines of values have it. */
  readonly heads: readonly { readonly comments: Uint8Array; readonly name: string }[];
  readonly labels: readonly Label[];
  /** The lines of a metric without instances, up to its value, under each name. */
  readonly lines: Lines;
  /** Those of instances under the names that they had. */
  readonly instances: Map<number, { readonly name: string; readonly lines: Lines }>;
}

/** What stands before one value, under each name of its metric. */
type Lines = readonly Uint8Array[];

/** One way to write. */
interface Format {
  /** Part of the keys of what is kept. */
  readonly key: string;
  readonly type: string;
  readonly claims: Claims;
  /** A name whose form another metric has gets one with its PMID. */
  readonly isForced: boolean;
  readonly comments: (name: ShownName, metric: Metric, oneline: string) => string;
  /** The name of a sample, from what `comments` is about. */
  readonly sampleName: (name: ShownName, metric: Metric) => string;
  readonly time: (timestamp: Timestamp) => string;
  /** Whether a counter may have this value. */
  readonly takes: (value: number) => boolean;
  /** Last line. */
  readonly end: string;
}

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
    claims: ({ name }) => [shownName(name)],
    isForced: false,
    comments({ name }, metric, oneline) {
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
    sampleName: ({ name }) => shownName(name),
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
function familyOf({ name, suffix }: ShownName, { desc }: Metric): string {
  const base = `${underscored(name)}${suffix}`;
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
  isForced: true,
  comments(name, metric, oneline) {
    const family = familyOf(name, metric);
    const unit = unitWord(metric.desc.units);
    const units = unit === "" ? "" : `# UNIT ${family} ${unit}\n`;
    // PCP's name comes first: that of the family does not tell which of its "_" were dots.
    const whole = oneline === "" ? name.name : `${name.name}: ${oneline}`;
    const text = helpLine(whole).replaceAll('"', '\\"');
    return `# TYPE ${family} ${kindOf(metric)}\n${units}# HELP ${family} ${text}\n`;
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
  const oneline = (await metadata.oneline(metric.pmid)) ?? "";
  const heads = names.map((name) => ({
    comments: encoded(format.comments(name, metric, oneline)),
    name: format.sampleName(name, metric),
  }));
  const set = labelSet(labels, []);
  return { heads, labels, lines: linesOf(heads, set), instances: new Map() };
}

const linesOf = (heads: Block["heads"], labels: string): Lines =>
  heads.map(({ name }) => encoded(`${name}${labels} `));

/**
 * The lines of one instance, made once for all values of its metric; undefined for one without a
 * name.
 */
function instanceLines(block: Block, facts: InstanceFacts, id: number): Lines | undefined {
  const name = facts.names.get(id);
  if (name === undefined) return undefined;
  const known = block.instances.get(id);
  if (known?.name === name) return known.lines;
  const own = facts.labels.get(id) ?? [];
  const labels = own.length === 0 ? block.labels : mergeLabels([block.labels, own]);
  const set = labelSet(labels, [
    ["instname", name],
    ["instid", String(id >>> 0)],
  ]);
  const lines = linesOf(block.heads, set);
  // Those that are gone are not told apart: all are made again now and then.
  if (block.instances.size > 2 * facts.names.size + SPARE_TAILS) block.instances.clear();
  block.instances.set(id, { name, lines });
  return lines;
}

const NEWLINE = 0x0a;

/** Writes the values of a metric under each of its names; comments only where a value follows. */
function writeValues(
  out: Out,
  set: ValueSetCursor,
  { desc }: Metric,
  block: Block,
  facts: InstanceFacts | undefined,
  takes: ((value: number) => boolean) | undefined,
  time: string,
): void {
  const count = facts === undefined ? 1 : set.numval;
  for (let at = 0; at < block.heads.length; at++) {
    let isFirst = true;
    for (let i = 0; i < count; i++) {
      const lines =
        facts === undefined ? block.lines : instanceLines(block, facts, set.instance(i));
      const line = lines?.[at];
      if (line === undefined) continue;
      if (takes !== undefined && !takes(numberAt(set, i, desc.type))) continue;
      const comments = block.heads[at]?.comments;
      if (isFirst && comments !== undefined) out.raw(comments);
      isFirst = false;
      out.raw(line);
      if (!writeNumber(out, set, i, desc.type, WORDS)) out.ascii(WORDS.nan);
      if (time !== "") out.ascii(time);
      out.char(NEWLINE);
    }
  }
}

/** Writes a metric: at once, unless something of its metadata must be asked for. */
function writeMetric(
  out: Out,
  call: Call,
  set: ValueSetCursor,
  shown: Shown,
  format: Format,
  time: string,
): Promise<void> | undefined {
  const { metric } = shown;
  const { indom } = metric.desc;
  const takes = isCounter(metric) ? format.takes : undefined;
  const block = shown.made as Block | undefined;
  const hasInstances = indom !== PM_INDOM_NULL;
  const facts = hasInstances ? call.metadata.instancesNow(indom, set) : undefined;
  if (block !== undefined && (!hasInstances || facts !== undefined)) {
    writeValues(out, set, metric, block, facts, takes, time);
    return undefined;
  }
  const ask = async (): Promise<void> => {
    const key = `${format.key} ${metric.pmid} ${shown.names.map(({ name, suffix }) => name + suffix).join(" ")}`;
    const made = await call.metadata.kept(key, () => blockOf(call, shown, format));
    if (made === undefined) return;
    shown.made = made;
    const found = hasInstances ? await call.metadata.instances(indom, instancesIn(set)) : undefined;
    writeValues(out, set, metric, made, found, takes, time);
  };
  return ask();
}

/** All values as text, for everybody who asks for the same at the time. */
interface Text {
  readonly body: Uint8Array;
  readonly fault: WebFault | undefined;
}

/** Bytes that the text of a selection is given at first. */
const FIRST_ROOM = 16 * 1024;

async function textOf(
  call: Call,
  format: Format,
  withTimes: boolean,
  wanted: () => boolean,
): Promise<Text> {
  const out = new Out(FIRST_ROOM);
  const fault = await walkValues(call, {
    key: format.key,
    claims: format.claims,
    isForced: format.isForced,
    wanted,
    visit: (set, shown, timestamp) =>
      writeMetric(out, call, set, shown, format, withTimes ? format.time(timestamp) : ""),
  });
  if (fault === undefined) out.ascii(format.end);
  return { body: out.finish(), fault };
}

const handlerOf =
  (formatOf: (call: Call) => Format): Handler =>
  async (call) => {
    const format = formatOf(call);
    const withTimes = call.parameters.get("times") === "true";
    const key = `${format.key} ${withTimes} ${selectionText(call)}`;
    const { body, fault } = await joinAs(call.joints, key, call.gone, (wanted) =>
      textOf(call, format, withTimes, wanted),
    );
    if (fault === undefined) return { status: 200, type: format.type, body };
    const reply = faultReply(fault, String(call.id));
    // The values of good names before it are told all the same, as pmproxy does.
    if (body.length === 0 || format.end !== "") return reply;
    return { ...reply, body: Buffer.concat([body, utf8(reply.body)]) };
  };

/** /metrics and /pmapi/metrics. */
export const tellValues = handlerOf(({ compat }) => (compat ? PCP_COMPAT : PCP));

/** /openmetrics. */
export const tellOpenMetrics = handlerOf(() => OPENMETRICS);
