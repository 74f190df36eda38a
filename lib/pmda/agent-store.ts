// Stores into agents written here (spec pmda.md 4.5, 7.6): each value as its metric's type to the
// callback of the row, or of the agent. Refuses metrics that there are not, metrics without such a
// callback, instances that there are not, and values in another form than the type has.
import { PcpError, PM_ERR } from "../base/mod.ts";
import {
  type Atom,
  type InstanceId,
  PM_IN_NULL,
  PM_TYPE,
  PM_VAL,
  pmExtractValue,
  type ResultView,
  type ValueSet,
} from "../pcp/mod.ts";
import type { AgentDefinition } from "./define.ts";
import { instanceName, type MetricEntry, type Tables } from "./tables.ts";
import type { Awaitable, Caller } from "./types.ts";

/** The value that is to be stored; its own copy, since agents keep it. */
function valueAt(set: ValueSet, i: number, { row, valfmt }: MetricEntry): Atom {
  // A float may come either way, other types only in the one that they have.
  if (row.type !== PM_TYPE.FLOAT && (set.valfmt === PM_VAL.INSITU) !== (valfmt === PM_VAL.INSITU))
    throw new PcpError(PM_ERR.BADSTORE, `value format ${set.valfmt} for type ${row.type}`);
  const value = pmExtractValue(set, i, row.type, row.type);
  return typeof value === "object" ? value.slice() : value;
}

/** Stores all values in order; stops at the first fault, which leaves earlier ones stored. */
export function storeAll(
  definition: AgentDefinition,
  tables: Tables,
  result: ResultView,
  by: Caller,
): Awaitable<void> {
  const sets = result.sets();
  let entry: MetricEntry | undefined;
  let at = 0;

  /** The callback for the present value. */
  const give = ({ row }: MetricEntry, instance: InstanceId, value: Atom): Awaitable<void> =>
    row.store === undefined
      ? definition.store?.(row, instance, value, by)
      : row.store(value, instance, by);

  const nextSet = (): boolean => {
    if (!sets.next()) return false;
    entry = tables.metric(sets.pmid);
    if (entry === undefined) throw new PcpError(PM_ERR.PMID);
    if (entry.row.store === undefined && definition.store === undefined)
      throw new PcpError(PM_ERR.PERMISSION);
    if (sets.numval < 1 || (entry.indom === undefined && sets.numval !== 1))
      throw new PcpError(PM_ERR.BADSTORE, `${sets.numval} values to be stored`);
    at = 0;
    return true;
  };

  /** Goes on until a callback answers later; then that promise. */
  const step = (): Promise<unknown> | undefined => {
    for (;;) {
      if ((entry === undefined || at >= sets.numval) && !nextSet()) return undefined;
      if (entry === undefined) return undefined;
      const { indom } = entry;
      const present = entry;
      const index = at;
      at += 1;
      const instance = indom === undefined ? PM_IN_NULL : sets.instance(index);
      if (indom !== undefined && present.row.instances === undefined) {
        const known = instanceName(indom, instance, result);
        if (known instanceof Promise)
          return known.then(() => give(present, instance, valueAt(sets, index, present)));
      }
      const later = give(present, instance, valueAt(sets, index, present));
      if (later instanceof Promise) return later;
    }
  };

  const rest = async (first: Promise<unknown>): Promise<void> => {
    let later: Promise<unknown> | undefined = first;
    while (later !== undefined) {
      await later;
      later = step();
    }
  };
  const later = step();
  return later === undefined ? undefined : rest(later);
}
