// `pcpbox newcontext-probe` without metrics: one look at the source, as text, as JSON, or with
// --check as a verdict of one line. Steps of a connection that failed are shown all the same.

import { dirname } from "node:path";
import { PcpError } from "../lib/base/mod.ts";
import { newZone } from "../lib/pcp/mod.ts";
import {
  archiveComplaints,
  archiveReport,
  archiveText,
  type ArchiveReport,
  type Failure,
  failureOf,
  fileState,
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

/** What tells that nothing was written: sizes and times of the files, and of their directories. */
export function signatureOf(report: ArchiveReport): string {
  const paths = report.members.flatMap((member) => member.files.map((file) => file.path));
  const places = new Set([...paths, ...paths.map((path) => dirname(path))]);
  return [...places]
    .map((path) => {
      const stat = fileState(path);
      return `${path} ${stat?.size} ${stat?.mtimeMs}`;
    })
    .join("\n");
}

/** Files that were written less than so many milliseconds ago may be written now. */
const FRESH_MS = 2000;
/** Milliseconds to see whether they are. */
const WRITTEN_MS = 1000;

/** Whether files of the archive are being written. Waits only where they were written just now. */
async function isWritten(report: ArchiveReport): Promise<boolean> {
  const files = report.members.flatMap((member) => member.files);
  const before = signatureOf(report);
  const fresh = files.some(({ modified }) => Math.abs(Date.now() - modified) < FRESH_MS);
  if (fresh) await Bun.sleep(WRITTEN_MS);
  return fresh && signatureOf(report) !== before;
}

/** Looks at an archive; one that cannot be opened is a report too. */
async function lookAtArchive(request: ProbeRequest, name: string): Promise<Look> {
  const check = request.task === "check";
  const growing = request.watch !== undefined;
  let report = archiveReport(name, { growing, check });
  const wrong = report.error !== null || archiveComplaints(report).length > 0;
  // What is wrong with files that are written may be what is not written yet.
  if (wrong && !growing && (await isWritten(report))) {
    report = archiveReport(name, { growing: true, check });
  }
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
