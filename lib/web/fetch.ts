// /pmapi/fetch: values of metrics, written from the bytes of pmcd's reply (spec webapi.md 7). What a
// request asks for is worked out once and kept with the metadata of its context.
import { asPcpError, PM_ERR, type PcpError } from "../base/mod.ts";
import {
  asPmid,
  type Desc,
  PM_ID_NULL,
  PM_INDOM_NULL,
  type Pmid,
  pmIDStr,
  pmidParse,
  type ResultView,
  type Timestamp,
  type ValueSetCursor,
} from "../pcp/mod.ts";
import { type Call, type Handler, headOf, type Memo, restReply } from "./call.ts";
import { faultOf, WebFault } from "./fault.ts";
import { join, type Joint, newJoint } from "./join.ts";
import type { Metric } from "./metadata.ts";
import { encoded, Out, writeJsonValue } from "./out.ts";
import { listOf, unsignedOf } from "./parameters.ts";
import { jsonString } from "./quote.ts";
import type { WebReply } from "./route.ts";

/** What stands before the values of a metric, one for each of its names. */
interface PlanEntry {
  readonly pmid: Pmid;
  readonly desc: Desc;
  readonly heads: readonly Uint8Array[];
}

/** What a request asks pmcd for. */
interface Plan {
  readonly pmids: readonly Pmid[];
  readonly entries: readonly PlanEntry[];
  /** The values as a reply tells them, without what is about the request. */
  readonly joint: Joint<Uint8Array>;
}

/** Selections in the order in which they count; the singular ones refuse what is unknown. */
const SELECTIONS = ["names", "name", "pmids", "pmid"] as const;
type Selection = (typeof SELECTIONS)[number];

/** A PMID in any of its forms: 29.0.10, 121634826, 0x740000a; PM_ID_NULL for others. */
export function pmidOf(text: string): Pmid {
  if (text.includes(".")) {
    try {
      return pmidParse(text);
    } catch (error) {
      asPcpError(error);
      return PM_ID_NULL;
    }
  }
  const { value, whole } = unsignedOf(text, true);
  return text !== "" && whole ? asPmid(Number(BigInt.asUintN(32, value))) : PM_ID_NULL;
}

function entryOf({ pmid, desc, names }: Metric, compat: boolean): PlanEntry {
  const ident = compat ? String(pmid) : `"${pmIDStr(pmid)}"`;
  const heads = names.map((name) =>
    encoded(`{"pmid":${ident},"name":${jsonString(name)},"instances":[`),
  );
  return { pmid, desc, heads };
}

/** The plan of a selection, and whether all that it names is there. */
async function planOf(
  { metadata, compat }: Call,
  selection: Selection,
  text: string,
): Promise<{ plan: Plan; isWhole: boolean }> {
  const items = listOf(text);
  const isSingular = selection === "name" || selection === "pmid";
  if (items.length === 0) throw new WebFault(400, "Insufficient elements in list");
  const pmids =
    selection === "names" || selection === "name"
      ? await metadata.lookup(items)
      : items.map(pmidOf);
  const found = await metadata.metrics(pmids);
  const metrics = found.filter((metric) => metric !== undefined);
  const isWhole = metrics.length === items.length;
  if (isSingular && !isWhole) throw new WebFault(400, "bad parameters passed");
  const entries = metrics.map((metric) => entryOf(metric, compat));
  const plan = {
    pmids: entries.map(({ pmid }) => pmid),
    entries,
    joint: newJoint<Uint8Array>(),
  };
  return { plan, isWhole };
}

/** Where values are written, in one go; replies get a copy. Nobody keeps it for longer. */
let scratch = new Out();
/** A longer reply takes it along. */
const SCRATCH_MAX = 256 * 1024;

/** About what a name of a plan holds. */
const ENTRY_BYTES = 300;

const pad9 = (nanoseconds: number): string => String(nanoseconds).padStart(9, "0");

/** What stands before the values, from the time on. */
function writeTime(out: Out, compat: boolean, { sec, nsec }: Timestamp): void {
  if (compat) out.ascii(`"timestamp":{"s":${sec},"us":${Math.trunc(nsec / 1000)}},"values":[`);
  else out.ascii(`"timestamp":${sec}.${pad9(nsec)},"values":[`);
}

