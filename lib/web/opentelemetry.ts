// /opentelemetry, and /metrics for those who accept JSON: values as OTLP's JSON (spec webapi.md 14). The
// structure is the one that pmproxy 7 means; its own lacks commas, and its times are wrong.
import {
  type Desc,
  type Label,
  mergeLabels,
  numberAt,
  PM_INDOM_NULL,
  PM_LABEL,
  PM_SEM,
  PM_TYPE,
  pmIDStr,
  pmInDomStr,
  pmSemStr,
  type Timestamp,
  unitsFields,
  type ValueSetCursor,
} from "../pcp/mod.ts";
import { bytesReply, type Call, type Handler } from "./call.ts";
import { faultReply, type WebFault } from "./fault.ts";
import { joinAs } from "./join.ts";
import type { Metric } from "./metadata.ts";
import { typeWord } from "./metric.ts";
import { labelText } from "./metrics.ts";
import { Out, type Words, writeNumber } from "./out.ts";
import { jsonString } from "./quote.ts";
import { instancesIn, selectionText, type Shown, walkValues } from "./walk.ts";

const WORDS: Words = { nan: "NaN", positive: "Infinity", negative: "-Infinity" };

const SPACE = ["By", "KiBy", "MiBy", "GiBy", "TiBy", "PiBy", "EiBy", "ZiBy", "YiBy"];
const TIME = ["ns", "us", "ms", "s", "min", "h"];
/** Prefixes of counts by their power of ten; other powers are written out. */
const COUNT: Readonly<Record<number, string>> = { [-6]: "u", [-3]: "m", 0: "", 3: "k", 6: "M" };

/** A units word in UCUM (spec webapi.md 14.3). */
export function ucumOf(word: number): string {
  const { dimSpace, dimTime, dimCount, scaleSpace, scaleTime, scaleCount } = unitsFields(word);
  const parts: string[] = [];
  const add = (name: string, dim: number): void => {
    if (dim !== 0) parts.push(dim === 1 ? name : `${name}${dim}`);
  };
  add(SPACE[scaleSpace] ?? "By", dimSpace);
  add(TIME[scaleTime] ?? "s", dimTime);
  add(`${COUNT[scaleCount] ?? `10^${scaleCount}`}{count}`, dimCount);
  return parts.length === 0 ? "1" : parts.join(".");
}

const textAttribute = (key: string, value: string): string =>
  `{"key":${jsonString(key)},"value":{"stringValue":${jsonString(value)}}}`;

const attributesOf = (labels: readonly Label[]): readonly string[] =>
  labels.map((label) => textAttribute(label.name, labelText(label)));

/** What is the same for all values of a metric. */
interface Block {
  readonly head: string;
  readonly attributes: readonly string[];
  readonly labels: readonly Label[];
}

async function blockOf({ metadata }: Call, { pmid, desc }: Metric): Promise<Block> {
  const levels = [
    metadata.labels(PM_LABEL.DOMAIN, pmid >>> 22),
    ...(desc.indom === PM_INDOM_NULL ? [] : [metadata.labels(PM_LABEL.INDOM, desc.indom)]),
    metadata.labels(PM_LABEL.CLUSTER, (pmid & ~0x3ff) >>> 0),
    metadata.labels(PM_LABEL.ITEM, pmid),
  ];
  const labels = mergeLabels(await Promise.all(levels));
  const oneline = (await metadata.oneline(pmid)) ?? "";
  const kind =
    desc.sem === PM_SEM.COUNTER
      ? '"sum":{"aggregationTemporality":"CUMULATIVE","isMonotonic":true,"dataPoints":['
      : '"gauge":{"dataPoints":[';
  const attributes = [
    textAttribute("semantics", pmSemStr(desc.sem)),
    textAttribute("type", typeWord(desc.type)),
    textAttribute("pmid", pmIDStr(pmid)),
    ...(desc.indom === PM_INDOM_NULL ? [] : [textAttribute("indom", pmInDomStr(desc.indom))]),
  ];
  const unit = jsonString(ucumOf(desc.units));
  const head = `"description":${jsonString(oneline)},"unit":${unit},${kind}`;
  return { head, attributes, labels };
}

