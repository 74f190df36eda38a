// The metadata of all inputs brought together (spec extract.md 6): one wanted record from each input in
// turn, descriptors checked against those seen before, instances, labels and texts kept by what they
// are about. All conflicts are reported before anything is written; with -x such metrics are dropped.
import { PcpError, PM_ERR, utf8Text } from "../base/mod.ts";
import { decodeDesc, META_TYPE } from "../archive/mod.ts";
import {
  type Desc,
  type Indom,
  PM_INDOM_NULL,
  PM_LABEL,
  PM_SEM,
  type Pmid,
  pmIDStr,
  pmInDomStr,
  pmSemStr,
  pmTypeStr,
  pmUnitsStr,
} from "../pcp/mod.ts";
import { damageText, ExtractStop, PROGRAM } from "./failure.ts";
import { type Input, NO_ENTRIES } from "./inputs.ts";
import { InstanceChain, InstanceRecords } from "./instances.ts";
import { isIndom, isLabels, type MetaContent, metaRecord } from "./records.ts";
import type { SelectedMetrics } from "./selection.ts";
import type { ExtractHooks, ExtractJob } from "./types.ts";

/** A metric of the output. */
export interface Metric {
  readonly desc: Desc;
  readonly names: readonly string[];
  readonly body: Uint8Array;
  written: boolean;
}

/** A label set record. */
export interface LabelEntry {
  readonly sec: number;
  readonly nsec: number;
  readonly body: Uint8Array;
}

/** A help text. */
export interface Text {
  body: Uint8Array;
  written: boolean;
}

/** Level or text type and identifier as one number. */
export const keyOf = (kind: number, ident: number): number => kind * 0x1_0000_0000 + ident;

/** All metadata of a run. */
export interface Metadata {
  readonly metrics: ReadonlyMap<Pmid, Metric>;
  readonly indoms: ReadonlyMap<number, InstanceRecords>;
  /** By keyOf; in the order of 6.1. */
  readonly labels: ReadonlyMap<number, readonly LabelEntry[]>;
  /** By keyOf. */
  readonly texts: ReadonlyMap<number, Text>;
  /** What -x left out, in the order in which it was found. */
  readonly dropped: ReadonlySet<Pmid>;
}

const textOf = (body: Uint8Array): string => {
  const field = body.subarray(8);
  const nul = field.indexOf(0);
  return utf8Text(nul < 0 ? field : field.subarray(0, nul));
};

const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => a === b || Buffer.compare(a, b) === 0;

const shown = (names: readonly string[]): string =>
  names.length === 0 ? "<noname>" : names.join(", ");

const semantics = (sem: number): string =>
  sem === PM_SEM.COUNTER || sem === PM_SEM.INSTANT || sem === PM_SEM.DISCRETE
    ? pmSemStr(sem)
    : `unknown (${sem})`;

const sameNames = (a: readonly string[], b: readonly string[]): boolean =>
  a.length > 0 && a.every((name) => b.includes(name)) && b.every((name) => a.includes(name));

/** What differs between two descriptors of one PMID, as the C program words it. */
function differences(old: Metric, desc: Desc, names: readonly string[]): string[] {
  const found: string[] = [];
  const metric = shown(old.names);
  const say = (what: string, from: string, to: string): void => {
    found.push(`metric ${metric}: ${what} changed from ${from} to ${to}!`);
  };
  if (!sameNames(old.names, names)) {
    const pmid = pmIDStr(desc.pmid);
    found.push(`metric PMID ${pmid}: name changed from ${metric} to ${shown(names)}!`);
  }
  const first = old.desc;
  if (first.type !== desc.type) say("type", pmTypeStr(first.type), pmTypeStr(desc.type));
  if (first.indom !== desc.indom) say("indom", pmInDomStr(first.indom), pmInDomStr(desc.indom));
  if (first.sem !== desc.sem) say("semantics", semantics(first.sem), semantics(desc.sem));
  if (first.units !== desc.units) say("units", pmUnitsStr(first.units), pmUnitsStr(desc.units));
  return found;
}

