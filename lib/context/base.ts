// What contexts of every type have in common: the errors of calls that a type does not know, the
// choice of a zone, and reading a value that is text. Refuses nothing itself.
import { PcpError, PM_ERR } from "../base/mod.ts";
import {
  DYNAMIC_DOMAIN,
  isDynamicRoot,
  newZone,
  PM_TYPE,
  PM_VAL,
  pmExtractValue,
  type Pmid,
  pmidDomain,
  pmIDStr,
  type ResultInit,
  type ResultView,
  type Timestamp,
  type Zone,
} from "../pcp/mod.ts";
import { type ContextType, type Mode, PM_MODE } from "./types.ts";

/** What calls of a context that was closed fail with. */
export const closedError = (): PcpError => new PcpError(PM_ERR.NOCONTEXT, "the context is closed");

/** addDerived of a source by itself: newContext puts the derived metrics over it. */
export const noDerived = async (): Promise<never> => {
  throw new PcpError(PM_ERR.GENERIC, "derived metrics belong to contexts made by newContext");
};

/** True for PMIDs that no agent has: PM_ID_NULL and derived metrics. */
export const isNoAgents = (pmid: Pmid): boolean =>
  pmidDomain(pmid) === DYNAMIC_DOMAIN && !isDynamicRoot(pmid);

/**
 * What current PCP makes of a reply: PM_ERR_PMID in place of PM_ERR_NOAGENT for PMIDs that no agent
 * can have (spec pdu.md 9.3).
 */
export function correctErrors(result: ResultView): void {
  for (const set = result.sets(); set.next();) {
    if (set.numval === PM_ERR.NOAGENT && isNoAgents(set.pmid))
      set.view.setInt32(set.offset + 4, PM_ERR.PMID);
  }
}

/** Throws PcpError PM_ERR_MODE for a mode that contexts of a type do not have. */
export function checkMode(type: ContextType, mode: Mode): void {
  const known =
    Object.values(PM_MODE).includes(mode) && (mode === PM_MODE.LIVE) !== (type === "archive");
  if (!known) throw new PcpError(PM_ERR.MODE);
}

/** Throws PcpError PM_ERR_ARG for a time that is none: parts that are not whole, or far too large. */
export function checkTime(time: Timestamp | undefined): void {
  if (time === undefined) return;
  if (!Number.isSafeInteger(time.sec) || !Number.isSafeInteger(time.nsec))
    throw new PcpError(PM_ERR.ARG, `${time.sec} s ${time.nsec} ns is no time`);
}

/** Refuses, as pmStore does, to store nothing: PM_ERR_TOOSMALL, or PM_ERR_VALUE for one metric. */
export function checkStore({ sets }: ResultInit): void {
  if (sets.length === 0) throw new PcpError(PM_ERR.TOOSMALL, "nothing to store");
  for (const set of sets) {
    if ("error" in set || set.values.length === 0)
      throw new PcpError(PM_ERR.VALUE, `no value to store into ${pmIDStr(set.pmid)}`);
  }
}

/** The first value of a metric when it is text; undefined when there is none, or it is empty. */
export function textValue(result: ResultView, pmid: Pmid): string | undefined {
  const set = result.find(pmid);
  if (set === undefined || set.numval < 1 || set.valfmt === PM_VAL.INSITU) return undefined;
  const text = pmExtractValue(set, 0, PM_TYPE.STRING);
  return typeof text === "string" && text !== "" ? text : undefined;
}

/** The zone of the first name that is one; throws PcpError PM_ERR_VALUE without any (12.6). */
export function firstZone(names: readonly (string | undefined)[]): Zone {
  for (const name of names) {
    if (name === undefined || name === "") continue;
    try {
      return newZone(name);
    } catch (error) {
      if (!(error instanceof PcpError)) throw error;
    }
  }
  throw new PcpError(PM_ERR.VALUE, "the source does not say its time zone");
}
