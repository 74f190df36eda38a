// Goal: to every request of the recorded sessions our trivial and simple answer the bytes that PCP's
// agents answered, values of the moment aside.
import { test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { builtinAgent, openAgent, type RunningAgent } from "../../lib/pmda/mod.ts";
import { privateFolder } from "../helpers/process.ts";
import { recording, replay } from "./replay.ts";

/** The folder of agents' files, with the one that simple reads. */
function pmdasFolder(): string {
  const folder = privateFolder("pmdas");
  mkdirSync(join(folder, "simple"));
  writeFileSync(join(folder, "simple/simple.conf"), "sec,min,hour\n");
  return folder;
}

async function open(name: string): Promise<RunningAgent> {
  const agent = builtinAgent(name);
  if (agent === undefined) throw new Error(`no agent ${name}`);
  const env = { PCP_PMDAS_DIR: pmdasFolder(), PCP_SYSCONF_DIR: "/nowhere" };
  return openAgent(await agent.load(), { domain: agent.domain, env });
}

const isResult = (answer: string): boolean => answer.slice(8, 16) === "00007001";

/** A time in seconds since 1970: the last eight digits of trivial's RESULT. */
const withoutTime = (answer: string): string => (isResult(answer) ? answer.slice(0, -8) : answer);

/** Values of simple.now and simple.time.* are those of the moment. */
function withoutMoment(answer: string): string {
  if (!isResult(answer)) return answer;
  const time = /0500000c[0-9a-f]{16}/g;
  const now = /(3f400804)([0-9a-f]{8})00000000((?:0000000[0-2][0-9a-f]{8})*)/;
  return answer
    .replace(time, "0500000c????????????????")
    .replace(now, (_, pmid: string, count: string, values: string) => {
      const size = 16 * Number(`0x${count}`);
      const own = values.slice(0, size).replace(/([0-9a-f]{8})[0-9a-f]{8}/g, "$1????????");
      return `${pmid}${count}00000000${own}${values.slice(size)}`;
    });
}

for (const session of ["trivial-dbpmda", "trivial-pmcd"]) {
  test(session, async () => replay(await open("trivial"), recording(session), withoutTime));
}

for (const session of ["simple-dbpmda", "simple-pmcd"]) {
  test(session, async () => replay(await open("simple"), recording(session), withoutMoment));
}