/** Brings the records together; one is made for each run. */
class Union {
  readonly metrics = new Map<Pmid, Metric>();
  readonly indoms = new Map<number, InstanceRecords>();
  readonly labels = new Map<number, LabelEntry[]>();
  readonly texts = new Map<number, Text>();
  readonly dropped = new Set<Pmid>();
  private readonly byName = new Map<string, Set<Pmid>>();
  private readonly wantedIndoms = new Set<number>();
  private readonly wantedClusters = new Set<number>();
  private readonly said = new Set<string>();
  conflicts = false;

  constructor(
    private readonly job: ExtractJob,
    private readonly say: ExtractHooks["say"],
    private readonly selected: SelectedMetrics | undefined,
  ) {
    for (const [pmid, { indom }] of selected ?? []) {
      if (indom !== PM_INDOM_NULL) this.wantedIndoms.add(indom);
      this.wantedClusters.add((pmid & ~0x3ff) >>> 0);
    }
  }

  /** Whether a record is one of those that take part (spec extract.md 6.2). */
  wants({ type, ident, kind }: MetaContent): boolean {
    if (type === META_TYPE.DESC && this.dropped.has(ident as Pmid)) return false;
    const { selected } = this;
    if (selected === undefined) return true;
    if (type === META_TYPE.DESC) return selected.has(ident as Pmid);
    if (isIndom(type)) return this.wantedIndoms.has(ident);
    if (isLabels(type)) return this.wantsLabels(kind, ident, selected);
    if ((kind & 4) !== 0) return selected.has(ident as Pmid);
    if ((kind & 8) !== 0) return this.wantedIndoms.has(ident);
    return this.refuse(`invalid text type: ${kind}`);
  }

  private wantsLabels(kind: number, ident: number, selected: SelectedMetrics): boolean {
    if (kind === PM_LABEL.CONTEXT) return true;
    // The C program takes the domain number for a PMID, whose domain is then 0.
    if (kind === PM_LABEL.DOMAIN) return false;
    if (kind === PM_LABEL.CLUSTER) return this.wantedClusters.has((ident & ~0x3ff) >>> 0);
    if (kind === PM_LABEL.ITEM) return selected.has(ident as Pmid);
    if (kind === PM_LABEL.INDOM || kind === PM_LABEL.INSTANCES) return this.wantedIndoms.has(ident);
    return this.refuse(`invalid label set type: ${kind}`);
  }

  private refuse(text: string): never {
    this.say(`${PROGRAM}: Error: ${text}\n`, "stderr");
    throw new ExtractStop(1, true);
  }

  take(content: MetaContent, sec: number, nsec: number, chains: Map<number, InstanceChain>): void {
    const { type, ident, kind, body } = content;
    if (type === META_TYPE.DESC) this.takeDesc(content);
    else if (type === META_TYPE.TEXT) this.takeText(content);
    else if (isLabels(type)) {
      const key = keyOf(kind, ident);
      const list = this.labels.get(key);
      if (list === undefined) this.labels.set(key, [{ sec, nsec, body }]);
      else list.push({ sec, nsec, body });
    } else {
      let chain = chains.get(ident);
      if (chain === undefined) chains.set(ident, (chain = new InstanceChain()));
      let records = this.indoms.get(ident);
      if (records === undefined) this.indoms.set(ident, (records = new InstanceRecords(ident)));
      const index = chain.add(content);
      const delta = type === META_TYPE.INDOM_DELTA;
      records.add({ sec, nsec, chain, index, body, delta, written: false });
    }
  }

  private conflict(texts: readonly string[], pmid: Pmid): void {
    this.conflicts = true;
    const skip = this.job.skipConflicts === true;
    for (const text of texts) {
      // Many inputs may have the same conflict.
      if (!skip && this.said.has(text)) continue;
      this.said.add(text);
      this.say(`${PROGRAM}: ${skip ? "Warning" : "Error"}: ${text}\n`, "stderr");
      if (!skip && this.job.firstConflictOnly === true) throw new ExtractStop(1, true);
    }
    if (skip) this.dropped.add(pmid);
  }

