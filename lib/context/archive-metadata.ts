// Lookups of metadata over archives (spec archive.md 7): names, descriptors, instances, texts and
// labels, as the PMAPI calls of the same names answer them. What depends on time is that of the
// origin given. Refused with PCP's codes: whatever the archive does not have.
import { type Instances, PM_TEXT } from "../archive/mod.ts";
import { PM_ERR, PcpError } from "../base/mod.ts";
import {
  type Desc,
  type Indom,
  type InstanceId,
  namesFrom,
  NO_DESC,
  PM_ID_NULL,
  PM_INDOM_NULL,
  PM_LABEL,
  PM_SEM,
  PM_TYPE,
  parseLabels,
  type Pmid,
  pmidBuild,
  pmIDStr,
  pmInDomStr,
  type Timestamp,
} from "../pcp/mod.ts";
import type { Children, NameLookup, TextSubject } from "../pdu/mod.ts";
import type { SharedArchive } from "./archive-shared.ts";
import type { ContextLabelSet } from "./types.ts";

/** Metrics that libpcp adds to every archive, for decoding events. */
const EXTRA: readonly (readonly [string, Desc])[] = (["flags", "missed"] as const).map(
  (word, i) => [
    `event.${word}`,
    {
      pmid: pmidBuild(511, 0, i + 1),
      type: PM_TYPE.U32,
      indom: PM_INDOM_NULL,
      sem: PM_SEM.DISCRETE,
      units: 0,
    },
  ],
);
const EXTRA_NAMES = namesFrom(EXTRA.map(([name, { pmid }]) => ({ name, pmid })));
const EXTRA_DESCS: ReadonlyMap<Pmid, Desc> = new Map(EXTRA.map(([, desc]) => [desc.pmid, desc]));

/** The PMID of a name: PM_ERR_NAME, PM_ERR_NONLEAF. */
function lookupName({ set }: SharedArchive, name: string): Pmid {
  const known = set.catalog.names.find(name) === undefined ? EXTRA_NAMES : set.catalog.names;
  return known.lookup(name);
}

/** pmLookupName. */
export function lookupNames(shared: SharedArchive, names: readonly string[]): NameLookup {
  const [first] = names;
  if (first === undefined) throw new PcpError(PM_ERR.TOOSMALL, "no names to look up");
  if (names.length === 1) return { pmids: [lookupName(shared, first)], resolved: 1 };
  let resolved = 0;
  const pmids = names.map((name) => {
    const pmid = shared.set.catalog.names.find(name)?.pmid ?? EXTRA_NAMES.find(name)?.pmid;
    if (pmid !== undefined) resolved++;
    return pmid ?? PM_ID_NULL;
  });
  return { pmids, resolved };
}

/** pmNameAll. */
export function namesOf(shared: SharedArchive, pmid: Pmid): readonly string[] {
  const names = shared.namesOf(pmid);
  const found = names.length > 0 ? names : EXTRA_NAMES.namesOf(pmid);
  if (found.length === 0) throw new PcpError(PM_ERR.PMID, `${pmIDStr(pmid)} has no name`);
  return found;
}

/** pmGetChildrenStatus. */
export function children({ set: { catalog } }: SharedArchive, name: string): Children {
  const inArchive = catalog.names.find(name);
  const inExtra = EXTRA_NAMES.find(name);
  const found =
    inArchive === undefined && inExtra !== undefined ? [] : catalog.names.children(name);
  // A metric of the archive has nothing below it, whatever its name.
  if (inExtra !== undefined && inArchive?.pmid === undefined) {
    for (const child of EXTRA_NAMES.children(name)) {
      if (inArchive?.children.has(child.name) !== true) found.push(child);
    }
  }
  return {
    names: found.map((child) => child.name),
    statuses: found.map((child) => (child.leaf ? 0 : 1)),
  };
}

/** pmTraversePMNS. */
export function traverse({ set: { catalog } }: SharedArchive, name: string): readonly string[] {
  const names: string[] = [];
  const inArchive = catalog.names.find(name);
  const inExtra = EXTRA_NAMES.find(name);
  if (inArchive !== undefined || inExtra === undefined) {
    for (const each of catalog.names.traverse(name)) names.push(each.name);
  }
  if (inExtra !== undefined) {
    for (const each of EXTRA_NAMES.traverse(name)) {
      if (catalog.names.find(each.name) === undefined) names.push(each.name);
    }
  }
  return names;
}

/** The descriptor of a metric, undefined for an unknown one. */
export const findDesc = ({ set }: SharedArchive, pmid: Pmid): Desc | undefined =>
  set.catalog.descs.get(pmid) ?? EXTRA_DESCS.get(pmid);

/** pmLookupDesc. */
export function lookupDesc(shared: SharedArchive, pmid: Pmid): Desc {
  const desc = findDesc(shared, pmid);
  if (desc !== undefined) return desc;
  throw new PcpError(PM_ERR.PMID_LOG, `${pmIDStr(pmid)} is not in the archive`);
}

