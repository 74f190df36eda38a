// /pmapi/indom and /pmapi/profile: instances, told or chosen (spec webapi.md 8, 9). Refuses regular
// expressions that could take a long time: they come from anybody, and the whole server would wait.
import {
  asPcpError,
  compileGlob,
  compilePosix,
  costlyPattern,
  PM_ERR,
  PosixError,
} from "../base/mod.ts";
import {
  asIndom,
  asInstance,
  type Indom,
  indomDomain,
  indomParse,
  type InstanceId,
  labelsText,
  mergeLabels,
  PM_INDOM_NULL,
  PM_LABEL,
  pmInDomStr,
} from "../pcp/mod.ts";
import { bytesReply, type Call, type Handler, headOf } from "./call.ts";
import { faultOf, successReply, WebFault } from "./fault.ts";
import { metricOf, textMembers } from "./metric.ts";
import { Out } from "./out.ts";
import { listOf, type Parameters, unsignedOf } from "./parameters.ts";
import { jsonString } from "./quote.ts";

/** Characters of a pattern with wildcards: each of thousands of names is held against it. */
const LONGEST_GLOB = 1024;

const badPattern = (pattern: string, reason: string): WebFault =>
  new WebFault(400, `${pattern} - invalid regular expression: ${reason}`);

function regexOf(pattern: string): RegExp {
  const costly = costlyPattern(pattern);
  if (costly !== undefined) throw badPattern(pattern, costly);
  try {
    return compilePosix(pattern);
  } catch (error) {
    if (!(error instanceof PosixError)) throw error;
    throw badPattern(pattern, error.message);
  }
}

function globOf(pattern: string): (name: string) => boolean {
  if (pattern.length > LONGEST_GLOB)
    throw new WebFault(400, `a pattern of ${pattern.length} characters`);
  return compileGlob(pattern);
}

/** Says of an instance whether it is chosen. */
type Choice = (instance: InstanceId, name: string) => boolean;

/** Names in a list, compared in the way that a request asks for. Throws WebFault. */
function nameTest(match: string, names: readonly string[]): (name: string) => boolean {
  if (match === "glob") {
    const patterns = names.map(globOf);
    return (name) => patterns.some((fits) => fits(name));
  }
  if (match === "regex") {
    const patterns = names.map(regexOf);
    return (name) => patterns.some((pattern) => pattern.test(name));
  }
  const wanted = new Set(names);
  return (name) => wanted.has(name);
}

/** The value of `match`. Throws WebFault for others than exact, glob and regex. */
function matchOf(parameters: Parameters, usual: "exact" | "glob"): string {
  const match = parameters.get("match") ?? usual;
  if (!["exact", "glob", "regex"].includes(match))
    throw new WebFault(400, `${match} - invalid 'match' parameter value`);
  return match;
}

/** A test of names of metrics for a list under `match`, by default glob (spec webapi.md 13). */
export const matcherOf = (parameters: Parameters, list: string): ((name: string) => boolean) =>
  nameTest(matchOf(parameters, "glob"), listOf(list));

/** C's atoi. */
const numberOf = (text: string): InstanceId =>
  asInstance(Number(BigInt.asIntN(32, unsignedOf(text).value)));

/** What a request says about instances; undefined when it chooses none. */
function choiceOf(parameters: Parameters): Choice | undefined {
  const match = matchOf(parameters, "exact");
  const inames = parameters.get("iname");
  if (inames !== undefined) {
    const names = listOf(inames);
    const test = nameTest(match, names);
    return names.length === 0 ? undefined : (_, name) => test(name);
  }
  const numbers = parameters.get("instance") ?? "";
  if (numbers === "") return undefined;
  const wanted = new Set(numbers.split(",").map(numberOf));
  return (instance) => wanted.has(instance);
}

/** An InDom in any of its forms: 29.1, 121634817, 0x7400001; PM_INDOM_NULL for others. */
function indomOf(text: string): Indom {
  if (text.includes(".")) {
    try {
      return indomParse(text);
    } catch (error) {
      asPcpError(error);
      return PM_INDOM_NULL;
    }
  }
  const { value, whole } = unsignedOf(text, true);
  return text !== "" && whole ? asIndom(Number(BigInt.asUintN(32, value))) : PM_INDOM_NULL;
}

/** The domain of a metric. Throws WebFault. */
async function indomOfMetric(call: Call, name: string): Promise<Indom> {
  const { desc } = await metricOf(call, name);
  if (desc.indom === PM_INDOM_NULL) throw new WebFault(400, `${name} - metric has null indom`);
  return desc.indom;
}