const isWhole = ({ type }: Desc): boolean => type <= PM_TYPE.U64;

/** Nanoseconds since 1970. */
const nanoseconds = ({ sec, nsec }: Timestamp): string =>
  String(BigInt(sec) * 1_000_000_000n + BigInt(nsec));

/** Writes the data points of a metric. */
async function writePoints(
  out: Out,
  call: Call,
  set: ValueSetCursor,
  { desc }: Metric,
  block: Block,
  time: string,
): Promise<void> {
  const facts =
    desc.indom === PM_INDOM_NULL
      ? undefined
      : await call.metadata.instances(desc.indom, instancesIn(set));
  const count = facts === undefined ? 1 : set.numval;
  let isFirst = true;
  for (let i = 0; i < count; i++) {
    const id = set.instance(i);
    const name = facts?.names.get(id);
    // Not a number where the block is not of the metric's type.
    if (facts !== undefined && name === undefined) continue;
    if (isWhole(desc) && Number.isNaN(numberAt(set, i, desc.type))) continue;
    const own = facts?.labels.get(id) ?? [];
    const labels = own.length === 0 ? block.labels : mergeLabels([block.labels, own]);
    const attributes = [
      ...block.attributes,
      ...attributesOf(labels),
      ...(name === undefined
        ? []
        : [textAttribute("instname", name), `{"key":"instid","value":{"intValue":${id >>> 0}}}`]),
    ];
    out.text(`${isFirst ? "" : ","}{"attributes":[${attributes.join(",")}],`);
    out.ascii(`"timeUnixNano":"${time}","${isWhole(desc) ? "asInt" : "asDouble"}":"`);
    if (!writeNumber(out, set, i, desc.type, WORDS)) out.ascii(WORDS.nan);
    out.ascii('"}');
    isFirst = false;
  }
}

async function textOf(
  call: Call,
  wanted: () => boolean,
): Promise<{ readonly body: Uint8Array; readonly fault: WebFault | undefined }> {
  const out = new Out(64 * 1024);
  const context = await call.metadata.labels(PM_LABEL.CONTEXT, 0);
  const resource = `{"resource":{"attributes":[${attributesOf(context).join(",")}]}`;
  const scope = '"scope":{"name":"performance-co-pilot","version":"7.2.1"}';
  out.text(`{"resourceMetrics":[${resource},"scopeMetrics":[{${scope},"metrics":[`);
  const start = out.length;
  const tell = async (set: ValueSetCursor, shown: Shown, at: Timestamp) => {
    const { metric, names } = shown;
    shown.made ??= await call.metadata.kept(`otlp ${metric.pmid}`, () => blockOf(call, metric));
    const block = shown.made as Block | undefined;
    if (block === undefined) return;
    for (const { name } of names) {
      out.text(`${out.length > start ? "," : ""}{"name":${jsonString(name)},${block.head}`);
      await writePoints(out, call, set, metric, block, nanoseconds(at));
      out.ascii("]}}");
    }
  };
  const fault = await walkValues(call, {
    key: "otlp",
    claims: ({ name }) => [name],
    isForced: false,
    visit: tell,
    wanted,
  });
  out.ascii("]}]}]}\r\n");
  return { body: out.finish(), fault };
}

/** /opentelemetry. */
export const tellTelemetry: Handler = async (call) => {
  const key = `otlp ${selectionText(call)}`;
  const { body, fault } = await joinAs(call.joints, key, call.gone, (wanted) =>
    textOf(call, wanted),
  );
  return fault === undefined ? bytesReply(body) : faultReply(fault, String(call.id));
};

/** Whether JSON comes first of what an Accept header lists (spec webapi.md 14.1). */
export function wantsJson(accept: string | undefined): boolean {
  if (accept === undefined) return false;
  for (const item of accept.split(",")) {
    const type = item.split(";", 1)[0]?.trim().toLowerCase();
    if (type === "application/json") return true;
    if (type === "text/plain" || type === "application/octet-stream") return false;
  }
  return false;
}