const NO_INSTANCE = encoded('{"instance":null,"value":');
const NO_INSTANCE_COMPAT = encoded('{"instance":-1,"value":');
const INSTANCE = encoded('{"instance":');
const VALUE = encoded(',"value":');
const COMMA = 0x2c;
const CLOSE = 0x7d;
const CLOSE_LIST = encoded("]}");

function writeSet(out: Out, set: ValueSetCursor, desc: Desc, compat: boolean): void {
  const { numval } = set;
  if (numval <= 0) return;
  if (desc.indom === PM_INDOM_NULL) {
    out.raw(compat ? NO_INSTANCE_COMPAT : NO_INSTANCE);
    writeJsonValue(out, set, 0, desc);
    out.char(CLOSE);
    return;
  }
  for (let i = 0; i < numval; i++) {
    if (i > 0) out.char(COMMA);
    out.raw(INSTANCE);
    out.integer(set.instance(i) >>> 0);
    out.raw(VALUE);
    writeJsonValue(out, set, i, desc);
    out.char(CLOSE);
  }
}

function writeSets(out: Out, result: ResultView, plan: Plan, compat: boolean): void {
  const sets = result.sets();
  let isFirst = true;
  for (const { pmid, desc, heads } of plan.entries) {
    const isThere = sets.next() && sets.pmid === pmid;
    let values: { readonly from: number; readonly to: number } | undefined;
    for (const head of heads) {
      if (!isFirst) out.char(COMMA);
      isFirst = false;
      out.raw(head);
      if (values === undefined) {
        const from = out.length;
        if (isThere) writeSet(out, sets, desc, compat);
        values = { from, to: out.length };
      } else out.again(values.from, values.to);
      out.raw(CLOSE_LIST);
    }
  }
}

/** Asks pmcd, and lets the metadata know what has changed since. */
export async function fetchFrom(call: Call, pmids: readonly Pmid[]): Promise<ResultView> {
  try {
    const { changes, result } = await call.context.fetch(pmids);
    call.metadata.note(changes);
    return result;
  } catch (error) {
    const pcp: PcpError = asPcpError(error);
    throw pcp.code === PM_ERR.TOOBIG ? new WebFault(503, "too many requests") : faultOf(pcp);
  }
}

/** The values of a plan as a reply tells them, from the time to the end. */
async function told(call: Call, plan: Plan): Promise<Uint8Array> {
  const result = plan.pmids.length === 0 ? undefined : await fetchFrom(call, plan.pmids);
  // Something is left in it where an earlier reply was too large.
  if (scratch.length > 0) scratch = new Out();
  const out = scratch;
  const now = Date.now();
  const time = { sec: Math.floor(now / 1000), nsec: (now % 1000) * 1_000_000 };
  writeTime(out, call.compat, result?.timestamp ?? time);
  if (result !== undefined) writeSets(out, result, plan, call.compat);
  out.ascii("]}\r\n");
  if (out.length > SCRATCH_MAX) {
    scratch = new Out();
    return out.finish();
  }
  return out.take();
}

function planText(call: Call): NonNullable<Memo["plan"]> {
  const selection = SELECTIONS.find((name) => call.parameters.has(name)) ?? "names";
  const text = call.parameters.get(selection) ?? "";
  return { key: `fetch ${call.compat ? "_" : ""}${selection} ${text}`, selection, text };
}

/** The reply of a plan; what one fetch brings goes to all who wait for the same. */
const tell = async (call: Call, plan: Plan): Promise<WebReply<Uint8Array>> => {
  const rest = await join(plan.joint, call.gone, () => told(call, plan));
  return restReply(call, call.compat ? "{" : `{${headOf(call)},`, rest);
};

function keep({ metadata }: Call, key: string, plan: Plan): void {
  const bytes = plan.entries.reduce((sum, { heads }) => sum + ENTRY_BYTES * heads.length, 0);
  metadata.keepPlan(key, plan, bytes);
}

/** /pmapi/fetch. */
export const fetchValues: Handler = (call) => {
  const wanted = (call.memo.plan ??= planText(call));
  const plan = call.metadata.plan(wanted.key) as Plan | undefined;
  if (plan !== undefined) return tell(call, plan);
  return planOf(call, wanted.selection as Selection, wanted.text).then((made) => {
    if (made.isWhole) keep(call, wanted.key, made.plan);
    return tell(call, made.plan);
  });
};
