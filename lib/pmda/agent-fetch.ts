// Fetches of agents written here (spec pmda.md 7.3): from callback to bytes without an object for a
// value, and without a promise while callbacks answer at once. What a callback throws, or answers
// that is no value of its metric, fails that value only and is logged; a callback that does not end
// is given up after the time of the request, and not called again until it has ended. Metrics whose
// values come later are waited for together, instances of one metric one after the other.
import type { Instances } from "../archive/mod.ts";
import { asPcpError, PM_ERR, type PmErrCode, pmErrStr } from "../base/mod.ts";
import {
  type InstanceId,
  PM_IN_NULL,
  pmIDStr,
  type Pmid,
  ResultView,
  ResultWriter,
} from "../pcp/mod.ts";
import type { AgentSetting, FetchValue } from "./define.ts";
import { isPromise, type TimeLimit } from "./limit.ts";
import { instancesOf, type MetricEntry, type Tables } from "./tables.ts";
import type { Awaitable, Caller } from "./types.ts";

/** One fetch under way. */
export interface FetchJob {
  readonly pmids: readonly Pmid[];
  readonly by: Caller;
  readonly out: ResultWriter;
  readonly limit: TimeLimit;
  /** Stands for the request: instances that a call gives are asked for once. */
  readonly request: object;
  readonly log: AgentSetting["log"];
  /** Whether codes that are no fault of the agent are logged too. */
  readonly debug: boolean;
}

/** Codes that agents give in the normal course of things. */
const QUIET: ReadonlySet<PmErrCode> = new Set([
  PM_ERR.VALUE,
  PM_ERR.APPVERSION,
  PM_ERR.PERMISSION,
  PM_ERR.AGAIN,
  PM_ERR.NYI,
]);

/** Logs why a value is missing (spec pmda.md 7.3) and gives the code back. */
function fault(
  job: FetchJob,
  { desc }: MetricEntry,
  instance: InstanceId,
  { code, message }: { readonly code: PmErrCode; readonly message: string },
): PmErrCode {
  const { log } = job;
  const pmid = pmIDStr(desc.pmid);
  if (code === PM_ERR.PMID) log("Error", `pmdaFetch: PMID ${pmid} not handled by fetch callback`);
  else if (code === PM_ERR.INST)
    log("Warning", `pmdaFetch: Instance ${instance} of PMID ${pmid} not handled by fetch callback`);
  else if (QUIET.has(code)) {
    if (job.debug) log("Debug", `pmdaFetch: PMID ${pmid}[${instance}]: ${message}`);
  } else
    log(
      "Error",
      `pmdaFetch: Fetch callback error from metric PMID ${pmid}[${instance}]: ${message}`,
    );
  return code;
}

const thrown = (job: FetchJob, entry: MetricEntry, instance: InstanceId, cause: unknown) =>
  fault(job, entry, instance, asPcpError(cause));

/** Adds what a callback has answered to the open set: 0 or the code of why there is no value. */
function put(
  job: FetchJob,
  entry: MetricEntry,
  instance: InstanceId,
  value: Awaited<FetchValue>,
): PmErrCode {
  if (value === undefined) return 0;
  if (typeof value === "object" && !(value instanceof Uint8Array)) {
    // What comes from authors may be anything, whatever its type says.
    const code: unknown = value === null ? undefined : value.error;
    if (typeof code === "number" && Number.isInteger(code) && code < 0)
      return fault(job, entry, instance, { code, message: pmErrStr(code) });
    return fault(job, entry, instance, {
      code: PM_ERR.TYPE,
      message: "the callback answered an object that is neither bytes nor an error",
    });
  }
  try {
    job.out.add(instance, value);
    return 0;
  } catch (error) {
    return thrown(job, entry, instance, error);
  }
}

/** Calls the callback for one instance: a code as `put` has it, or the promise of a value. */
function take(
  job: FetchJob,
  entry: MetricEntry,
  instance: InstanceId,
): PmErrCode | Promise<FetchValue> {
  try {
    const value = entry.call(instance, job.by);
    if (typeof value === "object" && isPromise(value)) return value as Promise<FetchValue>;
    return put(job, entry, instance, value);
  } catch (error) {
    return thrown(job, entry, instance, error);
  }
}

/** Waits for the value of one instance within the time of the request. */
async function settle(
  job: FetchJob,
  entry: MetricEntry,
  instance: InstanceId,
  promise: Promise<FetchValue>,
): Promise<PmErrCode> {
  let value: FetchValue;
  // The flag is down again when the promise settles, however late that is.
  entry.stuck = true;
  const settled = (): void => {
    entry.stuck = false;
  };
  promise.then(settled, settled);
  try {
    value = await job.limit.wait(promise);
  } catch (error) {
    if (entry.stuck)
      job.log(
        "Warning",
        `pmdaFetch: PMID ${pmIDStr(entry.desc.pmid)}[${instance}]: ${asPcpError(error).message}`,
      );
    return thrown(job, entry, instance, error);
  }
  return put(job, entry, instance, value);
}

