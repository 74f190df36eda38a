// What the output of `pcpbox newcontext-probe` depends on beside the source: zone, time window,
// style, and being told to stop. Texts that cannot be read are mistakes of the command line.

import { asPcpError, PM_ERR, pmErrStr } from "../lib/base/mod.ts";
import type { ArchiveContext, Context } from "../lib/context/mod.ts";
import { localZone, newZone, now, timeWindow, type TimeWindow, type Zone } from "../lib/pcp/mod.ts";
import {
  type Failure,
  failureLines,
  type Metrics,
  plainLines,
  plainText,
  type Style,
  withoutPassword,
} from "../lib/probe/mod.ts";
import { cannotOpen, warn } from "./newcontext-probe-open.ts";
import { PROGRAM, type ProbeRequest } from "./newcontext-probe-request.ts";
import { complain, outputStyle, wantsColour } from "./output.ts";
import { isTerminal } from "./terminal.ts";

/** Something on the command line that cannot be used; the message is PCP's sentence. */
export class Mistake extends Error {}

/** The reporting zone and, where it is not that of this process, PCP's line about it. */
export interface ReportingZone {
  readonly zone: Zone;
  /** With a newline and an empty line, or empty. */
  readonly note: string;
}

/** The zone of -Z, or that of this process; undefined when the source has to say. */
export function ownZone({ zone }: ProbeRequest): ReportingZone | undefined {
  if (zone.kind === "source") return undefined;
  if (zone.kind === "own") return { zone: localZone(process.env), note: "" };
  try {
    const note = `Note: timezone set to "TZ=${plainText(zone.name)}"\n\n`;
    return { zone: newZone(zone.name), note };
  } catch (error) {
    const { code } = asPcpError(error);
    throw new Mistake(`Cannot set timezone to "${plainText(zone.name)}": ${pmErrStr(code)}`);
  }
}

/** The note of -z about a host's zone. */
export const sourceNote = (host: string, archive: boolean): string =>
  `Note: timezone set to local timezone of host "${plainText(host)}"${archive ? " from archive" : ""}\n\n`;

/** The reporting zone over an open source. */
export async function reportingZone(
  request: ProbeRequest,
  context: Context,
): Promise<ReportingZone> {
  const own = ownZone(request);
  if (own !== undefined) return own;
  const note = sourceNote(await context.hostName(), context.type === "archive");
  return { zone: await context.zone(), note };
}

/** The time window of -S -T -A -O over an archive, or from now on. */
export function windowOf(request: ProbeRequest, context: Context, zone: Zone): TimeWindow {
  const present = now();
  const archive = context.type === "archive" ? (context as ArchiveContext) : undefined;
  const bounds =
    archive === undefined
      ? { start: present }
      : { start: archive.label().start, finish: archive.end() };
  try {
    const window = timeWindow(request.window, bounds, { zone, now: present });
    if (window.warning !== undefined) warn(window.warning);
    return window;
  } catch (error) {
    throw new Mistake(`invalid time window.\n${plainLines(asPcpError(error).message).trimEnd()}`);
  }
}

/** Width and colour of standard output. */
export const styleOf = (request: ProbeRequest): Style => outputStyle(request.noColor);

function complainAbout(request: ProbeRequest, sentence: string, failure: Failure): void {
  const colour = !request.noColor && wantsColour(isTerminal("stderr"), process.env);
  const style = { width: 80, colour };
  const lines = failureLines(style, failure).join("\n");
  complain(`${PROGRAM}: ${plainText(sentence)}: ${failure.message}\n${lines}\n`);
}

/** PCP's line about a source that cannot be opened, then code, place and hint. */
export function complainFailure(request: ProbeRequest, failure: Failure): void {
  const { code, detail } = failure;
  const isBadHost = request.source.type === "host" && code === PM_ERR.GENERIC && detail !== null;
  // The text of this code says that the reason is above it.
  if (isBadHost) complain(`pmNewContext: bad host specification\n${detail}\n`);
  const rest = isBadHost ? { ...failure, detail: null } : failure;
  complainAbout(request, cannotOpen(request), rest);
}

/** The same about a source that was open and then failed. */
export const complainBroken = (request: ProbeRequest, failure: Failure): void =>
  complainAbout(request, sourceName(request), failure);

/** Metrics that are not there, a line each with its hint. */
export function complainMetrics(failures: Metrics["failures"]): void {
  for (const { where, message, code, symbol, detail, hint } of failures) {
    const more = detail === null ? "" : ` (${detail})`;
    const name = symbol === null ? String(code) : `${symbol}, ${code}`;
    complain(`${PROGRAM}: ${where}: ${message}${more} [${name}]\n`);
    if (hint !== null) complain(`  hint: ${hint}\n`);
  }
}

/** `host "db1"`, `archive "x"`, `local context`. */
export function sourceName({ source }: ProbeRequest): string {
  return source.type === "local"
    ? "local context"
    : `${source.type} "${withoutPassword(source.name)}"`;
}

/** Milliseconds after a signal until what is under way is left where it is. */
const GRACE_MS = 300;

/**
 * A signal that is given at SIGINT and SIGTERM; `end` gives both their usual effect again. What does
 * not end by itself then, such as an attempt to connect, is given up: the program ends with status 0.
 */
export function stopSignal(): { readonly stop: AbortSignal; readonly end: () => void } {
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const abort = (): void => {
    controller.abort();
    timer ??= setTimeout(() => process.exit(0), GRACE_MS);
  };
  process.on("SIGINT", abort);
  process.on("SIGTERM", abort);
  return {
    stop: controller.signal,
    end: () => {
      clearTimeout(timer);
      process.off("SIGINT", abort);
      process.off("SIGTERM", abort);
    },
  };
}
