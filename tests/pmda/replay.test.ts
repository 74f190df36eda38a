// Goal: to every request of recorded sessions our trivial answers the bytes that PCP's answered.
import { test } from "bun:test";
import { builtinAgent, openAgent, type RunningAgent } from "../../lib/pmda/mod.ts";
import { recording, replay } from "./replay.ts";

async function open(name: string, options: { readonly env?: Record<string, string> } = {}) {
  const agent = builtinAgent(name);
  if (agent === undefined) throw new Error(`no agent ${name}`);
  return openAgent(await agent.load(), { domain: agent.domain, ...options });
}

/** A time of day in seconds since 1970: the last eight digits of trivial's RESULT. */
const withoutTime = (answer: string): string =>
  answer.slice(8, 16) === "00007001" ? answer.slice(0, -8) : answer;

for (const session of ["trivial-dbpmda", "trivial-pmcd"]) {
  test(session, async () => {
    const agent: RunningAgent = await open("trivial");
    await replay(agent, recording(session), withoutTime);
  });
}
