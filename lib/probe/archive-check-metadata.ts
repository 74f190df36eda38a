// What is wrong in metadata that hold by themselves: descriptors that contradict themselves, records of
// another version, entries of the index that lead nowhere, a missing index. Refuses nothing.
import type { Catalog } from "../archive/mod.ts";
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
import { type Checker, FINDINGS } from "./archive-check.ts";
import { entryFaults, indexCheck } from "./archive-index.ts";
import type { Opened } from "./archive-open.ts";

const TYPES: ReadonlySet<number> = new Set(Object.values(PM_TYPE));
const SEMANTICS: ReadonlySet<number> = new Set(Object.values(PM_SEM));

/** What is wrong with a descriptor, a clause each. */
function* descFaults({ pmid, type, indom, sem, units }: Desc): Generator<string> {
  if (!TYPES.has(type)) yield `type ${type} is not known`;
  if (type !== PM_TYPE.NOSUPPORT && !SEMANTICS.has(sem)) yield `semantics ${sem} are not known`;
  // Metrics that are derived, or known to their agent alone, may be over any domain.
  const own = pmidDomain(pmid) === DYNAMIC_DOMAIN || indomDomain(indom) === pmidDomain(pmid);
  if (indom !== PM_INDOM_NULL && !own)
    yield `instance domain ${pmInDomStr(indom)} of another agent`;
  const { dimSpace, dimTime, dimCount, scaleSpace, scaleTime, scaleCount } = unitsFields(units);
  for (const [what, dimension, scale, most] of [
    ["space", dimSpace, scaleSpace, PM_SPACE.YBYTE],
    ["time", dimTime, scaleTime, PM_TIME.HOUR],
    ["count", dimCount, scaleCount, Number.POSITIVE_INFINITY],
  ] as const) {
    if (dimension === 0 && scale !== 0) yield `scale ${scale} of ${what} without the dimension`;
    if (scale > most) yield `scale ${scale} of ${what} is not known`;
  }
}

function checkDescriptors(checker: Checker, catalog: Catalog, path: string): void {
  for (const desc of catalog.descs.values()) {
    for (const fault of descFaults(desc)) {
      const [name = "???"] = catalog.names.namesOf(desc.pmid);
      const message = `${pmIDStr(desc.pmid)} (${name}): ${fault}`;
      checker.find(FINDINGS.DESCRIPTOR, path, null, null, message);
    }
  }
}

/** Checks the metadata and the index of an archive that opens. */
export function checkMetadata(checker: Checker, { files, frames, archive, catalog }: Opened): void {
  const meta = files.find(({ kind }) => kind === "metadata");
  const version = meta?.label?.version;
  for (const { offset, type } of frames.versioned.get(version === 2 ? 3 : 2) ?? []) {
    const message = `record of type ${type} in an archive of version ${version}`;
    checker.find(FINDINGS.RECORD_TYPE, meta?.path ?? "", offset, null, message);
  }
  checkDescriptors(checker, catalog, meta?.path ?? "");
  if (archive === undefined) return;
  const path = archive.files.index;
  if (path === undefined) {
    checker.find(FINDINGS.NO_INDEX, archive.files.base, null, null, "there is no temporal index");
    return;
  }
  const { index } = archive;
  const check = indexCheck(archive.files, ({ sec, nsec }) => `${sec}.${nsec}`);
  for (let i = 0; i < (index?.count ?? 0); i++) {
    const entry = index?.entry(i);
    if (entry === undefined) return;
    const before = i === 0 ? undefined : index?.entry(i - 1);
    for (const { sort, text } of entryFaults(check, before, entry)) {
      checker.find(sort, path, i, entry.timestamp, `entry ${i}: ${text}`);
    }
  }
}