  private takeDesc({ ident, body }: MetaContent): void {
    const pmid = ident as Pmid;
    const known = this.metrics.get(pmid);
    if (known !== undefined && !this.conflicts && equalBytes(known.body, body)) return;
    const record = decodeDesc(metaRecord(3, META_TYPE.DESC, body, { sec: 0, nsec: 0 }));
    const { desc } = record;
    // Some old writers padded names; a name ends at its first NUL.
    const names = record.names.map((name) => name.split("\0", 1)[0] ?? "");
    const others = new Set<Pmid>();
    for (const name of names) {
      for (const other of this.byName.get(name) ?? []) if (other !== pmid) others.add(other);
    }
    for (const other of others) {
      const old = this.metrics.get(other) as Metric;
      const change = `${pmIDStr(other)} to ${pmIDStr(pmid)}`;
      this.conflict([`metric ${shown(old.names)}: PMID changed from ${change}!`], other);
    }
    if (known !== undefined) {
      const found = differences(known, desc, names);
      if (found.length > 0) this.conflict(found, pmid);
      return;
    }
    this.metrics.set(pmid, { desc, names, body, written: false });
    for (const name of names) {
      const holders = this.byName.get(name);
      if (holders === undefined) this.byName.set(name, new Set([pmid]));
      else holders.add(pmid);
    }
  }

  private takeText({ kind, ident, body }: MetaContent): void {
    const key = keyOf(kind, ident);
    const known = this.texts.get(key);
    if (known === undefined) {
      this.texts.set(key, { body, written: false });
      return;
    }
    if (equalBytes(known.body, body)) return;
    const [from, to] = [textOf(known.body), textOf(body)];
    if (from !== to) {
      const about =
        (kind & 4) !== 0
          ? `metric PMID ${pmIDStr(ident as Pmid)}`
          : `instance domain ${pmInDomStr(ident as Indom)}`;
      const change =
        (kind & 1) !== 0
          ? `one line text changed from\n  "${from}" to\n  "${to}"!`
          : "help text changed!";
      this.say(`${PROGRAM}: Warning: ${about} ${change}\n`, "stderr");
    }
    known.body = body;
  }
}

/** A record that is cut in its head ends the metadata without an error on opening, and here with one. */
function refuseCut({ name, metaCut }: Input, say: ExtractHooks["say"]): void {
  if (metaCut === undefined) return;
  const text = damageText(`pmaGetLog[meta ${name}]`, new PcpError(PM_ERR.LOGREC), metaCut, metaCut);
  say(text, "stderr");
  throw new ExtractStop(1, true);
}

/** How far the metadata of an input are taken. */
interface Walk {
  readonly input: Input;
  at: number;
  readonly chains: Map<number, InstanceChain>;
}

/**
 * Reads the metadata of all inputs in turns. Throws ExtractStop after its messages when metrics are
 * in conflict and `skipConflicts` is not asked for.
 */
export function uniteMetadata(
  job: ExtractJob,
  { say }: ExtractHooks,
  inputs: readonly Input[],
  selected: SelectedMetrics | undefined,
): Metadata {
  const union = new Union(job, say, selected);
  const walks: Walk[] = [];
  for (const input of inputs) {
    const shared = input.sharedWith === undefined ? undefined : walks[input.sharedWith];
    walks.push(shared ?? { input, at: 0, chains: new Map() });
  }
  const take = (walk: Walk): void => {
    const { contents, seconds, nanoseconds } = walk.input.entries;
    while (walk.at < contents.length) {
      const at = walk.at++;
      const content = contents[at] as MetaContent;
      if (!union.wants(content)) continue;
      union.take(content, seconds[at] as number, nanoseconds[at] as number, walk.chains);
      return;
    }
  };
  for (let left = walks; left.length > 0;) {
    for (const walk of left) take(walk);
    left = left.filter(({ at, input }) => at < input.entries.contents.length);
  }
  for (const { input } of walks) refuseCut(input, say);
  // The lists are no longer needed; what they held is in the union.
  for (const input of inputs) input.entries = NO_ENTRIES;
  if (union.conflicts && job.skipConflicts !== true) throw new ExtractStop(1, true);
  if (union.dropped.size > 0) {
    const list = [...union.dropped].map((pmid) => `\tPMID: ${pmIDStr(pmid)}\n`).join("");
    say(`Warning: the metrics below will be missing from the output archive\n${list}`, "stderr");
  }
  return union;
}
