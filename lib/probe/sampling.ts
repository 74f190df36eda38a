// Values of metrics at one time after the other: of a live source now and then, of an archive as
// recorded or interpolated. Counters become rates from the second value on. One sample is held at a
// time, however long the archive. Ends quietly at the end of an archive and when told to stop; every
// other error is the caller's.
import { asPcpError, PM_ERR, PcpError } from "../base/mod.ts";
import { type ArchiveContext, type Context, PM_MODE } from "../context/mod.ts";
import {
  compareTimes,
  type Indom,
  type Instant,
  type InstanceId,
  now,
  numberAt,
  PM_IN_NULL,
  PM_INDOM_NULL,
  PM_TYPE,
  PM_VAL,
  type Pmid,
  pmExtractValue,
  pmIDStr,
  pmPrintValue,
  type ResultView,
  sampleTimes,
  secondsBetween,
  type Span,
  spanOf,
  type TimeWindow,
  type Timestamp,
  type ValueSet,
} from "../pcp/mod.ts";
import { unpackEvents } from "./events.ts";
import { failureOf } from "./hints.ts";
import type { Metric } from "./metrics.ts";
import { plainText } from "./plain.ts";
import type { EventRecord, MetricValues, NoRate, Sample, ValueReport } from "./report.ts";

/** Names of instances and parameters, each asked for once. */
class Names {
  private readonly domains = new Map<Indom, Map<InstanceId, string | null>>();
  private readonly metrics = new Map<Pmid, string>();

  constructor(private readonly context: Context) {}

  /** Names of all instances that are known at the start; those that come later are asked for. */
  private async domain(indom: Indom): Promise<Map<InstanceId, string | null>> {
    const known = this.domains.get(indom);
    if (known !== undefined) return known;
    const names = new Map<InstanceId, string | null>();
    this.domains.set(indom, names);
    const { context } = this;
    try {
      const { ids, names: texts } =
        context.type === "archive"
          ? await (context as ArchiveContext).archiveInstances(indom)
          : await context.instances(indom);
      ids.forEach((id, i) => names.set(id, texts[i] ?? null));
    } catch (error) {
      passOver(error);
    }
    return names;
  }

  /** Name of an instance; null for one that nobody knows. */
  async instance(indom: Indom, id: InstanceId): Promise<string | null> {
    const names = await this.domain(indom);
    const known = names.get(id);
    if (known !== undefined) return known;
    const { context } = this;
    let name: string | null = null;
    try {
      name =
        context.type === "archive"
          ? await (context as ArchiveContext).archiveInstanceName(indom, id)
          : await context.instanceName(indom, id);
    } catch (error) {
      passOver(error);
    }
    names.set(id, name);
    return name;
  }

  /** A name of a metric; its PMID when it has none. */
  async metric(pmid: Pmid): Promise<string> {
    const known = this.metrics.get(pmid);
    if (known !== undefined) return known;
    let name = pmIDStr(pmid);
    try {
      name = plainText((await this.context.namesOf(pmid))[0] ?? name);
    } catch (error) {
      passOver(error);
    }
    this.metrics.set(pmid, name);
    return name;
  }
}

/** Lets an answer "there is none" pass; a source that broke is thrown on. */
function passOver(error: unknown): void {
  const { code } = asPcpError(error);
  if (code === PM_ERR.IPC || code === PM_ERR.TIMEOUT) throw error;
}

const isEvent = (type: number): boolean => type === PM_TYPE.EVENT || type === PM_TYPE.HIGHRES_EVENT;

/** The values of a counter that rates are made from. */
interface Before {
  readonly time: Timestamp;
  readonly values: ReadonlyMap<InstanceId, number>;
}

/** Reads samples off results; remembers what rates and names need. */
export class Sampler {
  private readonly names: Names;
  private readonly before: (Before | undefined)[];
  readonly pmids: readonly Pmid[];

  /** `rates`: counters become rates. */
  constructor(
    context: Context,
    readonly metrics: readonly Metric[],
    private readonly rates: boolean,
  ) {
    this.names = new Names(context);
    this.before = metrics.map(() => undefined);
    this.pmids = metrics.map((each) => each.pmid);
  }

  /** Whether everything that is shown is a rate, so that a first sample shows nothing. */
  get onlyRates(): boolean {
    return this.rates && this.metrics.every((each) => each.rateFactor !== undefined);
  }

  /** Forgets the values before: no rate reaches over a gap. */
  forget(): void {
    this.before.fill(undefined);
  }

  private async events(set: ValueSet, i: number): Promise<readonly EventRecord[] | null> {
    const records = unpackEvents(set.bytes, set.block(i));
    const named: EventRecord[] = [];
    for (const record of records) {
      const parameters = [];
      for (const { id, pmid, value, text } of record.parameters) {
        parameters.push({
          metric: await this.names.metric(id),
          pmid,
          value,
          text: plainText(text),
        });
      }
      named.push({ ...record, parameters });
    }
    return named;
  }