/** pmLookupDescs. */
export function lookupDescs(shared: SharedArchive, pmids: readonly Pmid[]): readonly Desc[] {
  const [first] = pmids;
  if (first === undefined) throw new PcpError(PM_ERR.TOOSMALL, "no descriptors to look up");
  if (pmids.length === 1) return [lookupDesc(shared, first)];
  return pmids.map((pmid) => findDesc(shared, pmid) ?? NO_DESC);
}

function refuseNull(indom: Indom): void {
  if (indom === PM_INDOM_NULL) {
    throw new PcpError(PM_ERR.INDOM, "PM_INDOM_NULL has no instances");
  }
}

const noIndom = (indom: Indom, when: string): PcpError =>
  new PcpError(
    PM_ERR.INDOM_LOG,
    `instance domain ${pmInDomStr(indom)} is not in the archive${when}`,
  );

const noInstance = (indom: Indom, what: string): PcpError =>
  new PcpError(PM_ERR.INST_LOG, `instance domain ${pmInDomStr(indom)} has no instance ${what}`);

/** pmGetInDom at a time. */
export function instancesAt({ set }: SharedArchive, indom: Indom, time: Timestamp): Instances {
  refuseNull(indom);
  const found = set.catalog.indoms.get(indom)?.at(time);
  if (found === undefined) throw noIndom(indom, " yet");
  return found;
}

/** pmGetInDomArchive. */
export function archiveInstances(shared: SharedArchive, indom: Indom): Instances {
  refuseNull(indom);
  const found = shared.union(indom);
  if (found === undefined) throw noIndom(indom, "");
  return found;
}

/** pmNameInDom, pmNameInDomArchive: the name in the instances found. */
export function nameIn(indom: Indom, { ids, names }: Instances, instance: InstanceId): string {
  const name = names[ids.indexOf(instance)];
  if (name === undefined) throw noInstance(indom, String(instance));
  return name;
}

/** An equal name, else one whose first word the given one begins with; -1 for none. */
function match({ names }: Instances, name: string): number {
  const equal = names.indexOf(name);
  if (equal >= 0) return equal;
  return names.findIndex((each) => {
    const space = each.indexOf(" ");
    return space >= 0 && name.startsWith(each.slice(0, space));
  });
}

/** pmLookupInDom: the instance of a name among those found. */
export function instanceIn(indom: Indom, found: Instances, name: string): InstanceId {
  const instance = found.ids[match(found, name)];
  if (instance === undefined) throw noInstance(indom, `"${name}"`);
  return instance;
}

/** pmLookupInDomArchive: the newest instances come first. */
export function archiveInstance({ set }: SharedArchive, indom: Indom, name: string): InstanceId {
  refuseNull(indom);
  const history = set.catalog.indoms.get(indom);
  if (history === undefined) throw noIndom(indom, "");
  for (const found of history.newestFirst()) {
    const instance = found.ids[match(found, name)];
    if (instance !== undefined) return instance;
  }
  throw noInstance(indom, `"${name}"`);
}

/** pmLookupText, pmLookupInDomText. */
export function lookupText(
  { set: { catalog } }: SharedArchive,
  subject: TextSubject,
  ident: Pmid | Indom,
  level: "oneline" | "help",
  direct: boolean,
): string {
  const about = subject === "metric" ? PM_TEXT.PMID : PM_TEXT.INDOM;
  const wanted = (level === "oneline" ? PM_TEXT.ONELINE : PM_TEXT.HELP) | about;
  const oneLine = PM_TEXT.ONELINE | about;
  for (let type = wanted; ; type = oneLine) {
    const text = catalog.text(type, ident);
    if (text !== undefined) return text;
    const what = `${type === oneLine ? "one-line" : "help"} text of any ${subject}`;
    if (!catalog.hasTexts(type)) throw new PcpError(PM_ERR.NOTHOST, `no ${what} in the archive`);
    if (direct || type === oneLine) break;
  }
  const name = subject === "metric" ? pmIDStr(ident as Pmid) : pmInDomStr(ident as Indom);
  throw new PcpError(PM_ERR.TEXT, `no ${level} text of ${subject} ${name}`);
}

/** Labels of one level and identifier at a time. `host` is that of the archive being read. */
export function labelsAt(
  { set: { catalog } }: SharedArchive,
  level: number,
  ident: number,
  time: Timestamp,
  host: string,
): readonly ContextLabelSet[] {
  const context = level === PM_LABEL.CONTEXT;
  const key = context ? PM_INDOM_NULL : ident;
  const found = catalog.labelsAt(level, key, time);
  if (found !== undefined) return found;
  if (!context) return [];
  // pmlogger files them under no identifier, the import library under identifier 0.
  for (const each of catalog.labelKeys())
    if (each.type === PM_LABEL.CONTEXT) return catalog.labelsAt(level, each.ident, time) ?? [];
  return [{ ...parseLabels(JSON.stringify({ hostname: host }), PM_LABEL.CONTEXT), error: 0 }];
}
