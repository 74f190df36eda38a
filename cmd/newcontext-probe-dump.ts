// `pcpbox newcontext-probe --dump`: every record of an archive, or the parts that --part names, piece
// by piece, so that archives of any size pass through.

import { type ArchiveSet, openArchives } from "../lib/archive/mod.ts";
import { asPcpError, PcpError } from "../lib/base/mod.ts";
import { openArchiveContext } from "../lib/context/mod.ts";
import {
  dumpArchives,
  dumpObjects,
  type DumpOptions,
  failureOf,
  jsonText,
  plainJsonText,
  plainLines,
} from "../lib/probe/mod.ts";
import { jsonHead } from "./newcontext-probe-json.ts";
import { warn } from "./newcontext-probe-open.ts";
import type { ProbeRequest } from "./newcontext-probe-request.ts";
import {
  complainBroken,
  complainFailure,
  reportingZone,
  windowOf,
} from "./newcontext-probe-setting.ts";
import { say } from "./output.ts";

/** Characters that are gathered before they are written. */
const CHUNK = 64 * 1024;

function partsOf({ parts, fullTimes }: ProbeRequest): DumpOptions {
  const has = (part: ProbeRequest["parts"][number]): boolean => parts.includes(part);
  const extended = fullTimes > 2 ? 3 : fullTimes === 2 ? 2 : fullTimes === 1 ? 1 : 0;
  if (parts.length === 0) return { all: true, labels: true, texts: true, extended };
  return {
    ...(has("label") ? { label: "long" as const } : {}),
    descriptors: has("descs"),
    instances: has("insts"),
    storedInstances: has("stored-insts"),
    labels: has("labels"),
    texts: has("texts"),
    index: has("index"),
    values: has("values"),
    extended,
  };
}

/** A line that says what it is, then one for each part and each record. */
function* jsonLines(
  request: ProbeRequest,
  set: ArchiveSet,
  options: DumpOptions,
): Generator<string> {
  yield `${jsonText({ part: "dump", ...jsonHead(request, null) })}\n`;
  for (const each of dumpObjects(set, options)) yield `${plainJsonText(each)}\n`;
}

async function dumpSet(request: ProbeRequest, set: ArchiveSet): Promise<void> {
  const context = await openArchiveContext(set.members[0]?.name ?? "", { set });
  const { zone, note } = await reportingZone(request, context);
  const { start, finish } = windowOf(request, context, zone);
  const windowed = request.window.start !== undefined || request.window.align !== undefined;
  const options: DumpOptions = {
    ...partsOf(request),
    marks: true,
    reverse: request.reverse,
    ...(windowed ? { start } : {}),
    ...(request.window.finish !== undefined && finish !== undefined ? { finish } : {}),
    zone,
    ...(request.metrics.length > 0 ? { metrics: request.metrics } : {}),
  };
  let text = request.json ? "" : note;
  try {
    for (const piece of request.json
      ? jsonLines(request, set, options)
      : dumpArchives(set, options)) {
      text += piece;
      if (text.length < CHUNK) continue;
      const whole = plainLines(text);
      text = "";
      if (!say(whole)) return;
    }
  } finally {
    // What precedes damage is shown before the damage is told.
    say(plainLines(text));
  }
}

/** Tells a failure: as the last object, or on standard error. */
function fail(request: ProbeRequest, error: PcpError, complain: typeof complainFailure): number {
  const failure = failureOf(error, { about: "archive" });
  if (request.json) say(`${jsonText({ part: "failure", ...jsonHead(request, failure) })}\n`);
  else complain(request, failure);
  return 1;
}

/** Dumps an archive; resolves to the exit status. */
export async function dumpSource(request: ProbeRequest): Promise<number> {
  const { source } = request;
  if (source.type !== "archive") return 1;
  let set: ArchiveSet;
  try {
    set = openArchives(source.name, { warn });
  } catch (error) {
    return fail(request, asPcpError(error), complainFailure);
  }
  try {
    await dumpSet(request, set);
    return 0;
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    return fail(request, error, complainBroken);
  }
}
