// `pcpbox newcontext-probe METRIC ...`: descriptors, help and values; of a host once or again and
// again, of an archive over the time window. Samples are written as they come, also as JSON.

import { PcpError } from "../lib/base/mod.ts";
import type { ArchiveContext, Context } from "../lib/context/mod.ts";
import {
  detailText,
  failureOf,
  jsonText,
  type Failure,
  metricJson,
  metricLines,
  type Metrics,
  resolveMetrics,
  sampleArchive,
  sampleJson,
  sampleLive,
  Sampler,
  SampleWriter,
  type Sample,
  type Schedule,
} from "../lib/probe/mod.ts";
import { jsonHead } from "./newcontext-probe-json.ts";
import { openSource } from "./newcontext-probe-open.ts";
import type { ProbeRequest } from "./newcontext-probe-request.ts";
import {
  complainBroken,
  complainFailure,
  complainMetrics,
  Mistake,
  reportingZone,
  stopSignal,
  styleOf,
  windowOf,
} from "./newcontext-probe-setting.ts";
import { say } from "./output.ts";

/** Takes what is found out, as it is found out. False: nobody listens any more. */
export interface ValueSink {
  /** The metrics, before the first sample. */
  metrics(found: Metrics): boolean;
  sample(sample: Sample): boolean;
  /** The end, with the failure that made it. */
  end(failure: Failure | null): void;
}

/** Whether all that is wanted is one sample, which then stands below the descriptors. */
export const isOnce = ({ source, samples, interval, window }: ProbeRequest): boolean =>
  source.type !== "archive" &&
  interval === undefined &&
  window.finish === undefined &&
  (samples === undefined || samples === 1);

/** The samples that a request asks for. */
export function samplesOf(
  request: ProbeRequest,
  context: Context,
  sampler: Sampler,
  stop: AbortSignal,
  zone: Parameters<typeof windowOf>[2],
): AsyncGenerator<Sample, void> {
  const window = windowOf(request, context, zone);
  const once = isOnce(request);
  const schedule: Schedule = {
    interval: request.interval,
    samples: once ? 1 : (request.samples ?? Infinity),
    finish: window.finish,
  };
  return context.type === "archive"
    ? sampleArchive(context as ArchiveContext, sampler, window, schedule, stop)
    : sampleLive(context, sampler, schedule, stop);
}

function jsonSink(request: ProbeRequest): ValueSink {
  let names: Metrics["found"] = [];
  let failures: readonly Failure[] = [];
  let count = 0;
  let open = false;
  const begin = (metrics: readonly unknown[]): boolean => {
    open = true;
    // One object, written piece by piece: an archive may hold more samples than memory.
    return say(`{"metrics":${jsonText(metrics)},"samples":[`);
  };
  return {
    metrics(found) {
      names = found.found;
      ({ failures } = found);
      return begin(found.reports.map(metricJson));
    },
    sample(sample) {
      count += 1;
      const text = jsonText(
        sampleJson(
          sample,
          names.map((each) => each.report),
        ),
      );
      return say(`${count > 1 ? "," : ""}${text}`);
    },
    end(failure) {
      if (!open) begin([]);
      const head = jsonHead(request, failure, failures);
      say(`],${jsonText({ ...head, errors: failures }).slice(1)}\n`);
    },
  };
}

async function textSink(request: ProbeRequest, context: Context): Promise<ValueSink> {
  const { zone, note } = await reportingZone(request, context);
  const style = styleOf(request);
  const time = { zone, full: request.fullTimes > 0 };
  const once = isOnce(request);
  let metrics: Metrics = { found: [], failures: [], reports: [] };
  let writer: SampleWriter | undefined;
  return {
    metrics(found) {
      metrics = found;
      if (once) return say(note);
      const rates = !request.raw;
      const blocks = found.reports.map((each) => `${metricLines(style, each, rates).join("\n")}\n`);
      const reports = found.found.map((each) => each.report);
      writer = new SampleWriter(reports, { style, time, rates });
      return say(`${note}${blocks.join("\n")}${reports.length > 0 ? "\n" : ""}`);
    },
    sample(sample) {
      return say(
        writer === undefined
          ? detailText(style, metrics.reports, sample.metrics, time)
          : writer.write(sample),
      );
    },
    end() {
      complainMetrics(metrics.failures);
    },
  };
}

/** Shows values; resolves to the exit status. */
export async function showValues(request: ProbeRequest): Promise<number> {
  const opened = await openSource(request);
  if (!opened.ok) {
    if (request.json)
      say(`${jsonText({ ...jsonHead(request, opened.failure), steps: opened.steps })}\n`);
    else complainFailure(request, opened.failure);
    return 1;
  }
  const { context } = opened;
  const { stop, end } = stopSignal();
  const sink = request.json ? jsonSink(request) : await textSink(request, context);
  try {
    const { zone } = await reportingZone(request, context);
    const metrics = await resolveMetrics(context, request.metrics);
    const sampler = new Sampler(context, metrics.found, !request.raw && !isOnce(request));
    // A mistake in the window shows before anything is printed.
    const samples = samplesOf(request, context, sampler, stop, zone);
    if (!sink.metrics(metrics)) return 0;
    if (metrics.found.length > 0) {
      for await (const sample of samples) if (!sink.sample(sample)) return 0;
    }
    sink.end(null);
    return metrics.failures.length > 0 ? 1 : 0;
  } catch (error) {
    if (error instanceof Mistake) throw error;
    if (!(error instanceof PcpError)) throw error;
    const failure = failureOf(error, { about: request.source.type });
    sink.end(failure);
    if (!request.json) complainBroken(request, failure);
    return 1;
  } finally {
    end();
    await context.close();
  }
}
