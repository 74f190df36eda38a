// probe: what a source of metrics holds, as a report, a picture and a dump.
export type * from "./archive-types.ts";
export type * from "./dump-types.ts";
export { dumpArchives } from "./dump.ts";
export { archiveFacts, changedFacts, type Facts, liveFacts } from "./changes.ts";
export { type FailurePlace, failureOf, hintOf } from "./hints.ts";
export { jsonText, metricJson, sampleJson } from "./json.ts";
export { contextLabels, lookLive, type Opening } from "./live.ts";
export { type Metric, type Metrics, resolveMetrics } from "./metrics.ts";
export { type MetricSpec, parseMetricSpec } from "./metric-spec.ts";
export { plainLines, plainText } from "./plain.ts";
export type * from "./report.ts";
export { sampleArchive, sampleLive, Sampler, type Schedule } from "./sampling.ts";
export { featureNames, stepReport } from "./steps.ts";
export { type Paint, paint, type Style } from "./style.ts";
export { archiveComplaints, archiveText } from "./text-archive.ts";
export { failureLines, liveText, stepLines, verdictLine } from "./text-live.ts";
export { type SampleStyle, SampleWriter } from "./text-samples.ts";
export { detailText, metricLines, timeText, type TimeStyle } from "./text-values.ts";
