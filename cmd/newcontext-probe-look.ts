// `pcpbox newcontext-probe` without metrics: one look at the source, as text, as JSON, or with
// --check as a verdict of one line. Steps of a connection that failed are shown all the same.

import { PcpError } from "../lib/base/mod.ts";
import { newZone } from "../lib/pcp/mod.ts";
import {
  archiveComplaints,
  archiveReport,
  archiveText,
  type ArchiveReport,
  type Failure,
  failureOf,
  jsonText,
  type LiveReport,
  liveText,
  lookLive,
  paint,
  plainText,
  type StepReport,
  stepLines,
  type Style,
  verdictLine,
} from "../lib/probe/mod.ts";
import { jsonHead } from "./newcontext-probe-json.ts";
import { cannotOpen, openSource, type OpenSource } from "./newcontext-probe-open.ts";
import type { ProbeRequest } from "./newcontext-probe-request.ts";
import {
  complainBroken,
  complainFailure,
  ownZone,
  type ReportingZone,
  reportingZone,
  sourceName,
  sourceNote,
  styleOf,
} from "./newcontext-probe-setting.ts";
import { say } from "./output.ts";

/** What a look has found. */
export type Look =
  | { readonly kind: "live"; readonly report: LiveReport; readonly zone: ReportingZone }
  | { readonly kind: "archive"; readonly report: ArchiveReport; readonly zone: ReportingZone }
  | {
      readonly kind: "failed";
      readonly failure: Failure;
      readonly steps: readonly StepReport[];
      /** Whether it had been open. */
      readonly broken: boolean;
    };

/** Whether the locale has characters beyond ASCII. */
const isUtf8 = (env: NodeJS.ProcessEnv): boolean =>
  /utf-?8/i.test(env["LC_ALL"] || env["LC_CTYPE"] || env["LANG"] || "");

/** Looks at an archive; one that cannot be opened is a report too. */
function lookAtArchive(request: ProbeRequest, name: string): Look {
  const report = archiveReport(name, {
    growing: request.watch !== undefined,
    check: request.task === "check",
  });
  const [host = ""] = report.hosts;
  const [zone = "UTC"] = report.timezones;
  const own = ownZone(request);
  return {
    kind: "archive",
    report,
    zone: own ?? { zone: newZone(zone), note: sourceNote(host, true) },
  };
}

/** Opens and looks. */
export async function look(request: ProbeRequest): Promise<Look> {
  const { source } = request;
  if (source.type === "archive") return lookAtArchive(request, source.name);
  const opened = await openSource(request);
  if (!opened.ok) return { kind: "failed", ...opened, broken: false };
  try {
    return await lookAgain(request, opened);
  } finally {
    await opened.context.close();
  }
}

/** Looks at a source that is open. */
export async function lookAgain(
  request: ProbeRequest,
  { context, opening }: OpenSource,
): Promise<Look> {
  try {
    const zone = ownZone(request) ?? (await reportingZone(request, context));
    return { kind: "live", report: await lookLive(context, opening), zone };
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    const failure = failureOf(error, { about: request.source.type });
    return { kind: "failed", failure, steps: opening.steps, broken: true };
  }
}

/** The failure of a look, null when the source works. */
export function failureIn(found: Look): Failure | null {
  if (found.kind === "failed") return found.failure;
  if (found.kind === "live" || found.report.error === null) return null;
  const { code, message } = found.report.error;
  return failureOf(new PcpError(code, message), { about: "archive" });
}

/** One JSON object, without its newline. */
export function lookJson(request: ProbeRequest, found: Look): string {
  const head = jsonHead(request, failureIn(found));
  if (found.kind === "failed") return jsonText({ ...head, steps: found.steps });
  const key = found.kind === "archive" ? "archive" : request.source.type;
  const complaints =
    found.kind === "archive" ? archiveComplaints(found.report) : found.report.unhealthy;
  return jsonText({ ...head, healthy: complaints.length === 0, complaints, [key]: found.report });
}

/** The look as text; that of a failure has the steps alone. */
export function lookText(request: ProbeRequest, found: Look, style: Style): string {
  const what = plainText(sourceName(request));
  if (found.kind === "live") return found.zone.note + liveText(style, what, found.report);
  if (found.kind === "archive") {
    const { report, zone } = found;
    return zone.note + archiveText(style, report, zone.zone, !isUtf8(process.env));
  }
  const verdict = verdictLine(style, what, found.broken ? "failed" : "does not work", "bad");
  if (found.steps.length === 0) return `${verdict}\n`;
  const steps = stepLines(style, found.steps).join("\n");
  return `${verdict}\n\n${paint(style, "strong", "Connection")}\n${steps}\n`;
}

/** Prints what went wrong on standard error. */
export function complainLook(request: ProbeRequest, found: Look): void {
  const failure = failureIn(found);
  if (failure === null) return;
  if (found.kind === "failed" && found.broken) complainBroken(request, failure);
  else complainFailure(request, failure);
}

/** --check: one line, and the status. */
function verdictOf(request: ProbeRequest, found: Look): readonly [string, number] {
  const what = plainText(sourceName(request));
  const failure = failureIn(found);
  if (failure !== null) return [`${plainText(cannotOpen(request))}: ${failure.message}`, 1];
  if (found.kind === "failed") return [`${what}: failed`, 1];
  const complaints =
    found.kind === "archive"
      ? archiveComplaints(found.report)
      : [...found.report.unhealthy, ...found.report.errors.map((each) => each.message)];
  const [first, ...more] = complaints;
  if (first === undefined) return [`${what}: ok`, 0];
  return [`${what}: ${first}${more.length > 0 ? ` (and ${more.length} more)` : ""}`, 1];
}

/** Looks once; resolves to the exit status. */
export async function lookAtSource(request: ProbeRequest): Promise<number> {
  const found = await look(request);
  const status = failureIn(found) === null ? 0 : 1;
  if (request.json) {
    say(`${lookJson(request, found)}\n`);
    return request.task === "check" ? verdictOf(request, found)[1] : status;
  }
  if (request.task === "check") {
    const [line, verdict] = verdictOf(request, found);
    say(`${line}\n`);
    return verdict;
  }
  say(lookText(request, found, styleOf(request)));
  complainLook(request, found);
  return status;
}
