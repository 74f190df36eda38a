// Metadata of an archive as discovery knows them (spec series.md 3.4, 5.3): records in the order in which
// they were written, whatever their times. Identifiers of instances are fixed when their record is read,
// with the labels known then; labels of clusters are filed where PCP files them, so that identifiers are
// the same. Refuses what decoding a record refuses.
import {
  decodeDesc,
  decodeIndom,
  decodeLabelSets,
  META_TYPE,
  type RecordPlace,
} from "../archive/mod.ts";
import { utf8Text } from "../base/mod.ts";
import {
  type Indom,
  type InstanceId,
  type Label,
  labelsOf,
  PM_LABEL,
  type Pmid,
} from "../pcp/mod.ts";
import type { KnownInstance, KnownMetadata } from "../keyserver/mod.ts";
import { identityLabels, sourceId } from "../series/mod.ts";
import type { Exclusions } from "./exclusions.ts";

/** What a source is called by: its labels, and their text as it was recorded. */
export interface SourceLabels {
  readonly labels: readonly Label[];
  readonly json: string;
}

/** Where an archive has no labels. */
export const hostLabels = (host: string): SourceLabels => ({
  labels: [{ name: "hostname", value: `"${host}"`, flags: PM_LABEL.CONTEXT }],
  json: `{"hostname":"${host}"}`,
});

/** Metadata of one archive, record by record. */
export interface ReadMetadata {
  /** Of the source as it is now; another object after a record that made it another source. */
  readonly known: KnownMetadata;
  /** Whether values of a metric are left out. */
  excluded(pmid: Pmid): boolean;
  /** How many metrics are left out. */
  readonly excludedMetrics: number;
  /** Reads a whole record whose frame was checked; true when the source is another one now. */
  read(type: number, bytes: Uint8Array, place: RecordPlace): boolean;
}

const NONE: readonly Label[] = [];
const ITEMS = 1024;

/** Level and identifier as one number. */
const keyOf = (type: number, ident: number): number => type * 0x1_0000_0000 + (ident >>> 0);

/**
 * Where PCP files the labels of a cluster: it takes the number of the cluster for one of an item and
 * files them at the cluster of that.
 */
function clusterPlace(ident: number): number {
  const cluster = (ident >>> 10) & 0xfff;
  return ((ident & 0xffc0_0000) | (Math.floor(cluster / ITEMS) << 10)) >>> 0;
}

/** Labels and instances of one source. */
function sourceMetadata({ labels, json }: SourceLabels) {
  const sets = new Map<number, readonly Label[]>();
  const domains = new Map<
    Indom,
    Map<InstanceId, { name: string; identity: string; own: readonly Label[] | undefined }>
  >();
  const known: KnownMetadata = {
    labels,
    source: sourceId(json),
    find: (type, ident) => sets.get(keyOf(type, ident)),
    instance: (indom, inst): KnownInstance | undefined => domains.get(indom)?.get(inst),
  };
  return { known, sets, domains };
}

/** Metadata without any record. */
export function readMetadata(first: SourceLabels, left: Exclusions): ReadMetadata {
  let source = sourceMetadata(first);
  const excluded = new Set<Pmid>();
  /** Instances that are there now, by what changed as well: another source is told of all of them. */
  const present = new Map<Indom, Map<InstanceId, string>>();

  const readIndom = (bytes: Uint8Array, place: RecordPlace): void => {
    const { indom, delta, instances } = decodeIndom(bytes, place);
    if (left.indom(indom) || instances.length === 0) return;
    const all = (delta ? present.get(indom) : undefined) ?? new Map<InstanceId, string>();
    present.set(indom, all);
    for (const { inst, name } of instances)
      if (name === undefined) all.delete(inst);
      else all.set(inst, name);
    const { known, sets, domains } = source;
    const domain = domains.get(indom) ?? new Map();
    domains.set(indom, domain);
    let identity: string | undefined;
    for (const [inst, name] of all) {
      if (domain.get(inst)?.name === name) continue;
      identity ??= identityLabels([
        known.labels,
        sets.get(keyOf(PM_LABEL.DOMAIN, indom >>> 22)) ?? NONE,
        sets.get(keyOf(PM_LABEL.INDOM, indom)) ?? NONE,
      ]);
      domain.set(inst, { name, identity, own: undefined });
    }
  };

  const readLabels = (bytes: Uint8Array, place: RecordPlace): boolean => {
    const { type, ident, sets } = decodeLabelSets(bytes, place);
    if (type === PM_LABEL.INSTANCES) {
      const domain = source.domains.get(ident as Indom);
      for (const set of sets) {
        const instance = domain?.get(set.instance);
        if (instance !== undefined && set.error >= 0) instance.own = labelsOf(set);
      }
      return false;
    }
    const labels = sets.flatMap((set) => (set.error < 0 ? [] : labelsOf(set)));
    if (type !== PM_LABEL.CONTEXT) {
      const at = type === PM_LABEL.CLUSTER ? clusterPlace(ident) : ident;
      source.sets.set(keyOf(type, at), labels);
      return false;
    }
    const [set] = sets;
    if (set === undefined || set.error < 0) return false;
    const next = sourceMetadata({ labels, json: utf8Text(set.json) });
    if (next.known.source === source.known.source) return false;
    source = next;
    return true;
  };

  return {
    get known() {
      return source.known;
    },
    excluded: (pmid) => excluded.has(pmid),
    get excludedMetrics() {
      return excluded.size;
    },
    read(type, bytes, place) {
      switch (type) {
        case META_TYPE.DESC: {
          const { desc, names } = decodeDesc(bytes, place);
          if (names.some(left.metric)) excluded.add(desc.pmid);
          return false;
        }
        case META_TYPE.INDOM_V2:
        case META_TYPE.INDOM:
        case META_TYPE.INDOM_DELTA:
          readIndom(bytes, place);
          return false;
        case META_TYPE.LABEL_V2:
        case META_TYPE.LABEL:
          return readLabels(bytes, place);
        default:
          return false;
      }
    },
  };
}