  private rate(
    at: number,
    time: Timestamp,
    instance: InstanceId,
    value: number,
  ): number | NoRate | null {
    const factor = this.rates ? this.metrics[at]?.rateFactor : undefined;
    if (factor === undefined) return null;
    const before = this.before[at];
    const old = before?.values.get(instance);
    if (before === undefined || old === undefined) return "first";
    const seconds = secondsBetween(time, before.time);
    if (seconds <= 0) return "first";
    return value < old ? "back" : ((value - old) / seconds) * factor;
  }

  private async values(set: ValueSet, at: number, time: Timestamp): Promise<ValueReport[]> {
    const metric = this.metrics[at];
    if (metric === undefined) return [];
    const { desc, instances } = metric;
    const numbers = new Map<InstanceId, number>();
    const reports: ValueReport[] = [];
    for (let i = 0; i < set.numval; i++) {
      const instance = desc.indom === PM_INDOM_NULL ? PM_IN_NULL : set.instance(i);
      if (instances !== undefined && !instances.has(instance)) continue;
      const number = numberAt(set, i, desc.type);
      numbers.set(instance, number);
      const name =
        desc.indom === PM_INDOM_NULL ? null : await this.names.instance(desc.indom, instance);
      reports.push({
        instance,
        name: name === null ? null : plainText(name),
        value: valueOf(set, i, desc.type),
        text: plainText(pmPrintValue(set, i, desc.type)),
        events:
          isEvent(desc.type) && set.valfmt !== PM_VAL.INSITU ? await this.events(set, i) : null,
        rate: this.rate(at, time, instance, number),
      });
    }
    this.before[at] = numbers.size === 0 ? undefined : { time, values: numbers };
    return reports;
  }

  /** The sample of a result that has one set for each metric, in their order. */
  async read(result: ResultView): Promise<Sample> {
    const { timestamp: time } = result;
    const metrics: MetricValues[] = [];
    const sets = result.sets();
    for (const [at, metric] of this.metrics.entries()) {
      if (!sets.next()) break;
      if (sets.numval > 0) {
        metrics.push({ failure: null, values: await this.values(sets, at, time) });
        continue;
      }
      this.before[at] = undefined;
      const failure =
        sets.numval < 0
          ? failureOf(new PcpError(sets.numval), { about: "metric", name: metric.report.name })
          : null;
      metrics.push({ failure, values: [] });
    }
    return { time, mark: false, metrics };
  }
}

function valueOf(set: ValueSet, i: number, type: number): ValueReport["value"] {
  try {
    const value = pmExtractValue(set, i, type);
    return typeof value === "object" ? value.slice() : value;
  } catch (error) {
    asPcpError(error);
    return null;
  }
}

/** Ends the wait for the next sample. */
export type Stop = AbortSignal;

/** Waits until a time of performance.now(); false when it was stopped. */
export function waitUntil(at: number, stop: Stop): Promise<boolean> {
  return new Promise((resolve) => {
    if (stop.aborted) {
      resolve(false);
      return;
    }
    const end = (): void => {
      clearTimeout(timer);
      resolve(false);
    };
    const timer = setTimeout(
      () => {
        stop.removeEventListener("abort", end);
        resolve(true);
      },
      Math.max(0, at - performance.now()),
    );
    stop.addEventListener("abort", end, { once: true });
  });
}

/** Which instances a source need send: only where every metric of a domain names some. */
export function applyProfile(context: Context, metrics: readonly Metric[]): void {
  const domains = new Map<Indom, Set<InstanceId> | undefined>();
  for (const { desc, instances } of metrics) {
    if (desc.indom === PM_INDOM_NULL) continue;
    const before = domains.get(desc.indom);
    if (instances === undefined || (domains.has(desc.indom) && before === undefined)) {
      domains.set(desc.indom, undefined);
    } else domains.set(desc.indom, new Set([...(before ?? []), ...instances]));
  }
  for (const [indom, instances] of domains) {
    if (instances === undefined) continue;
    context.deleteProfile(indom);
    context.addProfile(indom, [...instances]);
  }
}

/** When samples are taken. */
export interface Schedule {
  /** Undefined for an archive: every recorded sample. */
  readonly interval: number | undefined;
  /** At most so many; Infinity for no end. */
  readonly samples: number;
  /** Undefined for a live source without an end. */
  readonly finish: Instant | undefined;
  /** At the end of an archive that is still written: waits; false when there is no use in it. */
  readonly follow?: (() => Promise<boolean>) | undefined;
}

