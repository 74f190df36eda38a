// What every JSON object of `pcpbox newcontext-probe` has.

import { now } from "../lib/pcp/mod.ts";
import { type Failure, withoutPassword } from "../lib/probe/mod.ts";
import { PROGRAM } from "./newcontext-probe-request.ts";
import type { ProbeRequest } from "./newcontext-probe-request.ts";

/** Version of the shape; a number more when something that was there is told otherwise. */
const FORMAT = 1;

/** Tool, time, source, and whether all went well; `errors` are those beside the failure. */
export const jsonHead = (
  request: ProbeRequest,
  failure: Failure | null,
  errors: readonly Failure[] = [],
): object => ({
  tool: PROGRAM,
  format: FORMAT,
  time: now(),
  ok: failure === null && errors.length === 0,
  source:
    request.source.type === "host"
      ? { ...request.source, name: withoutPassword(request.source.name) }
      : request.source,
  error: failure,
});
