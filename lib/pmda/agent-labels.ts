// Label sets of agents written here (pmdaLabel, spec pmda.md 7.7): what authors wrote as canonical
// JSON with its index, one set for an identifier, or one for each instance that the profile wants.
// Refuses texts that are no labels, where they are asked for, as a logged error of that set.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { asPcpError, PcpError } from "../base/mod.ts";
import {
  type Indom,
  type InstanceId,
  type Label,
  labelsOf,
  type LabelSet,
  mergeLabels,
  parseLabels,
  PM_IN_NULL,
  PM_LABEL,
  pmidCluster,
  type Pmid,
  pmInDomStr,
} from "../pcp/mod.ts";
import type { AgentDefinition, AgentSetting, LabelObject } from "./define.ts";
import { type IndomEntry, instancesOf, type Tables } from "./tables.ts";
import type { AgentLabelSet, Awaitable, Caller } from "./types.ts";

/** Names to JSON values, or to more names. */
type Tree = Map<string, string | Tree>;

/** JSON text, sorted by name at every level and without blanks. */
function treeText(tree: Tree): string {
  const members = [...tree].sort(([a], [b]) => (a < b ? -1 : Number(a > b)));
  const texts = members.map(
    ([name, value]) => `"${name}":${typeof value === "string" ? value : treeText(value)}`,
  );
  return `{${texts.join(",")}}`;
}

/** Labels with full names as one JSON object: `a.b` is the member b of a. */
function nested(labels: readonly Label[]): string {
  const root: Tree = new Map();
  for (const { name, value } of labels) {
    const parts = name.split(".");
    const last = parts.pop() ?? "";
    let tree = root;
    for (const part of parts) {
      let below = tree.get(part);
      if (typeof below !== "object") {
        below = new Map();
        tree.set(part, below);
      }
      tree = below;
    }
    tree.set(last, value);
  }
  return treeText(root);
}

function parsed(labels: LabelObject | undefined, flags: number): Label[] {
  if (labels === undefined) return [];
  return labelsOf(parseLabels(typeof labels === "string" ? labels : JSON.stringify(labels), flags));
}

/**
 * The set of what an author wrote, labels and then notes: later names win, sorted, without blanks.
 * Undefined for none. Throws -EINVAL, PM_ERR_TOOBIG as parseLabels.
 */
export function labelSet(
  level: number,
  labels: LabelObject | undefined,
  notes?: LabelObject,
  instance: InstanceId = PM_IN_NULL,
): LabelSet | undefined {
  const merged = mergeLabels([parsed(labels, level), parsed(notes, level | PM_LABEL.OPTIONAL)]);
  if (merged.length === 0) return undefined;
  const set = parseLabels(nested(merged), level, instance);
  // Both lists are sorted by full name, so the flags of each label are at its place.
  return {
    ...set,
    records: set.records.map((record, index) => ({
      ...record,
      flags: record.flags | ((merged[index]?.flags ?? 0) & PM_LABEL.OPTIONAL),
    })),
  };
}

const one = (set: LabelSet | undefined): AgentLabelSet[] =>
  set === undefined ? [] : [{ ...set, error: 0 }];

/** All files of a folder in order of their names as label texts; none when there is no such folder. */
function labelFiles(folder: string): string[] {
  let names: string[];
  try {
    names = readdirSync(folder, { withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map(({ name }) => name)
      .sort();
  } catch (error) {
    if (asPcpError(error).code === -2) return [];
    throw error;
  }
  return names.map((name) => readFileSync(join(folder, name), "utf8"));
}

/** Labels of the context: the files below PCP_SYSCONF_DIR/labels, which only dbpmda asks agents for. */
function contextLabels(env: AgentSetting["env"]): AgentLabelSet[] {
  const folder = join(env["PCP_SYSCONF_DIR"] ?? "/etc/pcp", "labels");
  const level = PM_LABEL.CONTEXT;
  const merge = (texts: readonly string[]): string | undefined =>
    texts.length === 0 ? undefined : nested(mergeLabels(texts.map((text) => parsed(text, level))));
  return one(
    labelSet(level, merge(labelFiles(folder)), merge(labelFiles(join(folder, "optional")))),
  );
}

/** What labels are asked of. */
export interface LabelSource {
  readonly definition: AgentDefinition;
  readonly tables: Tables;
  readonly env: AgentSetting["env"];
  readonly log: AgentSetting["log"];
}

/** One set for each instance that the profile wants, empty for those without labels. */
function instanceSets(
  source: LabelSource,
  { row, indom }: IndomEntry,
  ids: readonly InstanceId[],
  by: Caller,
): AgentLabelSet[] {
  const none = { json: new Uint8Array(0), records: [] };
  const sets: AgentLabelSet[] = [];
  for (const instance of ids) {
    if (!by.profile.wants(indom, instance)) continue;
    try {
      const labels = row.instanceLabels?.(instance, by);
      const set = labelSet(PM_LABEL.INSTANCES, labels, undefined, instance);
      sets.push({ ...none, ...set, instance, error: 0 });
    } catch (cause) {
      const error = asPcpError(cause);
      const { code, message } = error;
      source.log("Warning", `pmdaLabel: InDom ${pmInDomStr(indom)}[${instance}]: ${message}`);
      sets.push({ ...none, instance, error: code });
    }
  }
  return sets;
}

/** The sets of one level; none for identifiers that there are not. Errors as labelSet. */
export function labelsAt(
  source: LabelSource,
  level: number,
  ident: number,
  by: Caller,
): Awaitable<readonly AgentLabelSet[]> {
  const { definition, tables } = source;
  switch (level) {
    case PM_LABEL.CONTEXT:
      return contextLabels(source.env);
    case PM_LABEL.DOMAIN: {
      const { labels, notes, name } = definition;
      const own = labels === undefined && notes === undefined ? { agent: name } : labels;
      return one(labelSet(level, own, notes));
    }
    case PM_LABEL.INDOM: {
      const row = tables.indom(ident as Indom)?.row;
      return one(labelSet(level, row?.labels, row?.notes));
    }
    case PM_LABEL.CLUSTER:
      return one(labelSet(level, definition.clusterLabels?.(pmidCluster(ident as Pmid))));
    case PM_LABEL.ITEM: {
      const row = tables.metric(ident as Pmid)?.row;
      return one(labelSet(level, row?.labels, row?.notes));
    }
    case PM_LABEL.INSTANCES: {
      const entry = tables.indom(ident as Indom);
      if (entry === undefined) return [];
      const sets = (): Awaitable<readonly AgentLabelSet[]> => {
        // A caller asks more than once: the token of this request is one of its own.
        const list = instancesOf(entry, {});
        return list instanceof Promise
          ? list.then(({ ids }) => instanceSets(source, entry, ids, by))
          : instanceSets(source, entry, list.ids, by);
      };
      const fresh = definition.refreshInstances?.(entry.row.serial, by);
      return fresh instanceof Promise ? fresh.then(sets) : sets();
    }
    default:
      throw new PcpError(-22, `${level} is no level of labels`);
  }
}
