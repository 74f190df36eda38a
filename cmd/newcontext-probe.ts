// `pcpbox newcontext-probe`: finds out what the command line asks for (a look, values, a dump, a
// verdict) and loads only that. Mistakes that show before anything is opened end here.

import { asPcpError } from "../lib/base/mod.ts";
import { probeVerb, type ProbeOptions } from "./options/newcontext-probe.ts";
import { PROGRAM, type ProbeRequest, requestOf } from "./newcontext-probe-request.ts";
import { command, type CommandLine, refuse } from "./verb.ts";

/** Finds mistakes in texts that no source is needed for. */
async function checkTexts(request: ProbeRequest): Promise<void> {
  if (request.zone.kind !== "named" && request.localAgents.length + request.metrics.length === 0) {
    return;
  }
  const { parseMetricSpec } = await import("../lib/probe/mod.ts");
  const { Mistake, ownZone } = await import("./newcontext-probe-setting.ts");
  ownZone(request);
  try {
    if (request.localAgents.length > 0) {
      const { tableOf } = await import("./local-agents.ts");
      tableOf(PROGRAM, request.localAgents);
    }
  } catch (error) {
    throw new Mistake(asPcpError(error).message);
  }
  try {
    request.metrics.forEach(parseMetricSpec);
  } catch (error) {
    throw new Mistake(`metric not in NAME[INSTANCE,...] format:\n${asPcpError(error).message}`);
  }
}

async function probe({ options, operands }: CommandLine<ProbeOptions>): Promise<number> {
  const read = requestOf(options, operands, process.env);
  if (!read.ok) return refuse(probeVerb, read.errors);
  const { request } = read;
  await checkTexts(request);
  if (request.task === "dump") {
    const { dumpSource } = await import("./newcontext-probe-dump.ts");
    return dumpSource(request);
  }
  if (request.watch !== undefined) {
    const { watchSource } = await import("./newcontext-probe-watch.ts");
    return watchSource(request);
  }
  if (request.task === "metrics") {
    const { showValues } = await import("./newcontext-probe-values.ts");
    return showValues(request);
  }
  const { lookAtSource } = await import("./newcontext-probe-look.ts");
  return lookAtSource(request);
}

export default command(probeVerb, async (line) => {
  try {
    return await probe(line);
  } catch (error) {
    // A mistake that shows only later: a time, a zone, the name of a metric.
    const { Mistake } = await import("./newcontext-probe-setting.ts");
    if (error instanceof Mistake) return refuse(probeVerb, [error.message]);
    throw error;
  }
});
