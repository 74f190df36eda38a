// Goal: an agent as a process: its log, its end, signals, what fails outside of requests, and its
// metrics as a list. It is asked by the checking tool's session, as pmcd would.
import { expect, test } from "bun:test";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { createCheckSession } from "../../lib/pmda/mod.ts";
import { waitUntil } from "../helpers/ports.ts";
import { baseEnvironment, privateFolder, run } from "../helpers/process.ts";
import { collecting } from "./sessions.ts";

const main = join(import.meta.dir, "../../cmd/main.ts");
const origin = { prompt: "", place: "", echo: false };

/** A program that runs an agent. */
function agentProgram(folder: string, ...args: readonly string[]): string {
  const path = join(folder, "agent");
  const words = [process.execPath, main, "pmda-run", ...args].map((word) => `"${word}"`);
  writeFileSync(path, `#!/bin/sh\nexec ${words.join(" ")}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** The agent's process, which its log names or `status` of a session does. */
const pidIn = (text: string): number => Number(/\(pid: (\d+)\)/.exec(text)?.[1]);

test("the log begins and ends as those of PCP's agents, and the one before is kept", async () => {
  const folder = privateFolder("run");
  const log = join(folder, "trivial.log");
  writeFileSync(log, "the one before\n");
  const { setting, take } = collecting({ env: baseEnvironment() });
  const session = createCheckSession(setting);
  await session.run(`open pipe ${agentProgram(folder, "trivial", "-l", log)}`, origin);
  take();
  await session.run("fetch trivial.time", origin);
  expect(take()).toContain("numval: 1 valfmt: 1");
  await session.run("desc 250.0.9", origin);
  await session.close();
  const text = readFileSync(log, "utf8");
  expect(text).toMatch(
    /^Log for pmdatrivial on \S+ started .*\n\n\[.*\] pmdatrivial\(\d+\) Error: pmdaDesc: Requested metric 250\.0\.9 is not defined\n\nLog finished .*\n$/,
  );
  expect(readFileSync(`${log}.prev`, "utf8")).toBe("the one before\n");
});

test("a signal ends it, and its log", async () => {
  const folder = privateFolder("run");
  const log = join(folder, "simple.log");
  const { setting, take } = collecting({ env: baseEnvironment() });
  const session = createCheckSession(setting);
  await session.run(`open pipe ${agentProgram(folder, "simple", "-l", log)}`, origin);
  await session.run("status", origin);
  process.kill(pidIn(take()), "SIGTERM");
  const finished = () => readFileSync(log, "utf8").includes("\nLog finished ");
  expect(await waitUntil(finished)).toBeTrue();
  await session.run("fetch simple.numfetch", origin);
  expect(take()).toContain("PDU empty, PMDA may have died");
  await session.close();
});

test("what fails in a timer or a promise of its author is a line in the log", async () => {
  const folder = privateFolder("run");
  const path = join(folder, "stray.ts");
  writeFileSync(
    path,
    `import { defineAgent, PM_SEM, PM_TYPE } from "pcpbox";
export default defineAgent({ name: "stray", domain: 402, create() {
  setTimeout(() => { throw new Error("in a timer"); }, 50);
  void Promise.reject(new Error("in a promise"));
  const row = { cluster: 0, item: 0, type: PM_TYPE.U32, sem: PM_SEM.INSTANT };
  return { metrics: [{ ...row, name: "stray.one", fetch: () => 7 }] };
} });
`,
  );
  const log = join(folder, "stray.log");
  const { setting, take } = collecting({ env: baseEnvironment() });
  const session = createCheckSession(setting);
  await session.run(`open pipe ${agentProgram(folder, path, "-l", log)}`, origin);
  const told = () => readFileSync(log, "utf8").includes("Error: ");
  expect(await waitUntil(told)).toBeTrue();
  const both = () =>
    /:4:\d+: in a promise\n[^]*:3:\d+: in a timer\n/.test(readFileSync(log, "utf8"));
  expect(await waitUntil(both)).toBeTrue();
  take();
  await session.run("fetch 402.0.0", origin);
  expect(take()).toContain("value 7 ");
  await session.close();
  const { stdout } = await run([process.execPath, main, "pmda-run", path, "--metrics"]);
  expect(stdout).toBe("stray.one 402.0.0\n");
});

test("its metrics, plain and as JSON, with dynamic roots", async () => {
  const list = await run([process.execPath, main, "pmda-run", "sample", "--metrics"]);
  expect(list.stdout).toContain("\nsample.long.one 29.0.10\n");
  expect(list.stdout).toContain("\nsample.secret 29.*.*\n");
  const argv = [process.execPath, main, "pmda-run", "trivial", "-d", "17", "--metrics", "--json"];
  expect(JSON.parse((await run(argv)).stdout)).toEqual([{ name: "trivial.time", pmid: 17 << 22 }]);
});

test("txmon without transaction types", async () => {
  const { stderr, status } = await run([process.execPath, main, "pmda-run", "txmon"]);
  expect(stderr).toStartWith(
    "No transaction types specified\n\nUsage: pmdatxmon [options] tx_type [...]\n",
  );
  expect(status).toBe(1);
});
