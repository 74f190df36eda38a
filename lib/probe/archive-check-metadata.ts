// What is wrong in metadata that hold by themselves: descriptors that contradict themselves, records of
// another version, entries of the index that lead nowhere, a missing index. Refuses nothing.
import type { Archive, Catalog, IndexEntry } from "../archive/mod.ts";
import {
  type Desc,
  DYNAMIC_DOMAIN,
  indomDomain,
  PM_INDOM_NULL,
  PM_SEM,
  PM_SPACE,
  PM_TIME,
  PM_TYPE,
  pmIDStr,
  pmidDomain,
  pmInDomStr,
  unitsFields,
} from "../pcp/mod.ts";
import { type Findings, FINDINGS } from "./archive-findings.ts";
import { entryFaults, indexCheck, timestampText } from "./archive-index.ts";
import type { DamageList } from "./archive-damage.ts";
import type { Opened } from "./archive-open.ts";
import type { ArchiveFileReport } from "./archive-types.ts";

const TYPES: ReadonlySet<number> = new Set(Object.values(PM_TYPE));
const SEMANTICS: ReadonlySet<number> = new Set(Object.values(PM_SEM));

/** What is wrong or odd with a descriptor: its sort and a clause each. */
function* descFaults({ pmid, type, indom, sem, units }: Desc): Generator<[string, string]> {
  const { DESCRIPTOR, ODD_DESCRIPTOR } = FINDINGS;
  if (!TYPES.has(type)) yield [DESCRIPTOR, `type ${type} is not known`];
  if (type !== PM_TYPE.NOSUPPORT && !SEMANTICS.has(sem)) {
    yield [DESCRIPTOR, `semantics ${sem} are not known`];
  }
  // Metrics that are derived, or known to their agent alone, may be over any domain.
  const own = pmidDomain(pmid) === DYNAMIC_DOMAIN || indomDomain(indom) === pmidDomain(pmid);
  if (indom !== PM_INDOM_NULL && !own) {
    yield [ODD_DESCRIPTOR, `instance domain ${pmInDomStr(indom)} of another agent`];
  }
  const { dimSpace, dimTime, dimCount, scaleSpace, scaleTime, scaleCount } = unitsFields(units);
  for (const [what, dimension, scale, most] of [
    ["space", dimSpace, scaleSpace, PM_SPACE.YBYTE],
    ["time", dimTime, scaleTime, PM_TIME.HOUR],
    ["count", dimCount, scaleCount, Number.POSITIVE_INFINITY],
  ] as const) {
    if (dimension === 0 && scale !== 0) {
      yield [ODD_DESCRIPTOR, `scale ${scale} of ${what} without the dimension`];
    }
    if (scale > most) yield [DESCRIPTOR, `scale ${scale} of ${what} is not known`];
  }
}

function checkDescriptors(findings: Findings, catalog: Catalog, path: string): void {
  for (const desc of catalog.descs.values()) {
    const [name] = catalog.names.namesOf(desc.pmid);
    const id = pmIDStr(desc.pmid);
    if (name === undefined) {
      findings.add(FINDINGS.NO_NAME, path, null, null, `${id} has a descriptor and no name`);
    }
    for (const [sort, fault] of descFaults(desc)) {
      findings.add(sort, path, null, null, `${id} (${name ?? "???"}): ${fault}`);
    }
  }
}

/** Checks the metadata of an archive that opens. */
export function checkMetadata(findings: Findings, { files, frames, catalog }: Opened): void {
  const meta = files.find(({ kind }) => kind === "metadata");
  const version = meta?.label?.version;
  for (const { offset, type } of frames.versioned.get(version === 2 ? 3 : 2) ?? []) {
    const message = `record of type ${type} in an archive of version ${version}`;
    findings.add(FINDINGS.RECORD_TYPE, meta?.path ?? "", offset, null, message);
  }
  checkDescriptors(findings, catalog, meta?.path ?? "");
}

/** Checks the index of an archive that opens. That of a growing one may be ahead of its volumes. */
export function checkIndex(findings: Findings, { files, index, growing }: Archive): void {
  const path = files.index;
  if (path === undefined) {
    findings.add(FINDINGS.NO_INDEX, files.base, null, null, "there is no temporal index");
    return;
  }
  const check = indexCheck(files, timestampText);
  let before: IndexEntry | undefined;
  for (let i = 0; i < (index?.count ?? 0); i++) {
    const entry = index?.entry(i);
    if (entry === undefined) return;
    for (const { sort, text } of entryFaults(check, before, entry)) {
      if (growing && sort === FINDINGS.INDEX_PLACE) continue;
      const message = `entry ${i + 1}: ${text.replace(/^(?:Error|Warning): /, "")}`;
      findings.add(sort, path, i, entry.timestamp, message);
    }
    before = entry;
  }
}

/** Checks that files end with a whole record; where they do not because of damage, that tells it. */
export function checkEnds(
  findings: Findings,
  files: readonly ArchiveFileReport[],
  damage: DamageList,
): void {
  for (const { path, kind, incompleteBytes: bytes } of files) {
    if (bytes === 0 || damage.first.some(({ file }) => file === path)) continue;
    const what = kind === "index" ? "entry" : "record";
    const message = `${bytes} bytes at the end are no whole ${what}`;
    findings.add(FINDINGS.INCOMPLETE, path, null, null, message);
  }
}