/** The rest of the instances after one whose value comes later. */
async function instancesLater(
  job: FetchJob,
  entry: MetricEntry,
  ids: readonly number[],
  at: number,
  first: Promise<FetchValue>,
): Promise<void> {
  const { out, by } = job;
  const { indom } = entry.desc;
  let last = await settle(job, entry, ids[at] as InstanceId, first);
  for (let i = at + 1; i < ids.length; i++) {
    const id = ids[i] as InstanceId;
    if (!by.profile.wants(indom, id)) continue;
    if (entry.stuck) last = PM_ERR.AGAIN;
    else {
      const got = take(job, entry, id);
      last = typeof got === "number" ? got : await settle(job, entry, id, got);
    }
  }
  out.end(last);
}

/** All instances of a metric. */
function putInstances(
  job: FetchJob,
  entry: MetricEntry,
  ids: readonly number[],
): Promise<void> | undefined {
  const { out, by } = job;
  const { pmid, type, indom } = entry.desc;
  const { profile } = by;
  const all = profile.wantsAll(indom);
  out.begin(pmid, type, entry.valfmt);
  let last: PmErrCode = 0;
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] as InstanceId;
    if (!all && !profile.wants(indom, id)) continue;
    const got = take(job, entry, id);
    if (typeof got === "number") last = got;
    else return instancesLater(job, entry, ids, i, got);
  }
  out.end(last);
  return undefined;
}

/** A metric without values because of a fault before its first one. */
function refuse(job: FetchJob, entry: MetricEntry, cause: unknown): undefined {
  job.out.fail(entry.desc.pmid, thrown(job, entry, PM_IN_NULL, cause));
  return undefined;
}

async function listLater(
  job: FetchJob,
  entry: MetricEntry,
  list: Promise<Instances>,
): Promise<void> {
  let ids: readonly number[];
  try {
    ({ ids } = await job.limit.wait(list));
  } catch (error) {
    refuse(job, entry, error);
    return;
  }
  await putInstances(job, entry, ids);
}

/** One metric: undefined when it is done. */
function putMetric(job: FetchJob, entry: MetricEntry): Promise<void> | undefined {
  const { row, desc } = entry;
  if (entry.stuck) {
    job.out.fail(desc.pmid, PM_ERR.AGAIN);
    return undefined;
  }
  const refused = row.refused?.() ?? 0;
  if (refused < 0) {
    job.out.fail(desc.pmid, refused);
    return undefined;
  }
  if (row.instances !== undefined || entry.indom !== undefined) {
    let list: Awaitable<Instances>;
    try {
      if (row.instances !== undefined) return putInstances(job, entry, row.instances(job.by));
      if (entry.indom === undefined) return undefined;
      list = entry.indom.fixed ?? instancesOf(entry.indom, job.request);
    } catch (error) {
      return refuse(job, entry, error);
    }
    if (list instanceof Promise) return listLater(job, entry, list);
    return putInstances(job, entry, list.ids);
  }
  job.out.begin(desc.pmid, desc.type, entry.valfmt);
  const got = take(job, entry, PM_IN_NULL);
  if (typeof got === "number") {
    job.out.end(got);
    return undefined;
  }
  return settle(job, entry, PM_IN_NULL, got).then((code) => job.out.end(code));
}

/** Adds the one set that `part` holds. */
function append(out: ResultWriter, part: ResultWriter): void {
  const sets = new ResultView(part.finish(0), NO_TIME, part.count, 0).sets();
  while (sets.next()) out.copy(sets);
}

const NO_TIME = { sec: 0, nsec: 0 };

/**
 * The metrics after one whose value comes later: all are begun at once, each with a writer of its
 * own, so that one that hangs takes no time from the others. Their sets then follow in order.
 */
async function metricsLater(
  job: FetchJob,
  tables: Tables,
  at: number,
  first: Promise<void>,
): Promise<void> {
  const waits = [first];
  const parts: ResultWriter[] = [];
  for (const pmid of job.pmids.slice(at + 1)) {
    const out = new ResultWriter();
    parts.push(out);
    const entry = tables.metric(pmid);
    if (entry === undefined) out.fail(pmid, PM_ERR.PMID);
    else {
      const later = putMetric({ ...job, out }, entry);
      if (later !== undefined) waits.push(later);
    }
  }
  await Promise.all(waits);
  for (const part of parts) append(job.out, part);
}

/** Puts one set for each metric, in order; a promise only when a callback has given one. */
export function fetchInto(job: FetchJob, tables: Tables): Awaitable<void> {
  const { pmids, out } = job;
  for (let i = 0; i < pmids.length; i++) {
    const pmid = pmids[i] as Pmid;
    const entry = tables.metric(pmid);
    if (entry === undefined) {
      out.fail(pmid, PM_ERR.PMID);
      continue;
    }
    const later = putMetric(job, entry);
    if (later !== undefined) return metricsLater(job, tables, i, later);
  }
}
