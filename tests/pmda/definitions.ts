// Small agents of domain 77 for tests, and short ways to ask them.
import { expect } from "bun:test";
import { PcpError } from "../../lib/base/mod.ts";
import {
  type Atom,
  type Indom,
  indomBuild,
  PM_SEM,
  PM_TYPE,
  type Pmid,
  pmidBuild,
  pmExtractValue,
  ResultView,
  ResultWriter,
} from "../../lib/pcp/mod.ts";
import { createProfile, decodePdu, encodeResult } from "../../lib/pdu/mod.ts";
import {
  type AgentDefinition,
  type AgentOptions,
  type AgentSetting,
  type Caller,
  makeAgent,
  type MetricRow,
  type RunningAgent,
} from "../../lib/pmda/mod.ts";

export const domain = 77;
export const by: Caller = { context: 0, profile: createProfile() };
export const pmid = (item: number, cluster = 0): Pmid => pmidBuild(domain, cluster, item);
export const indom = (serial: number): Indom => indomBuild(domain, serial);

/** A metric of type 32 unless said otherwise. */
export const row = (item: number, more: Partial<MetricRow> = {}): MetricRow => ({
  name: `t.m${item}`,
  cluster: 0,
  item,
  type: PM_TYPE.I32,
  sem: PM_SEM.INSTANT,
  fetch: () => item,
  ...more,
});

/** An agent with what it logs. */
export function agentOf(definition: Partial<AgentDefinition>, options: Partial<AgentOptions> = {}) {
  const logged: string[] = [];
  const log: AgentSetting["log"] = (level, text) => void logged.push(`${level} ${text}`);
  const whole = { name: "t", metrics: [], ...definition };
  return { agent: makeAgent(whole, { domain, log, ...options }), logged };
}

/** The sets of a fetch: `item=code`, or `item=instance:value,…`. */
export async function fetch(
  agent: RunningAgent,
  items: readonly number[],
  caller = by,
): Promise<string> {
  const out = new ResultWriter();
  await agent.fetch(
    items.map((item) => pmid(item)),
    caller,
    out,
  );
  const bytes = out.finish(0);
  const sets = new ResultView(bytes, { sec: 0, nsec: 0 }, out.count, 0).sets();
  const words: string[] = [];
  for (const item of items) {
    expect(sets.next()).toBe(true);
    expect(sets.pmid).toBe(pmid(item));
    const type = agent.definition.metrics.find((each) => each.item === item)?.type ?? 0;
    const values = Array.from({ length: Math.max(sets.numval, 0) }, (_, i) => {
      const value = pmExtractValue(sets, i, type, type);
      return `${sets.instance(i)}:${String(value)}`;
    });
    words.push(`${item}=${sets.numval > 0 ? values.join(",") : sets.numval}`);
  }
  return words.join(" ");
}

/** The code that a call fails with; 0 when it does not. */
export async function codeOf(work: () => unknown): Promise<number> {
  try {
    await work();
    return 0;
  } catch (error) {
    expect(error).toBeInstanceOf(PcpError);
    return error instanceof PcpError ? error.code : 0;
  }
}

export const three = [
  { id: 0, name: "a" },
  { id: 5, name: "b long" },
  { id: 9, name: "b other" },
];

export type StoreSet = readonly [item: number, type: number, instances: number[], values: Atom[]];

/** A store request, through the bytes that it travels as. */
export function storing(sets: readonly StoreSet[], valfmt?: number): ResultView {
  const list = sets.map(([item, type, instances, values]) => ({
    pmid: pmid(item),
    type,
    instances,
    values,
    ...(valfmt === undefined ? {} : { valfmt }),
  }));
  const pdu = decodePdu(encodeResult(0, { timestamp: { sec: 0, nsec: 0 }, sets: list }, false));
  if (pdu.kind !== "result") throw new Error(pdu.kind);
  return pdu.result;
}
