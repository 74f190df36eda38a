// `pcpbox newcontext-probe`: finds out what the command line asks for (a look, values, a dump, a
// verdict) and loads only that. Mistakes that show before anything is opened end here.

import { asPcpError } from "../lib/base/mod.ts";
import { probeVerb, type ProbeOptions } from "./options/newcontext-probe.ts";
import { requestOf } from "./newcontext-probe-request.ts";
import { command, type CommandLine, refuse } from "./verb.ts";

async function probe({ options, operands }: CommandLine<ProbeOptions>): Promise<number> {
  const read = requestOf(options, operands, process.env);
  if (!read.ok) return refuse(probeVerb, read.errors);
  const { request } = read;
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
    throw asPcpError(error);
  }
});
