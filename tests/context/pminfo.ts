// What pminfo(1) prints about metrics, made from a context: the same text where the context gives the
// same answers.
import { PcpError, PM_ERR, pmErrStr } from "../../lib/base/mod.ts";
import type { Context } from "../../lib/context/mod.ts";
import {
  type Desc,
  type Label,
  labelsOf,
  labelsText,
  mergeLabels,
  PM_INDOM_NULL,
  PM_LABEL,
  pmDescStr,
  pmIDStr,
  pmInDomStr,
  type Pmid,
  pmidDomain,
  PM_TYPE,
  pmPrintValue,
  type ValueSet,
} from "../../lib/pcp/mod.ts";
import type { FetchReply } from "../../lib/pdu/mod.ts";

/** The answer, or the error in its place. */
async function orError<T>(answer: Promise<T>): Promise<T | PcpError> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof PcpError) return error;
    throw error;
  }
}

/** Labels of one level that are of the identifier itself. */
async function labelsAt(context: Context, level: number, ident: number): Promise<readonly Label[]> {
  const sets = await orError(context.labels(level, ident));
  return sets instanceof PcpError ? [] : sets.flatMap((set) => labelsOf(set));
}

async function labelLines(context: Context, pmid: Pmid, desc: Desc): Promise<string> {
  const levels = [
    await labelsAt(context, PM_LABEL.CONTEXT, 0),
    await labelsAt(context, PM_LABEL.DOMAIN, pmidDomain(pmid)),
    desc.indom === PM_INDOM_NULL ? [] : await labelsAt(context, PM_LABEL.INDOM, desc.indom),
    await labelsAt(context, PM_LABEL.CLUSTER, pmid),
    await labelsAt(context, PM_LABEL.ITEM, pmid),
  ];
  let text = `    labels ${labelsText(mergeLabels(levels))}\n`;
  if (desc.indom === PM_INDOM_NULL) return text;
  const sets = await orError(context.labels(PM_LABEL.INSTANCES, desc.indom));
  const { ids, names } = await context.instances(desc.indom);
  for (const [i, instance] of ids.entries()) {
    const set =
      sets instanceof PcpError ? undefined : sets.find((one) => one.instance === instance);
    const merged = mergeLabels(set === undefined ? levels : [...levels, labelsOf(set)]);
    text += `    inst [${instance} or "${names[i]}"] labels ${labelsText(merged)}\n`;
  }
  return text;
}

/** As pmPrintDesc, but pminfo has both lines also for a type that is not supported. */
export const descLines = (desc: Desc): string =>
  desc.type === PM_TYPE.NOSUPPORT
    ? pmDescStr({ ...desc, type: PM_TYPE.I32 }).replace("32-bit int", "Not Supported")
    : pmDescStr(desc);

/** One block of `pminfo -dmtTl`. */
export async function describeMetric(context: Context, name: string): Promise<string> {
  const { pmids } = await context.lookupNames([name]);
  const pmid = pmids[0] as Pmid;
  const desc = await orError(context.desc(pmid));
  if (desc instanceof PcpError) return `${name}: pmLookupDesc: ${pmErrStr(desc.code)}\n`;
  const line = await orError(context.text("metric", pmid, "oneline"));
  const help = await orError(context.text("metric", pmid, "help"));
  const [labels = "", ...instances] = (await labelLines(context, pmid, desc)).split(/(?<=\n)/);
  const title =
    line instanceof PcpError ? ` One-line Help: Error: ${pmErrStr(line.code)}` : ` [${line}]`;
  const long =
    help instanceof PcpError ? `Full Help: Error: ${pmErrStr(help.code)}` : `Help:\n${help}`;
  return [
    `\n${name} PMID: ${pmIDStr(pmid)}${title}\n`,
    descLines(desc),
    labels,
    `${long}\n`,
    ...instances,
  ].join("");
}

async function valueLines(context: Context, desc: Desc, set: ValueSet): Promise<string> {
  if (set.numval < 0) return `Error: ${pmErrStr(set.numval)}\n`;
  if (set.numval === 0) return "No value(s) available!\n";
  let text = "";
  for (let i = 0; i < set.numval; i++) {
    if (desc.indom !== PM_INDOM_NULL) {
      const instance = set.instance(i);
      const name = await orError(context.instanceName(desc.indom, instance));
      if (name instanceof PcpError) {
        const where = `indom=${pmInDomStr(desc.indom)} inst=${instance}`;
        text += `pmNameIndom: ${where}: ${pmErrStr(name.code)}\n    inst [${instance}]`;
      } else text += `    inst [${instance} or "${name}"]`;
    } else text += "   ";
    text += ` value ${pmPrintValue(set, i, desc.type, 1)}\n`;
  }
  return text;
}

/**
 * One block of `pminfo -f` for each metric that has a descriptor, all from one fetch, which may have
 * been made already.
 */
export async function showValues(
  context: Context,
  names: readonly string[],
  fetched?: FetchReply,
): Promise<ReadonlyMap<string, string>> {
  const { pmids } = await context.lookupNames(names);
  const descs = await context.descs(pmids);
  const { result } = fetched ?? (await context.fetch(pmids));
  const found = new Map<string, string>();
  const set = result.sets();
  for (let at = 0; set.next(); at++) {
    const [name, desc] = [names[at] as string, descs[at] as Desc];
    if (desc.pmid !== set.pmid) found.set(name, `Error: ${pmErrStr(PM_ERR.PMID)}`);
    else found.set(name, await valueLines(context, desc, set));
  }
  return found;
}

/** Output of pminfo as blocks by the name of the metric; names must be known, as helps hold any text. */
export function blocks(output: string, names: readonly string[]): Map<string, string> {
  const known = new Set(names);
  const found = new Map<string, string>();
  let name = "";
  for (const line of output.split(/(?<=\n)/)) {
    const first = /^([^ :\n]+)(?: PMID: | \[|:| One-line Help: |\n)/.exec(line)?.[1] ?? "";
    if (known.has(first) && !found.has(first)) name = first;
    if (name !== "") found.set(name, (found.get(name) ?? "") + line);
  }
  return found;
}
