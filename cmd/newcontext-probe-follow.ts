// `pcpbox newcontext-probe --watch METRIC ...`: values of a host at every step, through losses of the
// connection; records of an archive as they are written. What has not changed is not printed again,
// but where it is drawn in place.

import { PcpError } from "../lib/base/mod.ts";
import type { ArchiveContext } from "../lib/context/mod.ts";
import { now } from "../lib/pcp/mod.ts";
import {
  type Failure,
  failureOf,
  jsonText,
  metricJson,
  metricLines,
  type Metrics,
  plainText,
  resolveMetrics,
  type Sample,
  sampleArchive,
  sampleJson,
  Sampler,
  SampleWriter,
  timeText,
  waitUntil,
} from "../lib/probe/mod.ts";
import { jsonHead } from "./newcontext-probe-json.ts";
import { openSource, type OpenSource } from "./newcontext-probe-open.ts";
import type { ProbeRequest } from "./newcontext-probe-request.ts";
import {
  complainBroken,
  complainFailure,
  complainMetrics,
  reportingZone,
  type ReportingZone,
  sourceName,
  styleOf,
  windowOf,
} from "./newcontext-probe-setting.ts";
import { say } from "./output.ts";
import { isTerminal } from "./terminal.ts";
import { drawInPlace } from "./newcontext-probe-screen.ts";

/** A source that is open with the metrics that were found there. */
interface Following {
  readonly open: OpenSource;
  readonly metrics: Metrics;
  readonly sampler: Sampler;
  readonly zone: ReportingZone;
}

async function begin(request: ProbeRequest, open: OpenSource): Promise<Following> {
  const metrics = await resolveMetrics(open.context, request.metrics);
  const sampler = new Sampler(open.context, metrics.found, !request.raw);
  return { open, metrics, sampler, zone: await reportingZone(request, open.context) };
}

const reportsOf = ({ metrics }: Following): Metrics["reports"] =>
  metrics.found.map((each) => each.report);

const jsonLine = (request: ProbeRequest, at: Following, sample: Sample): string =>
  `${jsonText({
    ...jsonHead(request, null, at.metrics.failures),
    metrics: at.metrics.reports.map(metricJson),
    samples: [sampleJson(sample, reportsOf(at))],
    errors: at.metrics.failures,
  })}\n`;

/** Prints samples and losses; false when nobody reads any more. */
interface Printer {
  sample(at: Following, sample: Sample): boolean;
  failure(failure: Failure): boolean;
}

const failureLine = ({ message, symbol, code }: Failure): string =>
  `${message} [${symbol === null ? code : `${symbol}, ${code}`}]`;

const jsonPrinter = (request: ProbeRequest): Printer => ({
  sample: (at, sample) => say(jsonLine(request, at, sample)),
  failure: (failure) => say(`${jsonText(jsonHead(request, failure))}\n`),
});

function textPrinter(request: ProbeRequest): Printer {
  // Records of an archive are lines that stay; only a live value is drawn over the one before.
  const inPlace = request.source.type !== "archive" && isTerminal("stdout");
  const style = styleOf(request);
  const rates = !request.raw;
  let writer: SampleWriter | undefined;
  let described: Following | undefined;
  let lostAt: number | undefined;
  let before = "";
  let time = { zone: undefined as ReportingZone["zone"] | undefined, full: request.fullTimes > 0 };
  const clock = (): string =>
    time.zone === undefined ? "" : `${timeText(now(), { ...time, zone: time.zone })}  `;
  const description = (at: Following): string =>
    at.metrics.reports.map((each) => `${metricLines(style, each, rates).join("\n")}\n`).join("\n");

  return {
    sample(at, sample) {
      const { zone, note } = at.zone;
      time = { ...time, zone };
      let text = "";
      if (lostAt !== undefined) {
        const seconds = ((performance.now() - lostAt) / 1000).toFixed(1);
        text = `${clock()}${plainText(sourceName(request))} is back after ${seconds} s\n`;
        lostAt = undefined;
      }
      const how = { style, rates, time: { zone, full: time.full } };
      if (inPlace) {
        const fresh = new SampleWriter(reportsOf(at), how);
        return drawInPlace(`${note}${description(at)}\n${fresh.write(sample)}`);
      }
      if (described !== at) {
        const first = described === undefined;
        described = at;
        writer = new SampleWriter(reportsOf(at), how);
        if (first) text += `${note}${description(at)}\n`;
      }
      const values = jsonText(sample.metrics);
      if (values !== before || sample.mark) text += writer?.write(sample) ?? "";
      before = values;
      return text === "" || say(text);
    },
    failure(failure) {
      if (lostAt !== undefined) return true;
      lostAt = performance.now();
      const text = `${clock()}${plainText(sourceName(request))} lost: ${failureLine(failure)}\n`;
      return inPlace ? drawInPlace(text) : say(text);
    },
  };
}