/** Instances as pmcd has them now, none for a domain that it does not know. */
async function instancesNow(call: Call, indom: Indom) {
  try {
    return await call.context.instances(indom);
  } catch (error) {
    const pcp = asPcpError(error);
    const gone: readonly number[] = [PM_ERR.IPC, PM_ERR.TIMEOUT, PM_ERR.NOCONTEXT];
    if (gone.includes(pcp.code)) throw faultOf(pcp);
    return { ids: [], names: [] };
  }
}

/** Names and labels of a domain, as its replies begin. */
async function indomHead({ metadata, compat }: Call, indom: Indom): Promise<{ text: string }> {
  const levels = [
    metadata.labels(PM_LABEL.CONTEXT, 0),
    metadata.labels(PM_LABEL.DOMAIN, indomDomain(indom)),
    metadata.labels(PM_LABEL.INDOM, indom),
  ];
  const labels = mergeLabels(await Promise.all(levels));
  const texts = await metadata.texts("instance domain", indom);
  const ident = compat ? String(indom) : `"${pmInDomStr(indom)}"`;
  return { text: `"indom":${ident},"labels":${labelsText(labels)}${textMembers(texts)}` };
}

/** /pmapi/indom. */
export const tellInstances: Handler = async (call) => {
  const { parameters, metadata } = call;
  const choice = choiceOf(parameters);
  const name = parameters.get("name");
  const given = parameters.get("indom") ?? "";
  const indom = name === undefined ? indomOf(given) : await indomOfMetric(call, name);
  if (indom === PM_INDOM_NULL) throw new WebFault(400, `failed to lookup indom ${given}`);
  await metadata.refresh();
  const { ids, names } = await instancesNow(call, indom);
  const head = await metadata.kept(`indom ${call.compat ? "_" : ""}${indom}`, () =>
    indomHead(call, indom),
  );
  const facts = await metadata.instances(indom, ids);
  const common = [
    await metadata.labels(PM_LABEL.CONTEXT, 0),
    await metadata.labels(PM_LABEL.DOMAIN, indomDomain(indom)),
  ];
  const plain = labelsText(mergeLabels(common));
  const out = new Out(4096);
  out.text(`{${call.compat ? "" : `${headOf(call)},`}${head?.text ?? ""},"instances":[`);
  const start = out.length;
  for (const [index, id] of ids.entries()) {
    const text = names[index] ?? "";
    if (choice?.(id, text) === false) continue;
    if (out.length > start) out.ascii(",");
    const own = facts.labels.get(id) ?? [];
    const labels = own.length === 0 ? plain : labelsText(mergeLabels([...common, own]));
    out.text(`{"instance":${id >>> 0},"name":${jsonString(text)},"labels":${labels}}`);
  }
  out.ascii("]}\r\n");
  return bytesReply(out.finish());
};

/** Which instances of which domain a profile request is about; without a list: all. */
async function profileTarget(
  call: Call,
): Promise<{ readonly indom: Indom; readonly instances: readonly InstanceId[] }> {
  const { parameters } = call;
  const choice = choiceOf(parameters);
  const name = parameters.get("name");
  const given = parameters.get("indom");
  let indom = PM_INDOM_NULL;
  if (name !== undefined) indom = await indomOfMetric(call, name);
  else if (given !== undefined) {
    indom = indomOf(given);
    if (indom === PM_INDOM_NULL) throw new WebFault(400, "invalid profile parameters");
  }
  if (choice === undefined || indom === PM_INDOM_NULL) return { indom, instances: [] };
  const { ids, names } = await instancesNow(call, indom);
  return { indom, instances: ids.filter((id, index) => choice(id, names[index] ?? "")) };
}

/** /pmapi/profile. */
export const changeProfile: Handler = async (call) => {
  const { parameters, context } = call;
  const expr = parameters.get("expr") ?? "";
  if (expr !== "add" && expr !== "del")
    throw new WebFault(400, `${expr} - invalid 'expr' parameter value`);
  const { indom, instances } = await profileTarget(call);
  try {
    if (expr === "add") context.addProfile(indom, instances);
    else context.deleteProfile(indom, instances);
  } catch (error) {
    throw faultOf(asPcpError(error), `${expr} - `);
  }
  call.metadata.forgetInstances();
  return successReply(call.id);
};
