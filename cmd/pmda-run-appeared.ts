// The last step of an installation: whether pmcd has the agent's metrics now, or has them no more, in
// the words of PCP's scripts. It only tells; an agent that is slow to start is no failure.

import { setTimeout as sleep } from "node:timers/promises";

import { PcpError, PM_ERR } from "../lib/base/mod.ts";
import { isDynamicRoot, type NamedPmid, parseHostSpec, type Pmid } from "../lib/pcp/mod.ts";
import { connectPmcd, type PmcdConnection } from "../lib/pdu/mod.ts";

/** Milliseconds that pmcd has to start an agent, or to end it, and between two looks. */
const PATIENCE_MS = 8000;
const PAUSE_MS = 250;
/** Metrics asked for at once. */
const AT_ONCE = 500;

/** What pmcd has of some metrics. */
interface Found {
  readonly metrics: number;
  readonly values: number;
  /** Metrics that are only an error. */
  readonly errors: number;
}

async function look(pmcd: PmcdConnection, pmids: readonly Pmid[]): Promise<Found> {
  let [metrics, values, errors] = [0, 0, 0];
  for (let at = 0; at < pmids.length; at += AT_ONCE) {
    const { result } = await pmcd.fetch(pmids.slice(at, at + AT_ONCE));
    for (const set = result.sets(); set.next(); metrics += 1) {
      if (set.numval < 0) errors += 1;
      else values += set.numval;
    }
  }
  return { metrics, values, errors };
}

/** Calls back with a connection until it is content or patience is over; undefined without pmcd. */
async function watch<T>(
  socket: string,
  attempt: (pmcd: PmcdConnection) => Promise<{ readonly done: boolean; readonly value: T }>,
): Promise<T | undefined> {
  const spec = parseHostSpec(`unix:${socket}`);
  let last: T | undefined;
  for (let waited = 0; waited <= PATIENCE_MS; waited += PAUSE_MS) {
    // pmcd is busy while it starts agents, and old connections know old names.
    await sleep(PAUSE_MS);
    try {
      const pmcd = await connectPmcd(spec);
      const { done, value } = await attempt(pmcd).finally(() => pmcd.close());
      last = value;
      if (done) break;
    } catch (error) {
      if (!(error instanceof PcpError)) throw error;
      if (error.code === PM_ERR.PERMISSION) return undefined;
    }
  }
  return last;
}

/** The line that says how many metrics and values have appeared; empty where that cannot be seen. */
export async function appearedText(
  name: string,
  metrics: readonly NamedPmid[],
  socket: string,
): Promise<string> {
  const pmids = metrics.filter(({ pmid }) => !isDynamicRoot(pmid)).map(({ pmid }) => pmid);
  if (pmids.length === 0) return "";
  const found = await watch(socket, async (pmcd) => {
    const value = await look(pmcd, pmids);
    return { done: value.errors < value.metrics, value };
  });
  if (found === undefined) return "";
  const warnings = found.errors === 0 ? "" : `${found.errors} warnings, `;
  return `Check ${name} metrics have appeared ... ${warnings}${found.metrics} metrics and ${found.values} values\n`;
}

/** The line that says whether an agent's names have gone away; empty where that cannot be seen. */
export async function goneText(
  name: string,
  metrics: readonly NamedPmid[],
  socket: string,
): Promise<string> {
  const [first] = metrics;
  if (first === undefined) return "";
  const gone = await watch(socket, async (pmcd) => {
    try {
      await pmcd.lookupNames([first.name]);
      return { done: false, value: false };
    } catch (error) {
      if (!(error instanceof PcpError) || error.code !== PM_ERR.NAME) throw error;
      return { done: true, value: true };
    }
  });
  if (gone === undefined) return "";
  return `Check ${name} metrics have gone away ... ${gone ? "OK" : "not yet"}\n`;
}
