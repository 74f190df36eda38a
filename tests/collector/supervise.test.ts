// Goal: an agent that keeps ending is started again at growing intervals, and at once after it has lived
// long; a new process hears what clients have told of themselves; who asks meanwhile is told that
// there is no agent; nothing starts once it was closed.
import { expect, test } from "bun:test";
import { asPcpError, PcpError, PM_ERR } from "../../lib/base/mod.ts";
import { supervise } from "../../lib/collector/supervise.ts";
import { asPmid, PM_INDOM_NULL } from "../../lib/pcp/mod.ts";
import { createProfile, STATE_CHANGE } from "../../lib/pdu/mod.ts";
import type { Agent } from "../../lib/pmda/mod.ts";

const by = { context: 3, profile: createProfile() };
const desc = { pmid: asPmid(1), type: 0, indom: PM_INDOM_NULL, sem: 3, units: 0 };

/** An agent under supervision whose processes, clock and reports are the test's. */
function staged() {
  const calls: string[] = [];
  const said: string[] = [];
  const changes: number[] = [];
  const state = { time: 0, broken: false };
  let end: (() => void) | undefined;
  let starts = 0;
  const nothing = (): never => {
    throw new PcpError(PM_ERR.NYI);
  };
  const agent = supervise({
    name: "staged",
    domain: 7,
    now: () => state.time,
    report: (level, text) => void said.push(`${level}: ${text}`),
    changed: (bits) => void changes.push(bits),
    async start() {
      if (state.broken) throw new PcpError(-2);
      starts += 1;
      const process = starts;
      const { promise: ended, resolve } = Promise.withResolvers<PcpError>();
      end = () => resolve(new PcpError(PM_ERR.NOAGENT));
      const one: Agent = {
        name: "staged",
        domain: 7,
        features: 4,
        fetch: nothing,
        desc: () => ({ ...desc, sem: process }),
        instances: nothing,
        instanceName: nothing,
        instanceId: nothing,
        text: nothing,
        labels: nothing,
        store: nothing,
        attribute: (context, key, value) =>
          void calls.push(`${process}: ${context} ${key}=${value}`),
        ended,
      };
      const gone = ended.then(() => ({ reason: "exit(1)", status: 0x102 }));
      return { agent: one, gone, stop: async () => end?.() };
    },
  });
  /** Which process answers, or the code. */
  const ask = async (): Promise<number> => {
    try {
      return (await agent.desc(asPmid(1), by)).sem;
    } catch (error) {
      return asPcpError(error).code;
    }
  };
  const crash = async (): Promise<void> => {
    end?.();
    await Bun.sleep(0);
  };
  return { agent, ask, crash, state, calls, said, changes, starts: () => starts };
}

test("starts when it is wanted, and again after growing pauses", async () => {
  const { agent, ask, crash, state, said, changes } = staged();
  expect([agent.running, agent.status]).toEqual([false, 4]);
  expect([await ask(), await ask()]).toEqual([1, 1]);
  expect([agent.running, agent.status, agent.restarts]).toEqual([true, 0, 0]);
  await crash();
  expect([agent.running, agent.status]).toEqual([false, 0x102]);
  expect(await ask()).toBe(2);
  for (const [process, pause] of [
    [3, 1000],
    [4, 2000],
    [5, 4000],
    [6, 8000],
    [7, 16_000],
    [8, 32_000],
    [9, 60_000],
    [10, 60_000],
  ] as const) {
    await crash();
    state.time += pause - 1;
    expect(await ask()).toBe(PM_ERR.NOAGENT);
    state.time += 1;
    expect(await ask()).toBe(process);
  }
  expect(agent.restarts).toBe(9);
  // Long enough for the next end to count as the first.
  state.time += 60_001;
  await crash();
  expect(await ask()).toBe(11);
  const title = 'agent "staged" (domain 7)';
  expect(said.slice(0, 4)).toEqual([
    `Warning: ${title}: exit(1); the next request starts it`,
    `Info: ${title}: started again`,
    `Warning: ${title}: exit(1); no start for 1 s`,
    `Info: ${title}: started again`,
  ]);
  expect(changes.slice(0, 2)).toEqual([STATE_CHANGE.DROP_AGENT, STATE_CHANGE.RESTART_AGENT]);
});

test("one that cannot be started counts as one that ended", async () => {
  const { ask, state, said, starts } = staged();
  state.broken = true;
  expect([await ask(), await ask(), await ask()]).toEqual(Array(3).fill(PM_ERR.NOAGENT));
  expect(said.length).toBe(2);
  expect(said[1]).toContain("cannot be started: No such file or directory; no start for 1 s");
  state.broken = false;
  state.time += 1000;
  expect(await ask()).toBe(1);
  expect(starts()).toBe(1);
});

test("every process hears of the clients that there are", async () => {
  const { agent, ask, crash, calls } = staged();
  // Before it is known what it wants to know.
  expect(agent.features).not.toBe(0);
  await agent.attribute?.(3, 11, "0");
  await agent.attribute?.(4, 11, "7");
  await ask();
  await agent.attribute?.(3, 14, "99");
  agent.contextClosed?.(4);
  await crash();
  await ask();
  expect(calls).toEqual(["1: 3 11=0", "1: 4 11=7", "1: 3 14=99", "2: 3 11=0", "2: 3 14=99"]);
});

test("requests at the same time start it once; closed, it stays so", async () => {
  const { agent, ask, starts } = staged();
  expect(await Promise.all([ask(), ask(), ask()])).toEqual([1, 1, 1]);
  expect(starts()).toBe(1);
  await agent.close?.();
  expect(await ask()).toBe(PM_ERR.NOAGENT);
  expect(starts()).toBe(1);
});