/** Values of a live source at every step. */
async function watchLive(
  request: ProbeRequest,
  first: OpenSource,
  printer: Printer,
  stop: AbortSignal,
): Promise<void> {
  const step = (request.watch ?? 1) * 1000;
  const start = performance.now();
  let at: Following | undefined;
  let fresh = true;
  for (let tick = 0; ; tick++) {
    if (!(await waitUntil(Math.max(start + tick * step, performance.now()), stop))) return;
    try {
      if (fresh) at?.sampler.forget();
      at = fresh || at === undefined ? await begin(request, first) : at;
      if (fresh && !request.json && tick === 0) complainMetrics(at.metrics.failures);
      fresh = false;
      if (at.metrics.found.length === 0) return;
      const { result } = await first.context.fetch(at.sampler.pmids);
      if (!printer.sample(at, await at.sampler.read(result))) return;
    } catch (error) {
      if (!(error instanceof PcpError)) throw error;
      // What comes after it may have other metrics under these names.
      fresh = true;
      if (!printer.failure(failureOf(error, { about: request.source.type }))) return;
    }
    if (tick + 1 >= (request.samples ?? Infinity)) return;
  }
}

/** Records of an archive, those that are there and those that come. */
async function followArchive(
  request: ProbeRequest,
  open: OpenSource,
  printer: Printer,
  stop: AbortSignal,
): Promise<void> {
  const context = open.context as ArchiveContext;
  const at = await begin(request, open);
  if (!request.json) complainMetrics(at.metrics.failures);
  if (at.metrics.found.length === 0) return;
  const given = windowOf(request, context, at.zone.zone);
  // Without -T it goes on beyond the present end.
  const finish = request.window.finish === undefined ? undefined : given.finish;
  const window = { ...given, finish };
  const wait = (): Promise<boolean> =>
    waitUntil(performance.now() + (request.watch ?? 1) * 1000, stop);
  const schedule = {
    interval: undefined,
    samples: request.samples ?? Infinity,
    finish,
    follow: wait,
  };
  for await (const sample of sampleArchive(context, at.sampler, window, schedule, stop)) {
    if (!printer.sample(at, sample)) return;
  }
}

/** Watches metrics; resolves to the exit status. */
export async function watchValues(request: ProbeRequest, stop: AbortSignal): Promise<number> {
  const printer = request.json ? jsonPrinter(request) : textPrinter(request);
  const opened = await openSource(request);
  if (!opened.ok) {
    if (request.json) printer.failure(opened.failure);
    else complainFailure(request, opened.failure);
    return 1;
  }
  const { context } = opened;
  try {
    if (request.source.type === "archive") await followArchive(request, opened, printer, stop);
    else await watchLive(request, opened, printer, stop);
    return 0;
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    const failure = failureOf(error, { about: request.source.type });
    if (request.json) printer.failure(failure);
    else complainBroken(request, failure);
    return 1;
  } finally {
    await context.close();
  }
}