/** Seconds between samples of a live source at least: -t 0 is no reason to keep pmcd from others. */
const SHORTEST = 0.01;

/** Samples of a live source. The first one is taken at once. */
export async function* sampleLive(
  context: Context,
  sampler: Sampler,
  { interval = 1, samples, finish }: Schedule,
  stop: Stop,
): AsyncGenerator<Sample, void> {
  applyProfile(context, sampler.metrics);
  const start = performance.now();
  const step = Math.max(interval, SHORTEST) * 1000;
  const skip = sampler.onlyRates ? 1 : 0;
  for (let taken = 0; taken < samples + skip; taken++) {
    if (!(await waitUntil(start + taken * step, stop))) return;
    if (finish !== undefined && compareTimes(now(), finish) > 0) return;
    const { result } = await context.fetch(sampler.pmids);
    const sample = await sampler.read(result);
    if (taken >= skip) yield sample;
  }
}

const isEnd = (error: unknown): boolean => asPcpError(error).code === PM_ERR.EOL;

/** Marks of an archive, read beside the samples so that gaps can be told; undefined at the end. */
async function* marksOf(
  context: ArchiveContext,
  origin: Instant,
): AsyncGenerator<Timestamp | undefined, void> {
  context.setMode(PM_MODE.FORW, origin, { sec: 0, nsec: 0 });
  for (;;) {
    let record: ResultView;
    try {
      record = await context.fetchArchive();
    } catch (error) {
      if (!isEnd(error)) throw error;
      yield undefined;
      continue;
    }
    if (record.numpmid === 0) yield record.timestamp;
  }
}

/** The next record; undefined at the end, which may have to be waited for. */
async function nextRecord(
  context: ArchiveContext,
  pmids: readonly Pmid[],
  follow: Schedule["follow"],
): Promise<ResultView | undefined> {
  for (;;) {
    try {
      return (await context.fetch(pmids)).result;
    } catch (error) {
      if (!isEnd(error)) throw error;
      if (follow === undefined || !(await follow())) return undefined;
    }
  }
}

async function* recorded(
  context: ArchiveContext,
  sampler: Sampler,
  window: TimeWindow,
  follow: Schedule["follow"],
  stop: Stop,
): AsyncGenerator<Sample, void> {
  const beside = (await context.duplicate()) as ArchiveContext;
  try {
    const marks = marksOf(beside, window.origin);
    let mark = (await marks.next()).value ?? undefined;
    context.setMode(PM_MODE.FORW, window.origin, { sec: 0, nsec: 0 });
    while (!stop.aborted) {
      const result = await nextRecord(context, sampler.pmids, follow);
      if (result === undefined) return;
      const { timestamp } = result;
      if (window.finish !== undefined && compareTimes(timestamp, window.finish) > 0) return;
      mark ??= (await marks.next()).value ?? undefined;
      while (mark !== undefined && compareTimes(mark, timestamp) < 0) {
        sampler.forget();
        yield { time: mark, mark: true, metrics: [] };
        mark = (await marks.next()).value ?? undefined;
      }
      yield await sampler.read(result);
    }
  } finally {
    await beside.close();
  }
}

async function* interpolated(
  context: ArchiveContext,
  sampler: Sampler,
  window: TimeWindow,
  step: Span,
  stop: Stop,
): AsyncGenerator<Sample, void> {
  context.setMode(PM_MODE.INTERP, window.origin, step);
  for (const time of sampleTimes(window, step)) {
    if (stop.aborted) return;
    const { result } = await context.fetch(sampler.pmids);
    const sample = await sampler.read(result);
    yield { ...sample, time };
  }
}

/**
 * Samples of an archive over a window, from its origin on. A first sample of rates alone is not
 * given, as there is nothing in it; marks count for no sample.
 */
export async function* sampleArchive(
  context: ArchiveContext,
  sampler: Sampler,
  window: TimeWindow,
  { interval, samples, follow }: Schedule,
  stop: Stop,
): AsyncGenerator<Sample, void> {
  applyProfile(context, sampler.metrics);
  const source =
    interval === undefined || interval === 0
      ? recorded(context, sampler, window, follow, stop)
      : interpolated(context, sampler, window, spanOf(interval), stop);
  let left = samples;
  try {
    for await (const sample of source) {
      const empty = sampler.onlyRates && sample.metrics.every(isFirst);
      if (!sample.mark && empty) continue;
      yield sample;
      if (!sample.mark) left -= 1;
      if (left <= 0) return;
    }
  } catch (error) {
    if (!isEnd(error)) throw error;
  }
}

/** Whether all that there is to a metric is a first value, of which there is no rate yet. */
const isFirst = ({ failure, values }: MetricValues): boolean =>
  failure === null && values.length > 0 && values.every((each) => each.rate === "first");
